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
    assert by_urgency(pieces) == [1, 0, 2]


def test_a_unit_does_not_wait_for_what_is_urgent_while_something_else_is_ready():
    pieces = [
        piece(Queue.ARRAY, "", "a", 9),
        piece(Queue.ENCODE, "a", "b", 1),
        piece(Queue.ARRAY, "b", "c", 9),
        piece(Queue.ENCODE, "", "d", 1),
    ]
    assert by_urgency(pieces) == [3, 0, 1, 2]


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
