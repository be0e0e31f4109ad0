"""What memories take in cells, by libraries whose areas tell what was mapped."""

from __future__ import annotations

import dataclasses

import pytest

from gscn.errors import InputError
from gscn.rtl_gen import memory_cells
from gscn.rtl_gen.memories import Memory
from gscn.rtl_gen.memory_cells import SLICE_BITS, memory_areas
from tests.rtl_gen.few_cells import AREAS, write_liberty

STORE = Memory(depth=16, width=12, reads=1, writes=1, combinational=True)
MACRO = Memory(depth=40, width=32, reads=1, writes=1, combinational=False)


@pytest.fixture
def liberty(tmp_path):
    return write_liberty(tmp_path / "few.lib")


def test_a_memory_in_cells_has_a_flip_flop_for_each_bit_and_one_for_what_is_read_later(tmp_path):
    tiny = write_liberty(tmp_path / "tiny.lib", dict.fromkeys(AREAS, 0.0001) | {"DFFX1": 1.0})
    late = Memory(depth=6, width=5, reads=1, writes=1, combinational=False)
    parts = Memory(depth=3, width=12, reads=2, writes=1, combinational=True, enables=4)
    found = memory_areas([STORE, MACRO, late, parts], tiny)
    assert {one: int(area) for one, area in found.items()} == {
        STORE: 16 * 12, late: 6 * 5 + 5, parts: 3 * 12
    }  # fmt: skip


def test_more_ports_and_more_enables_take_more_cells(liberty):
    two = Memory(depth=16, width=12, reads=2, writes=1, combinational=True)
    parts = Memory(depth=16, width=12, reads=1, writes=1, combinational=True, enables=12)
    found = memory_areas([STORE, two, parts], liberty)
    # Of 12 bits a choice of one in 16: no less than 15 choices of two, each of two gates or more.
    assert found[two] - found[STORE] >= 12 * 15 * 2 * AREAS["NAND2X1"]
    assert found[STORE] < found[parts]


def test_a_constant_memory_is_what_is_left_of_it(liberty):
    inverter, wire = (
        Memory(
            depth=2, width=1, reads=1, writes=0, combinational=True, enables=0, contents=contents
        )
        for contents in ("01", "10")
    )
    found = memory_areas([inverter, wire], liberty)
    # Row 0 is the last bit: 1 at address 0 is an inverter.
    assert found == {inverter: AREAS["INVX1"], wire: 0.0}


def test_a_wide_memory_lies_on_the_line_through_a_slice_and_two(monkeypatch, liberty):
    mapped = []

    def area_of(memories, _):
        mapped.extend(memories)
        return [1000.0 + 3 * memory.width for memory in memories]

    monkeypatch.setattr(memory_cells, "_map", area_of)
    wide = dataclasses.replace(STORE, width=100)
    parts = dataclasses.replace(STORE, width=64, enables=8)
    two = dataclasses.replace(STORE, width=2 * SLICE_BITS)
    assert memory_areas([wide, parts, two], liberty) == {
        wide: 1300.0, parts: 1000.0 + 3 * 64, two: 1096.0
    }  # fmt: skip
    assert [(one.width, one.enables) for one in mapped] == [(16, 1), (32, 1), (8, 1), (16, 2)]


def test_the_line_is_near_what_is_mapped_whole(monkeypatch, liberty):
    wide = Memory(depth=3, width=80, reads=1, writes=1, combinational=True)
    on_line = memory_areas([wide], liberty)[wide]
    monkeypatch.setattr(memory_cells, "SLICE_BITS", 40)
    whole = memory_areas([wide], liberty)[wide]
    assert on_line == pytest.approx(whole, rel=0.02)


def test_a_missing_liberty_is_named(tmp_path):
    with pytest.raises(InputError, match="qflow-tech-osu018"):
        memory_areas([STORE], tmp_path / "none.lib")
