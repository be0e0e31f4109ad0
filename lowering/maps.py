"""Jobs of the passes that produce maps: forward and input gradient, either operand stationary."""

# Long: as it is until lowering is rewritten for streams that the chip cuts itself.

from __future__ import annotations

import dataclasses
import itertools
from dataclasses import dataclass

import numpy as np

from gscn.config import BANKS, AcceleratorConfig
from gscn.conv import ConvShape, Pass
from gscn.enums import takes_text
from gscn.lowering.balance import bin_of_item
from gscn.lowering.drafts import SegmentDraft, TileDraft, Walk, pad_index
from gscn.lowering.geometry import Axis, Classes, Ranking, Side, classify, gather_axis, scatter_axis
from gscn.lowering.matching import (
    HeldTile,
    KeyLayout,
    Stationary,
    WordSet,
    distinct_codes,
    hold,
    match,
)
from gscn.lowering.operands import Nonzeros
from gscn.lowering.pointwise import Pixels, as_maps, is_pointwise, matrix_shape, spread
from gscn.lowering.regions import WordRegions
from gscn.lowering.zeros import Zeros


@dataclass(frozen=True, slots=True)
class MapProblem:
    """A forward or input-gradient pass: result[n, o] = sum over i of maps[n, i] and kernel[o, i].

    Kernel nonzeros have major o and minor i; map nonzeros have major n and minor i.
    """

    rows: Axis
    cols: Axis
    kernel: Nonzeros
    maps: Nonzeros
    samples: int
    owners: int
    """Channels of the result."""
    channels: int
    """Channels summed over."""
    map_rows: int
    map_cols: int
    row_at: np.ndarray
    """Flat index in the result of each row of channel 0, counted through all samples."""
    col_at: np.ndarray
    """Distance in the result of each column from column 0."""
    plane_cells: int
    """Elements of one plane of the result."""
    zeros: Zeros | None = None
    """Rows and columns of the result that nothing reaches, and that are not among the above."""

    @property
    def result_count(self) -> int:
        """Elements of the result."""
        zeros = self.zeros.count if self.zeros else 0
        return self.owners * self.row_at.size * self.cols.extent + zeros

    @classmethod
    @takes_text
    def of(cls, shape: ConvShape, which: Pass, first: np.ndarray, second: np.ndarray) -> MapProblem:
        """Reduce a pass to maps and kernels.

        The input gradient of a strided 1x1 convolution is 0 between the pixels that it meets.
        """
        if which is Pass.INPUT_GRAD and shape.stride != (1, 1) and is_pointwise(shape):
            return cls._between(shape, first, second)
        return cls._of(shape, which, first, second)

    @classmethod
    def _of(
        cls, shape: ConvShape, which: Pass, first: np.ndarray, second: np.ndarray
    ) -> MapProblem:
        make_axis = gather_axis if which is Pass.FORWARD else scatter_axis
        kernel = first if which is Pass.FORWARD else first.transpose(1, 0, 2, 3)
        extents = (shape.p, shape.q) if which is Pass.FORWARD else (shape.h, shape.w)
        sample, row = np.divmod(np.arange(shape.n * extents[0]), extents[0])
        return cls(
            make_axis(shape, 0),
            make_axis(shape, 1),
            Nonzeros.of(kernel),
            Nonzeros.of(second),
            shape.n,
            kernel.shape[0],
            kernel.shape[1],
            second.shape[2],
            second.shape[3],
            (sample * kernel.shape[0] * extents[0] + row) * extents[1],
            np.arange(extents[1]),
            extents[0] * extents[1],
        )

    @classmethod
    def _between(cls, shape: ConvShape, weights: np.ndarray, grads: np.ndarray) -> MapProblem:
        """Reduce the input gradient of a pointwise convolution to the pixels that it meets.

        They come in an order in which every run of them has about the same work for its results.
        """
        pixels = Pixels.of(shape)
        work = np.count_nonzero(weights, axis=(1, 2, 3)) @ (pixels.outputs(grads) != 0)
        pixels = pixels.take(spread(work.astype(np.float64)))
        problem = cls._of(
            matrix_shape(shape, pixels), Pass.INPUT_GRAD, weights, as_maps(pixels.outputs(grads))
        )
        row_at = (pixels.sample * shape.c * shape.h + pixels.in_row) * shape.w + pixels.in_col
        return dataclasses.replace(
            problem,
            row_at=row_at,
            plane_cells=shape.h * shape.w,
            zeros=Zeros.of(shape, pixels.in_row, pixels.in_col),
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class KernelStationary:
    """Tiling with kernels held in the PEs and maps streamed."""

    owners: list[list[np.ndarray]]
    """Result channels of each tile and PE."""
    planes: int
    row_bounds: list[np.ndarray]
    """Cuts of all result rows of all samples, counted through, for each tile."""
    col_bounds: np.ndarray
    channel_parts: list[np.ndarray]
    """Channels summed over in each part of the contraction."""
    trim: bool
    late_row: int
    """Jobs of this result row and later ones are queued after the others of all tiles."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Strip:
    """Part of one sample's result plane."""

    sample: int
    low: int
    high: int


@dataclass(frozen=True, kw_only=True, slots=True)
class MapStationary:
    """Tiling with maps held in the PEs and kernels streamed."""

    owners: list[np.ndarray]
    """Result channels of each tile."""
    planes: int
    strips: list[list[Strip]]
    """Strip of each PE, for every group of PEs."""
    rows: int
    """Rows of the longest strip."""
    col_bounds: np.ndarray
    channel_parts: list[np.ndarray]
    trim: bool


def _col_classes(
    ranking: Ranking, other: Side, windows: list[tuple[int, int]], loose: tuple | None
) -> Classes:
    exact = [ranking.window(other, low, high) for low, high in windows]
    return classify(exact, None if loose is None else [loose] * len(windows))


def _common(classes: list[Classes]) -> list[Classes]:
    """Give the classes of all regions, or strips, the same numbers."""
    tables = [np.concatenate([each.first, each.last]) for each in classes]
    merged, inverse = np.unique(np.concatenate(tables, axis=1), axis=1, return_inverse=True)
    pes = merged.shape[0] // 2
    common, position = [], 0
    for each in classes:
        number = inverse.ravel()[position : position + each.count]
        position += each.count
        of = np.append(number, -1)[each.of]
        common.append(Classes(of, merged[:pes], merged[pes:]))
    return common


_REUSE = 0.5
"""Share of the keys of all regions that a region must use to have the same load blocks."""


def kernel_stationary_tiles(
    problem: MapProblem, plan: KernelStationary, config: AcceleratorConfig, *, reorder: bool
) -> list[TileDraft]:
    """Build every tile of the result with the kernels stationary.

    The accumulators of a row of the result lie together, all channels of it, so that the offsets of
    the kernels do not depend on how many rows a region has: load blocks are the same for all
    regions.
    """
    # Long: as it is until lowering is rewritten for streams that the chip cuts itself.
    pes = config.pes_per_cluster
    row_ranking, col_ranking = Ranking.of(problem.rows.kernel), Ranking.of(problem.cols.kernel)
    held = [
        [_held_kernels(problem.kernel, own, row_ranking, col_ranking) for own in tile]
        for tile in plan.owners
    ]
    part_count = len(plan.channel_parts)
    kernel_rows = row_ranking.rank.size
    part_of_channel = bin_of_item(plan.channel_parts, problem.channels)
    regions = WordRegions(problem.maps, problem.samples, problem.map_rows, problem.rows)
    guard = 0 if plan.trim else problem.cols.reach
    spans = sorted(
        {
            (int(low), int(high))
            for bounds in plan.row_bounds
            for low, high in itertools.pairwise(bounds)
        }
    )
    found = [regions.window(low, high, pes) for low, high in spans]
    row_classes = _common([classes for _, classes, _ in found])
    windows = list(itertools.pairwise(plan.col_bounds.tolist()))
    # Strips of equal width have the same offsets, so that they can share load blocks.
    widths = {
        high - low: [w for w in windows if w[1] - w[0] == high - low] for low, high in windows
    }
    shapes = []
    for width, strips in widths.items():
        pitch = width + guard
        loose = None if plan.trim else col_ranking.phase_range(problem.cols.map)
        col_classes = _common(
            [_col_classes(col_ranking, problem.cols.map, [strip] * pes, loose) for strip in strips]
        )
        layout = KeyLayout.of(row_classes[0], col_classes[0], kernel_rows, config)
        sets: list[list[WordSet]] = [[] for _ in range(part_count)]
        for (low, _), cols in zip(strips, col_classes, strict=True):
            for (words, _, row_base), rows in zip(found, row_classes, strict=True):
                offset = row_base * (plan.planes * pitch) + problem.cols.map.shift[words.col]
                offset += guard - low
                part = part_of_channel[words.minor]
                for number, part_sets in enumerate(sets):
                    chosen = np.flatnonzero(part == number)
                    part_sets.append(
                        WordSet.of(
                            words.take(chosen), offset[chosen], rows.of, cols.of, layout,
                            kernel_rows,
                        )
                    )  # fmt: skip
        shapes.append((strips, pitch, layout, sets))
    tiles: list[TileDraft] = []
    ranks = [0, 0]
    job_count = part_count * len(windows) * sum(bounds.size - 1 for bounds in plan.row_bounds)
    for own, stationary, bounds in zip(plan.owners, held, plan.row_bounds, strict=True):
        chosen_spans = [
            spans.index((low, high)) for low, high in itertools.pairwise(bounds.tolist())
        ]
        for strips, pitch, layout, sets in shapes:
            offsets = [
                pe.plane * pitch
                + problem.rows.kernel.shift[pe.nonzeros.row] * (plan.planes * pitch)
                + problem.cols.kernel.shift[pe.nonzeros.col]
                for pe in stationary
            ]
            drafts = {}
            for number, strip in enumerate(strips):
                for i in chosen_spans:
                    low, high = spans[i]
                    drafts[number * len(spans) + i] = TileDraft(
                        plane_index=np.tile(problem.row_at[low:high], (pes, 1)),
                        row_index=np.stack(
                            [pad_index(pe * problem.plane_cells, plan.planes) for pe in own]
                        ),
                        col_index=np.tile(problem.col_at[slice(*strip)], (pes, 1)),
                        walk=Walk(
                            pitch=pitch, guard_cols=guard, rows=plan.planes, planes=high - low
                        ),
                        parts=[[] for _ in range(part_count)],
                        ranks=[0 for _ in range(part_count)],
                    )
            tiles += drafts.values()
            # Jobs that hold the same follow each other: a cluster that goes on with the same load
            # blocks need not load them again. Small jobs at the end let the clusters end together.
            for part, part_sets in enumerate(sets):
                builder = _Builder(
                    config, stationary, offsets, layout, part_sets, list(drafts),
                    alone=len(drafts) <= config.clusters,
                )  # fmt: skip
                late = {i for i in drafts if spans[i % len(spans)][0] >= plan.late_row}
                for i in sorted(
                    drafts, key=lambda i, b=builder, late=late: (i in late, -b.work(i))
                ):
                    wave = int(i in late)
                    place = wave * job_count + ranks[wave]
                    drafts[i].place(part, place, builder.segments(i, place, reorder=reorder))
                    ranks[wave] += 1
    return tiles


class _Builder:
    """Builds the segments of one tile and part of the contraction for every region.

    Where these fit the banks, so that they stay, or where regions use most keys, all regions share
    the load blocks; else each has blocks of its own keys. `alone`: no cluster has two of the jobs.
    """

    def __init__(
        self,
        config: AcceleratorConfig,
        held: list[Stationary],
        offsets: list[np.ndarray],
        layout: KeyLayout,
        sets: list[WordSet],
        used: list[int],
        *,
        alone: bool,
    ) -> None:
        self._config, self._held, self._offsets = config, held, offsets
        self._layout, self._sets = layout, sets
        self._codes = distinct_codes([sets[i] for i in used])
        self._tiles: dict[bool, HeldTile] = {}
        own = sum(distinct_codes([sets[i]]).size for i in used)
        # What stays is loaded whole at once; smaller pieces would only be loaded a second time.
        fits = len(self._tile(ramp=False).blocks) <= BANKS
        self._ramp = alone or not fits
        self._shared = fits or own >= _REUSE * self._codes.size * len(used)

    def _tile(self, *, ramp: bool) -> HeldTile:
        if ramp not in self._tiles:
            self._tiles[ramp] = self._hold(self._codes, ramp=ramp)
        return self._tiles[ramp]

    def _hold(self, codes: np.ndarray, *, ramp: bool) -> HeldTile:
        return hold(self._config, self._held, self._offsets, codes, self._layout, ramp=ramp)

    def work(self, region: int) -> float:
        """Products of the busiest PE."""
        return float(self._tile(ramp=False).products(self._sets[region]).max())

    def segments(self, region: int, rank: int, *, reorder: bool) -> list[SegmentDraft]:
        """Build the segments of one region, of which the jobs that start first begin small."""
        ramp = rank < self._config.clusters and self._ramp
        words = self._sets[region]
        tile = (
            self._tile(ramp=ramp)
            if self._shared
            else self._hold(distinct_codes([words]), ramp=ramp)
        )
        return match(tile, words, reorder=reorder)


def _held_kernels(kernel: Nonzeros, own: np.ndarray, rows: Ranking, cols: Ranking) -> Stationary:
    plane_of = np.full(int(max(kernel.major.max(initial=0), own.max(initial=0))) + 1, -1)
    plane_of[own] = np.arange(own.size)
    plane = plane_of[kernel.major]
    mine = plane >= 0
    return Stationary.of(kernel.take(mine), plane[mine], rows, cols)


def map_stationary_tiles(
    problem: MapProblem, plan: MapStationary, config: AcceleratorConfig, *, reorder: bool
) -> list[TileDraft]:
    """Build every tile of the result with the maps stationary."""
    # Long: as it is until lowering is rewritten for streams that the chip cuts itself.
    row_ranking, col_ranking = Ranking.of(problem.rows.map), Ranking.of(problem.cols.map)
    part_of_channel = bin_of_item(plan.channel_parts, problem.channels)
    part_count = len(plan.channel_parts)
    guard = 0 if plan.trim else problem.cols.reach
    by_sample = np.searchsorted(problem.maps.major, np.arange(problem.samples + 1))
    held = [
        Stationary.of(words, np.zeros_like(words.major), row_ranking, col_ranking)
        for words in (
            problem.maps.take(slice(int(by_sample[n]), int(by_sample[n + 1])))
            for n in range(problem.samples)
        )
    ]
    owned = []
    for own in plan.owners:
        plane_of = np.full(problem.owners, -1)
        plane_of[own] = np.arange(own.size)
        words = problem.kernel.take(np.flatnonzero(plane_of[problem.kernel.major] >= 0))
        owned.append((own, words, plane_of[words.major], part_of_channel[words.minor]))
    tiles: list[TileDraft] = []
    rank = 0
    for col_low, col_high in itertools.pairwise(plan.col_bounds.tolist()):
        window = (col_low, col_high)
        pitch = col_high - col_low + guard
        walk = Walk(pitch=pitch, guard_cols=guard, rows=plan.rows, planes=plan.planes)
        # Pixels that reach the strip with no kernel position would overrun the guard cells.
        kernel = problem.cols.kernel
        anywhere = Side(kernel.phase, np.zeros_like(kernel.shift))
        reaching = col_ranking.window(anywhere, col_low, col_high + problem.cols.reach)
        loose = None if plan.trim else reaching
        for group in plan.strips:
            cols = _col_classes(col_ranking, problem.cols.kernel, [window] * len(group), loose)
            rows = classify([row_ranking.window(problem.rows.kernel, s.low, s.high) for s in group])
            layout = KeyLayout.of(rows, cols, None, config)
            stationary = [held[strip.sample] for strip in group]
            offsets = [
                (problem.rows.map.shift[pe.nonzeros.row] - strip.low) * pitch
                + problem.cols.map.shift[pe.nonzeros.col]
                - col_low
                + guard
                for pe, strip in zip(stationary, group, strict=True)
            ]
            row_index = np.stack([_strip_index(problem, s, plan.rows) for s in group])
            sets: list[list[WordSet]] = [[] for _ in range(part_count)]
            for _, words, plane, part in owned:
                offset = (
                    plane * (walk.rows * pitch)
                    + problem.rows.kernel.shift[words.row] * pitch
                    + problem.cols.kernel.shift[words.col]
                )
                for number, part_sets in enumerate(sets):
                    chosen = np.flatnonzero(part == number)
                    part_sets.append(
                        WordSet.of(words.take(chosen), offset[chosen], rows.of, cols.of, layout, 1)
                    )
            drafts = [
                TileDraft(
                    plane_index=np.tile(
                        pad_index(own * problem.plane_cells, plan.planes), (len(group), 1)
                    ),
                    row_index=row_index,
                    col_index=np.tile(problem.col_at[slice(*window)], (len(group), 1)),
                    walk=walk,
                    parts=[[] for _ in sets],
                    ranks=[0 for _ in sets],
                )
                for own, *_ in owned
            ]
            tiles += drafts
            for part, part_sets in enumerate(sets):
                builder = _Builder(
                    config, stationary, offsets, layout, part_sets, list(range(len(owned))),
                    alone=len(owned) <= config.clusters,
                )  # fmt: skip
                work = [builder.work(i) for i in range(len(owned))]
                for i in np.argsort(-np.array(work), kind="stable").tolist():
                    drafts[i].place(part, rank, builder.segments(i, rank, reorder=reorder))
                    rank += 1
    return tiles


def _strip_index(problem: MapProblem, strip: Strip, rows: int) -> np.ndarray:
    base = strip.sample * problem.rows.extent
    return pad_index(problem.row_at[base + strip.low : base + strip.high], rows)
