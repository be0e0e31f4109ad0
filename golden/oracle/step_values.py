"""What an encode pass of a training step computes, on tensors in the shapes of torch.

Implements: docs/contract/encode.md for the passes of `gscn.step`, by `golden.oracle.encode`.
Differs: from any hardware in how it gets there; addresses, strips and walks in memory are not known
here. A value's place in a walk is its row in a matrix of (positions, channels).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from gscn.conv import ConvShape, Pass
from gscn.encode import Activation, Masked, Reduce, Thresholds
from gscn.formats import BF16, FLOAT32, FloatFormat
from gscn.golden.oracle import encode as law
from gscn.golden.oracle.floats import decode, encode
from gscn.golden.oracle.step_windows import result_size, segment_of, windows_of, within
from gscn.step import Encode, Role, Walk

ACC_WIDTH, WINDOW_WIDTH = 48, 32
UNIT = FLOAT32.bias


class Computed(NamedTuple):
    """Results of a pass, (positions, channels)."""

    first: np.ndarray
    last: np.ndarray
    kept: np.ndarray
    """bool: what strips A have; `kept_b` likewise."""
    kept_b: np.ndarray
    flags: int


def lined_up(op: Encode, codes: np.ndarray, *, broadcast: bool) -> np.ndarray:
    """Return a tensor as a matrix in the order of a pass.

    Parameters
    ----------
    op
        The pass.
    codes
        In the shape of torch.
    broadcast
        It is of one sample, or of pooled values.
    """
    first, second, rows, cols = op.shape
    if op.sliding is not None:
        return windows_of(op, codes, of_windows=broadcast or op.walk is Walk.SLIDING)
    if by_weights(op):
        lanes = 1 if op.operand and op.operand.which is Pass.INPUT_GRAD else 0
        return np.moveaxis(codes, lanes, -1).reshape(-1, op.shape[lanes])
    if op.walk is Walk.WINDOW:
        y, x = op.window
        if broadcast:
            codes = codes.repeat(y, axis=2).repeat(x, axis=3)
        cut = codes.reshape(first, second, rows // y, y, cols // x, x)
        return cut.transpose(0, 2, 4, 3, 5, 1).reshape(-1, second)
    codes = np.broadcast_to(codes, op.shape)
    axes = (2, 3, 0, 1) if op.walk is Walk.SAMPLES else (0, 2, 3, 1)
    return codes.transpose(axes).reshape(-1, second)


def in_shape(op: Encode, matrix: np.ndarray) -> np.ndarray:
    """Undo `lined_up`; a matrix of one row for each segment is that of its result."""
    first, second, rows, cols = op.shape
    if op.sliding is not None:
        return matrix.reshape(first, *result_size(op), second).transpose(0, 3, 1, 2)
    if by_weights(op):
        lanes = 1 if op.operand and op.operand.which is Pass.INPUT_GRAD else 0
        sizes = [size for axis, size in enumerate(op.shape) if axis != lanes]
        return np.moveaxis(matrix.reshape(*sizes, -1), -1, lanes)
    if op.walk is Walk.WINDOW:
        y, x = op.window
        if len(matrix) < first * rows * cols:
            return matrix.reshape(first, rows // y, cols // x, second).transpose(0, 3, 1, 2)
        cut = matrix.reshape(first, rows // y, cols // x, y, x, second)
        return cut.transpose(0, 5, 1, 3, 2, 4).reshape(op.shape)
    if op.walk is Walk.SAMPLES:
        samples = len(matrix) // (rows * cols)
        return matrix.reshape(rows, cols, samples, second).transpose(2, 3, 0, 1)
    return matrix.reshape(first, rows, cols, second).transpose(0, 3, 1, 2)


def with_channels(op: Encode, codes: np.ndarray) -> np.ndarray:
    """Return an operand with the channels of its convolution that its tensor lacks, as zeros."""
    lacking = 0
    if (
        op.operand is not None
        and op.operand.which is Pass.FORWARD
        and op.operand.role is Role.SECOND
    ):
        lacking = op.operand.shape.c - codes.shape[1]
    return np.pad(codes, ((0, 0), (0, lacking), (0, 0), (0, 0)))


def by_weights(op: Encode) -> bool:
    """Say whether weights are walked."""
    if op.operand is None:
        return op.walk is Walk.WEIGHTS
    return op.operand.which is not Pass.WEIGHT_GRAD and op.operand.role is Role.FIRST


def are_there(op: Encode) -> np.ndarray:
    """Return which rows of the matrix there are.

    Positions of an operand that some tap uses; of windows those within a map, and windows that
    hold a position.
    """
    if op.sliding is not None:
        return within(op)
    if op.operand is None or by_weights(op):
        return np.ones(1, dtype=np.bool_)
    shape, which, role = op.operand
    inputs = which is Pass.FORWARD or (which is Pass.WEIGHT_GRAD and role is Role.SECOND)
    used = [_used(shape, axis, inputs=inputs) for axis in range(2)]
    return np.broadcast_to(used[0][:, None] & used[1], (shape.n, *map(len, used))).reshape(-1)


def _used(shape: ConvShape, axis: int, *, inputs: bool) -> np.ndarray:
    size, out, taps = ((shape.h, shape.p, shape.r), (shape.w, shape.q, shape.s))[axis]
    found = np.zeros(size if inputs else out, dtype=np.bool_)
    for row in range(out):
        for tap in range(taps):
            place = row * shape.stride[axis] + tap * shape.dilation[axis] - shape.padding[axis]
            if 0 <= place < size:
                found[place if inputs else row] = True
    return found


def compute(
    op: Encode,
    tensors: list[np.ndarray | None],
    mask: np.ndarray | None,
    rows: dict[str, np.ndarray],
    state: dict[str, int],
) -> Computed:
    """Return what a pass computes.

    Parameters
    ----------
    op
        The pass.
    tensors
        float64 values (positions, channels), or None.
    mask
        bool, likewise.
    rows
        float32 coefficients of the channels.
    state
        The thresholds.
    """
    fields, out = op.fields, FLOAT32 if op.wide else BF16
    seen = [one for one in tensors if one is not None]
    masked = fields.get("masked", 0)
    terms = list(tensors)
    if masked == Masked.TENSOR:
        terms[0] = np.where(mask, terms[0], 0.0)
    codes, flags = _combined(op, terms, rows, out)
    if fields.get("activation") == Activation.RELU:
        codes = law.rectified(codes, out)
    elif fields.get("activation") == Activation.SLOPE:
        codes = law.sloped(codes, terms[0], out)
    if masked == Masked.RESULT:
        codes = np.where(mask, codes, 0).astype(codes.dtype)
    first = last = codes
    if "second" in op.results:
        found = law.combine_floats(
            [tensors[0], decode(first, out)],
            [np.ones(1), law.as_coefficients(rows["second"].view(np.uint32))], out, WINDOW_WIDTH,
        )  # fmt: skip
        last, flags = found.codes, flags | found.saturated | found.nonfinite << 1
    kept = [decode(last, out) != 0] * 2
    if fields.get("thresholds") == Thresholds.STATE:
        limits = [np.full(last.shape, state[f"threshold_{part}"]) for part in "ab"]
        strict = bool(fields.get("strict"))
        kept = [kept[0] & law.is_kept(last, limit, out, strict=strict) for limit in limits]
    assert seen
    return Computed(first, last, *kept, int(flags))


def _combined(
    op: Encode,
    terms: list[np.ndarray | None],
    rows: dict[str, np.ndarray],
    out: FloatFormat,
) -> tuple[np.ndarray, int]:
    """Return the first combination and flags."""
    shape = next(one.shape for one in terms if one is not None)
    values = [np.broadcast_to(rows["bias"].astype(np.float64), shape)]
    factors = [np.ones(1)]
    for number, one in enumerate(terms):
        if one is None or (op.fields.get("product") and number == 1):
            continue
        values.append(one)
        factors.append(law.as_coefficients(rows[f"c{number}"].view(np.uint32)))
    if op.fields.get("product"):
        factors[-1] = law.as_coefficients(encode(terms[1], FLOAT32).codes)
    found = law.combine_floats(values, factors, out, WINDOW_WIDTH)
    return found.codes, int(found.saturated) | int(found.nonfinite) << 1


class Sums(NamedTuple):
    """Sums of the channels: integers of a window, and its top."""

    sums: list[int]
    dots: list[int]
    tops: tuple[int, int]

    def values(self, which: int) -> np.ndarray:
        """Return sums (0), or sums of products (1), as numbers."""
        lsb = self.tops[which] - (ACC_WIDTH - 3) - 2 * UNIT
        return np.ldexp(np.array((self.sums, self.dots)[which], dtype=np.float64), lsb)


def sum_up(
    results: np.ndarray, other: np.ndarray | None, tops: tuple[int, int]
) -> tuple[Sums, bool]:
    """Return sums of results and of their products with a tensor, and whether a window was left.

    Parameters
    ----------
    results
        float64 (positions, channels), finite.
    other
        Likewise, or None.
    tops
        Of the windows.
    """
    cut = law.as_coefficients(encode(results, FLOAT32).codes)
    sums, _, _ = law.window_sum(results, 1.0, tops[0], ACC_WIDTH)
    beyond = _leaves(results, np.ones(1), tops[0])
    dots = [0] * results.shape[1]
    if other is not None:
        dots, _, _ = law.window_sum(other, cut, tops[1], ACC_WIDTH)
        beyond |= _leaves(other, cut, tops[1])
    return Sums(sums, dots, tops), beyond


def _leaves(first: np.ndarray, second: np.ndarray, top: int) -> bool:
    """Say whether a product is above the window's top, or a sum beyond it on its way."""
    first, second = np.broadcast_arrays(first, second)
    exponents = [np.maximum(np.frexp(one)[1] - 1, -126) for one in (first, second)]
    heights = np.where((first != 0) & (second != 0), sum(exponents) + 2 * UNIT, 0)
    if (heights > top).any():
        return True
    lsb = top - (ACC_WIDTH - 3) - 2 * UNIT
    totals = np.trunc(np.ldexp(first * second, -lsb)).cumsum(axis=0)
    return bool(
        (totals >= 2.0 ** (ACC_WIDTH - 1)).any() or (totals < -(2.0 ** (ACC_WIDTH - 1))).any()
    )


def reduced(
    op: Encode, results: np.ndarray, kept: np.ndarray, here: np.ndarray, top: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return one result for each segment, and which value is a maximum.

    Parameters
    ----------
    op
        The pass.
    results
        Codes (positions, channels).
    kept, here
        bool, likewise: what strips have, and what is there.
    top
        Of sums.
    """
    out = FLOAT32 if op.wide else BF16
    segment = op.window.rows * op.window.cols if op.window else op.shape[0]
    segment = segment_of(op) if op.sliding else segment
    if op.fields.get("kept_sums"):
        results = np.where(kept, results, 0).astype(results.dtype)
    parts = np.where(here, results, 0).astype(results.dtype)
    parts = parts.reshape(-1, segment, results.shape[1])
    chosen = np.zeros(parts.shape, dtype=np.bool_)
    found = np.zeros((len(parts), results.shape[1]), dtype=results.dtype)
    for number, part in enumerate(parts):
        if op.fields["reduce"] == Reduce.SUM:
            found[number] = law.sums_in_order(part, top, ACC_WIDTH, out).codes
            continue
        for channel in range(part.shape[1]):
            some = np.flatnonzero(here.reshape(parts.shape)[number, :, channel])
            best = some[law.first_maximum(part[some, channel], out)]
            found[number, channel] = part[best, channel]
            chosen[number, best, channel] = True
    return found, chosen.reshape(results.shape)
