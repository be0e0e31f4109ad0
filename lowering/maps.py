"""Jobs of the passes that produce maps: forward and input gradient, either operand stationary."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gscn.config import AcceleratorConfig
from gscn.conv import ConvShape, Pass
from lowering.drafts import SegmentDraft, TileDraft, Walk
from lowering.geometry import Axis, Classes, Ranking, Side, classify, gather_axis, scatter_axis
from lowering.matching import Stationary, WordSet, match
from lowering.operands import Nonzeros
from lowering.program import ABSENT
from lowering.regions import WordRegions


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

    @classmethod
    def of(cls, shape: ConvShape, which: Pass, first: np.ndarray, second: np.ndarray) -> MapProblem:
        """Reduce a pass to maps and kernels."""
        make_axis = gather_axis if which is Pass.FORWARD else scatter_axis
        kernel = first if which is Pass.FORWARD else first.transpose(1, 0, 2, 3)
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
        )

    @property
    def plane_cells(self) -> int:
        """Elements of one plane of the result."""
        return self.rows.extent * self.cols.extent


@dataclass(frozen=True, kw_only=True, slots=True)
class KernelStationary:
    """Tiling with kernels held in the PEs and maps streamed."""

    owners: list[list[np.ndarray]]
    """Result channels of each tile and PE."""
    planes: int
    row_bounds: np.ndarray
    """Cuts of all result rows of all samples, counted through."""
    col_bounds: np.ndarray
    channel_parts: list[np.ndarray]
    """Channels summed over in each part of the contraction."""
    trim: bool


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


def _part_of_channel(parts: list[np.ndarray], channels: int) -> np.ndarray:
    part = np.zeros(channels, dtype=np.int64)
    for number, members in enumerate(parts):
        part[members] = number
    return part


def _pad_index(index: np.ndarray, count: int) -> np.ndarray:
    return np.concatenate([index, np.full(count - index.size, ABSENT, dtype=np.int64)])


def kernel_stationary_tiles(
    problem: MapProblem, plan: KernelStationary, config: AcceleratorConfig, *, reorder: bool
) -> list[TileDraft]:
    """Build every tile of the result with the kernels stationary."""
    pes = config.pes_per_cluster
    row_ranking, col_ranking = Ranking.of(problem.rows.kernel), Ranking.of(problem.cols.kernel)
    held = [
        [_held_kernels(problem.kernel, own, row_ranking, col_ranking) for own in tile]
        for tile in plan.owners
    ]
    part_of_channel = _part_of_channel(plan.channel_parts, problem.channels)
    regions = WordRegions(problem.maps, problem.samples, problem.map_rows, problem.rows)
    tile_count = len(plan.owners) * (len(plan.row_bounds) - 1) * (len(plan.col_bounds) - 1)
    ramp = tile_count * len(plan.channel_parts) <= 8 * config.clusters
    guard = 0 if plan.trim else problem.cols.reach
    tiles = []
    for col_low, col_high in zip(plan.col_bounds[:-1], plan.col_bounds[1:], strict=True):
        window = (int(col_low), int(col_high))
        loose = None if plan.trim else col_ranking.phase_range(problem.cols.map)
        cols = _col_classes(col_ranking, problem.cols.map, [window] * pes, loose)
        pitch = int(col_high - col_low) + guard
        for low, high in zip(plan.row_bounds[:-1], plan.row_bounds[1:], strict=True):
            walk = Walk(pitch=pitch, guard_cols=guard, rows=int(high - low), planes=plan.planes)
            words, row_classes, row_base = regions.window(int(low), int(high), pes)
            offset = row_base * pitch + problem.cols.map.shift[words.col] - col_low + guard
            part = part_of_channel[words.minor]
            word_sets = []
            for number in range(len(plan.channel_parts)):
                chosen = np.flatnonzero(part == number)
                word_sets.append(WordSet.of(words.take(chosen), offset[chosen], row_classes, cols))
            for own, stationary in zip(plan.owners, held, strict=True):
                offsets = [
                    pe.plane * (walk.rows * pitch)
                    + problem.rows.kernel.shift[pe.nonzeros.row] * pitch
                    + problem.cols.kernel.shift[pe.nonzeros.col]
                    for pe in stationary
                ]
                parts = [
                    match(config, stationary, offsets, chosen, reorder=reorder, ramp=ramp)
                    for chosen in word_sets
                ]
                tiles.append(
                    TileDraft(
                        plane_index=np.stack(
                            [_pad_index(pe * problem.plane_cells, plan.planes) for pe in own]
                        ),
                        row_index=np.tile(_row_index(problem, int(low), int(high)), (pes, 1)),
                        col_index=np.tile(np.arange(col_low, col_high), (pes, 1)),
                        walk=walk,
                        parts=parts,
                    )
                )
    return tiles


def _row_index(problem: MapProblem, low: int, high: int) -> np.ndarray:
    sample, row = np.divmod(np.arange(low, high), problem.rows.extent)
    return sample * problem.owners * problem.plane_cells + row * problem.cols.extent


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
    row_ranking, col_ranking = Ranking.of(problem.rows.map), Ranking.of(problem.cols.map)
    part_of_channel = _part_of_channel(plan.channel_parts, problem.channels)
    tile_count = len(plan.owners) * len(plan.strips) * (len(plan.col_bounds) - 1)
    ramp = tile_count * len(plan.channel_parts) <= 8 * config.clusters
    guard = 0 if plan.trim else problem.cols.reach
    by_sample = np.searchsorted(problem.maps.major, np.arange(problem.samples + 1))
    held = [
        Stationary.of(words, np.zeros_like(words.major), row_ranking, col_ranking)
        for words in (
            problem.maps.take(slice(int(by_sample[n]), int(by_sample[n + 1])))
            for n in range(problem.samples)
        )
    ]
    sets = []
    for own in plan.owners:
        plane_of = np.full(problem.owners, -1)
        plane_of[own] = np.arange(own.size)
        words = problem.kernel.take(np.flatnonzero(plane_of[problem.kernel.major] >= 0))
        sets.append((own, words, plane_of[words.major], part_of_channel[words.minor]))
    tiles = []
    for col_low, col_high in zip(plan.col_bounds[:-1], plan.col_bounds[1:], strict=True):
        window = (int(col_low), int(col_high))
        pitch = window[1] - window[0] + guard
        walk = Walk(pitch=pitch, guard_cols=guard, rows=plan.rows, planes=plan.planes)
        # Pixels that reach the strip with no kernel position would overrun the guard cells.
        kernel = problem.cols.kernel
        anywhere = Side(kernel.phase, np.zeros_like(kernel.shift))
        reaching = col_ranking.window(anywhere, window[0], window[1] + problem.cols.reach)
        loose = None if plan.trim else reaching
        for group in plan.strips:
            cols = _col_classes(col_ranking, problem.cols.kernel, [window] * len(group), loose)
            rows = classify([row_ranking.window(problem.rows.kernel, s.low, s.high) for s in group])
            stationary = [held[strip.sample] for strip in group]
            offsets = [
                (problem.rows.map.shift[pe.nonzeros.row] - strip.low) * pitch
                + problem.cols.map.shift[pe.nonzeros.col]
                - window[0]
                + guard
                for pe, strip in zip(stationary, group, strict=True)
            ]
            row_index = np.stack([_strip_index(problem, s, plan.rows) for s in group])
            for own, words, plane, part in sets:
                offset = (
                    plane * (walk.rows * pitch)
                    + problem.rows.kernel.shift[words.row] * pitch
                    + problem.cols.kernel.shift[words.col]
                )
                parts: list[list[SegmentDraft]] = []
                for number in range(len(plan.channel_parts)):
                    chosen = np.flatnonzero(part == number)
                    word_set = WordSet.of(words.take(chosen), offset[chosen], rows, cols)
                    parts.append(
                        match(config, stationary, offsets, word_set, reorder=reorder, ramp=ramp)
                    )
                plane_index = _pad_index(own * problem.plane_cells, plan.planes)
                tiles.append(
                    TileDraft(
                        plane_index=np.tile(plane_index, (len(group), 1)),
                        row_index=row_index,
                        col_index=np.tile(np.arange(*window), (len(group), 1)),
                        walk=walk,
                        parts=parts,
                    )
                )
    return tiles


def _strip_index(problem: MapProblem, strip: Strip, rows: int) -> np.ndarray:
    base = strip.sample * problem.rows.extent
    return _pad_index(_row_index(problem, base + strip.low, base + strip.high), rows)
