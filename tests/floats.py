"""Floating point by docs/contract/floating-point.md, in plain integers and fractions.

Nothing here comes from the models or the hardware; formats are read from `gscn.formats`.
"""

from __future__ import annotations

from fractions import Fraction
from typing import NamedTuple

from gscn.formats import BF16, FLOAT32, FloatFormat

PLUS, MINUS = 1, 2


class Number(NamedTuple):
    """A code taken apart."""

    sign: int
    exponent: int
    significand: int
    kind: str
    """finite, infinite or nan."""


class Mode(NamedTuple):
    """How a job calculates in floating point."""

    fmt: FloatFormat
    top: int


def split(code: int, fmt: FloatFormat) -> Number:
    """Take the low bits of an operand apart."""
    code %= 1 << fmt.width
    fraction = code % (1 << fmt.mantissa_width)
    field = code // (1 << fmt.mantissa_width) % (1 << fmt.exponent_width)
    sign = code // (1 << (fmt.width - 1))
    kind = "finite"
    if fmt.has_infinity and field == (1 << fmt.exponent_width) - 1:
        kind = "nan" if fraction else "infinite"
    elif not fmt.has_infinity and code % (1 << (fmt.width - 1)) == (1 << (fmt.width - 1)) - 1:
        kind = "nan"
    hidden = 1 << fmt.mantissa_width if field else 0
    return Number(sign, max(field, 1), fraction + hidden, kind)


def product(first: int, second: int, mode: Mode, acc_width: int) -> tuple[int, int, bool]:
    """Return the addend of two codes, its special bits, and whether it left the window."""
    a, b = split(first, mode.fmt), split(second, mode.fmt)
    if a.significand == 0 or b.significand == 0:
        return 0, 0, False
    if "nan" in (a.kind, b.kind):
        return 0, PLUS | MINUS, False
    if "infinite" in (a.kind, b.kind):
        return 0, MINUS if a.sign != b.sign else PLUS, False
    if a.exponent + b.exponent > mode.top:
        return 0, 0, True
    scale = acc_width - 1 - 2 * (mode.fmt.mantissa_width + 1) - mode.top + a.exponent + b.exponent
    magnitude = int(a.significand * b.significand * Fraction(2) ** scale)
    return -magnitude if a.sign != b.sign else magnitude, 0, False


def result_format(fmt: FloatFormat, out_format: int) -> FloatFormat:
    """Return the format of results, which are not raw."""
    return {0: fmt, 1: FLOAT32, 3: BF16}[out_format]


def rounded(
    total: int, special: int, mode: Mode, result: FloatFormat, acc_width: int
) -> tuple[int, bool, bool]:
    """Return the code of a sum, and whether it was saturated, or is not finite."""
    sign_bit = 1 << (result.width - 1)
    if special:
        if special == PLUS | MINUS or not result.has_infinity:
            return result.nan, False, True
        return result.infinity + (sign_bit if special == MINUS else 0), False, True
    # the value of the contract: exponents of both operands are biased, significands are integers
    unit = mode.top - 2 * (mode.fmt.bias + mode.fmt.mantissa_width)
    unit -= acc_width - 1 - 2 * (mode.fmt.mantissa_width + 1)
    exact = abs(total) * Fraction(2) ** unit
    sign = sign_bit if total < 0 else 0
    # the codes of finite numbers, zero included, rise with their values
    field = 1
    while field <= result.top_exponent and exact >= Fraction(2) ** (field + 1 - result.bias):
        field += 1
    quantum = Fraction(2) ** (field - result.bias - result.mantissa_width)
    count = round(exact / quantum)  # ties to even
    code = (field - 1) * (1 << result.mantissa_width) + count
    if code > max_finite(result):
        return result.infinity + sign, True, False
    return code + sign, False, False


def max_finite(fmt: FloatFormat) -> int:
    """Return the code of the largest finite number."""
    return (fmt.infinity if fmt.has_infinity else fmt.nan) - 1


def signed(code: int, width: int) -> int:
    """Return a code of `width` bits as a two's complement number."""
    return code - (1 << width) if code >> (width - 1) else code
