"""Blocks of numbers of 8 bits that share a power of two.

Implements: OCP Microscaling Formats (MX) Specification, rev. 1.0, Sec. 5.2 (MXFP8: 32 elements, a
scale in E8M0) and 6.3 (conversion: the scale is the power of two of the largest magnitude, divided
by that of the format's largest number; what is then beyond the format is clamped).
Differs: on request, no number of a block is clamped, as in Mishra et al., "Recipes for pre-training
LLMs with MXFP8", 2025. Infinities and NaN, of which the specification leaves open what a block
makes, stay where they are, as their format has them, and decide no scale.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gscn.enums import takes_text
from gscn.formats import FloatFormat
from gscn.golden.oracle.floats import decode, encode

BLOCK = 32
"""Elements that share a scale."""
SCALE_BIAS = 127
LARGEST_SCALE = 254
"""E8M0: code e stands for 2**(e - 127), 255 for NaN, which is not used here."""


@takes_text
@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class ScaledBlocks:
    """A tensor in blocks along one axis."""

    codes: np.ndarray
    """uint8, of the tensor's shape: elements."""
    scales: np.ndarray
    """uint8, E8M0; of the tensor's shape, but a number for each block along the axis, of which the
    last one may be shorter than `BLOCK`."""
    axis: int
    fmt: FloatFormat
    """Of elements."""

    def values(self) -> np.ndarray:
        """Return the numbers, exactly, as float64."""
        count = self.codes.shape[self.axis]
        scales = np.repeat(self.scales, BLOCK, self.axis).take(range(count), self.axis)
        return np.ldexp(decode(self.codes, self.fmt), scales.astype(np.int32) - SCALE_BIAS)


@takes_text
def to_blocks(
    values: np.ndarray, fmt: FloatFormat, axis: int, *, clamps: bool = True
) -> ScaledBlocks:
    """Round a tensor to blocks of 32 along an axis; a block of zeros has the least scale.

    Parameters
    ----------
    values
        float32 or float64, of any shape.
    fmt
        Of elements, of 8 bits.
    axis
        Along which elements share a scale.
    clamps
        Whether the scale is that of the specification. Otherwise it is twice as large in blocks of
        which a number would have been clamped.

    Raises
    ------
    InputError
        Values of another type.
    """
    exact = values.astype(np.float64)
    magnitudes = np.abs(np.where(np.isfinite(exact), exact, 0.0))
    starts = np.arange(0, values.shape[axis], BLOCK)
    largest = np.maximum.reduceat(magnitudes, starts, axis)
    powers = np.frexp(largest)[1] - 1 - (fmt.top_exponent - fmt.bias)
    if not clamps:
        powers += np.ldexp(largest, -powers) > decode(np.array([fmt.largest], np.uint8), fmt)[0]
    powers = np.where(largest > 0, powers, -SCALE_BIAS)
    scales = np.clip(powers + SCALE_BIAS, 0, LARGEST_SCALE)
    powers = np.repeat(scales - SCALE_BIAS, BLOCK, axis).take(range(values.shape[axis]), axis)
    rounded = encode(np.ldexp(exact, -powers), fmt)
    clamped = np.where(exact < 0, fmt.largest | 1 << (fmt.width - 1), fmt.largest)
    codes = np.where(rounded.saturated, clamped, rounded.codes)
    return ScaledBlocks(
        codes=codes.astype(np.uint8), scales=scales.astype(np.uint8), axis=axis, fmt=fmt
    )
