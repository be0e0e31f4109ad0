"""The weight gradient without its names: two maps, one stationary, and the kernel's positions."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np

from gscn.config import AcceleratorConfig
from gscn.conv import ConvShape
from gscn.lowering.geometry import Axis, ColumnRanges, Side, gather_axis, scatter_axis
from gscn.lowering.operands import Nonzeros, count_channel_products

FIELD_LIMIT = 32767
"""Largest magnitude of a key or an offset."""
_WORK_GROUPS = 16
"""Groups of rows in which channels are dealt evenly: about as many as a job has load blocks, so
that clusters that need the same ones need them at the same time."""


@dataclass(frozen=True, slots=True)
class KernelProblem:
    """A weight gradient: result[held, streamed, r, s] or [streamed, held, r, s].

    Both operands are maps: major is the sample, minor the channel.
    """

    rows: Axis
    cols: Axis
    held: Nonzeros
    streamed: Nonzeros
    samples: int
    held_channels: int
    streamed_channels: int
    streamed_rows: int
    held_stride: int
    """Distance in the result between channels of the stationary operand."""
    streamed_stride: int
    kernel_cols: int
    work: np.ndarray
    """float64 (groups of output rows, held, streamed channels): products of each kernel."""
    ranges: ColumnRanges
    """How to find the products of a whole kernel row at once."""
    folded: bool = False
    """Whether one look-up finds the products of a whole kernel row; else of one kernel position.

    Keys then count the columns of the streamed map, and `cols` has a single kernel position.
    """

    @classmethod
    def of(
        cls,
        shape: ConvShape,
        grads: np.ndarray,
        inputs: np.ndarray,
        work: np.ndarray,
        *,
        grads_held: bool,
    ) -> KernelProblem:
        """Reduce the weight gradient with the output gradients, or the inputs, stationary.

        `work` is that of `channel_work`.
        """
        make_axis = gather_axis if grads_held else scatter_axis
        # Between the taps of a stride lie inputs that have no product at all.
        met = [gather_axis(shape, axis).meets for axis in range(2)]
        inputs = inputs * (met[0][:, None] & met[1])
        held, streamed = (grads, inputs) if grads_held else (inputs, grads)
        taps = shape.r * shape.s
        strides = (shape.c * taps, taps) if grads_held else (taps, shape.c * taps)
        return cls(
            make_axis(shape, 0),
            make_axis(shape, 1),
            Nonzeros.of(held),
            Nonzeros.of(streamed),
            shape.n,
            held.shape[1],
            streamed.shape[1],
            streamed.shape[2],
            *strides,
            shape.s,
            work if grads_held else work.transpose(0, 2, 1),
            ColumnRanges.of(shape, output_held=grads_held),
        )

    @property
    def fold(self) -> int:
        """Kernel columns whose products one look-up finds; 1 or all."""
        return self.kernel_cols if self.folded else 1

    @property
    def by_pixel(self) -> bool:
        """Whether keys need not be in order: a single sample, column and kernel position."""
        single = (self.samples, self.cols.extent, self.rows.kernel.shift.size, self.kernel_cols)
        return single == (1, 1, 1, 1) and self.streamed_rows == self.rows.extent

    @property
    def held_cols(self) -> int:
        """Columns of the stationary map."""
        return self.ranges.rank.size

    def fold_columns(self) -> KernelProblem:
        """Give each streamed column a fiber of all the stationary columns that it meets.

        The fibers of neighbouring columns overlap: they are ranges of one sorted row. Which kernel
        column a product belongs to follows from the offsets, to which both columns contribute.
        """
        cols = self.ranges.first.size
        none = np.zeros(1, dtype=np.int64)
        return dataclasses.replace(
            self,
            cols=Axis(
                Side(none, none), Side(np.zeros(cols, dtype=np.int64), np.arange(cols)), cols
            ),
            folded=True,
        )


def channel_work(shape: ConvShape, grads: np.ndarray, inputs: np.ndarray) -> np.ndarray:
    """Return what channels are dealt by, with either operand stationary: float64 (groups, K, C)."""
    return count_channel_products(shape, grads, inputs, _WORK_GROUPS)


@dataclass(frozen=True, kw_only=True, slots=True)
class TapBlock:
    """A rectangle of kernel positions, by rank: the columns of one tile of the result."""

    row_low: int
    row_high: int
    col_low: int
    col_high: int

    @property
    def count(self) -> int:
        """Kernel positions in the block."""
        return (self.row_high - self.row_low) * (self.col_high - self.col_low)


@dataclass(frozen=True, kw_only=True, slots=True)
class KernelTiling:
    """Tiling of a weight gradient."""

    held: list[list[np.ndarray]]
    """Stationary channels of each tile and PE."""
    planes: int
    streamed: list[np.ndarray]
    """Streamed channels of each tile."""
    rows: int
    """Most streamed channels in a tile."""
    tap_blocks: list[TapBlock]
    row_parts: np.ndarray
    """Cuts of all rows of all samples of the stationary map: parts of the contraction."""
    trim: bool
    ramp: tuple[int, ...]
    """Most stationary entries per PE in the first windows of a job."""
    patience: float = 1.0
    """How many times as long as alone load blocks are expected to take beside others' traffic."""


def can_fold(problem: KernelProblem, config: AcceleratorConfig) -> bool:
    """Whether the kernel's columns can be folded: keys and offsets fit their fields."""
    return (
        problem.ranges.first.size <= config.directory_depth
        and problem.kernel_cols <= config.acc_depth
        and (2 * problem.rows.reach + 2) * problem.ranges.first.size <= FIELD_LIMIT
        and problem.ranges.spread + config.acc_depth <= FIELD_LIMIT
    )


def tap_blocks(problem: KernelProblem, config: AcceleratorConfig) -> list[TapBlock]:
    """Cut the kernel into rectangles that fit the tap memory and the accumulators."""
    rows, cols = problem.rows.kernel.shift.size, problem.cols.kernel.shift.size
    limit = min(config.taps_depth, config.acc_depth // problem.fold)
    width = min(cols, limit)
    height = max(1, min(rows, limit // width))
    width, height = -(-cols // -(-cols // width)), -(-rows // -(-rows // height))
    return [
        TapBlock(
            row_low=row,
            row_high=min(row + height, rows),
            col_low=col,
            col_high=min(col + width, cols),
        )
        for row in range(0, rows, height)
        for col in range(0, cols, width)
    ]
