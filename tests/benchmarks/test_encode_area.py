# amaranth: UnusedElaboratable=no
"""The area of an encode unit: parts are synthesised, counted and added up."""

from __future__ import annotations

import pytest

from benchmarks import encode_area
from benchmarks.encode_area import (
    HELD,
    LANE_PARTS,
    LANES,
    STREAMED,
    TOP,
    UNITS,
    Measured,
    Unit,
    exposed,
    makers,
    measure,
    module_rows,
    text,
    unit_area,
)
from gscn.rtl_gen.synthesis import DEFAULT_LIBERTY, Counts, Netlist


@pytest.mark.skipif(not DEFAULT_LIBERTY.is_file(), reason="the library of cells is not installed")
def test_a_part_has_the_area_of_its_synthesis():
    walk = measure(makers(Unit())["loops"][1], delay=True)
    assert walk.area > 100 * 96  # flip-flops of eight counters alone
    assert walk.memory_bits == 0
    assert 0 < walk.delay_ns < 20
    # Eleven rows of steps, ten of sums, of two coordinates.
    assert measure(makers(Unit())["coordinates"][1]).memory_bits == 2 * (11 + 10) * 28


def test_a_unit_is_the_sum_of_its_parts(monkeypatch):
    made = []

    def count(make):
        made.append(make)
        return Measured(area=1.0, memory_bits=2)

    monkeypatch.setattr(encode_area, "measure", count)
    known = {}
    # Four of each lane, a second sum; thresholds, selection, two packers, five of other outputs,
    # three of the walk.
    assert unit_area(Unit(), known) == Measured(area=16 * 6 + 12.0, memory_bits=2 * (16 * 6 + 12))
    assert len(made) == len(makers(Unit()))
    # What a unit shares with one that is known is not synthesised again.
    assert unit_area(Unit(sums=1), known).area == 16 * 5 + 12
    assert len(made) == len(makers(Unit())) + 1  # sums with twice the rows
    assert unit_area(Unit(lanes=32), known).area == 32 * 6 + 2 + 1 + 4 + 5 + 3


def test_a_unit_of_fewer_sums_or_lanes_exposes_more():
    assert exposed(Unit(), STREAMED) < exposed(Unit(sums=1), STREAMED)
    assert exposed(Unit(), HELD) < exposed(Unit(lanes=8), HELD)
    assert exposed(Unit(), HELD) < exposed(Unit(), STREAMED)


def counted(area, memory_bits):
    return Counts(
        gates=1, flip_flops=2, multipliers=0, memory_bits=memory_bits, multiplier_gates=0, area=area
    )


def netlist(area):
    """Return a unit: two lanes alike, and what is too small for a row."""
    modules = {TOP: counted(area, 50)}
    for name, share in (("lanes", 0.5), ("lanes.lane0", 0.2), ("lanes.lane1", 0.1), ("end", 0.001)):
        modules[f"{TOP}.{name}"] = counted(share * area, 5)
    return Netlist(top=TOP, modules=modules)


def test_modules_of_one_kind_have_a_row_with_what_they_take_in_all():
    rows = module_rows(netlist(2e6), Measured(area=2e7, memory_bits=100))
    assert rows == [
        ["all", "1", "2,000,000", "2.00", "10.0 %", "2", "50"],
        ["lanes", "1", "1,000,000", "1.00", "5.0 %", "2", "5"],
        ["lanes.lane", "2", "300,000", "0.60", "3.0 %", "4", "10"],
    ]


def test_the_tables_have_all_modules_lanes_and_units(monkeypatch):
    found = Measured(area=1e6, memory_bits=10)
    monkeypatch.setattr(encode_area, "measure", lambda *_, **__: found)
    monkeypatch.setattr(encode_area, "measure_array", lambda: Measured(area=1.1e9, memory_bits=100))
    monkeypatch.setattr(encode_area, "measure_unit", lambda: netlist(9e7))
    shown = text()
    assert all(name in shown for name in (*LANES, *UNITS, *LANE_PARTS))
    rows = {line.split(" | ")[0].removeprefix("| "): line for line in shown.splitlines()}
    assert "90.00" in rows["all"]
    # The unit that there is, and by how much its parts differ: 16 sums less.
    assert "90.00" in rows["16 lanes"]
    assert "74.00" in rows["16 lanes, one sum a turn"]
    # Area and cycles within bars; 8 lanes are too slow.
    assert rows["16 lanes"].endswith("| yes |")
    assert rows["8 lanes"].endswith("| no |")
