"""A buffer behind the memory ports: which of the bytes that a pass reads DRAM must deliver.

The buffer holds lines of 64 bytes, fully associative, of which the one that was used longest ago is
replaced. It sees the read bursts of all ports in the order in which the arbiters take them
(`cycles.passes.simulate_passes`); results pass it by. That order is the memory's too: a DRAM that
is a limit holds up clusters that are ahead, so that those that stream the same data stay together.
Without a buffer DRAM reads what the ports read.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from gscn.array import ArrayConfig
from gscn.cycles.port.dram import new_lines, use_line
from gscn.dram import LINE_BYTES
from gscn.errors import InputError
from gscn.lowering.grad_plan import GradPlan
from gscn.lowering.pass_image import PassImage
from gscn.passes import DESCRIPTOR_BYTES, HALFWORD_BYTES, PASS_DESCRIPTOR, Mode
from gscn.system.compiled import compiled

BUFFERS = (0, 256 << 10, 1 << 20, 4 << 20)
"""Capacities that a design may have, bytes."""
CAPACITIES = (0, *(16 << 10 << step for step in range(9)))
"""Those that are measured, bytes: also for the smaller operands of samples."""
FIRST, SECOND, OTHER = range(3)
"""Whose bytes are read: the operands of a pass in the order of `ConvShape.operand_shapes`, tables
among them; the list of passes."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Reads:
    """Bytes that a pass, or several on the same operands, reads, by what is read."""

    first: float
    second: float
    other: float = 0.0

    @property
    def total(self) -> float:
        """All of them."""
        return self.first + self.second + self.other


@dataclass(frozen=True, kw_only=True, slots=True)
class Region:
    """Bytes in memory that belong together."""

    begin: int
    end: int
    """One past the last."""
    operand: int
    """`FIRST` or `SECOND`."""
    stationary: bool
    strips: bool
    """Of strips; otherwise of their table."""


def listed(image: PassImage) -> np.ndarray:
    """Return the descriptors of a lowered pass, `PASS_DESCRIPTOR.dtype`."""
    size = image.descriptor_count * DESCRIPTOR_BYTES
    content = image.image[image.descriptors_addr :][:size]
    return np.ascontiguousarray(content).view(PASS_DESCRIPTOR.dtype)


def regions(image: PassImage) -> list[Region]:
    """Return where the operands of a lowered pass lie, by address, each once."""
    holders = [
        SECOND if isinstance(part, GradPlan) and part.holds_input else FIRST
        for part in image.plan.parts
        for _ in (part.runs if isinstance(part, GradPlan) else (None,))
    ]
    found = set()
    for held, one in zip(holders, listed(image), strict=True):
        samples = int(one["samples"])
        s_samples = 1 if one["mode"] == Mode.KERNEL else samples
        rows = {"s": s_samples * int(one["s_chunks"]) + 1, "t": samples * int(one["t_strips"]) + 1}
        for side, operand in (("s", held), ("t", FIRST + SECOND - held)):
            data, table = int(one[f"{side}_data"]), int(one[f"{side}_table"])
            data_end = data + HALFWORD_BYTES * int(one[f"{side}_halfwords"])
            table_end = table + 4 * rows[side] * int(one[f"{side}_groups"])
            found.add((data, data_end, operand, side == "s", True))
            found.add((table, table_end, operand, side == "s", False))
    return [
        Region(begin=begin, end=end, operand=operand, stationary=stationary, strips=strips)
        for begin, end, operand, stationary, strips in sorted(found)
    ]


@compiled
def _misses(first_lines, last_lines, owners, capacity, lines):
    """Return lines that are not in a buffer when they are read, by their owner (int64)."""
    missed = np.zeros(3, np.int64)
    held = 0
    for burst in range(first_lines.size):
        for line in range(first_lines[burst], last_lines[burst] + 1):
            hit, held = use_line(lines, line, capacity, held)
            missed[owners[burst]] += not hit
    return missed


def replay(
    config: ArrayConfig,
    bursts: np.ndarray,
    owners: np.ndarray,
    buffer_bytes: int,
) -> Reads:
    """Return the bytes that DRAM delivers for read bursts behind a buffer.

    Parameters
    ----------
    config
        Gives the bytes of a beat.
    bursts
        As of `cycles.passes.PassCycles`; those of the list of passes (address -1) are read once
        and never kept.
    owners
        int (bursts,): `FIRST`, `SECOND` or `OTHER`.
    buffer_bytes
        Capacity.

    Raises
    ------
    InputError
        The capacity is negative.
    """
    if buffer_bytes < 0:
        raise InputError(f"buffer_bytes must be at least 0, not {buffer_bytes}")
    sizes = bursts[:, 1] * config.mem_bytes
    capacity = buffer_bytes // LINE_BYTES
    if not capacity:
        read = np.bincount(owners, weights=sizes, minlength=3)
        return Reads(first=float(read[FIRST]), second=float(read[SECOND]), other=float(read[OTHER]))
    named = bursts[:, 0] >= 0
    begins = bursts[named, 0] * config.mem_bytes
    lasts = (begins + sizes[named] - 1) // LINE_BYTES
    missed = LINE_BYTES * _misses(
        begins // LINE_BYTES,
        lasts,
        owners[named].astype(np.int64),
        capacity,
        new_lines(int(lasts.max(initial=0)) + 1),
    )
    return Reads(
        first=float(missed[FIRST]),
        second=float(missed[SECOND]),
        other=float(missed[OTHER] + sizes[~named].sum()),
    )


def owners_of(image: PassImage, bursts: np.ndarray) -> np.ndarray:
    """Return whose bytes each burst reads, int64 (bursts,): `FIRST`, `SECOND` or `OTHER`."""
    known = regions(image)
    begins = np.array([one.begin for one in known], np.int64)
    at = np.searchsorted(begins, bursts[:, 0] * image.config.mem_bytes, side="right") - 1
    operands = np.array([one.operand for one in known] + [OTHER], np.int64)
    # what lies before the first operand is the list
    return operands[np.where(at < 0, len(known), at)]


def dram_reads(
    image: PassImage, bursts: np.ndarray, buffers: Iterable[int] = CAPACITIES
) -> dict[int, Reads]:
    """Return the bytes that DRAM delivers for a lowered pass, by the capacity of a buffer.

    Parameters
    ----------
    image
        The pass.
    bursts
        As of `cycles.passes.PassCycles`.
    buffers
        Capacities, bytes.
    """
    owners = owners_of(image, bursts)
    return {size: replay(image.config, bursts, owners, size) for size in buffers}
