"""Densities that methods aim at: exact in decimal numbers."""

from __future__ import annotations

from fractions import Fraction

import pytest

from gscn.golden.methods.targets import density_of, reuse_density


@pytest.mark.parametrize("tenths", range(10))
def test_densities_are_exact_where_binary_numbers_are_not(tenths):
    assert density_of(tenths / 10) == Fraction(10 - tenths, 10)


def test_differences_are_five_points_denser_and_never_more_than_dense():
    assert reuse_density(0.9) == Fraction(15, 100)
    assert reuse_density(0.03) == reuse_density(0.0) == 1
