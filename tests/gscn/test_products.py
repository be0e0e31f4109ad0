"""What products come to, against the convolutions of torch."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gscn.conv import ConvShape, Pass
from gscn.golden.oracle.integers import convolve
from gscn.products import count_useful_products, largest_sum
from tests.lowering.layers import grouped_shapes, shapes


def _masks(shape: ConvShape, which: Pass, density: float, seed: int) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    return [rng.random(size) < density for size in shape.operand_shapes(which)]


@pytest.mark.parametrize("which", Pass)
@given(
    shape=st.one_of(shapes(), grouped_shapes()),
    density=st.sampled_from([0.0, 0.1, 0.5, 1.0]),
    seed=st.integers(0, 99),
)
@settings(max_examples=60, deadline=None)
def test_products_are_those_of_masks_convolved(which, shape, density, seed):
    masks = _masks(shape, which, density, seed)
    ones = [torch.from_numpy(mask.astype(np.float64)) for mask in masks]
    assert count_useful_products(shape, which, *masks) == convolve(shape, which, *ones).sum()


@pytest.mark.parametrize("which", Pass)
@given(shape=shapes(), density=st.sampled_from([0.1, 1.0]), seed=st.integers(0, 99))
@settings(max_examples=60, deadline=None)
def test_the_largest_sum_is_that_of_the_convolution(which, shape, density, seed):
    rng = np.random.default_rng(seed)
    operands = [
        mask * rng.integers(0, 1000, mask.shape).astype(np.float64)
        for mask in _masks(shape, which, density, seed)
    ]
    whole = convolve(shape, which, *map(torch.from_numpy, operands))
    assert largest_sum(shape, which, *operands) == whole.max()
