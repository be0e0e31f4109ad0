"""A whole training step as an image: its list, what the host does at stops, the memory after it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from gscn.array import ArrayConfig
from gscn.control import CONTROL_MODE, CONTROL_RECORD
from gscn.emulator.list_records import MODE_PLACE, listed
from gscn.emulator.lists import run_list
from gscn.encode import ENCODE_DESCRIPTOR, ENCODE_MODE, EncodeError
from gscn.errors import MismatchError
from gscn.lowering.step.host import Host, rounded, weights_content
from gscn.lowering.step.layers import IMAGES, Conv, Layer, Norm, Pool, Training
from gscn.lowering.step.lists import listings
from gscn.lowering.step.network import step_of
from gscn.passes import DESCRIPTOR_BYTES, PASS_DESCRIPTOR

SIZES = ("float_formats=bf16", "acc_depth=1024", "stationary_depth=4096", "directory_depth=1024")
"""Of `tiny`, so that it has room for the passes of a step."""
BATCH = (2, 3, 4, 4)
"""Images, channels, rows, columns."""
LAYERS: tuple[Layer, ...] = (
    *(Conv("c1", IMAGES, 16, 3, 1, 1), Norm("n1", "c1")),
    *(Conv("c2", "n1", 16, 3, 1, 1), Norm("n2", "c2", added="n1")),
    *(Pool("mean", "n2", False, 4, 4), Conv("fc", "mean", 10, linear=True)),
)
"""A block with a residual connection between two convolutions and a linear layer."""
ADDRESS_BITS = 64
"""Width of those fields of records, and only those, that are addresses."""


class Access(NamedTuple):
    """A range of memory that the host reads or writes at a stop."""

    stop: int
    """Number of the stop."""
    writes: bool
    offset: int
    """From where the image begins."""
    content: np.ndarray
    """uint8: what is there, or what is written."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class StepImage:
    """A step's list with its tensors in a region at address 0, and what comes of it."""

    config: ArrayConfig
    content: np.ndarray = field(repr=False)
    """uint8: memory before the step; the list comes first."""
    places: int
    """Of 256 bytes that the list takes."""
    addresses: np.ndarray = field(repr=False)
    """uint32: offsets of the words of records to which an address of the region is added."""
    accesses: tuple[Access, ...] = field(repr=False)
    """Of the host, stop by stop, in order."""
    expected: np.ndarray = field(repr=False)
    """uint8: memory after the step."""

    def at(self, base: int) -> np.ndarray:
        """Return memory (uint8) before the step of a region that begins at an address."""
        moved = self.content.copy()
        words = moved.view("<u4")
        words[self.addresses // words.itemsize] += np.uint32(base)
        return moved

    def checksum(self) -> int:
        """Return the sum of the expected words, and above it that of their sums, of 32 bits each.

        Every sum is one modulo 2 ** 32.
        """
        sums = np.cumsum(self.expected.view("<u4"), dtype=np.uint32)
        return int(np.sum(sums, dtype=np.uint32)) << 32 | int(sums[-1])


class RecordingHost(Host):
    """A host that notes what it reads and writes."""

    def __init__(self, *args: object, **options: object) -> None:
        super().__init__(*args, **options)
        self.accesses: list[Access] = []
        self.begins_anew = False
        self._number = 0

    def __call__(self, number: int, memory: np.ndarray) -> int | None:
        """Do what a stop asks for; return the record to go back to."""
        self._number = number
        anew = super().__call__(number, memory)
        self.begins_anew |= anew is not None
        return anew

    def _read(self, kind: str, addr: int, size: int) -> np.ndarray:
        content = super()._read(kind, addr, size)
        self.accesses.append(Access(self._number, False, addr, content))
        return content

    def _write(self, kind: str, addr: int, content: np.ndarray) -> None:
        super()._write(kind, addr, content)
        there = self.memory[addr : addr + content.nbytes].copy()
        self.accesses.append(Access(self._number, True, addr, there))


def address_words(memory: np.ndarray, addr: int, end: int) -> np.ndarray:
    """Return the offsets (uint32) of the lower words of all addresses in the records of a list.

    An address of 0 stands for none, since the list itself begins there.

    Parameters
    ----------
    memory
        uint8, with the list from `addr` to `end`.
    """
    layouts = {ENCODE_MODE: ENCODE_DESCRIPTOR, CONTROL_MODE: CONTROL_RECORD}
    found = []
    for one in listed(memory, addr, end):
        layout = layouts.get(int(memory[one.addr + MODE_PLACE]), PASS_DESCRIPTOR)
        record = layout.unpack(memory[one.addr : one.addr + one.size])[0]
        found += [
            one.addr + layout.dtype.fields[each.name][1]
            for each in layout.fields
            if each.width == ADDRESS_BITS and record[each.name]
        ]
    return np.array(found, dtype=np.uint32)


def step_image(config: ArrayConfig, *, seed: int = 0) -> StepImage:
    """Return the second training step of a small network on random images.

    The first one, which sets tops and may begin anew where they were too low, is run before.

    Parameters
    ----------
    config
        An array with bf16.
    seed
        Of images, labels and weights.

    Raises
    ------
    InputError
        The array cannot run the network's passes.
    MismatchError
        The functional model ends with an error, or begins anew.
    """
    how = Training()
    step = step_of(list(LAYERS), BATCH, how)
    memory, (listing,) = listings([step], config, together=True)
    generator = np.random.default_rng(seed)
    for name, tensor in step.tensors.items():
        if name.startswith("w."):
            _, channels, *taps = tensor.shape
            drawn = generator.standard_normal(tensor.shape) / np.sqrt(channels * np.prod(taps) / 2)
            place = listing.memory.dense[name]
            content = weights_content(place, drawn.astype(np.float32).view(np.uint32))
            content = content.view(np.uint8).reshape(-1)
            memory[place.addr : place.addr + content.size] = content
    host = RecordingHost(step.norms, LAYERS[-1].kernels, rate=how.rate, momentum=how.momentum)
    host.follow(step, listing)
    for _ in range(2):
        host.batch = (
            rounded(generator.standard_normal(BATCH)),
            generator.integers(LAYERS[-1].kernels, size=BATCH[0]),
            0,
        )
        host.accesses.clear()
        host.begins_anew = False
        before = memory
        memory = _ran(config, before, listing.addr, listing.end, host)
    if host.begins_anew:
        raise MismatchError("the second step must not begin anew anywhere, but does")
    return StepImage(
        config=config,
        content=before,
        places=(listing.end - listing.addr) // DESCRIPTOR_BYTES,
        addresses=address_words(before, listing.addr, listing.end),
        accesses=tuple(host.accesses),
        expected=memory,
    )


def _ran(config: ArrayConfig, memory: np.ndarray, addr: int, end: int, host: Host) -> np.ndarray:
    """Return memory after a list."""
    result = run_list(config, memory, addr, end, host)
    if result.error != EncodeError.NONE:
        raise MismatchError(
            f"the list must end without an error, not with {result.error.name} at the record at "
            f"{result.error_addr:#x}"
        )
    return result.memory
