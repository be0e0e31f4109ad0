"""The window in which products of floating-point operands are added as integers.

A sum of `acc_width` bits stands for `sum * 2**lsb_exponent`. The product of two operands with
exponents (fields, subnormals counted as 1) `ea`, `eb` and significands `ma`, `mb` is added as

    (-1)**(sa ^ sb) * floor(ma * mb * 2**(acc_width - 1 - 2 * significand_width - distance))

with `distance = top - ea - eb`. So products are truncated one by one, before they are added, and
the sum does not depend on the order of addition, on the tiling, or on the number of PEs.

A product with `ea + eb <= top - guard` has a magnitude under `2**(acc_width - 1 - guard)`, because
`ma * mb < 2**(2 * significand_width)`. So `2**guard` of them cannot leave the accumulator, whatever
their order and signs: every sum on the way is one of at most so many products.
"""

from __future__ import annotations

import numpy as np

from gscn.errors import InputError
from gscn.formats import FloatFormat

MOST_TOP = 1023
"""Highest `top` that a job descriptor may give."""
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
    finite = (exponents <= fmt.top_exponent if fmt.has_infinity else magnitudes != fmt.nan) & (
        magnitudes != 0
    )
    return max(1, int(exponents[finite].max(initial=1)))


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


def lsb_exponent(top: int, fmt: FloatFormat, acc_width: int) -> int:
    """Return the power of two that a sum of 1 stands for."""
    return top - (acc_width - 3) - 2 * fmt.bias
