"""Sums in float32, against the same additions in plain numpy scalars, one after the other."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch

from gscn.conv import ConvShape, Pass
from gscn.errors import InputError
from gscn.formats import BF16
from gscn.golden.oracle import im2col
from gscn.golden.oracle.float32_sums import BLOCK_LENGTH, conv_in_blocks, conv_random_order
from gscn.golden.oracle.floats import decode, encode
from gscn.golden.oracle.integers import convolve

POINT = ConvShape(n=2, c=40, h=1, w=1, k=2, r=1, s=1)
"""Its forward pass is a matrix product."""
SHAPE = ConvShape(n=3, c=5, h=7, w=6, k=4, r=3, s=2, stride=(2, 1), padding=(1, 1))


def operands(shape, which, seed=0, density=0.7):
    """Return values of bf16, of many binades, so that orders matter."""
    rng = np.random.default_rng(seed)
    return [
        decode(
            encode(
                rng.standard_normal(size)
                * 2.0 ** rng.integers(-6, 6, size)
                * (rng.random(size) < density),
                BF16,
            ).codes,
            BF16,
        )
        for size in shape.operand_shapes(which)
    ]


GROUPED = ConvShape(n=2, c=6, h=7, w=6, k=4, r=3, s=2, stride=(2, 1), padding=(1, 1), groups=2)


def exact(shape, which, first, second):
    return convolve(shape, which, torch.from_numpy(first), torch.from_numpy(second)).numpy()


def test_blocks_are_added_as_scalars_are():
    first, second = operands(POINT, Pass.FORWARD)
    expected = np.zeros((2, 2), np.float32)
    for n, k in itertools.product(range(2), range(2)):
        products = (first[k] * second[n]).reshape(-1)
        for start in range(0, 40, BLOCK_LENGTH):
            expected[n, k] = np.float32(
                np.float64(expected[n, k]) + products[start : start + BLOCK_LENGTH].sum()
            )
    found = conv_in_blocks(POINT, Pass.FORWARD, first, second)
    assert found.dtype == np.float32
    assert np.array_equal(found.reshape(2, 2), expected)
    assert not np.array_equal(found, exact(POINT, Pass.FORWARD, first, second))


def test_every_order_of_three_products_occurs_and_no_other_sum():
    shape = ConvShape(n=1, c=3, h=1, w=1, k=200, r=1, s=1)
    # Each order of these has a sum of its own class: the middle one survives alone, or is lost.
    terms = np.array([2.0**30, 1.0, -(2.0**30)])
    first = np.broadcast_to(terms.reshape(1, 3, 1, 1), shape.w_shape).copy()
    second = np.ones(shape.x_shape)
    expected = set()
    for order in itertools.permutations(terms.astype(np.float32)):
        expected.add(float((order[0] + order[1]) + order[2]))
    found = conv_random_order(shape, Pass.FORWARD, first, second, np.random.default_rng(0))
    assert set(found.reshape(-1).tolist()) == expected == {0.0, 1.0}


@pytest.mark.parametrize("shape", [SHAPE, GROUPED])
@pytest.mark.parametrize("which", Pass)
def test_both_are_near_double_precision_and_orders_differ(shape, which, monkeypatch):
    first, second = operands(shape, which)
    reference = exact(shape, which, first, second)
    limit = 64 * 2.0**-24 * exact(shape, which, np.abs(first), np.abs(second))
    draws = [
        conv_random_order(shape, which, first, second, np.random.default_rng(seed))
        for seed in (1, 1, 2)
    ]
    for found in (*draws, conv_in_blocks(shape, which, first, second)):
        assert (np.abs(found - reference) <= limit).all()
    assert np.array_equal(draws[0], draws[1])
    assert not np.array_equal(draws[0], draws[2])
    # In parts of a few pixels nothing is lost or taken twice.
    monkeypatch.setattr(im2col, "_BLOCK_ELEMENTS", 50)
    cut = conv_random_order(shape, which, first, second, np.random.default_rng(1))
    assert (np.abs(cut - reference) <= limit).all()


def test_an_operand_of_another_shape_is_named():
    first, second = operands(SHAPE, Pass.FORWARD)
    for call in (
        lambda: conv_in_blocks(SHAPE, Pass.FORWARD, first, second[:1]),
        lambda: conv_random_order(SHAPE, Pass.FORWARD, first, second[:1], np.random.default_rng(0)),
    ):
        with pytest.raises(InputError, match="second operand of forward must have the shape"):
            call()
