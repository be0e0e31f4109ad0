"""Passes as Cartesian products: pairs that reach a result are the useful products."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from gscn.conv import Pass
from gscn.golden.oracle.integers import useful_products
from gscn.perf.rivals.cartesian import Cartesian
from tests.perf.rivals.shapes import convolutions, masks


@given(shape=convolutions(), which=st.sampled_from(list(Pass)), seed=st.integers(0, 99))
def test_pairs_of_equal_phase_that_reach_a_result_are_the_useful_products(shape, which, seed):
    first, second = masks(shape, which, (0.5, 0.6), seed)
    forms = [Cartesian.of(shape, which, first, second)]
    if which is Pass.WEIGHT_GRAD and shape.r == shape.s == 1:
        forms.append(Cartesian.of_pixels(shape, first, second))
    expected = useful_products(shape, which, first.astype(np.int8), second.astype(np.int8))
    assert [meeting(planes) for planes in forms] == [expected] * len(forms)


def meeting(planes):
    """Count the pairs of nonzeros that reach a result."""
    image, kernel = planes.image_nonzeros(), planes.kernel_nonzeros()
    row = image.row_shift[:, None] + kernel.row_shift
    column = image.column_shift[:, None] + kernel.column_shift
    meets = (image.channel[:, None] == kernel.channel) & (image.phase[:, None] == kernel.phase)
    rows, columns = planes.result_extent
    reaches = (row >= 0) & (row < rows) & (column >= 0) & (column < columns)
    return int((meets & reaches).sum())
