"""Packs of groups, each computed as a convolution of one group, are the grouped convolution."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gscn.conv import ConvShape, Pass
from gscn.golden.oracle.integers import conv_integers, useful_products
from gscn.lowering.packs import Pack, pack_sizes, packs_of, possible_sets
from tests.lowering.layers import PADDED, grouped_shapes, operands


@settings(max_examples=60)
@given(
    shape=grouped_shapes(),
    which=st.sampled_from(list(Pass)),
    data=st.data(),
    seed=st.integers(0, 1 << 30),
)
def test_packs_compute_the_grouped_convolution(shape, which, data, seed):
    size = data.draw(st.integers(1, shape.groups))
    sets = [
        data.draw(st.sampled_from(possible_sets(shape, which, one, meet=True)))
        for one in (size, shape.groups % size or 1)
    ]
    pair = operands(seed, shape, which, 0.6)
    result = np.full(shape.result_shape(which), 77)
    nonzeros = [0, 0]
    for pack in packs_of(shape, size, *sets):
        own, one = pack.operands(shape, which, *pair), pack.shape(shape)
        assert one.groups == 1
        found = conv_integers(one, which, *own)
        pack.put(shape, which, found, result)
        if pack.met == 1 or which is not Pass.WEIGHT_GRAD:
            part = [np.zeros_like(operand) for operand in pair]
            for whole, cut, axis in zip(part, pair, (which is Pass.WEIGHT_GRAD, 1), strict=True):
                taken = np.split(np.arange(cut.shape[axis]), shape.groups)
                numbers = np.concatenate(taken[pack.first : pack.first + pack.groups])
                index = (slice(None),) * axis + (numbers,)
                whole[index] = cut[index]
            assert useful_products(one, which, *own) == useful_products(shape, which, *part)
        for side, operand in enumerate(own):
            nonzeros[side] += np.count_nonzero(operand)
    np.testing.assert_array_equal(result, conv_integers(shape, which, *pair))
    # Nothing is there twice.
    assert nonzeros == [np.count_nonzero(operand) for operand in pair]


def test_a_convolution_of_one_group_is_left_as_it_is():
    (pack,) = packs_of(PADDED, 1, 1, 1)
    assert pack == Pack(0, 1, 1)
    assert pack.shape(PADDED) == PADDED
    for which in Pass:
        pair = operands(1, PADDED, which)
        own = pack.operands(PADDED, which, *pair)
        assert all(np.shares_memory(*one) for one in zip(own, pair, strict=True))
        assert pack.densities(which, (0.2, 0.3)) == (0.2, 0.3)
        assert pack_sizes(PADDED, which) == [1]
        assert possible_sets(PADDED, which, 1, meet=True) == [1]


@pytest.mark.parametrize("which", Pass)
def test_densities_are_those_of_the_operands(which):
    shape = dataclasses.replace(PADDED, c=12, k=6, groups=6)
    pair = [np.ones(size) for size in shape.operand_shapes(which)]
    pack = Pack(2, 4, 2 if which is Pass.WEIGHT_GRAD else 1)
    for operand, density in zip(
        pack.operands(shape, which, *pair), pack.densities(which, (1.0, 1.0)), strict=True
    ):
        assert np.count_nonzero(operand) == density * operand.size


def test_sizes_and_sets_by_hand():
    depthwise = ConvShape(n=2, c=96, k=96, h=4, w=4, r=3, s=3, groups=96)
    assert pack_sizes(depthwise, Pass.FORWARD) == [16, 32, 64, 96]
    assert possible_sets(depthwise, Pass.FORWARD, 16, meet=True) == [1]
    assert possible_sets(depthwise, Pass.WEIGHT_GRAD, 16, meet=True) == [16, 8, 4, 2, 1]
    assert possible_sets(depthwise, Pass.WEIGHT_GRAD, 96, meet=True)[-3:] == [12, 8, 6]
    assert possible_sets(depthwise, Pass.WEIGHT_GRAD, 16, meet=False) == [16]
    assert pack_sizes(dataclasses.replace(depthwise, n=4096), Pass.WEIGHT_GRAD) == [15]
    threes = dataclasses.replace(depthwise, c=21, k=42, groups=7)
    assert pack_sizes(threes, Pass.FORWARD) == [2, 5, 7]
    assert possible_sets(threes, Pass.WEIGHT_GRAD, 7, meet=True) == [7]
    assert possible_sets(threes, Pass.WEIGHT_GRAD, 2, meet=True) == [2, 1]
    wide = dataclasses.replace(depthwise, c=80, k=160, groups=2)
    assert pack_sizes(wide, Pass.FORWARD) == [1]
    assert possible_sets(wide, Pass.WEIGHT_GRAD, 1, meet=True) == [1]
