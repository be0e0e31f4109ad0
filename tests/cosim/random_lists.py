"""Lists of a machine whose records are random passes of both kinds, and what is between them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gscn.control import CONTROL_MODE, CONTROL_RECORD, Queue
from gscn.cosim.simulation import Region
from gscn.emulator.list_records import STATE_BYTES
from gscn.encode import ENCODE_DESCRIPTOR
from gscn.passes import PASS_DESCRIPTOR
from tests.pass_programs import random_program

PAGE = 4096
BLOCK = 1 << 20
"""Bytes that any part has less than."""
ADDRESSES = ("_addr", "_end", "_data", "_table")
"""How fields that are byte addresses end; 0: there is nothing."""


@dataclass(frozen=True, kw_only=True)
class Part:
    """A pass, and its own memory, in which its addresses are."""

    queue: Queue
    record: object
    fields: dict
    content: np.ndarray
    fixed: tuple = ()
    """Addresses that are not in its memory."""

    @property
    def tops(self):
        """Where in its memory there is room for a state's size of tops, behind all else."""
        return -(-self.content.size // STATE_BYTES) * STATE_BYTES

    @property
    def room(self):
        """Bytes of its memory, pages."""
        return (self.tops // PAGE + 1) * PAGE

    def packed(self, moved):
        """Return its record, with its memory from an address on."""
        fields = {
            name: value + moved * (name.endswith(ADDRESSES) and value != 0)
            for name, value in self.fields.items()
            if name not in self.fixed
        }
        fields |= {name: self.fields[name] for name in self.fixed}
        return self.record.pack(**fields).view(np.uint8)


def encode_part(fields, memory, fixed=()):
    """Return an encode pass as `tests.encode_passes` draws it."""
    return Part(
        queue=Queue.ENCODE, record=ENCODE_DESCRIPTOR, fields=fields, content=memory, fixed=fixed
    )


def array_part(config, seed):
    """Return a random pass of the array in bf16."""
    program = random_program(seed, 1, config=config, number_format=1, count=1)
    return Part(
        queue=Queue.ARRAY,
        record=PASS_DESCRIPTOR,
        fields=program.passes[0].fields,
        content=program.image,
    )


@dataclass(frozen=True, kw_only=True)
class PlacedList:
    """A list, as the emulator has it, and with its parts elsewhere on the ports."""

    memory: np.ndarray
    """Parts one behind the other from address 0 on, then the list."""
    addr: int
    end: int
    moved: np.ndarray
    """The same, but for addresses in records."""
    regions: list[Region]

    def on_ports(self, addr):
        """Return where an address of the list is on the ports."""
        return self.regions[-1].addr + addr - self.addr


def placed_list(parts, controls, rng, space):
    """Return a list of passes with control records between.

    Parameters
    ----------
    parts
        The passes.
    controls
        Makes the fields of the control records before a pass: from its number, the addresses of the
        memories of all passes and of the next record, and how many records each queue has before.
    rng
        Chooses where everything lies on the ports: apart, at pages, each within 1 MiB.
    space
        Bytes of the address space.
    """
    places, behind = [], 0
    for one in parts:
        places.append(behind)
        behind += one.room
    contents = [np.zeros(behind, dtype=np.uint8)]
    for place, one in zip(places, parts, strict=True):
        contents[0][place : place + one.content.size] = one.content
    plain = _records(parts, controls, places, behind)
    sizes = [*(one.room for one in parts), plain.size]
    bases = [
        block * BLOCK + PAGE * rng.randrange((BLOCK - size) // PAGE)
        for block, size in zip(rng.sample(range(1, space // BLOCK), len(sizes)), sizes, strict=True)
    ]
    memory = np.concatenate([*contents, plain])
    moved = np.concatenate([*contents, _records(parts, controls, bases, bases[-1])])
    return PlacedList(
        memory=memory,
        addr=behind,
        end=memory.size,
        moved=moved,
        regions=[*map(Region, bases, [*places, behind], sizes)],
    )


def _records(parts, controls, places, addr):
    """Return the records of a list at an address, whose passes have their memories at others."""
    records, counts, first = [], dict.fromkeys(Queue, 0), addr
    for number, one in enumerate(parts):
        for fields in controls(number, places, addr, dict(counts)):
            record = CONTROL_RECORD.pack(**{"mode": CONTROL_MODE, **fields})
            records.append(record.view(np.uint8))
            counts[Queue(fields.get("queue", 0))] += 1
            addr += records[-1].size
        records.append(one.packed(places[number]))
        counts[one.queue] += 1
        addr += records[-1].size
    assert addr - first < BLOCK
    return np.concatenate(records)
