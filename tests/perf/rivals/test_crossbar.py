"""Loops over the vectors of an outer-product array: ranges and banks worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from gscn.perf.rivals.crossbar import (
    Held,
    Ranges,
    Sending,
    Sizes,
    Streamed,
    anticipated_cycles,
    crossbar_cycles,
    in_range,
)

ONE = Sizes(samples=1, tiles=1, channels=1, phases=1)
NONE = np.zeros(1, np.int64)


def ints(*values: int) -> np.ndarray:
    return np.array(values, np.int64)


# An image of one row whose shifts 2 to 4 meet two kernel columns each: from shift - 2 on.
RANGES = Ranges(
    rows=np.array([[0], [1]]),
    columns=np.array([[0, 1, 2], [2, 3, 4]]),
    first_row=ints(0),
    first_column=ints(2),
)


def test_the_least_and_greatest_shift_bound_the_kernel():
    assert in_range(RANGES, ints(0, 0, 0), ints(3, 2, 4), 0, 3) == (0, 1, 0, 4)
    assert in_range(RANGES, ints(0, 0, 0), ints(3, 2, 4), 0, 1) == (0, 1, 1, 3)


def test_only_kernel_nonzeros_in_range_are_multiplied():
    held = Held(ints(0, 1), ints(0), ints(3))
    # Prefix sums of a kernel of one row and four columns, all of them nonzero.
    counts = np.array([[0] * 5, [0, 1, 2, 3, 4]], np.int32).reshape(1, 1, 1, 2, 5)
    cycles, products = anticipated_cycles(held, RANGES, counts, ONE, 4, 16, 1.5)
    assert (cycles.tolist(), products) == ([[[1.5]]], 2)
    # With one nonzero looked at in a cycle, looking takes longer than multiplying.
    cycles, _ = anticipated_cycles(held, RANGES, counts, ONE, 4, 1, 1.5)
    assert cycles.tolist() == [[[4.0]]]


@pytest.mark.parametrize(("queue", "expected"), [(0, 4), (1, 3), (8, 1)])
def test_products_for_one_bank_take_a_cycle_each_beyond_the_queue(queue, expected):
    # Four result channels that are multiples of 4 at one place share a bank.
    streamed = Streamed(ints(0, 4), ints(0, 8, 16, 24), *[np.zeros(4, np.int64)] * 4)
    held = Held(ints(0, 1), NONE, NONE)
    ranges = Ranges(np.array([[0], [1]]), np.array([[0], [1]]), NONE, NONE)
    sending = Sending(vector=4, queue=queue, anticipates=False, every=1, block=1 << 40)
    cycles, pairs = crossbar_cycles(held, streamed, ranges, (1, 1), ONE, 1, sending)
    assert (cycles.item(), pairs.item()) == (expected, 1)
