"""Jobs of the weight gradient: a key is a pixel of the stationary map, a tap a kernel position.

Both operands are maps; either may be stationary. A streamed word looks up one pixel per kernel
position; words at a border name shorter lists of taps, so that a key never runs into another row
or sample. Where the many lists do not fit the tap memory, guard cells between rows and
samples keep the keys apart instead.
"""

from __future__ import annotations

from dataclasses import dataclass

import numba
import numpy as np

from gscn.config import AcceleratorConfig
from gscn.conv import ConvShape
from gscn.errors import InputError
from lowering.balance import interleave
from lowering.drafts import (
    PeTile,
    SegmentDraft,
    TileDraft,
    Walk,
    pack_load,
    pack_stream,
    pack_taps,
)
from lowering.geometry import Axis, Classes, Ranking, classify, gather_axis, scatter_axis
from lowering.operands import Nonzeros
from lowering.program import ABSENT
from lowering.regions import WordRegions

_KEY_LIMIT = 32767


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

    @classmethod
    def of(
        cls, shape: ConvShape, grads: np.ndarray, inputs: np.ndarray, *, grads_held: bool
    ) -> KernelProblem:
        """Reduce the weight gradient with the output gradients, or the inputs, stationary."""
        make_axis = gather_axis if grads_held else scatter_axis
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
        )


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


@dataclass(frozen=True, kw_only=True, slots=True)
class _Window:
    """Pixels of the stationary map that one segment holds."""

    low: int
    high: int
    """Rows, counted through all samples."""
    col_low: int
    col_high: int
    pitch: int
    sample_gap: int
    """Empty rows between samples."""


@dataclass(frozen=True, slots=True)
class _TapLists:
    """Packed taps and the first tap of each (row class, column class)."""

    packed: np.ndarray
    key_delta: np.ndarray
    offset_delta: np.ndarray
    start: np.ndarray
    count: np.ndarray


def tap_blocks(problem: KernelProblem, config: AcceleratorConfig) -> list[TapBlock]:
    """Cut the kernel into rectangles that fit the tap memory and the accumulators."""
    rows, cols = problem.rows.kernel.shift.size, problem.cols.kernel.shift.size
    limit = min(config.taps_depth, config.acc_depth)
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


def kernel_tiles(
    problem: KernelProblem, plan: KernelTiling, config: AcceleratorConfig, *, reorder: bool
) -> list[TileDraft]:
    """Build every tile of the result."""
    jobs = len(plan.held) * len(plan.streamed) * len(plan.tap_blocks) * (len(plan.row_parts) - 1)
    ramp = jobs <= 8 * config.clusters
    streams = [_Streamed(problem, own) for own in plan.streamed]
    tiles = []
    for own in plan.held:
        held = [_Held(problem, channels) for channels in own]
        for block in plan.tap_blocks:
            walk = Walk(pitch=block.count, guard_cols=0, rows=plan.rows, planes=plan.planes)
            parts: list[list[list[SegmentDraft]]] = [[] for _ in streams]
            for low, high in zip(plan.row_parts[:-1], plan.row_parts[1:], strict=True):
                segments = _segments(
                    problem,
                    held,
                    streams,
                    block,
                    walk,
                    (int(low), int(high)),
                    config,
                    trim=plan.trim,
                    reorder=reorder,
                    ramp=ramp,
                )
                for jobs_of_stream, drafts in zip(parts, segments, strict=True):
                    jobs_of_stream.append(drafts)
            tiles += [
                TileDraft(
                    plane_index=np.stack(
                        [_pad(channels * problem.held_stride, plan.planes) for channels in own]
                    ),
                    row_index=np.tile(
                        _pad(stream.channels * problem.streamed_stride, plan.rows), (len(own), 1)
                    ),
                    col_index=np.tile(_tap_index(problem, block), (len(own), 1)),
                    walk=walk,
                    parts=jobs_of_stream,
                )
                for stream, jobs_of_stream in zip(streams, parts, strict=True)
            ]
    return tiles


def _pad(index: np.ndarray, count: int) -> np.ndarray:
    return np.concatenate([index, np.full(count - index.size, ABSENT, dtype=np.int64)])


def _tap_index(problem: KernelProblem, block: TapBlock) -> np.ndarray:
    rows = Ranking.of(problem.rows.kernel).order[block.row_low : block.row_high]
    cols = Ranking.of(problem.cols.kernel).order[block.col_low : block.col_high]
    return (rows[:, None] * problem.kernel_cols + cols).ravel()


class _Held:
    """Stationary nonzeros of one PE's channels, found by row."""

    def __init__(self, problem: KernelProblem, channels: np.ndarray) -> None:
        plane_of = np.full(problem.held_channels, -1)
        plane_of[channels] = np.arange(channels.size)
        plane = plane_of[problem.held.minor]
        mine = np.flatnonzero(plane >= 0)
        taken = problem.held.take(mine)
        row = taken.major * problem.rows.extent + taken.row
        # Sorted by pixel: the fiber of a key is then contiguous.
        order = np.lexsort((taken.col, row))
        self.row, self.col, self.value = row[order], taken.col[order], taken.value[order]
        self.plane = plane[mine][order]
        self.start = np.searchsorted(self.row, np.arange(problem.samples * problem.rows.extent + 1))

    def window(self, window: _Window) -> np.ndarray:
        """Find the nonzeros inside a window."""
        index = np.arange(self.start[window.low], self.start[window.high])
        col = self.col[index]
        return index[(col >= window.col_low) & (col < window.col_high)]


class _Streamed:
    """Streamed nonzeros of one tile's channels, found by row."""

    def __init__(self, problem: KernelProblem, channels: np.ndarray) -> None:
        self.channels = channels
        position = np.full(problem.streamed_channels, -1)
        position[channels] = np.arange(channels.size)
        taken = problem.streamed.take(np.flatnonzero(position[problem.streamed.minor] >= 0))
        words = Nonzeros(taken.major, position[taken.minor], taken.row, taken.col, taken.value)
        self.regions = WordRegions(words, problem.samples, problem.streamed_rows, problem.rows)


def _windows(
    problem: KernelProblem,
    held: list[_Held],
    part: tuple[int, int],
    config: AcceleratorConfig,
    *,
    trim_rows: bool,
    trim_cols: bool,
    ramp: bool,
) -> list[_Window]:
    """Cut the stationary map into windows that fit the stationary memory and the directory."""
    reach = problem.rows.reach, problem.cols.reach
    gap_cols = 0 if trim_cols else reach[1]
    gap_rows = 0 if trim_rows else reach[0]
    extent, cols = problem.rows.extent, problem.cols.extent
    pitch = cols + gap_cols
    rows_limit = min(
        (config.directory_depth - cols) // pitch + 1, _KEY_LIMIT // pitch - 2 * reach[0] - 1
    )
    counts = np.stack([np.diff(pe.start[part[0] : part[1] + 1]) for pe in held])
    limit = max(config.a_depth // 16, 1) if ramp else config.a_depth
    windows: list[_Window] = []
    row = part[0]
    while row < part[1]:
        end, total = row, np.zeros(len(held), dtype=np.int64)
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
                _Window(
                    low=row, high=end, col_low=0, col_high=cols, pitch=pitch, sample_gap=gap_rows
                )
            )
        row = end
        # Computing on an entry takes only a few times as long as loading it.
        limit = min(2 * limit, config.a_depth)
    return windows


def _cut_row(
    problem: KernelProblem,
    held: list[_Held],
    row: int,
    config: AcceleratorConfig,
    reach: tuple[int, int],
    gap_cols: int,
) -> list[_Window]:
    """Cut one row into windows of columns."""
    cols = problem.cols.extent
    counts = np.stack(
        [np.bincount(pe.col[pe.start[row] : pe.start[row + 1]], minlength=cols) for pe in held]
    )
    widest = min(config.directory_depth, _KEY_LIMIT // (2 * reach[0] + 2) - gap_cols)
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
            _Window(
                low=row,
                high=row + 1,
                col_low=low,
                col_high=high,
                pitch=high - low + gap_cols,
                sample_gap=0,
            )
        )
        low = high
    return windows


def _clip(classes: Classes, low: int, high: int) -> tuple[np.ndarray, np.ndarray]:
    first = np.clip(classes.first[0], low, high)
    last = np.clip(classes.last[0], low, high)
    return first, np.maximum(first, last)


def _tap_lists(
    problem: KernelProblem, block: TapBlock, rows: Classes, cols: Classes, pitch: int
) -> _TapLists:
    """List the taps of every pair of classes."""
    row_order = Ranking.of(problem.rows.kernel).order
    col_order = Ranking.of(problem.cols.kernel).order
    row_range = _clip(rows, block.row_low, block.row_high)
    col_range = _clip(cols, block.col_low, block.col_high)
    deltas, offsets, lasts = [], [], []
    count = (row_range[1] - row_range[0])[:, None] * (col_range[1] - col_range[0])[None, :]
    start = np.cumsum(count.ravel()).reshape(count.shape) - count
    for row_first, row_last in zip(*row_range, strict=True):
        for col_first, col_last in zip(*col_range, strict=True):
            row, col = np.meshgrid(
                np.arange(row_first, row_last), np.arange(col_first, col_last), indexing="ij"
            )
            row, col = row.ravel(), col.ravel()
            deltas.append(
                problem.rows.kernel.shift[row_order[row]] * pitch
                + problem.cols.kernel.shift[col_order[col]]
            )
            offsets.append(
                (row - block.row_low) * (block.col_high - block.col_low) + col - block.col_low
            )
            lasts.append(np.arange(row.size) == row.size - 1)
    key_delta, offset_delta = np.concatenate(deltas), np.concatenate(offsets)
    packed = pack_taps(key_delta, offset_delta, np.concatenate(lasts).astype(np.int64))
    return _TapLists(packed, key_delta, offset_delta, start, count)


def _tap_total(block: TapBlock, rows: Classes, cols: Classes) -> int:
    row_range = _clip(rows, block.row_low, block.row_high)
    col_range = _clip(cols, block.col_low, block.col_high)
    return int((row_range[1] - row_range[0]).sum() * (col_range[1] - col_range[0]).sum())


def _segments(
    problem: KernelProblem,
    held: list[_Held],
    streams: list[_Streamed],
    block: TapBlock,
    walk: Walk,
    part: tuple[int, int],
    config: AcceleratorConfig,
    *,
    trim: bool,
    reorder: bool,
    ramp: bool,
) -> list[list[SegmentDraft]]:
    """Segments of one part of the contraction, for every set of streamed channels.

    The load blocks do not depend on the streamed channels.
    """
    row_ranking, col_ranking = Ranking.of(problem.rows.kernel), Ranking.of(problem.cols.kernel)
    for trim_rows, trim_cols in ((trim, trim), (trim, False), (False, False)):
        windows = _windows(
            problem, held, part, config, trim_rows=trim_rows, trim_cols=trim_cols, ramp=ramp
        )
        classes = [
            _window_classes(
                problem,
                streams[0].regions,
                row_ranking,
                col_ranking,
                window,
                trim_rows=trim_rows,
                trim_cols=trim_cols,
            )
            for window in windows
        ]
        if all(_tap_total(block, rows, cols) <= config.taps_depth for rows, cols in classes):
            break
    drafts: list[list[SegmentDraft]] = [[] for _ in streams]
    for window, (rows, cols) in zip(windows, classes, strict=True):
        if rows.count == 0 or cols.count == 0:
            # No streamed pixel reaches the window.
            continue
        taps = _tap_lists(problem, block, rows, cols, window.pitch)
        tiles = [_pe_tile(problem, pe, window, walk) for pe in held]
        load = pack_load(taps.packed, tiles)
        keys = max(tile.length.size for tile in tiles)
        lengths = np.stack([np.pad(tile.length, (0, keys - tile.length.size)) for tile in tiles])
        for stream, segments in zip(streams, drafts, strict=True):
            segments.append(
                _stream_segment(
                    problem,
                    stream,
                    window,
                    rows,
                    cols,
                    taps,
                    load,
                    lengths,
                    tap_pitch=walk.pitch,
                    reorder=reorder,
                )
            )
    return [[s for s in segments if s.products.any()] for segments in drafts]


def _window_classes(
    problem: KernelProblem,
    regions: WordRegions,
    row_ranking: Ranking,
    col_ranking: Ranking,
    window: _Window,
    *,
    trim_rows: bool,
    trim_cols: bool,
) -> tuple[Classes, Classes]:
    exact = regions.ranges(window.low, window.high)
    samples = exact[0].size // problem.streamed_rows
    phases = row_ranking.phase_range(problem.rows.map)
    loose = (np.tile(phases[0], samples), np.tile(phases[1], samples))
    rows = classify([exact], None if trim_rows else [loose])
    cols = classify(
        [col_ranking.window(problem.cols.map, window.col_low, window.col_high)],
        None if trim_cols else [col_ranking.phase_range(problem.cols.map)],
    )
    return rows, cols


def _row_base(problem: KernelProblem, window: _Window, sample: np.ndarray) -> np.ndarray:
    """Row of the key space at which a sample's row 0 lies."""
    first = window.low // problem.rows.extent
    return sample * problem.rows.extent - window.low + (sample - first) * window.sample_gap


def _pe_tile(problem: KernelProblem, pe: _Held, window: _Window, walk: Walk) -> PeTile:
    index = pe.window(window)
    sample, row = np.divmod(pe.row[index], problem.rows.extent)
    key = (_row_base(problem, window, sample) + row) * window.pitch + pe.col[index] - window.col_low
    length = np.bincount(key)
    return PeTile(
        start=np.where(length > 0, np.cumsum(length) - length, 0),
        length=length,
        value=pe.value[index],
        offset=pe.plane[index] * (walk.rows * walk.pitch),
    )


@numba.njit(cache=True)
def _count_products(
    lengths: np.ndarray,
    key: np.ndarray,
    tap_start: np.ndarray,
    tap_count: np.ndarray,
    key_delta: np.ndarray,
) -> np.ndarray:
    """Products (pes, words) of every word over its list of taps."""
    products = np.zeros((lengths.shape[0], key.size), dtype=np.int64)
    for word in range(key.size):
        for tap in range(tap_start[word], tap_start[word] + tap_count[word]):
            target = key[word] + key_delta[tap]
            if 0 <= target < lengths.shape[1]:
                for pe in range(lengths.shape[0]):
                    products[pe, word] += lengths[pe, target]
    return products


def _stream_segment(
    problem: KernelProblem,
    stream: _Streamed,
    window: _Window,
    rows: Classes,
    cols: Classes,
    taps: _TapLists,
    load: np.ndarray,
    lengths: np.ndarray,
    *,
    tap_pitch: int,
    reorder: bool,
) -> SegmentDraft:
    words, _, row_base = stream.regions.window(window.low, window.high)
    row_class, col_class = rows.of[words.row], cols.of[words.col]
    keep = np.flatnonzero((row_class >= 0) & (col_class >= 0))
    row_class, col_class = row_class[keep], col_class[keep]
    words, row_base = words.take(keep), row_base[keep]
    gap = (words.major - window.low // problem.rows.extent) * window.sample_gap
    key = (row_base + gap) * window.pitch + problem.cols.map.shift[words.col] - window.col_low
    tap_start, tap_count = taps.start[row_class, col_class], taps.count[row_class, col_class]
    products = _count_products(lengths, key, tap_start, tap_count, taps.key_delta)
    order = np.flatnonzero(products.any(axis=0))
    if reorder:
        chosen = np.ascontiguousarray(products[:, order])
        order = order[interleave(chosen, np.arange(order.size))]
    return SegmentDraft(
        load=load,
        tap_count=taps.key_delta.size,
        stream=pack_stream(
            words.value[order], words.minor[order] * tap_pitch, key[order], tap_start[order]
        ),
        products=products[:, order].sum(axis=1),
        lookups=int(tap_count[order].sum()),
    )
