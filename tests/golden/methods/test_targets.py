"""Densities that methods aim at: decimals as they are written, and a margin for ReSprop."""

from __future__ import annotations

from fractions import Fraction

import pytest

from gscn.golden.methods.targets import density_of, reuse_density


@pytest.mark.parametrize(
    ("sparsity", "density"), [(0.0, 1), (0.7, Fraction(3, 10)), (1e-05, 1 - Fraction(1, 10**5))]
)
def test_sparsities_are_read_as_decimals(sparsity, density):
    assert density_of(sparsity) == density


@pytest.mark.parametrize(
    ("sparsity", "density"), [(0.9, Fraction(15, 100)), (0.05, 1), (0.03, 1), (0.0, 1)]
)
def test_differences_may_be_five_points_denser_but_not_more_than_dense(sparsity, density):
    assert reuse_density(sparsity) == density
