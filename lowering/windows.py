"""Windows of the stationary map that fit the stationary memory and the directory of every PE."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from gscn.config import AcceleratorConfig
from gscn.errors import InputError
from gscn.lowering.weight_grad import KernelProblem

_KEY_LIMIT = 32767
_EVEN_WINDOWS = 64
"""Windows of equal size, where they are: more than a small layer's jobs have."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Window:
    """Pixels of the stationary map that one segment holds."""

    low: int
    high: int
    """Rows, counted through all samples."""
    col_low: int
    col_high: int
    """Columns of the stationary map; their ranks if folded."""
    key_low: int
    """Column of the keys that comes first in a row of keys."""
    pitch: int
    """Keys in a row."""
    sample_gap: int
    """Empty rows between samples."""
    number: np.ndarray | None = None
    """int64: key of each row, -1 if nothing is held of it; None: rows of keys follow each other."""


class HeldMap:
    """Stationary nonzeros of one PE's channels, found by row.

    If folded, columns are given by their ranks; `part` is what they add to the kernel column.
    """

    def __init__(self, problem: KernelProblem, channels: np.ndarray) -> None:
        plane_of = np.full(problem.held_channels, -1)
        plane_of[channels] = np.arange(channels.size)
        plane = plane_of[problem.held.minor]
        mine = np.flatnonzero(plane >= 0)
        taken = problem.held.take(mine)
        row = taken.major * problem.rows.extent + taken.row
        # Sorted by pixel: the fiber of a key is then contiguous.
        col = problem.ranges.rank[taken.col] if problem.folded else taken.col
        order = np.lexsort((col, row))
        self.row, self.col, self.value = row[order], col[order], taken.value[order]
        self.plane = plane[mine][order]
        self.part = (
            problem.ranges.held_part[taken.col][order] if problem.folded else np.zeros_like(order)
        )
        self.start = np.searchsorted(self.row, np.arange(problem.samples * problem.rows.extent + 1))

    def window(self, window: Window) -> np.ndarray:
        """Find the nonzeros inside a window."""
        index = np.arange(self.start[window.low], self.start[window.high])
        col = self.col[index]
        return index[(col >= window.col_low) & (col < window.col_high)]


def ramps(config: AcceleratorConfig) -> list[tuple[int, ...]]:
    """Return choices for the most entries per PE of a job's first windows, the usual one first.

    Nothing hides the load of the first window, so small ones let the products begin early. But
    each costs a latency, and clusters that share their blocks stay together longer if computing on
    a block takes much longer than loading the next one.
    """
    depth = config.a_depth
    choices = [
        [depth // 16, depth // 8, depth // 4, depth // 2],
        [depth // 8, depth // 4, 5 * depth // 8],
        [7 * depth // 64, 9 * depth // 32, 11 * depth // 16],
        [depth // 4, 5 * depth // 8],
        [3 * depth // 8] * _EVEN_WINDOWS,
        [],
    ]
    return [tuple(max(limit, 1) for limit in choice) for choice in choices]


def cut_windows(
    problem: KernelProblem,
    held: list[HeldMap],
    part: tuple[int, int],
    config: AcceleratorConfig,
    *,
    trim_rows: bool,
    trim_cols: bool,
    ramp: Sequence[int],
) -> list[Window]:
    """Cut the stationary map into windows that fit the stationary memory and the directory.

    `ramp` gives the most entries per PE of the first windows.
    """
    if problem.by_pixel:
        return _cut_pixels(held, part, config, ramp)
    reach = problem.rows.reach, problem.cols.reach
    gap_cols = 0 if trim_cols else reach[1]
    gap_rows = 0 if trim_rows else reach[0]
    extent, cols = problem.rows.extent, problem.cols.extent
    pitch = cols + gap_cols
    rows_limit = min(
        (config.directory_depth - cols) // pitch + 1, _KEY_LIMIT // pitch - 2 * reach[0] - 1
    )
    counts = np.stack([np.diff(pe.start[part[0] : part[1] + 1]) for pe in held])
    limits = itertools.chain(ramp, itertools.repeat(config.a_depth))
    windows: list[Window] = []
    held_cols = problem.held_cols if problem.folded else cols
    row = part[0]
    while row < part[1]:
        end, total, limit = row, np.zeros(len(held), dtype=np.int64), next(limits)
        while end < part[1]:
            gaps = (end // extent - row // extent) * gap_rows
            total = total + counts[:, end - part[0]]
            if end + 1 - row + gaps > rows_limit or total.max() > config.a_depth:
                break
            if end > row and total.max() > limit:
                break
            end += 1
        if end == row:
            windows += _cut_row(problem, held, row, config, reach, gap_cols)
            end = row + 1
        else:
            windows.append(
                Window(
                    low=row,
                    high=end,
                    col_low=0,
                    col_high=held_cols,
                    key_low=0,
                    pitch=pitch,
                    sample_gap=gap_rows,
                )
            )
        row = end
    return windows


def _cut_pixels(
    held: list[HeldMap], part: tuple[int, int], config: AcceleratorConfig, ramp: Sequence[int]
) -> list[Window]:
    """Cut pixels, which are rows of one column, into windows with keys for those held only."""
    counts = np.stack([np.diff(pe.start[part[0] : part[1] + 1]) for pe in held])
    present = counts.any(axis=0)
    # running totals, keys first
    totals = np.cumsum(np.concatenate([present[None], counts]), axis=1)
    totals = np.pad(totals, ((0, 0), (1, 0)))
    limits = itertools.chain(ramp, itertools.repeat(config.a_depth))
    windows, low, count = [], 0, present.size
    while low < count:
        most = [config.directory_depth] + [min(next(limits), config.a_depth)] * len(held)
        high = min(
            int(np.searchsorted(total, total[low] + limit, side="right")) - 1
            for total, limit in zip(totals, most, strict=True)
        )
        # A pixel has at most one entry of each of a PE's channels, which fit.
        high = max(high, low + 1)
        windows.append(
            Window(
                low=part[0] + low,
                high=part[0] + high,
                col_low=0,
                col_high=1,
                key_low=0,
                pitch=1,
                sample_gap=0,
                number=np.where(present[low:high], np.cumsum(present[low:high]) - 1, np.int64(-1)),
            )
        )
        low = high
    return windows


def _cut_row(
    problem: KernelProblem,
    held: list[HeldMap],
    row: int,
    config: AcceleratorConfig,
    reach: tuple[int, int],
    gap_cols: int,
) -> list[Window]:
    """Cut one row into windows of columns."""
    cols = problem.held_cols if problem.folded else problem.cols.extent
    counts = np.stack(
        [np.bincount(pe.col[pe.start[row] : pe.start[row + 1]], minlength=cols) for pe in held]
    )
    widest = min(config.directory_depth, _KEY_LIMIT // (2 * reach[0] + 2) - gap_cols)
    if problem.folded:
        widest = cols
    if widest < 1:
        raise InputError(
            f"kernel reach must be at most {_KEY_LIMIT // 4} rows and columns, not {reach}"
        )
    windows, low = [], 0
    while low < cols:
        sums = np.cumsum(counts[:, low : low + widest], axis=1).max(axis=0)
        width = max(1, int(np.searchsorted(sums, config.a_depth, side="right")))
        high = min(low + width, cols)
        windows.append(
            Window(
                low=row,
                high=row + 1,
                col_low=low,
                col_high=high,
                key_low=0 if problem.folded else low,
                pitch=problem.cols.extent if problem.folded else high - low + gap_cols,
                sample_gap=0,
            )
        )
        low = high
    return windows
