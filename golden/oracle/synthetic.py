"""Synthetic sparse operands: integers drawn uniformly, codes of floating-point formats."""

from __future__ import annotations

import numpy as np

from gscn.conv import ConvShape, Pass
from gscn.enums import takes_text
from gscn.errors import InputError
from gscn.formats import FloatFormat, IntFormat
from gscn.golden.oracle import floats
from gscn.golden.oracle.quantize import storage_type


@takes_text
def random_operands(
    shape: ConvShape,
    which: Pass,
    density_first: float,
    density_second: float,
    fmt: IntFormat,
    seed: int,
    *,
    extreme: bool = False,
) -> tuple[np.ndarray, np.ndarray]:
    """Return two operands of a pass with nonzeros at uniformly drawn places.

    Parameters
    ----------
    shape, which
        The convolution and the pass.
    density_first, density_second
        Share of nonzeros, 0 to 1; their number is rounded to nearest and exact.
    fmt
        Operand format: nonzeros are drawn from all its nonzero values.
    seed
        Any whole number of at least 0; equal seeds give equal operands.
    extreme
        Draw nonzeros from the format's minimum and maximum alone.

    Returns
    -------
    tuple of numpy.ndarray
        (first, second) as in `ConvShape.operand_shapes`, of the format's own type.

    Raises
    ------
    InputError
        Density or seed out of range.
    """
    if seed < 0:
        raise InputError(f"seed must be at least 0, not {seed}")
    rng = np.random.default_rng(seed)
    shapes = shape.operand_shapes(which)
    return (
        _sparse(shapes[0], density_first, fmt, rng, extreme=extreme),
        _sparse(shapes[1], density_second, fmt, rng, extreme=extreme),
    )


@takes_text
def random_codes(
    shape: ConvShape,
    which: Pass,
    density_first: float,
    density_second: float,
    fmt: FloatFormat,
    seed: int,
    *,
    every_code: bool = False,
) -> tuple[np.ndarray, np.ndarray]:
    """Return two floating-point operands of a pass with nonzeros at uniformly drawn places.

    The nonzeros of equal arguments lie where `random_operands` has them.

    Parameters
    ----------
    shape, which, density_first, density_second, seed
        As in `random_operands`.
    fmt
        Format of the codes.
    every_code
        Draw nonzeros from all codes but zeros: subnormals, infinities and NaN included. Otherwise
        they are normally distributed numbers, rounded.

    Returns
    -------
    tuple of numpy.ndarray
        (first, second) as in `ConvShape.operand_shapes`, codes in their storage type.

    Raises
    ------
    InputError
        Density or seed out of range.
    """
    places = IntFormat(name="places", width=8)
    masks = random_operands(shape, which, density_first, density_second, places, seed)
    rng = np.random.default_rng([seed, 1])
    sign = 1 << (fmt.width - 1)
    operands = []
    for mask in masks:
        if every_code:
            codes = rng.integers(1, sign, mask.shape) + sign * rng.integers(0, 2, mask.shape)
        else:
            codes = floats.encode(rng.standard_normal(mask.shape), fmt).codes.astype(np.int64)
            # what was rounded to zero must stay a nonzero: the smallest of its sign
            codes += codes & (sign - 1) == 0
        codes[mask == 0] = 0
        operands.append(codes.astype(floats.storage_type(fmt)))
    return operands[0], operands[1]


def _sparse(
    shape: tuple[int, ...],
    density: float,
    fmt: IntFormat,
    rng: np.random.Generator,
    *,
    extreme: bool,
) -> np.ndarray:
    if not 0 <= density <= 1:
        raise InputError(f"density must be from 0 to 1, not {density!r}")
    operand = np.zeros(int(np.prod(shape)), storage_type(fmt))
    places = rng.permutation(operand.size)[: round(density * operand.size)]
    if extreme:
        values = rng.choice([fmt.minimum, fmt.maximum], size=places.size)
    else:
        values = rng.integers(fmt.minimum, fmt.maximum, size=places.size)
        # Draws from [minimum, maximum) with 0 and above moved up by one never give 0.
        values = values + (values >= 0)
    operand[places] = values
    return operand.reshape(shape)
