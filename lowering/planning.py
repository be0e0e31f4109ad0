"""Choice of a tiling: candidates are costed from nonzero counts and the cheapest is taken."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from gscn.config import AcceleratorConfig
from gscn.errors import InputError
from lowering.balance import JOB_LATENCY, compute_cycles, cut, load_lead, pack, schedule
from lowering.geometry import Axis, Ranking, classify
from lowering.maps import KernelStationary, MapProblem, MapStationary, Strip
from lowering.program import LoweringOptions
from lowering.weight_grad import KernelProblem, KernelTiling, tap_blocks

_FIELD_LIMIT = 32767
_JOBS_PER_CLUSTER = (1, 2, 3, 4, 6, 8, 12)
_PARTS = (1, 2, 4, 8, 16, 32, 64)


@dataclass(frozen=True, slots=True)
class Candidate:
    """A tiling and its estimated cycles."""

    cycles: tuple[float, float]
    """If clusters with the same tiles load them at once about half of the time, and if never."""
    tiling: KernelStationary | MapStationary | KernelTiling
    text: str


def _estimate(
    products: np.ndarray,
    lookups: np.ndarray,
    words: np.ndarray,
    load: np.ndarray,
    walk: float,
    out_bytes: float,
    parts: int,
    sharers: int,
    config: AcceleratorConfig,
) -> tuple[float, float]:
    """Estimate cycles of jobs from the products of a PE, the look-ups and the load of each.

    A contraction in several parts is drained raw and added up by a second phase. `sharers` jobs
    have the same tiles: clusters that ask for them at once have them from one burst.
    """
    compute = compute_cycles(products, lookups)
    order = np.argsort(-compute, kind="stable")
    # The first segment is small and its load exposed; the other loads run while others compute.
    head = np.minimum(load, 150.0)
    jobs = compute.size
    heads = np.empty(2 * jobs)
    heads[::2], heads[1::2] = head[order] + JOB_LATENCY, (load - head)[order]
    work = np.empty(2 * jobs)
    work[::2], work[1::2] = 0.25 * compute[order], 0.75 * compute[order]
    drained = out_bytes if parts == 1 else walk * jobs * config.pes_per_cluster * 8.0
    cycles = schedule(
        np.arange(0, 2 * jobs + 1, 2),
        heads,
        work,
        load_lead(work, np.repeat(words[order], 2) / 2, np.arange(2 * jobs) % 2 == 1, config),
        np.full(jobs, float(walk)),
        config.clusters,
    )
    adding = 0.0
    if parts > 1:
        records = walk * config.pes_per_cluster * jobs
        adding = max(records / config.clusters, records * 8.0 / config.mem_bytes) + 200.0

    def total(sharing: float) -> float:
        traffic = 8.0 * (load.sum() / sharing + words.sum()) + drained
        return max(cycles, traffic / config.mem_bytes) + adding

    return total(max(1.0, min(sharers, config.clusters) / 2)), total(1.0)


def _channel_parts(work: np.ndarray, parts: int, balance: bool) -> list[np.ndarray]:
    parts = min(parts, work.size)
    bins = pack(work, parts, -(-work.size // parts), balance=balance)
    return [members for members in bins if members.size]


def _wanted_parts(options: LoweringOptions, jobs: int, most: int, clusters: int) -> list[int]:
    """Numbers of parts worth costing: only where the outputs alone do not fill the clusters."""
    if options.contraction_parts is not None:
        return [min(options.contraction_parts, most)]
    return [p for p in _PARTS if p == 1 or (p <= most and jobs * p <= 4 * clusters)]


def _map_work(problem: MapProblem) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Products (owner, result row of all samples), words per result row, and products per channel.

    A word's products are booked on the row that the middle of the kernel gives it.
    """

    def phases(axis: Axis) -> int:
        return int(max(axis.kernel.phase.max(), axis.map.phase.max())) + 1

    row_phases, col_phases = phases(problem.rows), phases(problem.cols)
    classes = problem.channels * row_phases * col_phases

    def code(minor: np.ndarray, row_phase: np.ndarray, col_phase: np.ndarray) -> np.ndarray:
        return (minor * row_phases + row_phase) * col_phases + col_phase

    kernel, maps = problem.kernel, problem.maps
    kernel_code = code(
        kernel.minor, problem.rows.kernel.phase[kernel.row], problem.cols.kernel.phase[kernel.col]
    )
    map_code = code(maps.minor, problem.rows.map.phase[maps.row], problem.cols.map.phase[maps.col])
    kernels = np.bincount(
        kernel.major * classes + kernel_code, minlength=problem.owners * classes
    ).reshape(problem.owners, classes)
    middle = int(np.median(problem.rows.kernel.shift))
    target = np.clip(problem.rows.map.shift + middle, 0, problem.rows.extent - 1)
    rows = problem.samples * problem.rows.extent
    row = maps.major * problem.rows.extent + target[maps.row]
    used = np.flatnonzero(np.bincount(kernel_code, minlength=classes))
    position = np.full(classes, -1)
    position[used] = np.arange(used.size)
    known = position[map_code] >= 0
    words = np.bincount(
        position[map_code[known]] * rows + row[known], minlength=used.size * rows
    ).reshape(used.size, rows)
    work = kernels[:, used].astype(np.float32) @ words.astype(np.float32)
    per_channel = np.bincount(
        used // (row_phases * col_phases),
        weights=kernels[:, used].sum(axis=0) * words.sum(axis=1),
        minlength=problem.channels,
    )
    return work.astype(np.float64), words.sum(axis=0).astype(np.float64), per_channel


def _col_bounds(axis: Axis, row_reach: int, trim: bool, config: AcceleratorConfig) -> np.ndarray:
    """Cut columns so that at least one row fits the accumulators and the offset fields."""
    guard = 0 if trim else axis.reach
    strips = 1
    while True:
        width = -(-axis.extent // strips)
        pitch = width + guard
        if pitch + guard <= config.acc_depth and (2 + row_reach) * pitch <= _FIELD_LIMIT:
            return np.unique(np.append(np.arange(0, axis.extent, width), axis.extent))
        if width == 1:
            raise InputError(
                f"acc_depth must hold one result and its guard cells, {1 + 2 * guard} cells, not "
                f"{config.acc_depth} (or the kernel reaches over more than {_FIELD_LIMIT} offsets)"
            )
        strips += 1


def _copies(problem: MapProblem, col_bounds: np.ndarray, trim: bool, held_kernel: bool) -> float:
    """Count the copies of each stationary entry that trimming the columns makes, on average."""
    if not trim:
        return 1.0
    held = problem.cols.kernel if held_kernel else problem.cols.map
    other = problem.cols.map if held_kernel else problem.cols.kernel
    ranking = Ranking.of(held)
    totals = []
    for low, high in itertools.pairwise(col_bounds):
        classes = classify([ranking.window(other, int(low), int(high))])
        totals.append(float((classes.last - classes.first).sum()) / held.shift.size)
    return max(totals)


def plan_kernel_stationary(
    problem: MapProblem,
    useful: int,
    out_width: int,
    config: AcceleratorConfig,
    options: LoweringOptions,
) -> Iterator[Candidate]:
    """Yield tilings that hold kernels and stream maps."""
    work, words, per_channel = _map_work(problem)
    total = max(float(work.sum()), 1.0)
    row_count = work.shape[1]
    pes = config.pes_per_cluster
    word_total = max(words.sum(), 1.0)
    for trim in (True, False) if options.trim is None else (options.trim,):
        guard = 0 if trim else problem.cols.reach
        bounds = _col_bounds(problem.cols, problem.rows.reach, trim, config)
        strips = len(bounds) - 1
        pitch = int(np.diff(bounds).max()) + guard
        copies = _copies(problem, bounds, trim, held_kernel=True)
        # Without trimming, products beyond the left and right border are made and discarded.
        scale = useful / total if trim else min(1.0, useful / total * (pitch / (pitch - guard)))
        seen = set()
        for planes in _sizes(-(-problem.owners // pes)):
            tiles = -(-problem.owners // (pes * planes))
            planes = -(-problem.owners // (pes * tiles))
            longest = min(
                (config.acc_depth - guard) // (planes * pitch),
                _FIELD_LIMIT // pitch - problem.rows.reach - 1,
            )
            if planes in seen or longest < 1:
                continue
            seen.add(planes)
            bins = pack(work.sum(axis=1), tiles * pes, planes, balance=options.balance)
            loads = np.stack([work[members].sum(axis=0) for members in bins]) * scale
            prefix = np.concatenate([np.zeros((tiles * pes, 1)), np.cumsum(loads, axis=1)], axis=1)
            held = np.bincount(problem.kernel.major, minlength=problem.owners)
            held_pe = np.array([held[members].sum() for members in bins]).reshape(tiles, pes)
            keys = problem.channels * min(15.0, copies * 3)
            load = (held_pe * copies / 2 + keys / 2).sum(axis=1) + 1
            weight = words if options.balance else np.ones(row_count)
            weight = weight + 1e-3 * word_total / row_count
            if options.balance:
                weight = work.sum(axis=0) + 1e-3 * total / row_count
            for jobs in _JOBS_PER_CLUSTER:
                for parts in _wanted_parts(
                    options,
                    tiles * strips * max(1, -(-row_count // longest)),
                    problem.channels,
                    config.clusters,
                ):
                    runs = max(1, round(jobs * config.clusters / (tiles * strips * parts)))
                    row_bounds = cut(weight, min(runs, row_count), longest)
                    key = (planes, len(row_bounds), parts)
                    if key in seen:
                        continue
                    seen.add(key)
                    rows = np.diff(row_bounds)
                    products = np.diff(prefix[:, row_bounds], axis=1)
                    products = products.reshape(tiles, pes, -1).max(axis=1) / (strips * parts)
                    halo = 1 + problem.rows.reach / np.maximum(rows, 1)
                    region_words = np.add.reduceat(words, row_bounds[:-1]) * halo
                    lookups = np.tile(region_words / (strips * parts), (tiles, 1))
                    loaded = np.repeat(load[:, None] / parts, rows.size, axis=1)
                    repeat = strips * parts
                    walk = float(planes * rows.max() * pitch + guard)
                    cycles = _estimate(
                        np.tile(products.ravel(), repeat),
                        np.tile(lookups.ravel(), repeat),
                        np.tile(lookups.ravel(), repeat),
                        np.tile(loaded.ravel(), repeat),
                        walk,
                        tiles * pes * planes * row_count * problem.cols.extent * out_width / 8.0,
                        parts,
                        rows.size * strips,
                        config,
                    )
                    yield Candidate(
                        cycles,
                        KernelStationary(
                            owners=[bins[i * pes : (i + 1) * pes] for i in range(tiles)],
                            planes=planes,
                            row_bounds=row_bounds,
                            col_bounds=bounds,
                            channel_parts=_channel_parts(per_channel, parts, options.balance),
                            trim=trim,
                        ),
                        f"kernels held: {tiles} tiles x {pes} PEs x {planes} channels, "
                        f"{rows.size} runs of rows x {strips} strips of columns, {parts} parts, "
                        f"{'trimmed' if trim else 'guarded'} columns",
                    )


def _sizes(most: int) -> list[int]:
    """Sizes to try, descending: whole, and then about sqrt(2) smaller each time."""
    sizes = []
    size = float(most)
    while size >= 1:
        sizes.append(int(size))
        size /= 1.42
    if 1 not in sizes:
        sizes.append(1)
    return sorted(set(sizes), reverse=True)


def plan_map_stationary(
    problem: MapProblem,
    useful: int,
    out_width: int,
    config: AcceleratorConfig,
    options: LoweringOptions,
) -> Iterator[Candidate]:
    """Yield tilings that hold maps and stream kernels."""
    work, _, per_channel = _map_work(problem)
    total = max(float(work.sum()), 1.0)
    pes = config.pes_per_cluster
    extent = problem.rows.extent
    kernels = np.bincount(problem.kernel.major, minlength=problem.owners).astype(np.float64)
    prefix = np.concatenate([np.zeros((work.shape[0], 1)), np.cumsum(work, axis=1)], axis=1)
    for trim in (True, False) if options.trim is None else (options.trim,):
        guard = 0 if trim else problem.cols.reach
        bounds = _col_bounds(problem.cols, problem.rows.reach, trim, config)
        col_strips = len(bounds) - 1
        pitch = int(np.diff(bounds).max()) + guard
        copies = _copies(problem, bounds, trim, held_kernel=False)
        scale = useful / total if trim else min(1.0, useful / total * (pitch / (pitch - guard)))
        for rows in _sizes(extent):
            strips = [
                Strip(sample=n, low=low, high=min(low + rows, extent))
                for n in range(problem.samples)
                for low in range(0, extent, rows)
            ]
            strips += [Strip(sample=0, low=0, high=0)] * (-len(strips) % pes)
            cells = rows * pitch
            most = min((config.acc_depth - guard) // cells, problem.owners)
            if most < 1 or (rows + problem.rows.reach + 1) * pitch > _FIELD_LIMIT:
                continue
            strip_work = np.stack(
                [
                    prefix[:, s.sample * extent + s.high] - prefix[:, s.sample * extent + s.low]
                    for s in strips
                ],
                axis=1,
            )
            order = np.arange(len(strips))
            if options.balance:
                order = np.argsort(-strip_work.sum(axis=0), kind="stable")
            groups = order.reshape(-1, pes)
            for planes in _sizes(most):
                tiles = -(-problem.owners // planes)
                planes = -(-problem.owners // tiles)
                if tiles * len(groups) > 64 * config.clusters and planes < most:
                    continue
                bins = pack(kernels, tiles, planes, balance=options.balance)
                tile_work = np.stack([strip_work[b].sum(axis=0) for b in bins]) * scale
                products = tile_work[:, groups].max(axis=2) / col_strips
                lookups = np.stack([np.full(len(groups), kernels[b].sum()) for b in bins])
                halo = (1 + problem.rows.reach / rows) * copies * rows / (extent * problem.samples)
                load = np.full(lookups.shape, pes * problem.maps.value.size * halo / 2 + 1)
                load += pes * problem.channels * min(15.0, 3 * copies) / 2
                jobs = lookups.size * col_strips
                for parts in _wanted_parts(options, jobs, problem.channels, config.clusters):
                    repeat = col_strips * parts
                    cycles = _estimate(
                        np.tile(products.ravel() / parts, repeat),
                        np.tile(lookups.ravel() / parts, repeat),
                        np.tile(lookups.ravel() / parts, repeat),
                        np.tile(load.ravel() / parts, repeat),
                        float(planes * cells + guard),
                        jobs * pes * planes * cells * out_width / 8.0,
                        parts,
                        tiles,
                        config,
                    )
                    yield Candidate(
                        cycles,
                        MapStationary(
                            owners=bins,
                            planes=planes,
                            strips=[[strips[i] for i in group] for group in groups],
                            rows=rows,
                            col_bounds=bounds,
                            channel_parts=_channel_parts(per_channel, parts, options.balance),
                            trim=trim,
                        ),
                        f"maps held: {len(groups)} groups of {pes} strips of {rows} rows x "
                        f"{col_strips} strips of columns, {tiles} tiles of {planes} channels, "
                        f"{parts} parts, {'trimmed' if trim else 'guarded'} columns",
                    )


def plan_kernels(
    problem: KernelProblem,
    useful: int,
    out_width: int,
    config: AcceleratorConfig,
    options: LoweringOptions,
) -> Iterator[Candidate]:
    """Yield tilings of a weight gradient with a given stationary operand."""
    pes = config.pes_per_cluster
    blocks = tap_blocks(problem, config)
    lists = max(block.count for block in blocks)
    taps = lists * problem.fold
    extent = problem.rows.extent
    row_count = problem.samples * extent
    held, streamed = problem.held, problem.streamed
    held_rows = np.bincount(
        held.minor * row_count + held.major * extent + held.row,
        minlength=problem.held_channels * row_count,
    ).reshape(problem.held_channels, row_count)
    middle = int(np.median(problem.rows.kernel.shift))
    target = np.clip(problem.rows.map.shift + middle, 0, extent - 1)
    streamed_rows = np.bincount(
        streamed.minor * row_count + streamed.major * extent + target[streamed.row],
        minlength=problem.streamed_channels * row_count,
    ).reshape(problem.streamed_channels, row_count)
    work = held_rows.astype(np.float64) @ streamed_rows.T.astype(np.float64)
    scale = useful / max(float(work.sum()), 1.0) / len(blocks)
    row_work = held_rows.sum(axis=0) * streamed_rows.sum(axis=0).astype(np.float64)
    row_weight = row_work if options.balance else np.ones(row_count)
    row_weight = row_weight + 1e-3 * (row_work.sum() + 1) / row_count
    # Taps per word: phases of a stride share the kernel out.
    phases = int(problem.rows.kernel.phase.max() + 1) * int(problem.cols.kernel.phase.max() + 1)
    lookups_per_word = max(1.0, lists / phases)
    words = streamed_rows.sum(axis=1).astype(np.float64)
    entries = held_rows.sum(axis=1).astype(np.float64)
    seen = set()
    for planes in _sizes(-(-problem.held_channels // pes)):
        held_tiles = -(-problem.held_channels // (pes * planes))
        planes = -(-problem.held_channels // (pes * held_tiles))
        most = min(config.acc_depth // (planes * taps), problem.streamed_channels)
        if most < 1 or planes > config.a_depth or planes in seen:
            continue
        seen.add(planes)
        held_bins = pack(work.sum(axis=1), held_tiles * pes, planes, balance=options.balance)
        held_pe = np.array([entries[b].sum() for b in held_bins]).reshape(held_tiles, pes)
        for rows in _sizes(most):
            streamed_tiles = -(-problem.streamed_channels // rows)
            rows = -(-problem.streamed_channels // streamed_tiles)
            if (planes, rows) in seen:
                continue
            seen.add((planes, rows))
            streamed_bins = pack(work.sum(axis=0), streamed_tiles, rows, balance=options.balance)
            products = np.stack([work[members].sum(axis=0) for members in held_bins]) * scale
            products = np.stack([products[:, b].sum(axis=1) for b in streamed_bins], axis=1)
            products = products.reshape(held_tiles, pes, -1).max(axis=1)
            lookups = np.tile(
                [words[b].sum() * lookups_per_word for b in streamed_bins], (held_tiles, 1)
            )
            segments = max(
                1.0,
                held_pe.max() / config.a_depth,
                row_count * problem.cols.extent / config.directory_depth,
            )
            keys = min(row_count * problem.cols.extent, segments * config.directory_depth)
            load = held_pe.sum(axis=1) / 2 + pes * keys / 2 + segments * config.taps_depth
            load = np.repeat(load[:, None], streamed_tiles, axis=1)
            jobs = held_tiles * streamed_tiles * len(blocks)
            for parts in _wanted_parts(options, jobs, row_count, config.clusters):
                row_parts = cut(row_weight, parts, row_count)
                count = len(row_parts) - 1
                repeat = count * len(blocks)
                cycles = _estimate(
                    np.tile(products.ravel() / count, repeat),
                    np.tile(lookups.ravel() / count, repeat),
                    np.tile(lookups.ravel() / count / lookups_per_word, repeat),
                    np.tile(load.ravel() / count, repeat),
                    float(planes * rows * taps),
                    jobs * pes * planes * rows * taps * out_width / 8.0,
                    count,
                    streamed_tiles * len(blocks),
                    config,
                )
                yield Candidate(
                    cycles,
                    KernelTiling(
                        held=[held_bins[i * pes : (i + 1) * pes] for i in range(held_tiles)],
                        planes=planes,
                        streamed=streamed_bins,
                        rows=rows,
                        tap_blocks=blocks,
                        row_parts=row_parts,
                        trim=options.trim is not False,
                    ),
                    f"{held_tiles} tiles x {pes} PEs x {planes} held channels, {streamed_tiles} "
                    f"tiles x {rows} streamed channels, {len(blocks)} blocks of kernel positions, "
                    f"{count} parts, {'folded' if problem.fold > 1 else 'separate'} kernel columns",
                )
