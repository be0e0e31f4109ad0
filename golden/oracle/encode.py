"""What an encode pass computes, on tensors whose values are lined up already.

Implements: "Numbers", "What is kept" and "Sums" of docs/contract/encode.md.
Differs: from any hardware in how it gets there. Values are float64 numbers here, their products
exact, and cut to a window by scaling and truncating; magnitudes are compared as numbers, and the
k-th is torch's. Where a value is in memory is not known here.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from gscn.enums import takes_text
from gscn.formats import FLOAT32, FloatFormat, IntFormat
from gscn.golden.oracle.floats import Rounded, decode, encode, round_scaled

COEFFICIENT_WIDTH = 16
"""Bits of a coefficient, stated again."""
LEAST_TOP = 125
"""Top of a window that has no larger product, stated again."""


@takes_text
@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Combined:
    """A combination of tensors."""

    codes: np.ndarray
    """Codes of the result's format, or integers."""
    saturated: bool
    nonfinite: bool


def _with_specials(result: Rounded, special: np.ndarray, fmt: FloatFormat) -> Combined:
    """Return rounded sums, with infinities and NaN in their places (0 where a sum is finite)."""
    finite = special == 0
    codes = np.where(finite, result.codes, encode(special, fmt).codes)
    return Combined(
        codes=codes.astype(result.codes.dtype),
        saturated=bool((result.saturated & finite).any()),
        nonfinite=not finite.all(),
    )


def _exponents(values: np.ndarray) -> np.ndarray:
    """Return floor(log2) of magnitudes, -126 at least."""
    return np.maximum(np.frexp(np.where(np.isfinite(values), values, 0))[1] - 1, -126)


def as_coefficients(codes: np.ndarray) -> np.ndarray:
    """Return the values that float32 codes have as coefficients: the upper bits of significands."""
    values = decode(np.asarray(codes, dtype=np.uint32), FLOAT32)
    quantum = np.ldexp(1.0, _exponents(values) - (COEFFICIENT_WIDTH - 1))
    return np.where(np.isfinite(values), np.trunc(values / quantum) * quantum, values)


def _in_window(
    first: np.ndarray, second: np.ndarray, top: np.ndarray, acc_width: int
) -> tuple[np.ndarray, np.ndarray, bool]:
    """Return products as integers of a window, as infinities or NaN (0 if finite), and overflow."""
    first, second = np.broadcast_arrays(first, second)
    some = (first != 0) & (second != 0)
    with np.errstate(invalid="ignore"):
        products = np.where(some, first * second, 0.0)
    special = np.where(np.isfinite(products), 0.0, products)
    exponents = _exponents(first) + _exponents(second) + 2 * FLOAT32.bias
    finite = some & np.isfinite(products)
    beyond = finite & (exponents > top)
    used = np.where(finite & ~beyond, products, 0.0)
    lsb = top - (acc_width - 3) - 2 * FLOAT32.bias
    return np.trunc(np.ldexp(used, -lsb)).astype(np.int64), special, bool(beyond.any())


@takes_text
def combine_floats(
    values: list[np.ndarray],
    coefficients: list[np.ndarray],
    fmt: FloatFormat,
    width: int,
) -> Combined:
    """Add products in a window below the largest one's exponent, and round once.

    Parameters
    ----------
    values
        float64 (..., channels).
    coefficients
        float64 (channels,), or as `values`, of 16 significant bits; one for each of `values`.
    fmt
        Of the result.
    width
        Bits of the window, the sign included.
    """
    pairs = [
        np.broadcast_arrays(one, other) for one, other in zip(values, coefficients, strict=True)
    ]
    shape = np.broadcast_shapes(*(one.shape for one, _ in pairs))
    top = np.full(shape, LEAST_TOP)
    for one, other in pairs:
        finite = np.isfinite(one) & np.isfinite(other) & (one != 0) & (other != 0)
        height = _exponents(one) + _exponents(other) + 2 * FLOAT32.bias
        top = np.maximum(top, np.where(finite, height, top))
    terms = [_in_window(one, other, top, width) for one, other in pairs]
    total = sum(term for term, _, _ in terms)
    # Infinities of both signs, and NaN, add up to NaN.
    with np.errstate(invalid="ignore"):
        special = sum(one for _, one, _ in terms)
    # Where nothing is added, any exponent will do.
    lsb = np.where(total == 0, 0, top - (width - 3) - 2 * FLOAT32.bias)
    result = round_scaled(total, lsb, fmt)
    return _with_specials(result, special, fmt)


@takes_text
def combine_integers(
    values: list[np.ndarray], coefficients: list[np.ndarray], shift: int, fmt: IntFormat
) -> Combined:
    """Add products, divide by 2**shift, round to nearest, ties to even, and saturate.

    Parameters
    ----------
    values
        Integers (..., channels).
    coefficients
        Integers (channels,), likewise.
    shift
        0 to 47.
    fmt
        Of the result.
    """
    total = sum(
        np.asarray(one, dtype=object) * np.asarray(other, dtype=object)
        for one, other in zip(values, coefficients, strict=True)
    )
    down, unit = total >> shift, 1 << shift
    twice = 2 * (total - down * unit)
    up = (twice > unit) | ((twice == unit) & (down % 2 == 1) & (shift > 0))
    exact = down + up.astype(np.int64)
    codes = np.minimum(np.maximum(exact, fmt.minimum), fmt.maximum)
    return Combined(
        codes=codes.astype(np.int64),
        saturated=bool((codes != exact).any()),
        nonfinite=False,
    )


@takes_text
def rectified(codes: np.ndarray, fmt: FloatFormat | IntFormat) -> np.ndarray:
    """Return ReLU of results; NaN stays."""
    if isinstance(fmt, IntFormat):
        return np.maximum(codes, 0)
    values = decode(codes, fmt)
    return np.where((values > 0) | np.isnan(values), codes, 0).astype(codes.dtype)


@takes_text
def sloped(codes: np.ndarray, sizes: np.ndarray, fmt: FloatFormat) -> np.ndarray:
    """Return results where a step's slope falls, 0.4 where it is level, 0 beyond; DST's.

    Parameters
    ----------
    codes
        Results, codes of `fmt`.
    sizes
        float64, likewise: how far from the step.
    fmt
        Of the codes.
    """
    level = encode(np.array([0.4], dtype=np.float32), fmt).codes[0]
    size = np.abs(sizes)
    flat = np.where(size <= 1, level, 0)
    return np.where(size <= np.float32(0.4), codes, flat).astype(codes.dtype)


@takes_text
def sums_in_order(
    codes: np.ndarray, top: int, acc_width: int, fmt: FloatFormat | IntFormat
) -> Combined:
    """Return sums of values along the first axis, rounded once.

    Parameters
    ----------
    codes
        Codes of `fmt`, or integers, (values, channels).
    top
        Of the window.
    acc_width
        Bits of a sum.
    fmt
        Of values and sums.
    """
    if isinstance(fmt, IntFormat):
        totals = np.array([wrapped(sum(one.tolist()), acc_width) for one in codes.T])
        found = np.clip(totals, fmt.minimum, fmt.maximum)
        return Combined(codes=found, saturated=bool((found != totals).any()), nonfinite=False)
    sums, plus, minus = window_sum(decode(codes, fmt), 1.0, top, acc_width)
    result = round_scaled(np.array(sums), top - (acc_width - 3) - 2 * FLOAT32.bias, fmt)
    special = np.where(plus, np.where(minus, np.nan, np.inf), np.where(minus, -np.inf, 0.0))
    return _with_specials(result, special, fmt)


@takes_text
def first_maximum(codes: np.ndarray, fmt: FloatFormat | IntFormat) -> int:
    """Return the place of the largest of some values, as torch finds it: the first, or a NaN.

    Parameters
    ----------
    codes
        Codes of `fmt`, or integers; one at least.
    fmt
        Of the codes.
    """
    values = codes if isinstance(fmt, IntFormat) else decode(codes, fmt)
    tensor = torch.from_numpy(np.asarray(values, dtype=np.float64).reshape(1, 1, 1, -1))
    pool = torch.nn.functional.max_pool2d_with_indices
    return int(pool(tensor, (1, tensor.shape[-1]))[1])


@takes_text
def is_kept(
    codes: np.ndarray, thresholds: np.ndarray, fmt: FloatFormat | IntFormat, *, strict: bool
) -> np.ndarray:
    """Return whether magnitudes reach their thresholds, or exceed them; NaN is above infinity.

    Parameters
    ----------
    codes
        Codes of `fmt`, or integers.
    thresholds
        Codes without sign, or integers, as many or one per channel.
    fmt
        Of both.
    strict
        Whether a tie is left out.
    """
    if isinstance(fmt, IntFormat):
        size = np.abs(codes)
    else:
        size = np.abs(decode(codes, fmt))
        beyond = thresholds > fmt.infinity
        # Payloads of NaN count as their codes do: a threshold may lie above all of them.
        nan = (codes & ((1 << (fmt.width - 1)) - 1)).astype(np.int64)
        known = np.where(beyond, 0, thresholds).astype(codes.dtype)
        edge = np.where(beyond, np.inf, decode(known, fmt))
        more = size > edge if strict else (size >= edge) & ~beyond
        nan_kept = nan > thresholds if strict else nan >= thresholds
        return np.where(np.isnan(size), nan_kept, more)
    return size > thresholds if strict else size >= thresholds


@takes_text
def kth_magnitude(codes: np.ndarray, keep: int, fmt: FloatFormat) -> int:
    """Return the code of the `keep`-th largest magnitude, as torch finds it.

    Parameters
    ----------
    codes
        Of any shape, without NaN.
    keep
        1 to all.
    fmt
        Of the codes.
    """
    values = torch.from_numpy(np.abs(decode(codes, fmt))).flatten()
    found = torch.kthvalue(values, values.numel() - keep + 1).values
    return int(encode(found.reshape(1).numpy(), fmt).codes[0])


@takes_text
def window_sum(
    first: np.ndarray, second: np.ndarray | float, top: int, acc_width: int
) -> tuple[list[int], np.ndarray, np.ndarray]:
    """Sum products over all positions, channel by channel.

    Parameters
    ----------
    first, second
        float64 (positions, channels), or 1.
    top
        Of the window.
    acc_width
        Bits of a sum.

    Returns
    -------
    tuple
        Sums modulo 2**acc_width, in two's complement; whether a product of each channel was
        +infinity or NaN; whether one was -infinity or NaN.
    """
    terms, special, _ = _in_window(first, np.asarray(second, dtype=np.float64), top, acc_width)
    sums = [wrapped(sum(column.tolist()), acc_width) for column in terms.T]
    plus = ((special > 0) | np.isnan(special)).any(axis=0)
    minus = ((special < 0) | np.isnan(special)).any(axis=0)
    return sums, plus, minus


def wrapped(total: int, width: int) -> int:
    """Return an integer modulo 2**width, in two's complement."""
    half = 1 << (width - 1)
    return (total + half) % (2 * half) - half


def stepped(threshold: int, count: int, bounds: tuple[int, int], step: int, fmt: object) -> int:
    """Return the threshold for the next pass.

    Parameters
    ----------
    threshold
        A code without sign, or an integer.
    count
        Values that it kept.
    bounds
        Fewest and most that are aimed at.
    step
        In codes.
    fmt
        Of the result.
    """
    floating = isinstance(fmt, FloatFormat)
    least = 1 << fmt.mantissa_width if floating else 1
    most = fmt.infinity - 1 if floating else fmt.maximum
    if count < bounds[0]:
        return max(threshold - step, least)
    return min(threshold + step, most) if count > bounds[1] else threshold
