"""The one-sided array against schedules worked out by hand and a restatement in plain Python."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gscn.conv import ConvShape, Pass
from gscn.errors import InputError
from gscn.golden.oracle.integers import useful_products
from gscn.perf.rivals import RIVALS
from gscn.perf.rivals.tensordash import _streams, lockstep_cycles
from tests.perf.rivals.shapes import RESOURCES, convolutions, masks

ALL = 0xFFFF


def steps(*values):
    """Return the cycles of one stream given as bits of 16 lanes for each step."""
    return int(lockstep_cycles(np.array([values], np.uint16), 4)[0])


def but(lane):
    """Return all lanes but one."""
    return ALL & ~(1 << lane)


@pytest.mark.parametrize(
    ("values", "cycles"),
    [
        ((ALL,) * 5, 5),
        ((0,) * 7, 3),  # three steps in a cycle at most
        ((0, 0, ALL), 1),
        ((but(0), 1 << 0), 1),  # its own lane, one step ahead
        ((but(0), 0, 1 << 0), 1),  # two steps ahead
        ((but(1), 1 << 0), 1),  # the neighbours of the next step
        ((but(1), 1 << 2), 1),
        ((but(3), 1 << 0), 1),  # three lanes down
        ((but(0), 1 << 3), 2),  # but not three up
        ((but(2), 0, 1 << 0), 1),  # two lanes away, two steps ahead
        ((but(2), 0, 1 << 1), 2),  # but not one lane away
        ((but(0), 1 << 15), 1),  # lanes are a ring
        ((but(0), 1 << 1 | 1 << 0), 2),  # one value each
        # Lane 0 comes first and takes its own value of step 1, lane 1 that of its own.
        ((ALL & ~3, 3, ALL), 2),
    ],
)
def test_schedules_by_hand(values, cycles):
    assert steps(*values) == cycles


def test_rows_of_a_tile_move_on_together_and_tiles_do_not():
    streams = np.array([[0, 0, 0], [ALL, ALL, ALL], [0, 0, 0], [0, 0, 0], [0, 0, 0]], np.uint16)
    assert lockstep_cycles(streams, 4).tolist() == [3, 1]


def scheduled(streams):
    """Return the cycles of streams that move on together, from sets of (step, lane)."""
    left = [
        {(t, lane) for t, bits in enumerate(s) for lane in range(16) if bits >> lane & 1}
        for s in streams
    ]
    options = [(0, 0), (1, 0), (2, 0), (1, -1), (1, 1), (2, -2), (2, 2), (1, -3)]
    levels = [(0, 5, 10), (1, 6, 11), (2, 7, 12), (3, 8, 13), (4, 9, 14), (15,)]
    now = cycles = 0
    while now < len(streams[0]):
        for values in left:
            taken = set()
            # what is due now is no other lane's option, so levels can take it in turn
            for level in levels:
                for lane in level:
                    for ahead, aside in options:
                        place = (now + ahead, (lane + aside) % 16)
                        if place in values and place not in taken:
                            taken.add(place)
                            break
            values -= taken
        cycles += 1
        now = min([now + 3, *(t for values in left for t, _ in values)])
    return cycles


@given(
    st.lists(st.lists(st.integers(0, ALL), min_size=9, max_size=9), min_size=1, max_size=4),
    st.integers(0, ALL),
    st.integers(0, ALL),
)
def test_schedules_are_those_of_the_publication(streams, once, again):
    sparse = [[value & once & again for value in stream] for stream in streams]
    for case in (streams, sparse):
        (cycles,) = lockstep_cycles(np.array(case, np.uint16), 4)
        assert cycles == scheduled(case)
        assert 3 <= cycles <= 9


@given(shape=convolutions(), which=st.sampled_from(list(Pass)), seed=st.integers(0, 99))
def test_windows_hold_what_meets_the_other_operand(shape, which, seed):
    first, second = masks(shape, which, (0.5, 0.5), seed)
    _, of_second = _streams(shape, which, first, second)
    products = sum(int(np.bitwise_count(s).sum()) * others for s, others in of_second)
    ones = np.ones(first.shape, np.int8)
    assert products == useful_products(shape, which, ones, second.astype(np.int8))


@given(shape=convolutions(), which=st.sampled_from(list(Pass)), seed=st.integers(0, 99))
def test_time_lies_between_all_steps_and_a_third_of_them(shape, which, seed):
    operands = masks(shape, which, (0.4, 0.4), seed)
    cost = RIVALS["tensordash"].cost(RESOURCES, shape, which, *operands)
    # one tile of one column: four streams at a time beside one vector of the other operand
    steps = [
        sum(-(-streams.shape[0] // 4) * streams.shape[1] * others for streams, others in scheduled)
        for scheduled in _streams(shape, which, *operands)
    ]
    assert min(steps) / 3 <= cost.compute_cycles <= min(steps)


def test_tiles_share_out_the_work():
    shape = ConvShape(n=1, c=32, h=8, w=8, k=32, r=3, s=3, padding=(1, 1))
    operands = masks(shape, Pass.FORWARD, (0.2, 0.2))
    one, four = (
        RIVALS["tensordash"]
        .cost(dataclasses.replace(RESOURCES, multipliers=count), shape, Pass.FORWARD, *operands)
        .compute_cycles
        for count in (256, 1024)
    )
    assert math.isclose(one, 4 * four)


@pytest.mark.parametrize(
    ("multipliers", "rows", "columns"), [(16, 1, 1), (32, 2, 1), (48, 3, 1), (320, 4, 1)]
)
def test_tiles_are_smaller_where_the_multipliers_are_few(multipliers, rows, columns):
    # 12 filters of 16 channels, dense, beside 4 pixels: a step for each stream and pixel
    shape = ConvShape(n=1, c=16, h=2, w=2, k=12, r=1, s=1)
    resources = dataclasses.replace(RESOURCES, multipliers=multipliers)
    cost = RIVALS["tensordash"].cost(
        resources, shape, Pass.FORWARD, *masks(shape, Pass.FORWARD, (1, 1))
    )
    filters_scheduled = -(-12 // rows) * -(-4 // columns)
    pixels_scheduled = -(-4 // rows) * -(-12 // columns)
    tiles = multipliers // (16 * rows * columns)
    assert cost.compute_cycles == min(filters_scheduled, pixels_scheduled) / tiles


def test_multipliers_that_are_no_pes_are_refused():
    shape = ConvShape(n=1, c=1, h=1, w=1, k=1, r=1, s=1)
    resources = dataclasses.replace(RESOURCES, multipliers=40)
    ones = np.ones((1, 1, 1, 1))
    with pytest.raises(InputError, match="multipliers must be a multiple of 16, not 40"):
        RIVALS["tensordash"].cost(resources, shape, Pass.FORWARD, ones, ones)
