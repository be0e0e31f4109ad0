"""Memory images: blocks, descriptors and queues at aligned addresses."""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from gscn.config import ALIGNMENT_BYTES, AcceleratorConfig
from gscn.errors import InputError
from gscn.lowering.balance import JOB_LATENCY, compute_cycles, load_lead, schedule
from gscn.lowering.drafts import SegmentDraft, TileDraft, Walk, empty_segment
from gscn.lowering.memory import Memory, Outputs, align
from gscn.program import FloatOutput, JobSummary, OutputBlock, OutputFormat, Phase
from gscn.records import (
    AT_ONCE,
    JOB_DESCRIPTOR,
    KIND_ADD,
    KIND_MAC,
    OUT_RAW,
    OUT_WIDTHS,
    PARTIAL,
    PHASE_DESCRIPTOR,
    QUEUE_ENTRY,
    SEGMENT_DESCRIPTOR,
)


@dataclass(slots=True)
class _Job:
    descriptors: np.ndarray
    """Segment descriptors."""
    fields: dict[str, int]
    summary: JobSummary
    rank: int = 0
    """Place in the queue, before jobs of higher rank."""

    @property
    def cycles(self) -> float:
        return sum(_segment_cycles(self.summary))


@dataclass(frozen=True, kw_only=True, slots=True)
class Image:
    """A memory image and what it contains."""

    data: np.ndarray
    memory_bytes: int
    phases: tuple[Phase, ...]
    phases_addr: int
    output_ranges: tuple[tuple[int, int], ...]
    blocks: tuple[OutputBlock, ...]
    jobs: tuple[JobSummary, ...]
    estimated_cycles: int


def build_image(
    tiles: list[TileDraft], out: OutputFormat | FloatOutput, config: AcceleratorConfig
) -> Image:
    """Lay out the tiles' jobs in memory.

    The jobs of a phase are queued by rank, or else in descending order of work; clusters take those
    of the first phase in turn if any tile says so. A tile made by several jobs is drained raw by
    each of them; a second phase adds the partial sums, by the first cluster that is free. The list
    of phases is the last block of the image.

    Raises
    ------
    InputError
        The memory needed exceeds `addr_width`.
    """
    memory = Memory()
    # A job without products still drains its zeros.
    idle = empty_segment(config.pes_per_cluster)
    tiles = [
        dataclasses.replace(tile, parts=[part or [idle] for part in tile.parts]) for tile in tiles
    ]
    fields_of = _store_segments(memory, tiles)
    pieces_of = [_pieces(tile, out, config, len(tiles)) for tile in tiles]
    outputs = Outputs(align(memory.size) + _descriptor_bytes(tiles, pieces_of, config))
    jobs: list[list[_Job]] = [[], []]
    blocks = []
    for tile, fields, pieces in zip(tiles, fields_of, pieces_of, strict=True):
        block, macs, adds = _tile_jobs(tile, fields, pieces, out, outputs, config)
        blocks.append(block)
        jobs[0] += macs
        jobs[1] += adds
    phases, summaries, estimate = [], [], 0.0
    for number, queue in enumerate(jobs):
        if not queue:
            continue
        queue.sort(key=lambda job: (job.rank, -job.cycles))
        phases.append(
            Phase(
                queue_addr=_store_queue(memory, queue),
                job_count=len(queue),
                out_addr=outputs.first,
                out_end=outputs.end,
                in_turn=number == 0 and any(tile.in_turn for tile in tiles),
            )
        )
        summaries += [job.summary for job in queue]
        estimate += estimate_phase([job.summary for job in queue], config)
        assert number == 0 or len(jobs[0]) > 0
    phases_addr = memory.append(phase_list(phases, config))
    assert memory.size == outputs.first
    if outputs.end > 1 << config.addr_width:
        raise InputError(
            f"addr_width must cover {outputs.end} bytes of memory, not {config.addr_width} bits"
        )
    return Image(
        data=np.concatenate(memory.blocks),
        memory_bytes=outputs.end,
        phases=tuple(phases),
        phases_addr=phases_addr,
        output_ranges=tuple(outputs.ranges),
        blocks=tuple(blocks),
        jobs=tuple(summaries),
        estimated_cycles=round(estimate),
    )


def _store_segments(memory: Memory, tiles: list[TileDraft]) -> list[list[list[dict[str, int]]]]:
    """Store load blocks and streams; return the segments' fields, by tile and part."""
    loads: dict[int, int] = {}
    return [
        [
            [
                {**_mac_fields(memory, segment, loads), "load_lead": lead}
                for segment, lead in zip(part, _load_leads(part, tile), strict=True)
            ]
            for part in tile.parts
        ]
        for tile in tiles
    ]


def _descriptor_bytes(
    tiles: list[TileDraft], pieces_of: list[list[tuple[int, int]]], config: AcceleratorConfig
) -> int:
    """Return the bytes of all descriptors and the list of phases, which outputs follow."""
    segment_total = sum(len(part) for tile in tiles for part in tile.parts)
    job_total = sum(len(tile.parts) for tile in tiles)
    for tile, pieces in zip(tiles, pieces_of, strict=True):
        if len(tile.parts) > 1:
            segment_total += len(pieces) * len(tile.parts)
            job_total += len(pieces)
    phase_count = 1 + any(len(tile.parts) > 1 for tile in tiles)
    return 64 * (segment_total + job_total) + _list_bytes(phase_count, config)


def _tile_jobs(
    tile: TileDraft,
    fields: list[list[dict[str, int]]],
    pieces: list[tuple[int, int]],
    out: OutputFormat | FloatOutput,
    outputs: Outputs,
    config: AcceleratorConfig,
) -> tuple[OutputBlock, list[_Job], list[_Job]]:
    """Reserve what a tile's jobs write; return its block, and the jobs of either phase."""
    pes = config.pes_per_cluster
    cells = tile.walk.planes * tile.walk.rows * (tile.walk.pitch - tile.walk.guard_cols)
    addr = outputs.reserve(cells * pes * out.width // 8)
    block = OutputBlock(
        addr=addr,
        plane_index=tile.plane_index,
        row_index=tile.row_index,
        col_index=tile.col_index,
    )
    single = len(tile.parts) == 1
    code, shift = (out.code, out.shift) if single else (OUT_RAW, 0)
    size = cells * pes * OUT_WIDTHS[code] // 8
    macs, partials = [], []
    ranks = tile.ranks or [0] * len(tile.parts)
    for part, segments, rank in zip(fields, tile.parts, ranks, strict=True):
        target = addr if single else outputs.reserve(size)
        partials.append(target)
        macs.append(
            _Job(
                _descriptors(part),
                _drain_fields(target, code, shift, tile.walk) | out.job_fields,
                _mac_summary(part, segments, tile.walk, size, pes),
                rank,
            )
        )
    if single:
        return block, macs, []
    return block, macs, [_add_job(addr, partials, begin, end, out, pes) for begin, end in pieces]


def _store_queue(memory: Memory, queue: list[_Job]) -> int:
    """Store descriptors and queue of a phase; return the queue's address."""
    for job in queue:
        # the first segment's descriptor stands in the queue
        others = job.descriptors[1:]
        job.fields["segment_addr"] = memory.append(others.view(np.uint8)) if others.size else 0
        job.fields["segment_count"] = job.descriptors.size
    entries = np.zeros(len(queue), dtype=QUEUE_ENTRY)
    for entry, job in zip(entries, queue, strict=True):
        entry["job"] = JOB_DESCRIPTOR.pack(1, **job.fields)[0]
        entry["segment"] = job.descriptors[0]
    return memory.append(entries.view(np.uint8))


def _list_bytes(phase_count: int, config: AcceleratorConfig) -> int:
    """Return the bytes of a list of phases.

    A whole number of bursts, so that how results and partial sums are cut into bursts does not
    depend on the list; with room for an end of zeros.
    """
    unit = math.lcm(config.mem_bytes * config.burst_beats, ALIGNMENT_BYTES)
    return -(-(phase_count + 1) * PHASE_DESCRIPTOR.width // 8 // unit) * unit


def phase_list(phases: Sequence[Phase], config: AcceleratorConfig) -> np.ndarray:
    """Return the memory image of a list of phases (uint8).

    The descriptors are followed by zeros, one descriptor at least: a phase without jobs, so that
    more phases than there are end with an error.
    """
    fields = {
        name: np.array([getattr(phase, name) for phase in phases])
        for name in ("queue_addr", "out_addr", "out_end")
    }
    words = np.array([phase.job_word for phase in phases])
    descriptors = PHASE_DESCRIPTOR.pack(len(phases), job_count=words, **fields)
    data = np.zeros(_list_bytes(len(phases), config), dtype=np.uint8)
    data[: descriptors.nbytes] = descriptors.view(np.uint8)
    return data


def _segment_cycles(summary: JobSummary) -> list[float]:
    if summary.phase:
        return [float(count) for count in summary.stream_counts]
    products = np.array(summary.segment_products, dtype=np.float64).max(axis=1)
    return compute_cycles(products, np.array(summary.lookups, dtype=np.float64)).tolist()


def estimate_phase(jobs: list[JobSummary], config: AcceleratorConfig) -> float:
    """Estimate the cycles of one phase from the exact work of its jobs, in queue order.

    The largest of the clusters' schedule and the memory port's traffic in either direction.
    """
    compute = [_segment_cycles(job) for job in jobs]
    load = [job.load_chunks for job in jobs]
    read = 8 * sum(sum(job.stream_chunks) for job in jobs)
    written = sum(job.out_bytes for job in jobs)
    cycles = np.array([value for segments in compute for value in segments], dtype=np.float64)
    words = np.array([count for job in jobs for count in job.stream_counts], dtype=np.float64)
    starts = np.cumsum([0, *(len(segments) for segments in compute)])
    chunks = np.array([value for segments in load for value in segments], dtype=np.float64)
    chunks[starts[:-1]] += JOB_LATENCY
    scheduled, loaded = schedule(
        starts,
        chunks,
        np.array([addr for job in jobs for addr in job.load_addrs], dtype=np.int64),
        cycles,
        load_lead(cycles, words, np.isin(np.arange(cycles.size) + 1, starts), config),
        np.array([job.walk_count for job in jobs], dtype=np.float64),
        config.clusters,
    )
    bandwidth = config.port_bytes_per_cycle
    return max(scheduled, (read + 8 * loaded) / bandwidth, written / bandwidth)


def _mac_fields(memory: Memory, segment: SegmentDraft, loads: dict[int, int]) -> dict[str, int]:
    # Load blocks shared by several tiles are one array, whose bytes need hashing only once.
    if id(segment.load) not in loads:
        loads[id(segment.load)] = memory.store(segment.load)
    return {
        "load_addr": loads[id(segment.load)],
        "stream_addr": memory.store(segment.stream.data),
        "load_chunks": segment.load.size // 8,
        "tap_count": segment.tap_count,
        "kind": KIND_MAC,
        "stream_count": segment.stream.count,
        "offset_bits": segment.stream.offset_bits,
        "stream_wait": segment.stream_wait,
        "load_sharers": segment.load_sharers,
        "stream_sharers": segment.stream_sharers,
    }


LOAD_MARGIN = 150.0
"""Cycles by which a load block should be asked for earlier than its chunks take: latency, others'
bursts."""


def _load_leads(segments: list[SegmentDraft], tile: TileDraft) -> list[int]:
    """Items left of the segment before when each segment's load block must be asked for.

    As late as there is still time to load it, so that clusters that need the same block soon can
    share it. A job's first segment does not wait.
    """
    leads = [AT_ONCE]
    for before, segment in itertools.pairwise(segments):
        products, lookups = float(before.products.max()), float(before.lookups)
        cycles = float(compute_cycles(np.array([products]), np.array([lookups]))[0])
        share = tile.patience * (segment.load.size / 8 + LOAD_MARGIN) / max(cycles, 1.0)
        wanted = min(math.ceil(before.stream.count * share), before.stream.count - tile.hold)
        leads.append(max(wanted, 1))
    return [min(lead, 0xFFFF) for lead in leads]


def _descriptors(segments: list[dict[str, int]]) -> np.ndarray:
    return np.concatenate([SEGMENT_DESCRIPTOR.pack(1, **fields) for fields in segments])


def _drain_fields(addr: int, code: int, shift: int, walk: Walk) -> dict[str, int]:
    return {
        "out_addr": addr,
        "out_format": code,
        "shift": shift,
        "pitch": walk.pitch,
        "guard_cols": walk.guard_cols,
        "plane_rows": walk.rows,
        "guard_rows": 0,
        "planes": walk.planes,
        "walk_count": walk.count,
    }


def _mac_summary(
    fields: list[dict[str, int]], segments: list[SegmentDraft], walk: Walk, out_bytes: int, pes: int
) -> JobSummary:
    products = sum((segment.products for segment in segments), np.zeros(pes, dtype=np.int64))
    return JobSummary(
        phase=0,
        products=tuple(int(x) for x in products),
        lookups=tuple(s.lookups for s in segments),
        segment_products=tuple(tuple(int(x) for x in s.products) for s in segments),
        load_chunks=tuple(s.load.size // 8 for s in segments),
        load_addrs=tuple(f["load_addr"] for f in fields),
        stream_counts=tuple(s.stream.count for s in segments),
        stream_chunks=tuple(s.stream.data.size // 8 for s in segments),
        walk_count=walk.count,
        out_bytes=out_bytes,
    )


def _pieces(
    tile: TileDraft, out: OutputFormat | FloatOutput, config: AcceleratorConfig, tile_count: int
) -> list[tuple[int, int]]:
    """Cut a tile, at aligned addresses, into runs of cells that jobs of the second phase add up."""
    pes = config.pes_per_cluster
    cells = tile.walk.planes * tile.walk.rows * (tile.walk.pitch - tile.walk.guard_cols)
    step = max(1, ALIGNMENT_BYTES * 8 // (min(out.width, PARTIAL.width) * pes))
    wanted = -(-2 * config.clusters // tile_count)
    size = min(-(-cells // (wanted * step)) * step, config.acc_depth // step * step)
    size = max(size, step) if config.acc_depth >= step else config.acc_depth
    return [(begin, min(begin + size, cells)) for begin in range(0, cells, size)]


def _add_job(
    addr: int,
    partials: list[int],
    begin: int,
    end: int,
    out: OutputFormat | FloatOutput,
    pes: int,
) -> _Job:
    records = (end - begin) * pes
    segments = [
        {
            "kind": KIND_ADD,
            "stream_addr": partial + begin * pes * (PARTIAL.width // 8),
            "stream_count": records,
        }
        for partial in partials
    ]
    walk = Walk(pitch=end - begin, guard_cols=0, rows=1, planes=1)
    target = addr + begin * pes * out.width // 8
    fields = _drain_fields(target, out.code, out.shift, walk) | out.job_fields
    summary = JobSummary(
        phase=1,
        products=(0,) * pes,
        lookups=(0,) * len(partials),
        segment_products=((0,) * pes,) * len(partials),
        load_chunks=(0,) * len(partials),
        load_addrs=(0,) * len(partials),
        stream_counts=(records,) * len(partials),
        stream_chunks=(records,) * len(partials),
        walk_count=end - begin,
        out_bytes=records * out.width // 8,
    )
    return _Job(_descriptors(segments), fields, summary)
