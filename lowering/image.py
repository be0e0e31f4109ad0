"""Memory images: blocks, descriptors and queues at aligned addresses."""

from __future__ import annotations

import dataclasses
import hashlib
import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from gscn.config import ALIGNMENT_BYTES, AcceleratorConfig
from gscn.errors import InputError
from gscn.lowering.balance import JOB_LATENCY, compute_cycles, load_lead, schedule
from gscn.lowering.drafts import SegmentDraft, TileDraft, Walk, empty_segment
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


def align(count: int) -> int:
    """Round a byte count up to the alignment of addresses."""
    return -(-count // ALIGNMENT_BYTES) * ALIGNMENT_BYTES


class _Memory:
    """Grows by aligned blocks; equal blocks are stored once."""

    def __init__(self) -> None:
        self.blocks: list[np.ndarray] = []
        self.size = 0
        self._known: dict[bytes, int] = {}

    def store(self, data: np.ndarray) -> int:
        """Store bytes (uint8) and return their address."""
        if data.size == 0:
            return 0
        digest = hashlib.blake2b(data.tobytes(), digest_size=16).digest()
        if digest not in self._known:
            self._known[digest] = self.append(data)
        return self._known[digest]

    def append(self, data: np.ndarray) -> int:
        """Store bytes at a new address."""
        address = self.size
        self.blocks.append(data)
        self.blocks.append(np.zeros(align(data.size) - data.size, dtype=np.uint8))
        self.size += align(data.size)
        return address


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
    memory = _Memory()
    pes = config.pes_per_cluster
    loads: dict[int, int] = {}
    # A job without products still drains its zeros.
    idle = empty_segment(pes)
    tiles = [
        dataclasses.replace(tile, parts=[part or [idle] for part in tile.parts]) for tile in tiles
    ]
    pending = [
        [
            [
                {**_mac_fields(memory, segment, loads), "load_lead": lead}
                for segment, lead in zip(part, _load_leads(part, tile), strict=True)
            ]
            for part in tile.parts
        ]
        for tile in tiles
    ]
    input_end = memory.size
    jobs: list[list[_Job]] = [[], []]
    ranges: list[tuple[int, int]] = []
    blocks = []
    cursor = align(input_end)

    def reserve(size: int) -> int:
        nonlocal cursor
        address = cursor
        cursor += align(size)
        ranges.append((address, address + size))
        return address

    # Outputs follow the descriptors, whose total size is known beforehand.
    pieces_of = [_pieces(tile, out, config, len(tiles)) for tile in tiles]
    segment_total = sum(len(part) for tile in tiles for part in tile.parts)
    job_total = sum(len(tile.parts) for tile in tiles)
    for tile, pieces in zip(tiles, pieces_of, strict=True):
        if len(tile.parts) > 1:
            segment_total += len(pieces) * len(tile.parts)
            job_total += len(pieces)
    cursor += 64 * (segment_total + job_total)
    cursor += _list_bytes(1 + any(len(tile.parts) > 1 for tile in tiles), config)

    out_addr = cursor

    for tile, parts, pieces in zip(tiles, pending, pieces_of, strict=True):
        cells = tile.walk.planes * tile.walk.rows * (tile.walk.pitch - tile.walk.guard_cols)
        addr = reserve(cells * pes * out.width // 8)
        blocks.append(
            OutputBlock(
                addr=addr,
                plane_index=tile.plane_index,
                row_index=tile.row_index,
                col_index=tile.col_index,
            )
        )
        single = len(parts) == 1
        partials = []
        ranks = tile.ranks or [0] * len(parts)
        for part, segments, rank in zip(parts, tile.parts, ranks, strict=True):
            code = out.code if single else OUT_RAW
            size = cells * pes * OUT_WIDTHS[code] // 8
            target = addr if single else reserve(size)
            partials.append(target)
            shift = out.shift if single else 0
            fields = _drain_fields(target, code, shift, tile.walk) | out.job_fields
            jobs[0].append(
                _Job(
                    _descriptors(part),
                    fields,
                    _mac_summary(part, segments, tile.walk, size, pes),
                    rank,
                )
            )
        if not single:
            for begin, end in pieces:
                jobs[1].append(_add_job(addr, partials, begin, end, out, pes))
    phases, summaries, estimate = [], [], 0.0
    for number, queue in enumerate(jobs):
        if not queue:
            continue
        queue.sort(key=lambda job: (job.rank, -job.cycles))
        for job in queue:
            # the first segment's descriptor stands in the queue
            others = job.descriptors[1:]
            job.fields["segment_addr"] = memory.append(others.view(np.uint8)) if others.size else 0
            job.fields["segment_count"] = job.descriptors.size
        entries = np.zeros(len(queue), dtype=QUEUE_ENTRY)
        for entry, job in zip(entries, queue, strict=True):
            entry["job"] = JOB_DESCRIPTOR.pack(1, **job.fields)[0]
            entry["segment"] = job.descriptors[0]
        phases.append(
            Phase(
                queue_addr=memory.append(entries.view(np.uint8)),
                job_count=len(queue),
                out_addr=out_addr,
                out_end=cursor,
                in_turn=number == 0 and any(tile.in_turn for tile in tiles),
            )
        )
        summaries += [job.summary for job in queue]
        estimate += estimate_phase([job.summary for job in queue], config)
        assert number == 0 or len(jobs[0]) > 0
    phases_addr = memory.append(phase_list(phases, config))
    assert memory.size == out_addr
    if cursor > 1 << config.addr_width:
        raise InputError(
            f"addr_width must cover {cursor} bytes of memory, not {config.addr_width} bits"
        )
    return Image(
        data=np.concatenate(memory.blocks),
        memory_bytes=cursor,
        phases=tuple(phases),
        phases_addr=phases_addr,
        output_ranges=tuple(ranges),
        blocks=tuple(blocks),
        jobs=tuple(summaries),
        estimated_cycles=round(estimate),
    )


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


def _mac_fields(memory: _Memory, segment: SegmentDraft, loads: dict[int, int]) -> dict[str, int]:
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
