"""One pass of a convolution on floating-point codes, with exact sums in a window.

Implements: the contract of docs/contract/floating-point.md.
Differs: from any hardware in how it gets there. Operands are float64 numbers here, scaled so that a
product in units of the window's least bit is their product: its significand has at most 22 bits, so
it is exact, and conversion to int64 truncates it towards zero. Contractions are rows of nonzeros
times blocks of an im2col matrix.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from gscn.conv import ConvShape, Pass
from gscn.enums import takes_text
from gscn.errors import InputError
from gscn.formats import FloatFormat
from gscn.golden.oracle.floats import Rounded, check_codes, decode, round_scaled
from gscn.golden.oracle.im2col import Block, add_up_pass
from gscn.golden.oracle.integers import check_operands, convolve
from gscn.system.compiled import compiled
from gscn.window import lsb_exponent, pass_top

LEAST_ACC_WIDTH, MOST_ACC_WIDTH = 32, 64


@takes_text
@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class WindowedSums:
    """Accumulators of a pass: each stands for `sums * 2**lsb_exponent`, or is a special."""

    sums: np.ndarray
    """int64, of shape `ConvShape.result_shape`."""
    plus: np.ndarray
    """bool: a product was +infinity or NaN."""
    minus: np.ndarray
    """bool: a product was -infinity or NaN."""
    top: int
    """Of the window."""
    fmt: FloatFormat
    """Of the operands."""
    acc_width: int
    """Bits of an accumulator."""

    @property
    def lsb_exponent(self) -> int:
        """The power of two that a sum of 1 stands for."""
        return lsb_exponent(self.top, self.fmt, self.acc_width)

    def raw_partial_sums(self) -> np.ndarray:
        """Return the accumulators as raw partial sums: uint64, sums of at most 62 bits.

        Raises
        ------
        InputError
            The accumulators are wider.
        """
        if self.acc_width > 62:
            raise InputError(
                f"acc_width must be at most 62 for raw partial sums, not {self.acc_width}"
            )
        words = self.sums.astype(np.uint64) & np.uint64((1 << 62) - 1)
        words |= self.plus.astype(np.uint64) << np.uint64(62)
        return words | self.minus.astype(np.uint64) << np.uint64(63)


@takes_text
def conv_windowed(
    shape: ConvShape,
    which: Pass,
    first: np.ndarray,
    second: np.ndarray,
    fmt: FloatFormat,
    *,
    acc_width: int = 48,
    top: int | None = None,
) -> WindowedSums:
    """Compute one pass on codes, with exact sums of truncated products.

    Parameters
    ----------
    shape
        The convolution.
    which
        The pass.
    first, second
        Codes of `fmt`, unsigned integers, as in `ConvShape.operand_shapes`.
    fmt
        Format of both operands.
    acc_width
        Bits of an accumulator, 32 to 64.
    top
        Of the window; by default `gscn.window.pass_top`.

    Raises
    ------
    InputError
        Operands of another shape or type, an `acc_width` out of range, or a `top` with which a
        product could be left out or a sum could leave the accumulator.
    """
    check_operands(shape, which, first, second)
    first = check_codes(first, fmt, f"first operand of {which}")
    second = check_codes(second, fmt, f"second operand of {which}")
    if not LEAST_ACC_WIDTH <= acc_width <= MOST_ACC_WIDTH:
        raise InputError(
            f"acc_width must be {LEAST_ACC_WIDTH} to {MOST_ACC_WIDTH}, not {acc_width}"
        )
    safe_top = pass_top(shape, which, first, second, fmt)
    if top is None:
        top = safe_top
    elif top < safe_top:
        raise InputError(f"top of {which} must be at least {safe_top} for every sum, not {top}")
    first_values, second_values = decode(first, fmt), decode(second, fmt)
    plus, minus = _specials(shape, which, first_values, second_values)
    # The second operand is scaled: products are then in units of the least bit.
    scaled = np.ldexp(_finite(second_values), -lsb_exponent(top, fmt, acc_width))

    def add(block: Block, part: np.ndarray) -> None:
        left = block.left
        _add_truncated(left.starts, left.columns, left.values, block.right, part)

    sums = add_up_pass(shape, which, _finite(first_values), scaled, np.int64, add)
    return WindowedSums(sums=sums, plus=plus, minus=minus, top=top, fmt=fmt, acc_width=acc_width)


def _finite(values: np.ndarray) -> np.ndarray:
    """Return values with zeros for infinities and NaN, whose products enter no sum."""
    return np.where(np.isfinite(values), values, 0.0)


def _specials(
    shape: ConvShape, which: Pass, first: np.ndarray, second: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return which results have a product that is (+infinity or NaN, -infinity or NaN)."""
    plus = np.zeros(shape.result_shape(which), np.bool_)
    minus = np.zeros_like(plus)
    if np.isfinite(first).all() and np.isfinite(second).all():
        return plus, minus

    def meet(*masks: np.ndarray) -> np.ndarray:
        # Counts are small integers in double precision: under a half means none.
        counts = convolve(shape, which, *(torch.from_numpy(m.astype(np.float64)) for m in masks))
        return counts.numpy() > 0.5

    for one, other in ((first, second), (second, first)):
        pairs = (
            (np.isnan(one), other != 0, plus),
            (np.isnan(one), other != 0, minus),
            (np.isposinf(one), other > 0, plus),
            (np.isneginf(one), other < 0, plus),
            (np.isposinf(one), other < 0, minus),
            (np.isneginf(one), other > 0, minus),
        )
        for special, partner, flags in pairs:
            pair = (special, partner) if one is first else (partner, special)
            if special.any():
                flags |= meet(*pair)
    return plus, minus


@compiled
def _add_truncated(starts, columns, values, right, sums):
    """Add the products of nonzero rows and a matrix, each truncated towards zero, to `sums`."""
    for row in range(sums.shape[0]):
        target = sums[row]
        for index in range(starts[row], starts[row + 1]):
            value = values[index]
            source = right[columns[index]]
            for column in range(target.size):
                target[column] += np.int64(value * source[column])


@takes_text
def round_sums(sums: WindowedSums, fmt: FloatFormat) -> tuple[np.ndarray, int, int]:
    """Round accumulators once, as a drain does.

    Parameters
    ----------
    sums
        Of a pass.
    fmt
        Result format: the operands' own, float32 or bf16.

    Returns
    -------
    tuple of numpy.ndarray, int and int
        Codes in the format's storage type, how many finite sums saturated, and how many results
        have a special.
    """
    rounded: Rounded = round_scaled(sums.sums, sums.lsb_exponent, fmt)
    nonfinite = sums.plus | sums.minus
    codes = rounded.codes
    codes[nonfinite] = fmt.nan
    if fmt.has_infinity:
        codes[sums.plus & ~sums.minus] = fmt.infinity
        codes[sums.minus & ~sums.plus] = fmt.infinity | 1 << (fmt.width - 1)
    saturated_count = int(np.count_nonzero(rounded.saturated & ~nonfinite))
    return codes, saturated_count, int(np.count_nonzero(nonfinite))
