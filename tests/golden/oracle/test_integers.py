"""The integer oracle against loops over every index, and the synthetic operands."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch

from gscn.conv import ConvShape, Pass
from gscn.errors import InputError
from gscn.formats import INT8, INT16
from gscn.golden.oracle.integers import conv_integers, convolve, useful_products
from gscn.golden.oracle.synthetic import random_operands

SHAPES = [
    ConvShape(n=2, c=2, h=5, w=4, k=3, r=3, s=3, padding=(1, 1)),
    ConvShape(n=1, c=3, h=7, w=6, k=2, r=3, s=2, stride=(2, 3), padding=(2, 0), dilation=(2, 1)),
    ConvShape(n=2, c=2, h=5, w=5, k=2, r=1, s=1, stride=(2, 2)),
    ConvShape(n=1, c=1, h=4, w=6, k=2, r=4, s=2, padding=(3, 1), dilation=(1, 3)),
    ConvShape(n=2, c=6, h=5, w=4, k=4, r=3, s=2, stride=(2, 1), padding=(1, 1), groups=2),
    ConvShape(n=1, c=3, h=4, w=5, k=6, r=2, s=3, padding=(0, 1), dilation=(2, 1), groups=3),
]


def looped(shape, which, first, second):
    """Return (result, products of two nonzeros) as Python integers, index by index."""
    result = np.zeros(shape.result_shape(which), dtype=object)
    products = 0
    for n, k, p, q, c, r, s in itertools.product(
        *map(range, (shape.n, shape.k, shape.p, shape.q, shape.c, shape.r, shape.s))
    ):
        if c * shape.groups // shape.c != k * shape.groups // shape.k:
            continue
        y = p * shape.stride[0] + r * shape.dilation[0] - shape.padding[0]
        x = q * shape.stride[1] + s * shape.dilation[1] - shape.padding[1]
        if not (0 <= y < shape.h and 0 <= x < shape.w):
            continue
        weight, pixel, output = (k, c % (shape.c // shape.groups), r, s), (n, c, y, x), (n, k, p, q)
        place, at_first, at_second = {
            Pass.FORWARD: (output, weight, pixel),
            Pass.INPUT_GRAD: (pixel, weight, output),
            Pass.WEIGHT_GRAD: (weight, output, pixel),
        }[which]
        product = int(first[at_first]) * int(second[at_second])
        result[place] += product
        products += product != 0
    return result, products


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("which", Pass)
@pytest.mark.parametrize("extreme", [False, True])
def test_oracle_equals_loops(shape, which, extreme):
    first, second = random_operands(shape, which, 0.5, 0.7, INT16, seed=5, extreme=extreme)
    expected, products = looped(shape, which, first, second)
    found = conv_integers(shape, which, first, second)
    assert found.dtype == np.int64
    assert np.array_equal(found, expected)
    assert useful_products(shape, which, first, second) == products > 0


@pytest.mark.parametrize("which", Pass)
@pytest.mark.parametrize("bits", [(20, 32), (36, 20)])
def test_sums_beyond_double_precision_are_exact(which, bits):
    shape = SHAPES[0]
    rng = np.random.default_rng(6)
    first, second = (
        rng.integers(-(1 << width), 1 << width, size=size)
        for width, size in zip(bits, shape.operand_shapes(which), strict=True)
    )
    expected, _ = looped(shape, which, first, second)
    assert np.array_equal(conv_integers(shape, which, first, second), expected)
    assert np.array_equal(conv_integers(shape, which, -first, -second), expected)
    rounded = convolve(shape, which, *(torch.from_numpy(o).double() for o in (first, second)))
    assert not np.array_equal(rounded.numpy().astype(np.int64), expected), (
        "the operands must be too large for double precision"
    )


def test_sums_that_could_leave_64_bits_are_refused():
    shape = ConvShape(n=1, c=1, h=1, w=1, k=1, r=1, s=1)
    one = np.array([[[[1 << 32]]]])
    with pytest.raises(InputError, match=r"must keep every sum under 2\*\*63"):
        conv_integers(shape, Pass.FORWARD, one, one)
    half = np.array([[[[1 << 31]]]])
    assert conv_integers(shape, Pass.FORWARD, half, half // 2).item() == 1 << 61


def test_wrong_shape_or_type_is_named():
    shape = SHAPES[0]
    first, second = random_operands(shape, Pass.FORWARD, 1, 1, INT8, seed=0)
    with pytest.raises(InputError, match=r"second operand of forward must have the shape"):
        conv_integers(shape, Pass.FORWARD, first, second[:1])
    with pytest.raises(InputError, match="first operand must be of a signed integer type"):
        conv_integers(shape, Pass.FORWARD, first.astype(np.float32), second)
    with pytest.raises(InputError, match=r"first operand of input-grad"):
        useful_products(shape, Pass.INPUT_GRAD, second, first)
