"""Jobs of the weight gradient: a key is a pixel, a tap a kernel position or a kernel row.

Both operands are maps; either may be stationary. With separate kernel columns a key is a pixel of
the stationary map, and a streamed word looks up one pixel per kernel position. With folded columns
a key is a stationary row and a streamed column; its fiber is the range of the row's entries that
the column meets, and a word looks up one per kernel row.

Words at a border name shorter lists of taps, so that a key never runs into another row or sample.
Where the many lists do not fit the tap memory, guard cells between rows and samples keep the keys
apart instead.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from gscn.config import AcceleratorConfig
from gscn.lowering.drafts import (
    PeTile,
    SegmentDraft,
    TileDraft,
    Walk,
    pack_load,
    pack_taps,
    pad_index,
)
from gscn.lowering.geometry import Classes, Ranking, classify
from gscn.lowering.operands import Nonzeros
from gscn.lowering.regions import WordRegions
from gscn.lowering.stream_groups import arrange
from gscn.lowering.weight_grad import KernelProblem, KernelTiling, TapBlock
from gscn.lowering.windows import HeldMap, Window, cut_windows
from gscn.system.compiled import compiled


@dataclass(frozen=True, slots=True)
class _TapLists:
    """Packed taps and the first tap of each (row class, column class)."""

    packed: np.ndarray
    key_delta: np.ndarray
    offset_delta: np.ndarray
    start: np.ndarray
    count: np.ndarray


def kernel_tiles(
    problem: KernelProblem, plan: KernelTiling, config: AcceleratorConfig, *, reorder: bool
) -> list[TileDraft]:
    """Build every tile of the result."""
    jobs = len(plan.held) * len(plan.streamed) * len(plan.tap_blocks) * (len(plan.row_parts) - 1)
    ramp = plan.ramp if jobs <= 8 * config.clusters else ()
    streams = [_Streamed(problem, own) for own in plan.streamed]
    tiles = []
    for own in plan.held:
        held = [HeldMap(problem, channels) for channels in own]
        for block in plan.tap_blocks:
            walk = Walk(
                pitch=block.count * problem.fold, guard_cols=0, rows=plan.rows, planes=plan.planes
            )
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
            ranks = _ranks(parts, sum(len(tile.parts) for tile in tiles))
            tiles += [
                TileDraft(
                    plane_index=np.stack(
                        [pad_index(channels * problem.held_stride, plan.planes) for channels in own]
                    ),
                    row_index=np.tile(
                        pad_index(stream.channels * problem.streamed_stride, plan.rows),
                        (len(own), 1),
                    ),
                    col_index=np.tile(_tap_index(problem, block), (len(own), 1)),
                    walk=walk,
                    parts=jobs_of_stream,
                    ranks=own_ranks if jobs > config.clusters else None,
                    patience=plan.patience,
                )
                for stream, jobs_of_stream, own_ranks in zip(streams, parts, ranks, strict=True)
            ]
    return tiles


def _ranks(parts: list[list[list[SegmentDraft]]], first: int) -> list[list[int]]:
    """Place the jobs (stream, part) of a tile in the queue, from `first` on.

    Jobs of one part hold the same: next to each other they run at the same time and share what
    they load. The largest come first.
    """
    work = {
        (part, stream): sum(int(segment.products.max()) for segment in segments)
        for stream, jobs in enumerate(parts)
        for part, segments in enumerate(jobs)
    }
    order = sorted(work, key=lambda job: (job[0], -work[job]))
    place = {job: first + rank for rank, job in enumerate(order)}
    return [[place[part, stream] for part in range(len(jobs))] for stream, jobs in enumerate(parts)]


def _tap_index(problem: KernelProblem, block: TapBlock) -> np.ndarray:
    rows = Ranking.of(problem.rows.kernel).order[block.row_low : block.row_high]
    cols = Ranking.of(problem.cols.kernel).order[block.col_low : block.col_high]
    if problem.folded:
        cols = np.arange(problem.kernel_cols)
    return (rows[:, None] * problem.kernel_cols + cols).ravel()


class _Streamed:
    """Streamed nonzeros of one tile's channels, found by row."""

    def __init__(self, problem: KernelProblem, channels: np.ndarray) -> None:
        self.channels = channels
        position = np.full(problem.streamed_channels, -1)
        position[channels] = np.arange(channels.size)
        taken = problem.streamed.take(np.flatnonzero(position[problem.streamed.minor] >= 0))
        words = Nonzeros(taken.major, position[taken.minor], taken.row, taken.col, taken.value)
        self.regions = WordRegions(words, problem.samples, problem.streamed_rows, problem.rows)


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
                ((row - block.row_low) * (block.col_high - block.col_low) + col - block.col_low)
                * problem.fold
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
    held: list[HeldMap],
    streams: list[_Streamed],
    block: TapBlock,
    walk: Walk,
    part: tuple[int, int],
    config: AcceleratorConfig,
    *,
    trim: bool,
    reorder: bool,
    ramp: Sequence[int],
) -> list[list[SegmentDraft]]:
    """Segments of one part of the contraction, for every set of streamed channels.

    The load blocks do not depend on the streamed channels.
    """
    # Wide: as it is until lowering is rewritten for streams that the chip cuts itself.
    row_ranking, col_ranking = Ranking.of(problem.rows.kernel), Ranking.of(problem.cols.kernel)
    for trim_rows, trim_cols in ((trim, trim), (trim, False), (False, False)):
        windows = cut_windows(
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
    window: Window,
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
        [col_ranking.window(problem.cols.map, *_key_cols(problem, window))],
        None if trim_cols else [col_ranking.phase_range(problem.cols.map)],
    )
    return rows, cols


def _key_cols(problem: KernelProblem, window: Window) -> tuple[int, int]:
    """Columns of the key space that the window's keys cover."""
    if problem.folded:
        return 0, problem.cols.extent
    return window.col_low, window.col_high


def _row_base(problem: KernelProblem, window: Window, sample: np.ndarray) -> np.ndarray:
    """Row of the key space at which a sample's row 0 lies."""
    first = window.low // problem.rows.extent
    return sample * problem.rows.extent - window.low + (sample - first) * window.sample_gap


def _pe_tile(problem: KernelProblem, pe: HeldMap, window: Window, walk: Walk) -> PeTile:
    index = pe.window(window)
    sample, row = np.divmod(pe.row[index], problem.rows.extent)
    key_row = _row_base(problem, window, sample) + row
    if window.number is not None:
        key_row = window.number[key_row]
    if problem.folded:
        start, length = _overlapping_fibers(problem, key_row, pe.col[index])
    else:
        length = np.bincount(key_row * window.pitch + pe.col[index] - window.col_low)
        start = np.where(length > 0, np.cumsum(length) - length, 0)
    return PeTile(
        start=start,
        length=length,
        value=pe.value[index],
        offset=pe.plane[index] * (walk.rows * walk.pitch) + pe.part[index],
    )


def _overlapping_fibers(
    problem: KernelProblem, row: np.ndarray, rank: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Directory (start, length) whose keys are (stationary row, streamed column).

    The entries are sorted by `row` and `rank` of their column.
    """
    rows = int(row.max(initial=-1)) + 1
    ranges, ranks = problem.ranges, problem.held_cols
    before = np.zeros(rows * ranks + 1, dtype=np.int64)
    np.cumsum(np.bincount(row * ranks + rank, minlength=rows * ranks), out=before[1:])
    base = np.arange(rows)[:, None] * ranks
    start = before[base + ranges.first].ravel()
    length = before[base + ranges.last].ravel() - start
    used = int(np.flatnonzero(length).max(initial=-1)) + 1
    return np.where(length > 0, start, 0)[:used], length[:used]


@compiled
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
    window: Window,
    rows: Classes,
    cols: Classes,
    taps: _TapLists,
    load: np.ndarray,
    lengths: np.ndarray,
    *,
    tap_pitch: int,
    reorder: bool,
) -> SegmentDraft:
    # Wide: as it is until lowering is rewritten for streams that the chip cuts itself.
    words, _, row_base = stream.regions.window(window.low, window.high)
    row_class, col_class = rows.of[words.row], cols.of[words.col]
    keep = np.flatnonzero((row_class >= 0) & (col_class >= 0))
    row_class, col_class = row_class[keep], col_class[keep]
    words, row_base = words.take(keep), row_base[keep]
    gap = (words.major - window.low // problem.rows.extent) * window.sample_gap
    if window.number is not None:
        row_base = window.number[row_base]
    key = (row_base + gap) * window.pitch + problem.cols.map.shift[words.col] - window.key_low
    tap_start, tap_count = taps.start[row_class, col_class], taps.count[row_class, col_class]
    products = _count_products(lengths, key, tap_start, tap_count, taps.key_delta)
    offset = words.minor * tap_pitch
    if problem.folded:
        offset = offset + problem.ranges.streamed_part[words.col]
    order = np.flatnonzero(products.any(axis=0))
    balance = None
    if reorder:
        balance = (np.ascontiguousarray(products[:, order]), np.arange(order.size))
    return SegmentDraft(
        load=load,
        tap_count=taps.key_delta.size,
        stream=arrange(words.value[order], offset[order], key[order], tap_start[order], balance),
        products=products[:, order].sum(axis=1),
        lookups=int(tap_count[order].sum()),
    )
