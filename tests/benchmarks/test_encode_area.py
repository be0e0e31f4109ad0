# amaranth: UnusedElaboratable=no
"""The area of an encode unit: parts are synthesised, counted and added up."""

from __future__ import annotations

import pytest

from benchmarks import encode_area
from benchmarks.encode_area import (
    BUILT,
    HELD,
    LANE_PARTS,
    LANES,
    STREAMED,
    TOP,
    UNITS,
    Parts,
    Unit,
    exposed,
    in_pieces,
    makers,
    measure,
    memory_rows,
    module_rows,
    read_ahead,
    share_rows,
    text,
)
from gscn.rtl_gen.memories import SRAMS, Memory, MemoryGroup
from gscn.rtl_gen.memory_text import LIKELY
from gscn.rtl_gen.synthesis import Counts, Netlist
from tests.rtl_gen.few_cells import AREAS, write_liberty


def test_a_part_has_the_area_of_its_synthesis(tmp_path):
    liberty = write_liberty(tmp_path / "few.lib")
    walk = measure(makers(Unit())["loops"][1], liberty)
    assert walk.area > 100 * AREAS["DFFX1"]  # flip-flops of eight counters alone
    assert walk.memory_bits == 0
    # Eleven rows of steps, ten of sums, of two coordinates, read at once.
    found = measure(makers(Unit())["coordinates"][1], liberty)
    assert found.memory_bits == 2 * (11 + 10) * 28
    assert found.macros == 0
    assert found.memory_area > found.memory_bits * AREAS["DFFX1"]


def counted(area, memory_bits=0, **changes):
    fields = {
        "gates": 1, "flip_flops": 2, "multipliers": 0, "multiplier_gates": 0, "area": area,
        "memory_bits": memory_bits, "memory_area": 0.0, "macros": 0, "macro_bits": 0,
    }  # fmt: skip
    return Counts(**(fields | changes))


def test_a_unit_of_other_parts_takes_what_they_take(monkeypatch):
    made = []

    def count(make, liberty):
        made.append(make)
        return counted(1.0, 2, memory_area=0.5)

    monkeypatch.setattr(encode_area, "measure", count)
    parts, built = Parts(None), counted(1000.0, 5000, memory_area=600.0)
    assert parts.change(built, BUILT, BUILT) == built
    assert made == []
    # What both have is not synthesised. 16 sums less.
    one_sum = parts.change(built, BUILT, Unit(sums=1))
    assert (one_sum.area, one_sum.memory_area, one_sum.memory_bits) == (984.0, 592.0, 5000 - 32)
    assert len(made) == 1  # what adds results up; rows hold what they held
    # Six parts of each of 16 lanes more, their rows, thresholds, and two packers.
    assert parts.change(built, BUILT, Unit(lanes=32)).area == 1000 + 16 * 6 + 1 + 1 + 2


def test_a_unit_of_fewer_sums_or_lanes_exposes_more():
    assert exposed(Unit(), STREAMED) < exposed(Unit(sums=1), STREAMED)
    assert exposed(Unit(), HELD) < exposed(Unit(lanes=8), HELD)
    assert exposed(Unit(), HELD) < exposed(Unit(), STREAMED)


QUEUE = Memory(depth=4, width=8, reads=1, writes=1, combinational=True)
TABLE = Memory(depth=100, width=100, reads=1, writes=1, combinational=False)


def netlist(area, top=TOP, **changes):
    """Return a unit: two lanes alike, and what is too small for a row."""
    modules = {top: counted(area, 50, **changes)}
    for name, share in (("lanes", 0.5), ("lanes.lane0", 0.2), ("lanes.lane1", 0.1), ("end", 0.001)):
        modules[f"{top}.{name}"] = counted(share * area, 5)
    groups = (
        MemoryGroup(place="top.queue", memory=QUEUE, count=3, area=1e6),
        MemoryGroup(place="top.small", memory=QUEUE, count=1, area=1e3),
        MemoryGroup(place="top.table", memory=TABLE, count=200),
    )
    return Netlist(top=top, modules=modules, memories=groups)


def test_shares_are_of_cells_and_of_all_memories():
    unit = netlist(2e6, memory_area=1e6, macros=2, macro_bits=10_000)
    large = netlist(1e7, top="array", memory_area=2e6, macros=50, macro_bits=1_000_000)
    rows = share_rows(unit, large)
    assert rows[0] == ["cells alone", "2.00", "10.00", "20.0 %"]
    assert rows[1] == ["cells, and memories in cells", "3.00", "12.00", "25.0 %"]
    for row, sram in zip(rows[2:5], SRAMS, strict=True):
        own, whole = 3e6 + sram.area(2, 10_000), 12e6 + sram.area(50, 1_000_000)
        share = f"{100 * own / whole:.1f} %"
        assert row == [f"all, {sram.name}", f"{own / 1e6:.2f}", f"{whole / 1e6:.2f}", share]


def test_what_reads_at_once_is_a_macro_if_it_is_read_ahead_and_that_takes_less():
    large = Memory(depth=100, width=64, reads=1, writes=1, combinational=True)
    two_reads = Memory(depth=100, width=64, reads=2, writes=1, combinational=True)
    groups = (
        MemoryGroup(place="queue", memory=large, count=4, area=1e6),
        MemoryGroup(place="cheap", memory=large, count=3, area=10.0),
        MemoryGroup(place="rows", memory=two_reads, count=2, area=2e6),
        MemoryGroup(place="small", memory=QUEUE, count=5, area=1e3),
        MemoryGroup(place="table", memory=TABLE, count=6),
    )
    found = Netlist(top=TOP, modules={TOP: counted(7.0)}, memories=groups)
    macros = 4 * LIKELY.area(1, 6400) + 6 * LIKELY.area(1, 10_000)
    assert read_ahead(found, LIKELY) == pytest.approx(7 + macros + 3 * 10 + 2 * 2e6 + 5 * 1e3)


def test_a_macro_that_is_too_wide_is_several():
    found = netlist(1e6, macros=200, macro_bits=2_000_000)  # 200 tables of rows of 100 bits
    whole = 1e6 + LIKELY.area(200, 2_000_000)
    assert in_pieces(found, LIKELY, 100) == pytest.approx(whole)
    assert in_pieces(found, LIKELY, 64) == pytest.approx(whole + 200 * LIKELY.each)
    assert in_pieces(found, LIKELY, 33) == pytest.approx(whole + 3 * 200 * LIKELY.each)


def test_memories_that_take_little_have_no_row_and_the_largest_come_first():
    rows = memory_rows(netlist(1e6).memories, 1e5)
    assert [row[0] for row in rows] == ["top.table", "top.queue"]
    assert rows[0][4:6] == ["2,000,000", "macros"]
    assert rows[1][-1] == "3.000"


def test_modules_of_one_kind_have_a_row_with_what_they_take_in_all():
    whole = counted(2e7, 100, memory_area=5e6)
    unit = netlist(2e6, memory_area=5e5)
    rows = module_rows(unit, whole)
    assert rows == [
        ["all", "1", "2,000,000", "2.00", "10.0 %", "2", "50", "2.50", "10.0 %"],
        ["lanes", "1", "1,000,000", "1.00", "5.0 %", "2", "5", "1.00", "4.0 %"],
        ["lanes.lane", "2", "300,000", "0.60", "3.0 %", "4", "10", "0.60", "2.4 %"],
    ]


def test_the_tables_have_all_modules_lanes_and_units(monkeypatch, tmp_path):
    found = counted(1e6, 10)
    large = netlist(1.1e9, top="array", macros=1, macro_bits=10_000)
    monkeypatch.setattr(encode_area, "measure", lambda *_: found)
    monkeypatch.setattr(encode_area, "measure_array", lambda _: large)
    monkeypatch.setattr(encode_area, "measure_unit", lambda _: netlist(9e7, memory_area=1e6))
    shown = text(tmp_path)
    assert all(name in shown for name in (*LANES, *UNITS, *LANE_PARTS))
    rows = {line.split(" | ")[0].removeprefix("| "): line for line in shown.splitlines()}
    assert "90.00" in rows["cells alone"]
    # The unit that there is, and by how much its parts differ: 16 sums less.
    assert "90.00" in rows["16 lanes"]
    assert "74.00" in rows["16 lanes, one sum a turn"]
    share = (91e6) / (1.1e9 + LIKELY.area(1, 10_000))
    assert f"| {100 * share:.1f} % |" in rows["16 lanes"]
    # Area and cycles within bars; 8 lanes are too slow.
    assert rows["16 lanes"].endswith("| yes |")
    assert rows["8 lanes"].endswith("| no |")
