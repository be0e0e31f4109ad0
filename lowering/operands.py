"""Operands: range checks, nonzeros, exact product counts and the bound on accumulators."""

from __future__ import annotations

import numpy as np

from gscn.array import ArrayConfig
from gscn.conv import ConvShape, Pass
from gscn.conv_groups import group_operands
from gscn.enums import takes_text
from gscn.errors import InputError
from gscn.formats import FloatFormat
from gscn.lowering.geometry import gather_axis, scatter_axis
from gscn.outputs import FloatOutput, OutputFormat
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
def count_useful_products(
    shape: ConvShape, which: Pass, first: np.ndarray, second: np.ndarray
) -> int:
    """Count the nonzero products that belong to an element of the result."""
    if which is Pass.WEIGHT_GRAD:
        grads, inputs = (
            np.count_nonzero(one.reshape(shape.n, shape.groups, -1, *one.shape[2:]), axis=2)
            for one in (first, second)
        )
        inputs = _padded(inputs.astype(np.float64), shape)
        return sum(
            int((grads * _tap_slice(inputs, shape, r, s)).sum())
            for r in range(shape.r)
            for s in range(shape.s)
        )
    make_axis = gather_axis if which is Pass.FORWARD else scatter_axis
    meets = []
    for axis in (make_axis(shape, 0), make_axis(shape, 1)):
        target = axis.kernel.shift[:, None] + axis.map.shift[None, :]
        same = axis.kernel.phase[:, None] == axis.map.phase[None, :]
        meets.append((same & (target >= 0) & (target < axis.extent)).astype(np.float64))
    # By group: (groups, kernels, channels, taps).
    owners = 1 if which is Pass.FORWARD else 2
    by_group = first.reshape(shape.groups, -1, *first.shape[1:])
    kernels = np.count_nonzero(by_group, axis=owners).astype(np.float64)
    kernels = kernels.reshape(-1, shape.r, shape.s)
    maps = np.count_nonzero(second, axis=0).astype(np.float64)
    reached = meets[0] @ maps @ meets[1].T
    return int((kernels * reached).sum())


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
    largest = int(max(_largest_sum(shape.group, which, *pair) for pair in pairs))
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


def _padded(maps: np.ndarray, shape: ConvShape) -> np.ndarray:
    (rows, cols) = shape.padding
    return np.pad(maps, ((0, 0), (0, 0), (rows, rows), (cols, cols)))


def _tap_slice(padded: np.ndarray, shape: ConvShape, r: int, s: int) -> np.ndarray:
    """View (n, c, p, q) of the padded inputs that kernel position (r, s) meets."""
    y, x = r * shape.dilation[0], s * shape.dilation[1]
    return padded[
        :,
        :,
        y : y + (shape.p - 1) * shape.stride[0] + 1 : shape.stride[0],
        x : x + (shape.q - 1) * shape.stride[1] + 1 : shape.stride[1],
    ]


def _largest_sum(shape: ConvShape, which: Pass, a: np.ndarray, b: np.ndarray) -> float:
    """Largest element of the pass on nonnegative float64 operands."""
    taps = [(r, s) for r in range(shape.r) for s in range(shape.s)]
    if which is Pass.WEIGHT_GRAD:
        inputs = _padded(b, shape)
        return max(
            float(np.tensordot(a, _tap_slice(inputs, shape, r, s), ((0, 2, 3),) * 2).max())
            for r, s in taps
        )
    if which is Pass.FORWARD:
        inputs = _padded(b, shape)
        total = sum(
            np.tensordot(_tap_slice(inputs, shape, r, s), a[:, :, r, s], ((1,), (1,)))
            for r, s in taps
        )
        return float(np.max(total))
    total = _padded(np.zeros(shape.x_shape), shape)
    for r, s in taps:
        view = _tap_slice(total, shape, r, s)
        view += np.tensordot(b, a[:, :, r, s], ((1,), (0,))).transpose(0, 3, 1, 2)
    rows, cols = shape.padding
    return float(total[:, :, rows : rows + shape.h, cols : cols + shape.w].max())
