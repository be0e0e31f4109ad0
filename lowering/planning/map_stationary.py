"""Tilings of forward and input gradient with the maps stationary."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from gscn.config import AcceleratorConfig
from gscn.lowering.balance import pack
from gscn.lowering.maps import MapProblem, MapStationary, Strip
from gscn.lowering.options import LoweringOptions
from gscn.lowering.planning.estimate import (
    Candidate,
    Work,
    channel_parts,
    estimate,
    sizes,
    wanted_parts,
)
from gscn.lowering.planning.map_work import FIELD_LIMIT, col_bounds, copy_count, map_work, trims


def _cost(
    products: np.ndarray,
    lookups: np.ndarray,
    load: np.ndarray,
    col_strips: int,
    parts: int,
    copies: float,
    walk: int,
    out_bytes: float,
    problem: MapProblem,
    config: AcceleratorConfig,
) -> tuple[float, float]:
    """Estimate cycles from (tiles of channels, groups of strips) matrices."""
    # Wide: as it is until lowering is rewritten for streams that the chip cuts itself.
    tiles, groups = products.shape
    order = np.argsort(-products, axis=0, kind="stable")

    def queue(values: np.ndarray) -> np.ndarray:
        # Group by group: the jobs of a group hold the same.
        chosen = np.take_along_axis(values, order, axis=0).T / parts
        return np.tile(np.repeat(chosen, parts, axis=0).ravel(), col_strips)

    numbers = np.repeat(np.arange(col_strips * groups * parts), tiles)
    entries = float(load.max()) * 2 / config.pes_per_cluster / parts
    keys = problem.channels * min(15.0, 3 * copies) / parts
    segments = max(1.0, -(-(entries - keys) // config.a_depth), -(-keys // config.directory_depth))
    return estimate(
        Work(
            products=queue(products),
            lookups=queue(lookups),
            words=queue(lookups),
            load=queue(load),
            tile=numbers,
            segments=segments,
            walk=np.full(numbers.size, float(walk)),
            out_bytes=out_bytes,
            parts=parts,
        ),
        config,
    )


def plan_map_stationary(
    problem: MapProblem,
    useful: int,
    out_width: int,
    config: AcceleratorConfig,
    options: LoweringOptions,
) -> Iterator[Candidate]:
    """Yield tilings that hold maps and stream kernels."""
    work, _, per_channel = map_work(problem)
    total = max(float(work.sum()), 1.0)
    pes = config.pes_per_cluster
    extent = problem.rows.extent
    kernels = np.bincount(problem.kernel.major, minlength=problem.owners).astype(np.float64)
    prefix = np.concatenate([np.zeros((work.shape[0], 1)), np.cumsum(work, axis=1)], axis=1)
    zeros = problem.zeros.count if problem.zeros else 0
    for trim in trims(problem, options):
        guard = 0 if trim else problem.cols.reach
        bounds = col_bounds(problem.cols, problem.rows.reach, trim, config)
        col_strips = len(bounds) - 1
        pitch = int(np.diff(bounds).max()) + guard
        copies = copy_count(problem, bounds, trim, held_kernel=False)
        scale = useful / total if trim else min(1.0, useful / total * (pitch / (pitch - guard)))
        for rows in sizes(extent):
            strips = [
                Strip(sample=n, low=low, high=min(low + rows, extent))
                for n in range(problem.samples)
                for low in range(0, extent, rows)
            ]
            strips += [Strip(sample=0, low=0, high=0)] * (-len(strips) % pes)
            cells = rows * pitch
            most = min((config.acc_depth - guard) // cells, problem.owners)
            if most < 1 or (rows + problem.rows.reach + 1) * pitch > FIELD_LIMIT:
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
            for planes in sizes(problem.owners, most):
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
                for parts in wanted_parts(options, jobs, problem.channels, config.clusters):
                    cycles = _cost(
                        products, lookups, load, col_strips, parts, copies, planes * cells + guard,
                        (jobs * pes * planes * cells + zeros) * out_width / 8.0, problem, config,
                    )  # fmt: skip
                    yield Candidate(
                        cycles,
                        MapStationary(
                            owners=bins,
                            planes=planes,
                            strips=[[strips[i] for i in group] for group in groups],
                            rows=rows,
                            col_bounds=bounds,
                            channel_parts=channel_parts(per_channel, parts, options.balance),
                            trim=trim,
                        ),
                        f"maps held: {len(groups)} groups of {pes} strips of {rows} rows x "
                        f"{col_strips} strips of columns, {tiles} tiles of {planes} channels, "
                        f"{parts} parts, {'trimmed' if trim else 'guarded'} columns",
                    )
