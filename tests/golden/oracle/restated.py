"""The sums of docs/contract/floating-point.md, restated index by index with Python's integers."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from gscn.conv import ConvShape, Pass
from gscn.formats import FloatFormat


@dataclass(frozen=True, slots=True)
class Number:
    """A code taken apart; `kind` is zero, finite, infinity or nan."""

    kind: str
    negative: bool
    significand: int = 0
    exponent: int = 0


def take_apart(code: int, fmt: FloatFormat) -> Number:
    """Return the parts of a code, from its bits written as text."""
    bits = f"{code:0{fmt.width}b}"
    negative = bits[0] == "1"
    field, fraction = bits[1 : 1 + fmt.exponent_width], bits[1 + fmt.exponent_width :]
    if "1" not in field + fraction:
        return Number("zero", negative)
    if "0" not in field:
        if fmt.has_infinity:
            return Number("nan" if "1" in fraction else "infinity", negative)
        if "0" not in fraction:
            return Number("nan", negative)
    if "1" not in field:
        return Number("finite", negative, int(fraction, 2), 1)
    return Number("finite", negative, int("1" + fraction, 2), int(field, 2))


def looped_sums(
    shape: ConvShape,
    which: Pass,
    first: np.ndarray,
    second: np.ndarray,
    fmt: FloatFormat,
    acc_width: int,
    top: int,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return (sums, plus, minus); asserts that nothing leaves the accumulator."""
    sums = np.zeros(shape.result_shape(which), dtype=object)
    plus, minus = (np.zeros(sums.shape, dtype=bool) for _ in range(2))
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
        a = take_apart(int(first[at_first]), fmt)
        b = take_apart(int(second[at_second]), fmt)
        kinds, negative = {a.kind, b.kind}, a.negative != b.negative
        if "zero" in kinds:
            continue
        if "nan" in kinds:
            plus[place] = minus[place] = True
        elif "infinity" in kinds:
            (minus if negative else plus)[place] = True
        else:
            distance = top - a.exponent - b.exponent
            assert distance >= 0, "a product above the window"
            scale = acc_width - 1 - 2 * (fmt.mantissa_width + 1)
            magnitude = int(
                Fraction(a.significand * b.significand) * Fraction(2) ** (scale - distance)
            )
            sums[place] += -magnitude if negative else magnitude
            assert -(1 << (acc_width - 1)) <= sums[place] < 1 << (acc_width - 1)
    return sums, plus, minus
