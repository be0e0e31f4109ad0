"""Between codes of the floating-point formats and their values, exactly.

`round_scaled` is the only place that rounds: to nearest, ties to even, subnormals included, once.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from gscn.enums import takes_text
from gscn.errors import InputError
from gscn.formats import FloatFormat
from gscn.system.compiled import compiled


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Rounded:
    """Numbers rounded to a format."""

    codes: np.ndarray
    """Unsigned integers of the format's storage type."""
    saturated: np.ndarray
    """bool: the number is finite, but rounds beyond the largest finite code."""


@takes_text
def storage_type(fmt: FloatFormat) -> np.dtype:
    """Return the unsigned numpy integer type as wide as a code (8, 16 or 32 bits)."""
    return np.dtype(f"uint{fmt.width}")


@takes_text
def check_codes(codes: np.ndarray, fmt: FloatFormat, name: str) -> np.ndarray:
    """Return codes in the format's storage type.

    Raises
    ------
    InputError
        Not of an unsigned integer type, or a code is wider than the format.
    """
    if not np.issubdtype(codes.dtype, np.unsignedinteger):
        raise InputError(f"{name} must be codes of an unsigned integer type, not {codes.dtype}")
    largest = int(codes.max(initial=0))
    if largest >> fmt.width:
        raise InputError(
            f"{name} must be codes of {fmt.name}, under {1 << fmt.width}, not {largest}"
        )
    return codes.astype(storage_type(fmt), copy=False)


@takes_text
def decode(codes: np.ndarray, fmt: FloatFormat) -> np.ndarray:
    """Return the values of codes, exactly.

    Parameters
    ----------
    codes
        Unsigned integers of any shape, codes of `fmt`.
    fmt
        Their format.

    Returns
    -------
    numpy.ndarray
        float64, of the same shape; signs of zeros are kept.

    Raises
    ------
    InputError
        As by `check_codes`.
    """
    bits = check_codes(codes, fmt, "codes").astype(np.int64)
    fraction_mask = (1 << fmt.mantissa_width) - 1
    sign_bit = 1 << (fmt.width - 1)
    magnitudes = bits & (sign_bit - 1)
    exponents = magnitudes >> fmt.mantissa_width
    hidden = (exponents > 0) << fmt.mantissa_width
    values = np.ldexp(
        ((magnitudes & fraction_mask) | hidden).astype(np.float64),
        (np.maximum(exponents, 1) - fmt.bias - fmt.mantissa_width).astype(np.int32),
    )
    if fmt.has_infinity:
        special = exponents > fmt.top_exponent
        values[special & (magnitudes == fmt.infinity)] = np.inf
        values[special & (magnitudes != fmt.infinity)] = np.nan
    else:
        values[magnitudes == fmt.nan] = np.nan
    return np.where(bits & sign_bit, -values, values)


@takes_text
def encode(values: np.ndarray, fmt: FloatFormat) -> Rounded:
    """Round numbers to a format: to nearest, ties to even, subnormals included.

    A number that rounds beyond the largest finite code becomes the format's `infinity` with its
    sign, as an infinity does; NaN becomes the format's `nan`, whatever its sign and payload.

    Parameters
    ----------
    values
        float32 or float64, any shape.
    fmt
        Format of the codes.

    Raises
    ------
    InputError
        Values of another type.
    """
    if values.dtype not in (np.float32, np.float64):
        raise InputError(f"values must be of type float32 or float64, not {values.dtype}")
    with np.errstate(invalid="ignore"):  # A signalling NaN.
        exact = values.astype(np.float64)
    finite = np.isfinite(exact)
    fractions, exponents = np.frexp(np.where(finite, exact, 0.0))
    # A fraction of 53 bits in [1/2, 1) becomes an integer.
    result = round_scaled(
        np.ldexp(fractions, 53).astype(np.int64), exponents.astype(np.int64) - 53, fmt
    )
    codes = result.codes | (np.signbit(exact).astype(result.codes.dtype) << (fmt.width - 1))
    codes[np.isposinf(exact)] = fmt.infinity
    codes[np.isneginf(exact)] = fmt.infinity | 1 << (fmt.width - 1)
    codes[np.isnan(exact)] = fmt.nan
    return Rounded(codes=codes, saturated=result.saturated)


@takes_text
def scale_exponent(values: np.ndarray, fmt: FloatFormat) -> int:
    """Return the largest k with which no finite value times 2**k leaves a format.

    Parameters
    ----------
    values
        float32 or float64, any shape; infinities and NaN are left out.
    fmt
        The format.

    Returns
    -------
    int
        0 if all values are zero.
    """
    largest = float(np.abs(values).max(initial=0.0, where=np.isfinite(values)))
    if largest == 0:
        return 0
    limit = float(decode(np.array([fmt.largest], storage_type(fmt)), fmt)[0])
    (fraction, exponent), (most, highest) = math.frexp(largest), math.frexp(limit)
    return highest - exponent - (fraction > most)


@takes_text
def round_scaled(integers: np.ndarray, exponents: np.ndarray | int, fmt: FloatFormat) -> Rounded:
    """Round `integers * 2**exponents` to a format, once, whatever the integers' size.

    Parameters
    ----------
    integers
        int64, any shape.
    exponents
        Powers of two, an integer or as many as `integers`, of magnitude under 2**20.
    fmt
        Format of the codes.

    Returns
    -------
    Rounded
        Zero gives +0; a negative number that rounds to zero gives -0.

    Raises
    ------
    InputError
        Integers of another type.
    """
    if integers.dtype != np.int64:
        raise InputError(f"integers must be of type int64, not {integers.dtype}")
    powers = np.broadcast_to(np.asarray(exponents, dtype=np.int64), integers.shape)
    codes = np.empty(integers.size, np.int64)
    saturated = np.empty(integers.size, np.bool_)
    _round_all(
        np.ascontiguousarray(integers).reshape(-1),
        np.ascontiguousarray(powers).reshape(-1),
        1 - fmt.bias,
        fmt.mantissa_width,
        fmt.largest,
        fmt.infinity,
        codes,
        saturated,
    )
    codes |= (integers.reshape(-1) < 0).astype(np.int64) << (fmt.width - 1)
    return Rounded(
        codes=codes.astype(storage_type(fmt)).reshape(integers.shape),
        saturated=saturated.reshape(integers.shape),
    )


@compiled
def _round_all(
    integers, exponents, least_exponent, mantissa_width, largest, overflow, codes, saturated
):
    """Write the magnitudes' codes; `least_exponent` is that of the smallest normal number."""
    for index in range(integers.size):
        value = integers[index]
        # The magnitude of -2**63 needs all 64 bits.
        magnitude = np.uint64(value) if value >= 0 else np.uint64(-(value + 1)) + np.uint64(1)
        saturated[index] = False
        codes[index] = 0
        if magnitude == 0:
            continue
        length = 0
        rest = magnitude
        for step in (32, 16, 8, 4, 2, 1):
            if rest >> np.uint64(step):
                rest >>= np.uint64(step)
                length += step
        # Here `length` is floor(log2(magnitude)).
        binade = max(exponents[index] + length, least_exponent)
        shift = binade - mantissa_width - exponents[index]
        if shift <= 0:
            significand = magnitude << np.uint64(-shift)
        elif shift > 64:
            significand = np.uint64(0)
        else:
            # In two steps, because a shift by 64 is undefined.
            half = magnitude >> np.uint64(shift - 1)
            significand = half >> np.uint64(1)
            below = magnitude != half << np.uint64(shift - 1)
            if half & np.uint64(1) and (below or significand & np.uint64(1)):
                significand += np.uint64(1)
        # The hidden bit, and a carry out of the fraction, add to the exponent field.
        code = ((binade - least_exponent) << mantissa_width) + np.int64(significand)
        saturated[index] = code > largest
        codes[index] = overflow if code > largest else code
