"""What encode passes of a step take: bounds by hand, and a table of all kinds."""

from __future__ import annotations

from benchmarks import encode_cycles
from benchmarks.encode_cycles import costs, kinds, text, turns
from benchmarks.encode_step import digits
from gscn.cycles.encode.fields import record_fields
from gscn.cycles.encode.unit import ODD_ALL
from tests.cycles.encode.test_unit import CONFIG, copy


def test_turns_are_digits_of_what_is_multiplied_and_a_turn_for_a_sum_without_a_multiplier():
    assert turns(record_fields(copy(8)), ODD_ALL) == 1
    wide = record_fields(copy(8, wide=True))
    assert (turns(wide, ODD_ALL), turns(wide, 0)) == (3, 1)
    two = copy(8) | {"t1_format": 1, "dot": 2, "sums_end": 512}
    assert turns(record_fields(two), ODD_ALL) == 2
    assert turns(record_fields(two | {"t1_format": 0, "dot": 1}), ODD_ALL) == 1
    # three of float32, tensor 2 with any coefficient or 1, and the result added once more
    update = copy(8, wide=True) | {"t1_format": 2, "t2_format": 2, "second_end": 512}
    found = [turns(record_fields(update), odd) for odd in (ODD_ALL, 0b010)]
    assert found == [2 * 3 + 3, 3 + 3]


def test_a_copy_is_bound_by_its_lanes_and_has_a_record_around_it():
    one = costs(record_fields(copy(2048)), CONFIG)
    assert (one.turns, one.bound, one.vectors) == (2048, 2048, 2048)
    assert one.lines == 1024 + 8 + 1 + 8
    assert one.cycles - one.around - 2048 in range(64)


def test_each_kind_of_a_step_has_a_row_and_the_last_is_their_sum(monkeypatch):
    monkeypatch.setattr(encode_cycles, "NETWORKS", {"digits": (digits, (2, 1, 8, 8))})
    found = kinds("digits")
    assert {"w1", "x1", "sums", "z", "dsums", "update"} <= set(found)
    monkeypatch.setattr(encode_cycles, "kinds", lambda _: found)
    rows = text().splitlines()[2:-2]
    assert len(rows) == len(found) + 1
    cycles = [int(row.split("|")[7].replace(",", "")) for row in rows]
    assert cycles[-1] == sum(cycles[:-1])
    assert all(one.cycles >= one.bound for one in found.values())
