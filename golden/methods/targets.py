"""Densities that sparse-training methods aim at. Without torch, so that estimates share them."""

from __future__ import annotations

from fractions import Fraction

DENSITY_MARGIN = Fraction(5, 100)
"""Nonzeros that ReSprop allows in gradient differences above 1 - sparsity."""


def density_of(sparsity: float) -> Fraction:
    """Return 1 - sparsity, with the sparsity read as a decimal number.

    In binary floating point 1 - 0.7 is a little more than 0.3 and would keep one element too many.
    """
    return 1 - Fraction(str(sparsity))


def reuse_density(sparsity: float) -> Fraction:
    """Return the share of nonzeros that ReSprop aims at in gradient differences, at most 1.

    Parameters
    ----------
    sparsity
        Reuse sparsity, at least 0 and less than 1.
    """
    return min(Fraction(1), density_of(sparsity) + DENSITY_MARGIN)
