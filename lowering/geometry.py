"""Index arithmetic of one axis: which coordinates of two operands meet, and where."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gscn.conv import ConvShape

_PHASE_STEP = 1 << 40


@dataclass(frozen=True, slots=True)
class Side:
    """Phase and shift of every coordinate of one operand along an axis (int64 vectors)."""

    phase: np.ndarray
    shift: np.ndarray


@dataclass(frozen=True, slots=True)
class Axis:
    """One axis of a convolution: kernel coordinate i and map coordinate j meet at a target.

    They meet if their phases are equal and `kernel.shift[i] + map.shift[j]` lies in
    `[0, extent)`. Kernel shifts are at most 0, so that the target is never beyond the map's shift.
    """

    kernel: Side
    map: Side
    extent: int

    @property
    def reach(self) -> int:
        """Largest distance between the targets of one map coordinate."""
        return int(self.kernel.shift.max() - self.kernel.shift.min())

    @property
    def meets(self) -> np.ndarray:
        """Whether each map coordinate meets any kernel coordinate (bool vector)."""
        target = self.kernel.shift[:, None] + self.map.shift
        same = self.kernel.phase[:, None] == self.map.phase
        return (same & (target >= 0) & (target < self.extent)).any(axis=0)


def gather_axis(shape: ConvShape, axis: int) -> Axis:
    """Axis whose targets are output coordinates and whose map is the input.

    A stride splits the input into phases; each kernel coordinate meets one of them.
    """
    stride, padding, dilation = shape.stride[axis], shape.padding[axis], shape.dilation[axis]
    kernel = np.arange((shape.r, shape.s)[axis]) * dilation
    rows = np.arange((shape.h, shape.w)[axis]) + padding
    return Axis(
        Side(kernel % stride, -(kernel // stride)),
        Side(rows % stride, rows // stride),
        (shape.p, shape.q)[axis],
    )


def scatter_axis(shape: ConvShape, axis: int) -> Axis:
    """Axis whose targets are input coordinates and whose map is the output (or its gradient)."""
    stride, padding, dilation = shape.stride[axis], shape.padding[axis], shape.dilation[axis]
    kernel = np.arange((shape.r, shape.s)[axis]) * dilation
    rows = np.arange((shape.p, shape.q)[axis]) * stride - padding
    return Axis(
        Side(np.zeros_like(kernel), kernel - kernel[-1]),
        Side(np.zeros_like(rows), rows + kernel[-1]),
        (shape.h, shape.w)[axis],
    )


@dataclass(frozen=True, slots=True)
class Ranking:
    """Coordinates of one side sorted by (phase, shift).

    What meets a given coordinate of the other side inside a window is then a contiguous range.
    """

    order: np.ndarray
    """Coordinate at each rank."""
    rank: np.ndarray
    """Rank of each coordinate."""
    codes: np.ndarray

    @classmethod
    def of(cls, side: Side) -> Ranking:
        """Rank the coordinates of `side`."""
        codes = side.phase * _PHASE_STEP + side.shift
        order = np.argsort(codes, kind="stable")
        rank = np.empty_like(order)
        rank[order] = np.arange(order.size)
        return cls(order, rank, codes[order])

    def window(self, other: Side, low: int, high: int) -> tuple[np.ndarray, np.ndarray]:
        """Ranges of ranks (first, last) that meet each coordinate of `other` in `[low, high)`."""
        base = other.phase * _PHASE_STEP - other.shift
        return np.searchsorted(self.codes, base + low), np.searchsorted(self.codes, base + high)

    def phase_range(self, other: Side) -> tuple[np.ndarray, np.ndarray]:
        """Ranges of ranks (first, last) whose phase equals that of each coordinate of `other`."""
        base = other.phase * _PHASE_STEP
        half = _PHASE_STEP // 2
        return np.searchsorted(self.codes, base - half), np.searchsorted(self.codes, base + half)


@dataclass(frozen=True, slots=True)
class ColumnRanges:
    """Columns of a stationary and a streamed map whose products belong to a row of a kernel.

    The stationary columns are ranked so that those which meet a given streamed column are a
    contiguous range of ranks, each with another kernel column. That kernel column is the sum of a
    part that the stationary and one that the streamed column gives.
    """

    rank: np.ndarray
    """Rank of each stationary column."""
    held_part: np.ndarray
    """Part of the kernel column, per stationary column; at most 0."""
    streamed_part: np.ndarray
    """Part of the kernel column, per streamed column; at least 0."""
    first: np.ndarray
    last: np.ndarray
    """Ranks (first, last + 1) that each streamed column meets."""

    @classmethod
    def of(cls, shape: ConvShape, *, output_held: bool) -> ColumnRanges:
        """Relate input to output columns, of which the latter or the former are stationary.

        Input column x and output column q meet at kernel column s if
        `s * dilation == x + padding - q * stride`. So both sides leave the same remainder on
        division by the dilation, and s is the difference of the quotients. Columns of equal
        remainder, in order, meet a contiguous range.
        """
        stride, padding, dilation = shape.stride[1], shape.padding[1], shape.dilation[1]
        inputs = np.arange(shape.w) + padding
        outputs = np.arange(shape.q) * stride
        held, streamed = (outputs, inputs) if output_held else (inputs, outputs)
        # With the output stationary s is the streamed quotient minus the stationary one.
        sign = 1 if output_held else -1
        order = np.lexsort((held, held % dilation))
        rank = np.empty_like(order)
        rank[order] = np.arange(order.size)
        code = (held % dilation) * _PHASE_STEP + held // dilation
        base = (streamed % dilation) * _PHASE_STEP + streamed // dilation
        low, high = (base - shape.s + 1, base) if output_held else (base, base + shape.s - 1)
        # Shifted by a constant, which keeps the offsets of both operands small and of one sign.
        shift = 0 if output_held else int(max(held.max(), streamed.max()) // dilation)
        return cls(
            rank,
            -sign * (held // dilation) - shift,
            sign * (streamed // dilation) + shift,
            np.searchsorted(code[order], low, side="left"),
            np.searchsorted(code[order], high, side="right"),
        )

    @property
    def spread(self) -> int:
        """Largest magnitude of a part."""
        return int(max(-self.held_part.min(), self.streamed_part.max()))


@dataclass(frozen=True, slots=True)
class Classes:
    """Coordinates of the streamed side grouped by the ranks they meet, per PE.

    `of[j]` is the class of coordinate j, or -1 if it meets nothing; class i meets the ranks
    `first[pe, i]` to `last[pe, i] - 1`.
    """

    of: np.ndarray
    first: np.ndarray
    last: np.ndarray

    @property
    def count(self) -> int:
        """Number of classes."""
        return self.first.shape[1]


def classify(
    exact: list[tuple[np.ndarray, np.ndarray]],
    loose: list[tuple[np.ndarray, np.ndarray]] | None = None,
) -> Classes:
    """Group coordinates whose ranges are equal in every PE.

    Parameters
    ----------
    exact
        (first, last) per PE, vectors over coordinates; who meets nothing is left out.
    loose
        Ranges to use instead (a whole phase, where guard cells catch the excess).
    """
    first = np.stack([pair[0] for pair in exact])
    last = np.stack([pair[1] for pair in exact])
    meets = (last > first).any(axis=0)
    if loose is not None:
        first = np.stack([pair[0] for pair in loose])
        last = np.stack([pair[1] for pair in loose])
    else:
        last = np.maximum(first, last)
        empty = last == first
        first, last = np.where(empty, 0, first), np.where(empty, 0, last)
    pairs = np.concatenate([first, last])[:, meets]
    of = np.full(meets.size, -1, dtype=np.int64)
    if (pairs == pairs[:, :1]).all():  # as with a 1x1 kernel; sorting takes long
        table, of[meets] = pairs[:, :1], 0
    else:
        table, inverse = np.unique(pairs, axis=1, return_inverse=True)
        of[meets] = inverse.ravel()
    pes = first.shape[0]
    return Classes(of, table[:pes], table[pes:])
