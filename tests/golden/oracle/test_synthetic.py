"""Synthetic operands: exact densities, places and ranges by the seed."""

from __future__ import annotations

import numpy as np
import pytest

from gscn.conv import ConvShape, Pass
from gscn.errors import InputError
from gscn.formats import FLOAT_OPERAND_FORMATS, INT8, INT16
from gscn.golden.oracle.integers import useful_products
from gscn.golden.oracle.synthetic import random_codes, random_operands
from tests.golden.oracle.test_integers import SHAPES


@pytest.mark.parametrize("fmt", [INT8, INT16])
def test_random_operands_have_exact_density_and_range(fmt):
    shape = ConvShape(n=4, c=8, h=12, w=12, k=8, r=3, s=3)
    for which in Pass:
        pair = random_operands(shape, which, 0.25, 0.5, fmt, seed=3)
        assert tuple(operand.shape for operand in pair) == shape.operand_shapes(which)
        for operand, density in zip(pair, (0.25, 0.5), strict=True):
            assert operand.dtype == np.dtype(fmt.name)
            assert np.count_nonzero(operand) == round(density * operand.size)
            assert operand.min() < 0.9 * fmt.minimum
            assert operand.max() > 0.9 * fmt.maximum


def test_random_operands_follow_the_seed_and_may_be_extreme_or_empty():
    shape = SHAPES[0]
    again = [random_operands(shape, Pass.FORWARD, 0.5, 0.5, INT8, seed=s)[1] for s in (1, 1, 2)]
    assert np.array_equal(again[0], again[1])
    assert not np.array_equal(again[0], again[2])
    first, second = random_operands(shape, Pass.FORWARD, 1, 0, INT8, seed=1, extreme=True)
    assert set(np.unique(first)) == {-128, 127}
    assert not second.any()
    assert useful_products(shape, Pass.FORWARD, first, second) == 0


def test_random_operands_cover_the_values_next_to_zero():
    shape = ConvShape(n=1, c=64, h=64, w=64, k=1, r=1, s=1)
    _, inputs = random_operands(shape, Pass.FORWARD, 1, 1, INT8, seed=1)
    assert set(np.unique(inputs)) == set(range(-128, 128)) - {0}


def test_random_operands_refuse_bad_arguments():
    with pytest.raises(InputError, match=r"density must be from 0 to 1, not 1\.5"):
        random_operands(SHAPES[0], Pass.FORWARD, 0.5, 1.5, INT8, seed=0)
    with pytest.raises(InputError, match="seed must be at least 0, not -1"):
        random_operands(SHAPES[0], Pass.FORWARD, 0.5, 0.5, INT8, seed=-1)


@pytest.mark.parametrize("fmt", FLOAT_OPERAND_FORMATS.values(), ids=lambda fmt: fmt.name)
def test_random_codes_lie_where_random_integers_do(fmt):
    shape = ConvShape(n=3, c=8, h=10, w=10, k=8, r=3, s=3)
    integers = random_operands(shape, Pass.FORWARD, 0.3, 0.6, INT16, 7)
    for every_code in (False, True):
        operands = random_codes(shape, Pass.FORWARD, 0.3, 0.6, fmt, 7, every_code=every_code)
        again = random_codes(shape, Pass.FORWARD, 0.3, 0.6, fmt, 7, every_code=every_code)
        for codes, same, values in zip(operands, again, integers, strict=True):
            assert np.array_equal(codes, same)
            magnitudes = codes & ((1 << (fmt.width - 1)) - 1)
            assert np.array_equal(magnitudes != 0, values != 0)
            special = magnitudes >= (fmt.infinity if fmt.has_infinity else fmt.nan)
            assert every_code or not special.any()
        # of so many codes of 8 bits some are special; of 16 bits perhaps none
        assert special.any() or not every_code or fmt.width == 16
