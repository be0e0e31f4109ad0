"""Tables of memories, worked out by hand."""

from __future__ import annotations

from gscn.rtl_gen.memories import SRAMS, Memory, MemoryGroup
from gscn.rtl_gen.memory_text import (
    INTRODUCTION,
    INVENTORY_HEADER,
    SUMMARY_HEADER,
    inventory_rows,
    ports,
    summary_row,
)
from gscn.rtl_gen.synthesis import Counts

QUEUE = Memory(depth=4, width=8, reads=1, writes=1, combinational=True)
TABLE = Memory(depth=1000, width=100, reads=1, writes=1, combinational=False)


def counts(**changes):
    fields = {
        "gates": 1, "flip_flops": 1, "multipliers": 1, "multiplier_gates": 1,
        "memory_bits": 3 * 32 + 2 * 100_000, "area": 5e6, "macros": 2, "macro_bits": 200_000,
        "memory_area": 3 * 4000.0,
    }  # fmt: skip
    return Counts(**(fields | changes))


MEMORIES = (
    MemoryGroup(place="top.queue", memory=QUEUE, count=3, area=4000.0),
    MemoryGroup(place="top.table", memory=TABLE, count=2),
)


def test_a_configuration_has_its_cells_memories_and_all_of_them():
    row = summary_row("made up", counts(), MEMORIES)
    assert row[:7] == ("made up", "5.000", 3, 96, "0.012", 2, 200_000)
    expected = [f"{(5e6 + 12_000 + sram.area(2, 200_000)) / 1e6:.3f}" for sram in SRAMS]
    assert list(row[7:]) == expected
    assert len(row) == len(SUMMARY_HEADER)
    assert summary_row("made up", counts(memory_area=None), ()) is None


def test_each_memory_has_a_row_with_what_it_takes():
    queue, table = inventory_rows(MEMORIES)
    assert queue == ("top.queue", "4 x 8", "write, 1 read at once", 3, 96, "cells", "0.012")
    taken = f"{(2 * SRAMS[1].each + 200_000 * SRAMS[1].per_bit) / 1e6:.3f}"
    assert table[2:] == ("write, 1 read a cycle later", 2, 200_000, "macros", taken)
    assert len(table) == len(INVENTORY_HEADER)


def test_ports_are_told_in_words():
    constant = Memory(depth=2, width=1, reads=1, writes=0, combinational=True, contents="01")
    assert ports(constant) == "constant"
    parts = Memory(depth=2, width=4, reads=2, writes=1, combinational=True, enables=4)
    assert ports(parts) == "write in 4 parts, 2 read at once"


def test_the_introduction_has_every_density():
    assert all(f"| {one.name} | {one.each:,.0f} | {one.per_bit:.2f} |" in INTRODUCTION
               for one in SRAMS)  # fmt: skip
