"""The matrix unit with stationary nonzeros against cases worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gscn.conv import ConvShape, Pass
from gscn.golden.oracle.integers import useful_products
from gscn.perf.rivals import RIVALS, VARIANTS, Resources
from gscn.perf.rivals.sigma import Sigma, _matrices
from tests.perf.rivals.shapes import RESOURCES, convolutions, masks


@pytest.mark.parametrize(
    ("rows", "packed", "whole"),
    [
        ((100, 100, 56), 1, 1),
        ((100, 100, 100), 2, 2),
        ((200, 200, 200), 3, 3),
        ((150, 150, 150, 150), 3, 4),
        ((300,), 2, 2),  # 256, then 44 and the partial sum
        ((512,), 2, 3),  # 256, 255, 1
        ((0, 0, 1), 1, 1),
        ((0, 0), 0, 0),
    ],
)
def test_fillings_of_256_multipliers(rows, packed, whole):
    assert Sigma()._fillings(np.array(rows), 256) == packed
    assert Sigma(whole_rows=True)._fillings(np.array(rows), 256) == whole


def test_the_cheaper_operand_is_stationary():
    # 4 filters of 2 nonzeros, 6 pixels of which one channel is nonzero; 4 multipliers.
    shape = ConvShape(n=1, c=4, h=1, w=6, k=4, r=1, s=1)
    weights = np.zeros((4, 4, 1, 1))
    weights[:, :2] = 1
    inputs = np.zeros((1, 4, 1, 6))
    inputs[0, 0] = 1
    resources = Resources(multipliers=4, port_bytes_per_cycle=1, value_bits=16)
    cost = RIVALS["sigma"].cost(resources, shape, Pass.FORWARD, weights, inputs)
    # weights: 2 fillings of 6 pixels; inputs: 2 fillings (6 nonzeros) of 4 filters
    assert (cost.compute_cycles, cost.products, cost.useful_products) == (8, 24, 24)
    fixed = VARIANTS["sigma (STONNE)"].cost(resources, shape, Pass.FORWARD, weights, inputs)
    assert (fixed.compute_cycles, fixed.products) == (12, 48)
    # 14 nonzeros of 16 bits and a bit for each of 16 + 24 elements
    assert cost.read_bytes == 14 * 2 + 40 / 8


@given(
    shape=convolutions(most_groups=3), which=st.sampled_from(list(Pass)), seed=st.integers(0, 99)
)
def test_rows_hold_what_meets_the_other_operand(shape, which, seed):
    first, second = masks(shape, which, (0.5, 0.5), seed)
    of_first, of_second = _matrices(shape, which, first, second)
    ones = np.ones(first.shape, np.int8)
    held = sum(int(rows.sum()) * vectors for rows, vectors in of_second)
    assert held == useful_products(shape, which, ones, second.astype(np.int8))
    # the first operand also meets the padding
    held = sum(int(rows.sum()) * vectors for rows, vectors in of_first)
    assert held >= useful_products(
        shape, which, first.astype(np.int8), np.ones(second.shape, np.int8)
    )


@given(shape=convolutions(), which=st.sampled_from(list(Pass)), seed=st.integers(0, 99))
def test_more_nonzeros_never_take_less_time(shape, which, seed):
    first, second = masks(shape, which, (0.3, 0.3), seed)
    extra = masks(shape, which, (0.3, 0.3), seed + 1)
    few = RIVALS["sigma"].cost(RESOURCES, shape, which, first, second)
    many = RIVALS["sigma"].cost(RESOURCES, shape, which, first | extra[0], second | extra[1])
    assert few.compute_cycles <= many.compute_cycles
