"""Arithmetic of a pass: its operands as numbers, and its sums as results.

Implements: "Numbers" of `docs/contract/passes.md`, the contract of
`docs/contract/floating-point.md`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from gscn.array import ArrayConfig
from gscn.enums import takes_text
from gscn.formats import BF16, FLOAT32, NUMBER_FORMATS, FloatFormat
from gscn.records import MINUS_BIT, OUT_BF16, OUT_FLOAT32, OUT_RAW, OUT_WIDTHS, PLUS_BIT
from gscn.system.compiled import compiled
from gscn.window import lsb_exponent

FINITE, INFINITE, NOT_A_NUMBER = range(3)
"""Kinds of an operand; integers are finite."""
PLUS, MINUS = 1, 2
"""Sticky bits beside a sum."""
_VALUE, _EXPONENT, _NEGATIVE, _KIND = range(4)


@takes_text
@dataclass(frozen=True, kw_only=True, slots=True)
class Arithmetic:
    """How a pass calculates."""

    fmt: FloatFormat | None
    """Of both operands; None for the core's integers."""
    top: int
    """Of the window, if `fmt` is not None."""
    acc_width: int
    """Bits of an accumulator."""
    integer_width: int
    """Bits of an integer operand."""

    @classmethod
    def of(cls, descriptor: np.void, config: ArrayConfig) -> Arithmetic:
        """Return what a `gscn.passes.PASS_DESCRIPTOR` without errors asks for."""
        return cls(
            fmt=NUMBER_FORMATS[int(descriptor["number_format"])],
            top=int(descriptor["window"]),
            acc_width=config.acc_width,
            integer_width=config.format.width,
        )

    @property
    def numbers(self) -> tuple[bool, int, int, int]:
        """Whether floating point, `top`, left shift of products before alignment, `acc_width`."""
        if self.fmt is None:
            return False, 0, 0, self.acc_width
        justify = self.acc_width - 1 - 2 * self.fmt.significand_width
        return True, self.top, justify, self.acc_width

    def decode(self, values: np.ndarray) -> np.ndarray:
        """Return value (or significand), exponent, sign and kind of operands.

        Parameters
        ----------
        values
            Integers (count,), of which the format's low bits count.

        Returns
        -------
        numpy.ndarray
            int64 (count, 4).
        """
        decoded = np.zeros((values.size, 4), dtype=np.int64)
        if self.fmt is None:
            half = 1 << (self.integer_width - 1)
            decoded[:, _VALUE] = ((values.astype(np.int64) + half) & (2 * half - 1)) - half
            return decoded
        fmt = self.fmt
        codes = values.astype(np.int64) & ((1 << fmt.width) - 1)
        magnitudes = codes & ((1 << (fmt.width - 1)) - 1)
        exponents = magnitudes >> fmt.mantissa_width
        fraction = magnitudes & ((1 << fmt.mantissa_width) - 1)
        decoded[:, _VALUE] = fraction | (exponents != 0).astype(np.int64) << fmt.mantissa_width
        decoded[:, _EXPONENT] = np.maximum(exponents, 1)
        decoded[:, _NEGATIVE] = codes >> (fmt.width - 1)
        if fmt.has_infinity:
            special = exponents > fmt.top_exponent
            decoded[:, _KIND] = special * np.where(fraction == 0, INFINITE, NOT_A_NUMBER)
        else:
            decoded[:, _KIND] = (magnitudes == fmt.nan) * NOT_A_NUMBER
        return decoded


class ResultNumbers(NamedTuple):
    """What rounding must know of the results' format; zeros for integers."""

    floating: bool = False
    lsb: int = 0
    """Power of two of an accumulator's lowest bit."""
    bias: int = 0
    mantissa_width: int = 0
    infinity: int = 0
    nan: int = 0
    sign: int = 0
    """Codes, and the bit of the sign in them."""


@compiled
def round_integer(value, shift, width):
    """Return a sum divided by 2**shift, ties to even, and whether it was saturated."""
    high = (1 << (width - 1)) - 1
    if shift > 0:
        floor = value >> shift
        rest = value - (floor << shift)
        middle = 1 << (shift - 1)
        value = floor + (rest > middle or (rest == middle and floor & 1 == 1))
    if width < 64:
        if value > high:
            return high, True
        if value < -high - 1:
            return -high - 1, True
    return value, False


@compiled
def round_float(value, lsb, bias, mantissa_width, infinity):
    """Return the code of the magnitude of `value * 2**lsb`, and whether it was saturated."""
    magnitude = abs(value)
    if magnitude == 0:
        return 0, False
    length = 0
    while magnitude >> length > 1:
        length += 1
    # power of two of the leading place, that of the smallest normal number at least
    place = max(length + lsb, 1 - bias)
    shift = place - mantissa_width - lsb
    if shift <= 0:
        significand = magnitude << -shift
    elif shift > 62:
        significand = 0
    else:
        significand = magnitude >> shift
        rest = magnitude - (significand << shift)
        middle = 1 << (shift - 1)
        significand += rest > middle or (rest == middle and significand & 1 == 1)
    # the hidden bit and a carry out of the fraction count up the exponent field
    code = ((place + bias - 1) << mantissa_width) + significand
    return (infinity, True) if code >= infinity else (code, False)


@compiled
def _round(
    sums: np.ndarray, specials: np.ndarray, shift: int, width: int, target: ResultNumbers
) -> tuple[np.ndarray, bool, bool]:
    """Return the results, and if any saturated, was not finite.

    `width` is the bits of a result, `shift` that of integers.
    """
    floating, lsb, bias, mantissa_width, infinity, nan, sign = target
    results = np.empty(sums.size, dtype=np.int64)
    saturated, nonfinite = False, False
    for i in range(sums.size):
        value, special = sums[i], np.int64(specials[i])
        if not floating:
            result, beyond = round_integer(value, shift, width)
        elif width == 64:
            result, beyond = (value & ((1 << PLUS_BIT) - 1)) | special << PLUS_BIT, False
        elif special != 0:
            result, beyond = (nan if special == PLUS | MINUS else infinity), False
            nonfinite = True
            if special == MINUS and infinity != nan:
                result |= sign
        else:
            result, beyond = round_float(value, lsb, bias, mantissa_width, infinity)
            if value < 0:
                result |= sign
        results[i] = result
        saturated |= beyond
    return results, saturated, nonfinite


@takes_text
def result_format(fmt: FloatFormat, out_format: int) -> FloatFormat:
    """Return the format of the results of a floating-point pass; raw results have none.

    Parameters
    ----------
    fmt
        Of the operands.
    out_format
        Of the descriptor, not `OUT_RAW`.
    """
    return {OUT_FLOAT32: FLOAT32, OUT_BF16: BF16}.get(out_format, fmt)


def round_sums(
    sums: np.ndarray, specials: np.ndarray, out_format: int, shift: int, arithmetic: Arithmetic
) -> tuple[np.ndarray, bool, bool]:
    """Round sums to results.

    Parameters
    ----------
    sums
        int64 (count,).
    specials
        Sticky bits `PLUS` and `MINUS`, uint8 (count,).
    out_format, shift
        Of the descriptor.
    arithmetic
        How the pass calculates.

    Returns
    -------
    tuple
        Results (int64); whether one was saturated; whether one is not finite.
    """
    target = ResultNumbers()
    if arithmetic.fmt is not None:
        fmt = result_format(arithmetic.fmt, out_format)
        target = ResultNumbers(
            floating=True,
            lsb=lsb_exponent(arithmetic.top, arithmetic.fmt, arithmetic.acc_width),
            bias=fmt.bias,
            mantissa_width=fmt.mantissa_width,
            infinity=fmt.infinity,
            nan=fmt.nan,
            sign=1 << (fmt.width - 1),
        )
    assert (MINUS_BIT, OUT_WIDTHS[OUT_RAW]) == (PLUS_BIT + 1, 64)
    return _round(sums, specials, shift, OUT_WIDTHS[out_format], target)
