"""Operations of a step in the order in which they are listed."""

from __future__ import annotations

import random
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gscn.array import ARRAYS
from gscn.control import Queue
from gscn.lowering.step.layers import Training
from gscn.lowering.step.lists import listings
from gscn.lowering.step.network import step_of
from gscn.lowering.step.order import Touched
from gscn.lowering.step.urgency import Piece, by_urgency, cycles_of
from gscn.step import Convolve, Encode, Stop
from tests.step_networks import small

CONFIG = ARRAYS["small"].with_overrides(["float_formats=bf16"])
SIZE = (3, 3, 8, 8)


def piece(queue, reads, writes, cycles=1.0):
    return Piece(queue, Touched(frozenset(reads), frozenset(writes)), cycles)


def test_what_most_waits_for_comes_first():
    pieces = [
        piece(Queue.ENCODE, "a", "b", 5),
        piece(Queue.ENCODE, "a", "c", 1),
        piece(Queue.ARRAY, "c", "d", 9),
    ]
    assert by_urgency(pieces) == [1, 2, 0]


def test_a_unit_does_not_wait_for_what_is_urgent_while_something_else_is_ready():
    pieces = [
        piece(Queue.ARRAY, "", "a", 9),
        piece(Queue.ENCODE, "a", "b", 1),
        piece(Queue.ARRAY, "b", "c", 9),
        piece(Queue.ENCODE, "", "d", 1),
    ]
    assert by_urgency(pieces) == [0, 3, 1, 2]


def test_a_unit_stands_still_where_what_is_ready_would_be_in_the_way():
    pieces = [
        piece(Queue.ARRAY, "", "a", 2),
        piece(Queue.ENCODE, "", "z", 9),
        piece(Queue.ENCODE, "a", "b", 1),
        piece(Queue.ARRAY, "b", "c", 20),
    ]
    assert by_urgency(pieces) == [0, 2, 3, 1]
    # With more behind it the long one is as urgent.
    assert by_urgency([*pieces, piece(Queue.ARRAY, "z", "y", 20)])[:2] == [0, 1]


def test_estimates_know_what_bounds_a_pass(step):
    ops = {op.name: op for op in step.operations if isinstance(op, Encode)}
    cycles = {name: cycles_of(op, step, CONFIG) - 700 for name, op in ops.items()}
    # 9 of 64 values: float32 takes three turns, two combinations as many each; what is turned four.
    vectors = 32 * 32 * 9 / 16
    assert cycles["update.c3"] == 6 * vectors
    assert (cycles["w1.c3"], cycles["w2.c3"]) == (3 * vectors, 4 * vectors)
    # A product with a tensor takes a turn; two maps of half a line are read while one is taken.
    values = 3 * 32 * 2 * 2
    assert cycles["sums.n3"] == 2 * values / 16
    assert cycles["s1.dx.c3"] == values / 16


def meets(before, after):
    return before.touches.meets(after.touches)


@given(seed=st.integers(0, 1 << 32), count=st.integers(0, 40))
def test_what_meets_stays_in_order(seed, count):
    rng = random.Random(seed)
    pieces = [
        piece(
            rng.choice(list(Queue)),
            rng.sample("abcdefgh", rng.randrange(3)),
            rng.sample("abcdefgh", rng.randrange(3)),
            rng.choice([0.0, 1.0, 7.5]),
        )
        for _ in range(count)
    ]
    found = by_urgency(pieces)
    assert sorted(found) == list(range(count))
    for place, number in enumerate(found):
        for other in found[:place]:
            assert other < number or not meets(pieces[number], pieces[other])


@pytest.fixture(scope="module")
def step():
    return step_of(small(), SIZE, Training(density=Fraction(1, 4), refresh=True))


def test_a_step_for_two_queues_has_the_records_of_one_in_order(step):
    names = []
    for together in (False, True):
        _, (made,) = listings([step], CONFIG, together=together)
        names.append(made.records)
    assert names[0].keys() == names[1].keys()
    in_order, first = (sorted(one, key=one.get) for one in names)
    assert in_order != first
    assert first[0] == "begin"


def test_what_runs_again_stays_before_its_stop(step):
    _, (made,) = listings([step], CONFIG, together=True)
    names = sorted(made.records, key=made.records.get)
    stops = [op for op in step.operations if isinstance(op, Stop) and op.again]
    assert stops
    for stop in stops:
        between = names[names.index(stop.again) : names.index(stop.name)]
        own = [op.name for op in step.operations]
        assert set(between) <= set(own[own.index(stop.again) : own.index(stop.name)])


def test_thresholds_make_convolutions_shorter(step):
    dense = step_of(small(), SIZE, Training())
    one, other = (
        {op.name: cycles_of(op, made, CONFIG) for op in made.operations} for made in (step, dense)
    )
    convolutions = [op.name for op in step.operations if isinstance(op, Convolve)]
    assert all(one[name] <= other[name] for name in convolutions)
    assert sum(one[name] for name in convolutions) < sum(other[name] for name in convolutions)
    assert all(one[op.name] > 0 for op in step.operations if isinstance(op, Encode))
