"""The oracle of integer convolutions: torch's own, in double precision where that is exact.

Nothing here knows how the accelerator computes, so agreement with it is evidence.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional
from torch.nn.grad import conv2d_input, conv2d_weight

from gscn.conv import ConvShape, Pass
from gscn.enums import takes_text
from gscn.errors import InputError
from gscn.window import contraction_length

EXACT_BOUND = 1 << 53
"""Integers of smaller magnitude, and sums of them, are exact in double precision."""


@takes_text
def convolve(shape: ConvShape, which: Pass, first: Tensor, second: Tensor) -> Tensor:
    """Compute one pass with torch, in the operands' own floating-point type.

    Parameters
    ----------
    shape
        The convolution.
    which
        The pass.
    first, second
        Operands as in `ConvShape.operand_shapes`.

    Returns
    -------
    torch.Tensor
        Of shape `shape.result_shape(which)`.
    """
    geometry = (shape.stride, shape.padding, shape.dilation, shape.groups)
    if which is Pass.FORWARD:
        return functional.conv2d(second, first, None, *geometry)
    if which is Pass.INPUT_GRAD:
        return conv2d_input(shape.x_shape, first, second, *geometry)
    return conv2d_weight(second, shape.w_shape, first, *geometry)


@takes_text
def check_operands(shape: ConvShape, which: Pass, first: np.ndarray, second: np.ndarray) -> None:
    """Raise `InputError` unless both operands have the pass's shapes."""
    for name, operand, expected in zip(
        ("first", "second"), (first, second), shape.operand_shapes(which), strict=True
    ):
        if operand.shape != expected:
            raise InputError(
                f"{name} operand of {which} must have the shape {expected}, not {operand.shape}"
            )


@takes_text
def conv_integers(
    shape: ConvShape, which: Pass, first: np.ndarray, second: np.ndarray
) -> np.ndarray:
    """Compute one pass exactly.

    Parameters
    ----------
    shape
        The convolution.
    which
        The pass.
    first, second
        Integer operands as in `ConvShape.operand_shapes`.

    Returns
    -------
    numpy.ndarray
        int64, of shape `shape.result_shape(which)`.

    Raises
    ------
    InputError
        Operands of another shape or type, or so large that a result could leave 64 bits.
    """
    check_operands(shape, which, first, second)
    for name, operand in (("first", first), ("second", second)):
        if not np.issubdtype(operand.dtype, np.signedinteger):
            raise InputError(
                f"{name} operand must be of a signed integer type, not {operand.dtype}"
            )
    length = contraction_length(shape, which)
    bound = _magnitude(first) * _magnitude(second) * length
    if bound >= 1 << 63:
        raise InputError(
            f"{which}: operands must keep every sum under 2**63, but up to {bound} is possible"
        )
    return _conv_exact(shape, which, first.astype(np.int64), second.astype(np.int64), length)


def _magnitude(operand: np.ndarray) -> int:
    return max(abs(int(operand.min())), abs(int(operand.max())))


def _conv_exact(
    shape: ConvShape, which: Pass, first: np.ndarray, second: np.ndarray, length: int
) -> np.ndarray:
    magnitudes = (_magnitude(first), _magnitude(second))
    if magnitudes[0] * magnitudes[1] * length < EXACT_BOUND:
        result = convolve(
            shape,
            which,
            torch.from_numpy(first.astype(np.float64)),
            torch.from_numpy(second.astype(np.float64)),
        ).numpy()
        integers = result.astype(np.int64)
        # Fails if torch took an algorithm with fractional intermediate values.
        assert np.array_equal(integers, result)
        return integers
    # Split the larger operand into high and low halves: v = (v >> bits) * 2**bits + low.
    larger = 0 if magnitudes[0] >= magnitudes[1] else 1
    operands = [first, second]
    bits = magnitudes[larger].bit_length() // 2
    high, low = operands[larger] >> bits, operands[larger] & ((1 << bits) - 1)
    operands[larger] = high
    high_result = _conv_exact(shape, which, *operands, length)
    operands[larger] = low
    return (high_result << bits) + _conv_exact(shape, which, *operands, length)


@takes_text
def useful_products(shape: ConvShape, which: Pass, first: np.ndarray, second: np.ndarray) -> int:
    """Count the products of two nonzeros that reach a result, not the border.

    Parameters
    ----------
    shape
        The convolution.
    which
        The pass.
    first, second
        Operands of any numeric type, as in `ConvShape.operand_shapes`.

    Raises
    ------
    InputError
        Operands of another shape.
    """
    check_operands(shape, which, first, second)
    masks = (first != 0).astype(np.int8), (second != 0).astype(np.int8)
    return int(conv_integers(shape, which, *masks).sum())
