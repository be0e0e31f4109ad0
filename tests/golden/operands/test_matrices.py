"""Recorded passes as matrix products."""

from __future__ import annotations

import numpy as np
import pytest

from gscn.conv import Pass
from gscn.conv_groups import join_groups
from gscn.golden.operands.matrices import products
from tests.golden.operands.recorded import SHAPES, recorded


@pytest.mark.parametrize("which", Pass)
@pytest.mark.parametrize("kind", SHAPES)
def test_the_products_are_the_pass(kind, which):
    shape, one = SHAPES[kind], recorded(SHAPES[kind], which)
    found = list(products("layer", shape, one))
    results, nonzeros = [], 0
    for product in found:
        right = np.stack(list(product.right_rows()))
        assert right.shape == (product.contraction, product.columns)
        assert product.left.shape == (product.rows, product.contraction)
        assert product.right_nonzeros() == np.count_nonzero(right)
        nonzeros += np.count_nonzero(product.left)
        results.append(product.matrices.result(product.left.astype(np.float64) @ right))
    assert np.array_equal(join_groups(which, results), one.result)
    assert nonzeros == np.count_nonzero(one.first)


def test_products_are_named_by_layer_pass_and_group():
    names = [
        [one.name for one in products("conv1", SHAPES[kind], recorded(SHAPES[kind], Pass.FORWARD))]
        for kind in ("plain", "grouped")
    ]
    assert names == [["conv1.forward"], ["conv1.forward.0", "conv1.forward.1"]]
