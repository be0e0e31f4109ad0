"""Between floating-point tensors, integer operands, and accumulators rounded to result formats."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gscn.enums import takes_text
from gscn.errors import InputError
from gscn.formats import IntFormat

MAX_SHIFT = 63


@dataclass(frozen=True, kw_only=True, slots=True)
class Quantized:
    """Integers with the scale that takes them back: `values * scale` approximates the tensor."""

    values: np.ndarray
    """Integers of the format's width, in the tensor's shape."""
    scale: float
    """Tensor units per integer step, positive."""


@takes_text
def storage_type(fmt: IntFormat) -> np.dtype:
    """Return the numpy integer type as wide as `fmt` (8, 16 or 32 bits)."""
    return np.dtype(f"int{fmt.width}")


@takes_text
def quantize(values: np.ndarray, fmt: IntFormat, *, name: str = "tensor") -> Quantized:
    """Quantise symmetrically, with one scale for the tensor.

    The largest magnitude becomes `fmt.maximum`; the others are rounded to nearest, ties to even.
    Zero stays zero, and magnitudes under half a step become zero.

    Parameters
    ----------
    values
        Floating-point tensor of any shape.
    fmt
        Operand format.
    name
        What the error message calls the tensor.

    Raises
    ------
    InputError
        A value is NaN or infinite, or the values are too small for a scale in double precision.
    """
    exact = np.asarray(values, dtype=np.float64)
    bad = exact.size - np.count_nonzero(np.isfinite(exact))
    if bad:
        raise InputError(f"{name} must be finite to be quantised, but {bad} values are not")
    largest = float(np.abs(exact).max(initial=0.0))
    if largest == 0:
        return Quantized(values=np.zeros(exact.shape, storage_type(fmt)), scale=1.0)
    scale = largest / fmt.maximum
    if scale < np.finfo(np.float64).tiny:
        raise InputError(f"{name} must not have {largest} as its largest magnitude: too small")
    # A quotient may round just past the format's maximum, so it is limited before the conversion.
    steps = np.clip(np.rint(exact / scale), -fmt.maximum, fmt.maximum)
    return Quantized(values=steps.astype(storage_type(fmt)), scale=scale)


@takes_text
def check_range(tensor: np.ndarray, fmt: IntFormat, name: str) -> np.ndarray:
    """Return an integer tensor in the format's own type.

    Raises
    ------
    InputError
        The tensor is not of an integer type, or a value is outside the format.
    """
    if not np.issubdtype(tensor.dtype, np.integer):
        raise InputError(f"{name} must be of an integer type, not {tensor.dtype}")
    if tensor.size:
        low, high = int(tensor.min()), int(tensor.max())
        if low < fmt.minimum or high > fmt.maximum:
            raise InputError(
                f"{name} must lie in [{fmt.minimum}, {fmt.maximum}] to be {fmt.name}, "
                f"not [{low}, {high}]"
            )
    return tensor.astype(storage_type(fmt))


def _check_shift(shift: int) -> None:
    if not 0 <= shift <= MAX_SHIFT:
        raise InputError(f"shift must be 0 to {MAX_SHIFT}, not {shift}")


@takes_text
def requantize(
    accumulators: np.ndarray, shift: int, out_format: IntFormat
) -> tuple[np.ndarray, int]:
    """Return accumulators / 2**shift in a narrower format, as a drain writes them.

    Rounded to nearest, ties to even, then saturated; exact for every 64-bit value.

    Parameters
    ----------
    accumulators
        int64, any shape.
    shift
        Right shift, 0 to 63 bits.
    out_format
        Result format, at most 32 bits.

    Returns
    -------
    tuple of numpy.ndarray and int
        Results in the format's own type, and how many of them saturated.

    Raises
    ------
    InputError
        Accumulators of another type, or shift out of range.
    """
    _check_shift(shift)
    if accumulators.dtype != np.int64:
        raise InputError(f"accumulators must be of type int64, not {accumulators.dtype}")
    quotient = accumulators >> shift
    if shift:
        remainder = accumulators & ((1 << shift) - 1)
        half = 1 << (shift - 1)
        up = (remainder > half) | ((remainder == half) & (quotient & 1 == 1))
        quotient = quotient + up
    limited = np.clip(quotient, out_format.minimum, out_format.maximum)
    saturated_count = int(np.count_nonzero(limited != quotient))
    return limited.astype(storage_type(out_format)), saturated_count


def choose_shift(low: int, high: int, width: int) -> int:
    """Return the smallest shift with which no accumulator in [low, high] saturates.

    Parameters
    ----------
    low, high
        Bounds of the accumulators, 64-bit.
    width
        Bits of the results, sign included, at least 2.

    Raises
    ------
    InputError
        Bounds in the wrong order or beyond 64 bits, or width under 2.
    """
    if not -(1 << 63) <= low <= high < 1 << 63:
        raise InputError(f"accumulator bounds must be ordered and 64-bit, not [{low}, {high}]")
    if width < 2:
        raise InputError(f"width must be at least 2 bits, not {width}")
    fmt = IntFormat(name=f"int{width}", width=width)
    # Rounding moves a value by less than one, and is monotonic: the bounds decide.
    return next(
        shift
        for shift in range(MAX_SHIFT + 1)
        if fmt.minimum <= _round_shift(low, shift) and _round_shift(high, shift) <= fmt.maximum
    )


def _round_shift(value: int, shift: int) -> int:
    """Return value / 2**shift, rounded to nearest, ties to even, in unbounded integers."""
    quotient, remainder = divmod(value, 1 << shift)
    twice = 2 * remainder
    return quotient + (twice > 1 << shift or (twice == 1 << shift and quotient % 2 == 1))
