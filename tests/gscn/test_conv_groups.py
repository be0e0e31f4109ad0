"""Groups of a convolution, cut out and put together."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from gscn.conv import ConvShape, Pass
from gscn.conv_groups import group_operands, join_groups
from gscn.golden.oracle.integers import convolve

SHAPES = [
    ConvShape(n=2, c=6, h=5, w=4, k=4, r=3, s=2, stride=(2, 1), padding=(1, 1), groups=2),
    ConvShape(n=1, c=3, h=4, w=5, k=6, r=2, s=3, dilation=(2, 1), groups=3),
    ConvShape(n=1, c=3, h=4, w=5, k=6, r=2, s=3),
]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("which", Pass)
def test_groups_are_convolutions_of_their_own(shape, which):
    rng = np.random.default_rng(1)
    operands = [rng.integers(-9, 9, size).astype(float) for size in shape.operand_shapes(which)]
    found = []
    for pair in group_operands(shape, which, *operands):
        assert tuple(one.shape for one in pair) == shape.group.operand_shapes(which)
        assert all(np.shares_memory(*both) for both in zip(pair, operands, strict=True))
        found.append(convolve(shape.group, which, *map(torch.from_numpy, pair)).numpy())
    assert len(found) == shape.groups
    whole = convolve(shape, which, *map(torch.from_numpy, operands)).numpy()
    assert np.array_equal(join_groups(which, found), whole)
