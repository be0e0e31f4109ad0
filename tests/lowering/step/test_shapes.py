"""As many groups are together as fill vectors, and their weights lie in blocks."""

from __future__ import annotations

import numpy as np
import pytest

from gscn.conv import ConvShape
from gscn.lowering.step.shapes import blocks_of, in_packs, named, parts_of, together
from gscn.step import Part


def shape(c, k, groups):
    return ConvShape(n=2, c=c, h=5, w=5, k=k, r=3, s=3, groups=groups)


@pytest.mark.parametrize(
    ("c", "k", "groups", "packs"),
    [
        (32, 32, 1, 1), (32, 64, 2, 2), (96, 96, 96, 6), (128, 256, 32, 8), (144, 144, 3, 3),
        (48, 48, 2, 1), (96, 96, 4, 2), (72, 72, 72, 1), (40, 80, 40, 1), (16, 64, 16, 1),
    ],
)  # fmt: skip
def test_a_pack_has_the_fewest_groups_that_fill_vectors_or_all(c, k, groups, packs):
    whole = shape(c, k, groups)
    packed = in_packs(whole)
    assert packed.groups == packs
    assert packs == 1 or not (packed.group.c % 16 or packed.group.k % 16)
    assert together(whole, packed) == groups // packs
    assert together(None, packed) == 1
    parts = parts_of(packed)
    assert parts == ([None] if packs == 1 else [Part(one, packs) for one in range(packs)])
    last = "x1.layer" if packs == 1 else f"x1:{packs - 1}.layer"
    assert named("x1", "layer", parts[-1]) == last


@pytest.mark.parametrize(("c", "k", "groups"), [(32, 64, 8), (24, 24, 24), (12, 48, 6)])
def test_weights_of_blocks_compute_what_those_of_groups_do(c, k, groups):
    whole = shape(c, k, groups)
    packed = in_packs(whole)
    blocks = blocks_of(whole, packed)
    weights = np.arange(1, 1 + np.prod(whole.w_shape)).reshape(whole.w_shape)
    filled = blocks.filled(weights)
    assert np.array_equal(blocks.taken(filled), weights)
    assert np.array_equal(filled != 0, blocks.there())
    assert blocks.size == weights.size
    # Every kernel has its weights at the channels of its group.
    for kernel in range(k):
        group, pack = kernel // (k // groups), kernel // packed.group.k
        first = group * (c // groups) - pack * packed.group.c
        assert np.array_equal(filled[kernel, first : first + c // groups], weights[kernel])
