"""The estimate of an encode unit's area: bits worked out by hand."""

from __future__ import annotations

import pytest

from benchmarks.encode_area import (
    ADDER_BIT,
    FLIP_FLOP,
    MUX_BIT,
    UNITS,
    Part,
    Unit,
    array_area,
    parts,
    text,
)


def test_area_is_bits_times_the_area_of_one():
    part = Part("any", multiplied=1, added=2, chosen=3, kept=4, memory=5)
    assert part.area == pytest.approx(3 * ADDER_BIT + 3 * MUX_BIT + 4 * FLIP_FLOP)


def test_multipliers_are_those_of_the_lanes():
    assert parts(Unit())[0].multiplied == 16 * 24 * 16 + 16 * 8 * 16
    assert parts(Unit(wide=8, coefficient_bits=8))[0].multiplied == 8 * 24 * 8 + 24 * 8 * 8


def test_smaller_units_are_smaller_and_the_table_has_all():
    areas = [sum(one.area for one in parts(unit)) for unit in UNITS.values()]
    assert max(areas) == areas[0]
    assert min(areas) == areas[-1]
    assert areas[0] < array_area()[0] / 4
    assert all(name in text() for name in UNITS)
