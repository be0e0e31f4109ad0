"""The window in which products of floating-point operands are added as integers.

A sum of `acc_width` bits stands for `sum * 2**lsb_exponent`. The product of two operands with
exponents (fields, subnormals counted as 1) `ea`, `eb` and significands `ma`, `mb` is added as

    (-1)**(sa ^ sb) * floor(ma * mb * 2**(acc_width - 1 - 2 * significand_width - distance))

with `distance = top - ea - eb`. So products are truncated one by one, before they are added, and
the sum does not depend on the order of addition, on how a pass is cut, or on the number of PEs.

A product with `ea + eb <= top - guard` has a magnitude under `2**(acc_width - 1 - guard)`, because
`ma * mb < 2**(2 * significand_width)`. So `2**guard` of them cannot leave the accumulator, whatever
their order and signs: every sum on the way is one of at most so many products.

Where operands differ in magnitude, a lower `top` is enough. If the magnitudes of a result's
products sum up to less than `2**(top + 2 - 2 * bias)`, that is `2**(acc_width - 1)` units, no sum
on the way can be larger, since truncation makes magnitudes smaller. They do so if the magnitudes of
one operand's numbers in the contraction, times the other operand's largest, sum up to less.
"""

from __future__ import annotations

import numpy as np

from gscn.conv import ConvShape, Pass
from gscn.enums import takes_text
from gscn.errors import InputError
from gscn.formats import FloatFormat

MOST_TOP = 1023
"""Highest `top` that a descriptor may give."""
MOST_CONTRACTION = 1 << 24
"""Longest contraction for which a window is given; `guard_bits` of it is 24."""


def guard_bits(contraction_length: int) -> int:
    """Return the bits that a sum of so many products can grow by: ceil(log2(length)).

    Raises
    ------
    InputError
        The length is not in [1, `MOST_CONTRACTION`].
    """
    if not 1 <= contraction_length <= MOST_CONTRACTION:
        raise InputError(
            f"contraction length must be 1 to {MOST_CONTRACTION}, not {contraction_length}"
        )
    return (contraction_length - 1).bit_length()


@takes_text
def are_finite(codes: np.ndarray, fmt: FloatFormat) -> np.ndarray:
    """Return which codes (unsigned integers, any shape) are no infinity and no NaN, as bool."""
    magnitudes = codes & ((1 << (fmt.width - 1)) - 1)
    if fmt.has_infinity:
        return magnitudes >> fmt.mantissa_width <= fmt.top_exponent
    return magnitudes != fmt.nan


@takes_text
def largest_exponent(codes: np.ndarray, fmt: FloatFormat) -> int:
    """Return the largest exponent (field, subnormals counted as 1) of the finite nonzero codes.

    Parameters
    ----------
    codes
        Unsigned integers, any shape: codes of `fmt`.
    fmt
        Their format.

    Returns
    -------
    int
        1 if there is no finite nonzero code.
    """
    magnitudes = codes & ((1 << (fmt.width - 1)) - 1)
    exponents = magnitudes >> fmt.mantissa_width
    finite = are_finite(codes, fmt) & (magnitudes != 0)
    return max(1, int(exponents[finite].max(initial=1)))


@takes_text
def window_top(
    first: np.ndarray, second: np.ndarray, fmt: FloatFormat, contraction_length: int
) -> int:
    """Return the `top` with which no sum of so many products can leave the accumulator.

    Parameters
    ----------
    first, second
        Codes of the two operands, unsigned integers of any shape.
    fmt
        Format of both.
    contraction_length
        Most products that are added into one sum. A partial sum that is added counts as the
        products in it; one of other origin as its magnitude divided by `2**(e - 2 * fmt.bias + 2)`,
        rounded up, with `e` the sum of the operands' largest exponents: what no product reaches.
    """
    exponents = largest_exponent(first, fmt) + largest_exponent(second, fmt)
    return exponents + guard_bits(contraction_length)


@takes_text
def contraction_length(shape: ConvShape, which: Pass) -> int:
    """Return how many products a result of the pass adds up at most."""
    return {
        Pass.FORWARD: shape.group.c * shape.r * shape.s,
        Pass.INPUT_GRAD: shape.group.k * shape.r * shape.s,
        Pass.WEIGHT_GRAD: shape.n * shape.p * shape.q,
    }[which]


@takes_text
def pass_top(
    shape: ConvShape, which: Pass, first: np.ndarray, second: np.ndarray, fmt: FloatFormat
) -> int:
    """Return the lowest `top` known to keep every sum of a pass in the accumulator.

    Never above `window_top`, and lower by some bits where few operands are large: in a weight
    gradient, whose contraction is long, by the bits by which the mean magnitude of a channel's
    output gradients is below the largest. Partial sums of other origin are not counted.

    Parameters
    ----------
    shape
        The convolution.
    which
        The pass, whole: all jobs that it is cut into have one `top`.
    first, second
        Codes of the operands, unsigned integers, as in `ConvShape.operand_shapes`.
    fmt
        Format of both.
    """
    by_count = window_top(first, second, fmt, contraction_length(shape, which))
    # A weight, or a pixel, is in one product of each result of its channel at most.
    owned = first
    if which is Pass.INPUT_GRAD and shape.groups > 1:
        # The kernels of a group are all that its input channels meet.
        by_group = first.reshape(shape.groups, shape.group.k, *first.shape[1:])
        owned = by_group.swapaxes(0, 1).reshape(shape.group.k, shape.c, *first.shape[2:])
    tops = [_top_by_magnitudes(owned, 0 if which is Pass.FORWARD else 1, second, fmt)]
    if which is Pass.WEIGHT_GRAD:
        tops.append(_top_by_magnitudes(second, 1, first, fmt))
    exponents = largest_exponent(first, fmt) + largest_exponent(second, fmt)
    # No product may be left out, either.
    return min(by_count, max(exponents, min(tops)))


_EXTRA_BITS = 16
"""Bits below the least of a channel's largest significands to which its magnitudes are summed."""


def _top_by_magnitudes(summed: np.ndarray, axis: int, other: np.ndarray, fmt: FloatFormat) -> int:
    """Return the `top` for sums of one operand's magnitudes along all axes but one."""
    significands, exponents = _finite_parts(np.moveaxis(summed, axis, 0), fmt)
    channels = summed.shape[axis]
    bins = fmt.top_exponent + 1
    places = np.arange(channels).reshape(-1, *[1] * (summed.ndim - 1)) * bins + exponents
    # Integers under 2**53, so these sums are exact in any order.
    by_exponent = np.bincount(
        places.reshape(-1), weights=significands.reshape(-1), minlength=channels * bins
    )
    by_exponent = by_exponent.astype(np.int64).reshape(channels, bins)
    highest = largest_exponent(summed, fmt)
    below = np.clip(highest - np.arange(bins), 0, 63)
    # Divided by powers of two, rounded up.
    total = int((-((-by_exponent << _EXTRA_BITS) >> below)).sum(axis=1).max(initial=0))
    other_significands, other_exponents = _finite_parts(other, fmt)
    other_highest = largest_exponent(other, fmt)
    largest = int(other_significands[other_exponents == other_highest].max(initial=0))
    return (
        (total * largest).bit_length()
        + highest
        + other_highest
        - _EXTRA_BITS
        - 2 * fmt.significand_width
    )


def _finite_parts(codes: np.ndarray, fmt: FloatFormat) -> tuple[np.ndarray, np.ndarray]:
    """Return significands, 0 for infinity and NaN, and exponents (subnormals counted as 1)."""
    magnitudes = codes.astype(np.int64) & ((1 << (fmt.width - 1)) - 1)
    exponents = magnitudes >> fmt.mantissa_width
    hidden = (exponents > 0).astype(np.int64) << fmt.mantissa_width
    significands = magnitudes & ((1 << fmt.mantissa_width) - 1) | hidden
    special = ~are_finite(codes, fmt)
    return np.where(special, 0, significands), np.where(special, 1, np.maximum(exponents, 1))


@takes_text
def lsb_exponent(top: int, fmt: FloatFormat, acc_width: int) -> int:
    """Return the power of two that a sum of 1 stands for."""
    return top - (acc_width - 3) - 2 * fmt.bias
