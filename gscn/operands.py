"""What operands of a pass an array takes: types, shapes, ranges, and sums that fit."""

from __future__ import annotations

import numpy as np

from gscn.array import ArrayConfig
from gscn.conv import ConvShape, Pass
from gscn.conv_groups import group_operands
from gscn.enums import takes_text
from gscn.errors import InputError
from gscn.formats import FloatFormat
from gscn.outputs import FloatOutput, OutputFormat
from gscn.products import largest_sum
from gscn.window import are_finite, pass_top

OPERAND_NAMES = {
    Pass.FORWARD: ("weights", "inputs"),
    Pass.INPUT_GRAD: ("weights", "output gradients"),
    Pass.WEIGHT_GRAD: ("output gradients", "inputs"),
}


def check_operand(
    name: str, tensor: np.ndarray, shape: tuple[int, ...], config: ArrayConfig
) -> np.ndarray:
    """Return the operand as an array after checking its type, shape and range.

    Raises
    ------
    InputError
        Naming the tensor, the requirement and the value received.
    """
    tensor = np.asarray(tensor)
    if tensor.dtype.kind not in "iu":
        raise InputError(f"{name} must hold integers, not {tensor.dtype}")
    if tensor.shape != shape:
        raise InputError(f"{name} must have shape {shape}, not {tensor.shape}")
    low, high = int(tensor.min()), int(tensor.max())
    fmt = config.format
    if low < fmt.minimum or high > fmt.maximum:
        extreme = low if low < fmt.minimum else high
        raise InputError(
            f"{name} must lie in [{fmt.minimum}, {fmt.maximum}] ({fmt.name}), not {extreme}"
        )
    return tensor


@takes_text
def check_codes(
    name: str,
    codes: np.ndarray,
    shape: tuple[int, ...],
    fmt: FloatFormat,
    config: ArrayConfig,
) -> np.ndarray:
    """Return a floating-point operand as an array after checking its type, shape and range.

    Raises
    ------
    InputError
        Naming the tensor, or `float_formats`, the requirement and the value received.
    """
    codes = np.asarray(codes)
    if fmt not in config.floats:
        raise InputError(f"float_formats must contain {fmt.name}, not be {config.float_formats!r}")
    if codes.dtype.kind != "u":
        raise InputError(f"{name} must hold codes of an unsigned type, not {codes.dtype}")
    if codes.shape != shape:
        raise InputError(f"{name} must have shape {shape}, not {codes.shape}")
    if int(codes.max()) >> fmt.width:
        raise InputError(
            f"{name} must hold codes below {1 << fmt.width} ({fmt.name}), not {codes.max()}"
        )
    return codes


@takes_text
def choose_top(
    shape: ConvShape, which: Pass, first: np.ndarray, second: np.ndarray, out: FloatOutput
) -> int:
    """Return the window of a pass: one for all its sums, so that those of several PEs can be added.

    Raises
    ------
    InputError
        `out.top` is given, but sums could leave the accumulators with it.
    """
    safe = pass_top(shape, which, first, second, out.operands)
    if out.top is not None and out.top < safe:
        raise InputError(f"top must be at least {safe} for every sum, not {out.top}")
    return safe if out.top is None else out.top


@takes_text
def check_accumulators(
    shape: ConvShape, which: Pass, first: np.ndarray, second: np.ndarray, config: ArrayConfig
) -> None:
    """Refuse operands whose sums of magnitudes do not fit an accumulator.

    Raises
    ------
    InputError
        Naming `acc_width` and the largest sum of magnitudes.
    """
    limit = (1 << (config.acc_width - 1)) - 1
    a, b = np.abs(first.astype(np.float64)), np.abs(second.astype(np.float64))
    axes = {Pass.FORWARD: (1, 2, 3), Pass.INPUT_GRAD: (0, 2, 3), Pass.WEIGHT_GRAD: (0, 2, 3)}
    if a.sum(axis=axes[which]).max() * b.max() <= limit:
        return
    # Magnitudes are summed in float64: exact up to 2**53, and accumulators have at most 48 bits.
    pairs = group_operands(shape, which, a, b)
    largest = int(max(largest_sum(shape.group, which, *pair) for pair in pairs))
    if largest > limit:
        raise InputError(
            f"acc_width must hold sums of magnitudes up to {largest}, not {config.acc_width} bits "
            f"(at most {limit})"
        )


@takes_text
def may_groups_meet(
    shape: ConvShape,
    first: np.ndarray,
    second: np.ndarray,
    out: OutputFormat | FloatOutput,
    config: ArrayConfig,
) -> bool:
    """Return whether sums of products of different groups, which nobody reads, raise no flag.

    Parameters
    ----------
    shape
        The convolution, of whose weight gradient they are.
    first, second
        Output gradients and inputs; integers, or codes.
    out
        Rounding of the results; in floating point `top` is known.
    config
        The array.
    """
    if shape.groups == 1:
        return True
    if isinstance(out, FloatOutput):
        fmt, result = out.operands, out.result
        # The window is for all channels of one operand with the largest of the other.
        largest = out.top + 2 - 2 * fmt.bias
        finite = all(are_finite(codes, fmt).all() for codes in (first, second))
        return bool(finite) and largest <= result.top_exponent - result.bias
    sums = np.abs(first.astype(np.float64)).sum(axis=(0, 2, 3))
    largest = int(sums.max()) * int(np.abs(second.astype(np.int64)).max())
    most = (1 << (out.width - 1)) - 1
    return largest < 1 << (config.acc_width - 1) and (largest >> out.shift) < most
