"""Tilings of weight gradients."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from gscn.config import CHUNK_WIDTH, AcceleratorConfig
from gscn.directories import DIRECTORY_NARROW, DIRECTORY_WIDE, DIRECTORY_WIDTHS, NARROW_START_WIDTH
from gscn.lowering.balance import cut, pack_pairs
from gscn.lowering.options import LoweringOptions
from gscn.lowering.planning.estimate import Candidate, Work, estimate, sizes, wanted_parts
from gscn.lowering.weight_grad import KernelProblem, KernelTiling, tap_blocks
from gscn.lowering.windows import ramps


def plan_kernels(
    problem: KernelProblem,
    out_width: int,
    config: AcceleratorConfig,
    options: LoweringOptions,
) -> Iterator[Candidate]:
    """Yield tilings of a weight gradient with a given stationary operand."""
    # Long: as it is until lowering is rewritten for streams that the chip cuts itself.
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
    work = problem.work / len(blocks)
    total = work.sum(axis=0)
    row_work = held_rows.sum(axis=0) * streamed_rows.sum(axis=0).astype(np.float64)
    row_weight = row_work if options.balance else np.ones(row_count)
    row_weight = row_weight + 1e-3 * (row_work.sum() + 1) / row_count
    # Taps per word: phases of a stride share the kernel out.
    phases = int(problem.rows.kernel.phase.max() + 1) * int(problem.cols.kernel.phase.max() + 1)
    lookups_per_word = max(1.0, lists / phases)
    words = streamed_rows.sum(axis=1).astype(np.float64)
    entries = held_rows.sum(axis=1).astype(np.float64)
    # Fibers that start below 1024 fit the narrow directory, if they are not very long.
    narrow = config.a_depth <= 1 << NARROW_START_WIDTH
    per_chunk = CHUNK_WIDTH / DIRECTORY_WIDTHS[DIRECTORY_NARROW if narrow else DIRECTORY_WIDE]
    ramp = ramps(config)[0]
    # At borders words name shorter lists, nine in all if the kernel is wider than a pixel.
    tap_chunks = min(config.taps_depth, lists if lists == 1 else 9 * lists)
    seen = set()
    for planes in sizes(-(-problem.held_channels // pes)):
        held_tiles = -(-problem.held_channels // (pes * planes))
        planes = -(-problem.held_channels // (pes * held_tiles))
        most = min(config.acc_depth // (planes * taps), problem.streamed_channels)
        if most < 1 or planes > config.a_depth or planes in seen:
            continue
        seen.add(planes)
        for rows in sizes(problem.streamed_channels, most):
            streamed_tiles = -(-problem.streamed_channels // rows)
            rows = -(-problem.streamed_channels // streamed_tiles)
            if (planes, rows) in seen:
                continue
            seen.add((planes, rows))
            held_bins, streamed_bins = pack_pairs(
                work,
                (held_tiles * pes, planes),
                (streamed_tiles, rows),
                balance=options.balance,
            )
            held_pe = np.array([entries[b].sum() for b in held_bins]).reshape(held_tiles, pes)
            products = np.stack([total[members].sum(axis=0) for members in held_bins])
            products = np.stack([products[:, b].sum(axis=1) for b in streamed_bins], axis=1)
            products = products.reshape(held_tiles, pes, -1).max(axis=1)
            lookups = np.tile(
                [words[b].sum() * lookups_per_word for b in streamed_bins], (held_tiles, 1)
            )
            keys = np.full(held_tiles, float(row_count * problem.cols.extent))
            if problem.by_pixel:
                # Pixels of which a tile holds nothing have no keys, and their words are left out.
                present = np.stack(
                    [
                        held_rows[np.concatenate(held_bins[i : i + pes])].any(axis=0)
                        for i in range(0, held_tiles * pes, pes)
                    ]
                )
                keys = present.sum(axis=1).astype(np.float64)
                lookups = np.stack(
                    [present @ streamed_rows[b].sum(axis=0) for b in streamed_bins], axis=1
                )
            segments = max(1.0, held_pe.max() / config.a_depth, keys.max() / config.directory_depth)
            keys = np.minimum(keys, segments * config.directory_depth)
            load = held_pe.sum(axis=1) / 2 + pes * keys / per_chunk + segments * tap_chunks
            load = np.repeat(load[:, None], streamed_tiles, axis=1)
            jobs = held_tiles * streamed_tiles * len(blocks)
            for parts in wanted_parts(options, jobs, row_count, config.clusters):
                row_parts = cut(row_weight, parts, row_count)
                count = len(row_parts) - 1
                repeat = count * len(blocks)
                order = np.argsort(-products, axis=1, kind="stable")
                # Jobs of a tile of stationary channels follow each other.
                per_job = [
                    np.repeat(
                        np.take_along_axis(values, order, axis=1)[:, None] / count, repeat, axis=1
                    ).ravel()
                    for values in (products, lookups, load)
                ]
                cycles = estimate(
                    Work(
                        products=per_job[0],
                        lookups=per_job[1],
                        words=per_job[1] / lookups_per_word,
                        load=per_job[2],
                        tile=np.repeat(np.arange(held_tiles * repeat), streamed_tiles),
                        segments=max(3.0, segments),
                        walk=np.full(per_job[0].size, float(planes * rows * taps)),
                        out_bytes=jobs * pes * planes * rows * taps * out_width / 8.0,
                        parts=count,
                    ),
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
                        ramp=ramp,
                    ),
                    f"{held_tiles} tiles x {pes} PEs x {planes} held channels, {streamed_tiles} "
                    f"tiles x {rows} streamed channels, {len(blocks)} blocks of kernel positions, "
                    f"{count} parts, {'folded' if problem.fold > 1 else 'separate'} kernel columns",
                )
