"""Cycle model: the time that a program takes on the accelerator, without running the RTL.

Trace driven: the same descriptors, directories and streams that the RTL reads from memory; the same
queues, arbiters and counters. It mirrors the RTL cycle by cycle (`cycles.machine`) in front of a
memory that answers each burst after a fixed latency and then delivers one beat per cycle at each
port.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gscn import records
from gscn.config import AcceleratorConfig
from gscn.counters import CLUSTER_COUNTER_NAMES
from gscn.cycles.channels import (
    drainer_is_busy,
    reader_can_request,
    request_stream,
    step_drainer,
    step_reader,
)
from gscn.cycles.columns import (
    A_READ_BELOW,
    A_WRITE_BELOW,
    BUSY,
    D_JOBS,
    D_QUEUE,
    F_BANKS,
    F_LEVEL,
    F_QUEUE,
    F_TILES,
    IDLE,
    L_HURRY,
    L_IDLE,
    L_LEAD,
    L_REQUEST,
    L_REQUESTS,
    L_SEGMENT,
    L_STATE,
    L_STEPS,
    L_TAGS,
    LIST_COLUMNS,
    LOAD,
    LOAD_STEPS,
    P_ENDS,
    P_SEGMENT_ENDS,
    PORT_COLUMNS,
    S_ASKS,
    S_BURST,
    S_DUE,
    STREAM_REQUESTS,
    TAIL,
)
from gscn.cycles.machine import (
    hurries,
    near_end,
    state_arrays,
    step_broadcaster,
    step_loader,
    step_pe,
)
from gscn.cycles.ports import step_reads, step_writes
from gscn.cycles.tables import JobTables, decode
from gscn.errors import InputError
from gscn.port import READ_LATENCY, WRITE_LATENCY
from gscn.program import Program
from gscn.system.compiled import compiled

DESCRIPTOR_BYTES = records.PHASE_DESCRIPTOR.width // 8
DRAIN_CYCLES = 3
"""As `hw.pe.pe.PE.DRAIN_CYCLES`, which a test holds it to; perf must not need Amaranth."""
SUM_CYCLES = 4
"""From the cycle in which an entry is issued to that in which its sum is stored: as
`hw.pe.walker.Walker.LATENCY + hw.pe.accumulator.Accumulator.LATENCY`."""
FLOAT_DRAIN_CYCLES, FLOAT_SUM_CYCLES = 2, 2
"""What a core with float formats adds to both: as `hw.pe.pe.PE.FLOAT_DRAIN_CYCLES` and
`FLOAT_PRODUCT_CYCLES`."""
SEGMENT_QUEUE = 4
"""As `hw.cluster.broadcast.Broadcaster.SEGMENTS`."""
DRAIN_QUEUE = 4
"""As `hw.cluster.drain.Drainer.JOBS`."""


@dataclass(frozen=True, kw_only=True, slots=True)
class CycleResult:
    """What a launch costs."""

    cycles: int
    """Clock cycles in which the core is busy, all phases together."""
    phase_cycles: tuple[int, ...]
    """The same per phase."""
    counters: np.ndarray
    """PE-cycles by cluster and cause (`gscn.counters.CLUSTER_COUNTERS`)."""
    job_spans: np.ndarray
    """Per job: cluster, cycle in which it was given, cycle in which its last result was handed
    on."""
    read_beats: int
    """Beats read, all ports together; `write_beats` likewise."""
    write_beats: int
    turns: np.ndarray
    """int64 (ports, 2): whose read and whose write burst was taken last."""
    window: int
    """Cycles in a window of `history`, the last of which ends with the launch."""
    history: np.ndarray
    """int32 (windows, clusters, PEs, causes): cycles of each PE by cause; of no windows unless
    asked for."""

    def by_cause(self) -> dict[str, int]:
        """Return PE-cycles per cause, all clusters together; they sum to cycles x multipliers."""
        totals = self.counters.sum(axis=0)
        return {name: int(n) for name, n in zip(CLUSTER_COUNTER_NAMES, totals, strict=True)}

    def utilization(self, useful_products: int) -> float:
        """Return useful products per multiplier and cycle."""
        return useful_products / float(self.counters.sum())


@compiled
def _run(
    phase_jobs, jobs, segments, tiles, item_keys, item_taps, tap_keys, tap_last, fiber_lengths,
    addresses, port_starts, state, sizes, counters, spans, phase_cycles, turns, history,
    descriptor_bursts,
):  # fmt: skip
    readers, events, loaders, feeds, pes, words, fibers, drains = state
    (
        burst, chunks_per_beat, outstanding, prefetch_words, lanes16, latency, write_latency,
        drain_cycles, segment_queue, drain_queue, limit, sum_cycles,
    ) = sizes  # fmt: skip
    clusters, pe_count = pes.shape[0], pes.shape[1]
    fifo_depth = words.shape[2]
    window = 1
    pe_causes = np.zeros(pe_count, np.int64)

    # per port: registers; bursts under way: beats, cycle of the first beat; and the channels that
    # each is for
    port_count = port_starts.shape[0] - 1
    ports = np.zeros((port_count, PORT_COLUMNS), np.int64)
    ports[:, A_READ_BELOW], ports[:, A_WRITE_BELOW] = turns[:, 0], turns[:, 1]
    reads = np.zeros((port_count, outstanding, 2), np.int64)
    owners = np.zeros((port_count, outstanding, 2 * clusters), np.bool_)
    # bursts written: cycle in which their completion is reported at the earliest
    ring = 4096
    dones = np.zeros(ring, np.int64)
    done_head = done_level = 0
    offers = np.zeros(clusters, np.int64)
    leaves = np.zeros(clusters, np.int64)
    issued = np.zeros(clusters, np.int64)
    read_offers = np.zeros(2 * clusters, np.int64)
    urgent_offers = np.zeros(2 * clusters, np.int64)
    announce = np.zeros(6, np.int64)
    push = np.zeros(5, np.int64)
    report = np.zeros(2, np.int64)
    read_beats = write_beats = 0
    # hw.core.sequencer: reads through the first port; the row of the others never asks
    lists = np.zeros((port_count, LIST_COLUMNS), np.int64)
    sequencer = lists[0]
    by_list = descriptor_bursts > 0
    sequencer[S_BURST] = descriptor_beats = 0
    if by_list:
        descriptor_beats = DESCRIPTOR_BYTES * 8 // (64 * chunks_per_beat)
        sequencer[S_BURST] = descriptor_beats // descriptor_bursts
        sequencer[S_ASKS], sequencer[S_DUE] = descriptor_bursts, descriptor_beats

    now = 0
    first_job = 0
    rounds = np.zeros(clusters, np.int64)  # in turn: jobs that a cluster has taken
    for phase in range(phase_jobs.shape[0]):
        start = now
        waits = by_list  # for the phase to be handed on
        job_count, in_turn = phase_jobs[phase, 0], phase_jobs[phase, 1] != 0
        jobs_left = 0 if waits else job_count
        rounds[:] = 0
        slowest = 0  # least of rounds
        jobs_active = bursts = 0
        loaders[:, L_TAGS : L_TAGS + 2] = -1  # memory may have changed since the last phase
        while waits or jobs_left > 0 or jobs_active > 0 or bursts > 0:
            if now - start > limit:
                return -1, read_beats, write_beats, window
            finished = 0
            gave = False
            starts = waits and sequencer[S_DUE] == 0

            for p in range(port_count):
                first, end = port_starts[p], port_starts[p + 1]
                read_beats += step_reads(
                    ports[p], reads[p], owners[p], read_offers, urgent_offers, readers, loaders,
                    events, 2 * first, 2 * end, burst, latency, now, lists[p],
                )  # fmt: skip
                sends, ends, takes = step_writes(
                    ports[p], offers, drains, leaves, issued, first, end, burst
                )
                write_beats += sends
                bursts += takes
                if ends:
                    dones[(done_head + done_level) % ring] = now + max(write_latency, 1)
                    done_level += 1

            for c in range(clusters):
                load_reader, load_event = readers[2 * c], events[2 * c]
                stream_reader, stream_event = readers[2 * c + 1], events[2 * c + 1]
                loader, feed, drain = loaders[c], feeds[c], drains[c]

                loader[L_HURRY] = hurries(feed, loader[L_LEAD])
                given = -1
                wants_job = near_end(feed, prefetch_words)
                if in_turn:
                    job = rounds[c] * clusters + c
                    is_due = job < job_count and rounds[c] <= slowest + 1
                else:
                    job = job_count - jobs_left
                    is_due = True
                if (
                    jobs_left > 0
                    and is_due
                    and not gave
                    and loader[L_STATE] == L_IDLE
                    and wants_job
                    and reader_can_request(load_reader)
                    and loader[L_STEPS] < LOAD_STEPS
                ):
                    given = first_job + job
                    spans[given, 0] = c
                    spans[given, 1] = now

                segment_end = 1
                for p in range(pe_count):
                    if pes[c, p, P_SEGMENT_ENDS] == 0:
                        segment_end = 0
                for p in range(pe_count):
                    pes[c, p, P_SEGMENT_ENDS] += (pes[c, p, P_ENDS] & 1) - segment_end

                stream_room = loader[L_REQUESTS] < STREAM_REQUESTS
                if loader[L_REQUESTS] > 0 and reader_can_request(stream_reader):
                    request_stream(stream_event, loader, segments)
                queue_room = feed[F_LEVEL] < segment_queue
                drain_room = drain[D_JOBS] < drain_queue
                drain_busy = drainer_is_busy(drain, pes[c])
                idle_loader = loader[L_STATE] == L_IDLE and given < 0
                cause = step_broadcaster(
                    feed, stream_reader, stream_event, pes[c], segments, item_taps, push, fifo_depth
                )
                step_loader(
                    loader, given, load_reader, load_event, stream_room, queue_room, drain_room,
                    segment_end, jobs, segments, tiles, addresses, announce,
                )  # fmt: skip
                report[0] = issued[c]
                finished_job = drain[D_QUEUE]
                step_drainer(drain, pes[c], jobs, leaves[c], lanes16, burst, drain_cycles, report)
                issued[c] = leaves[c] = 0
                feed[F_BANKS] += report[0]
                feed[F_TILES] += announce[4]
                if announce[5]:
                    loader[L_REQUEST + loader[L_REQUESTS]] = loader[L_SEGMENT]
                    loader[L_REQUESTS] += 1
                if announce[0] >= 0:
                    slot = F_QUEUE + 3 * feed[F_LEVEL]
                    feed[slot], feed[slot + 1], feed[slot + 2] = (
                        announce[0],
                        announce[1],
                        announce[2],
                    )
                    feed[F_LEVEL] += 1
                if announce[3] >= 0:
                    drain[D_QUEUE + drain[D_JOBS]] = announce[3]
                    drain[D_JOBS] += 1
                if report[1]:
                    finished += 1
                    spans[finished_job, 2] = now

                unfed = 0
                any_pending = False
                for p in range(pe_count):
                    pe_cause = step_pe(
                        pes[c, p], p, words[c, p], fibers[c, p], push, segments, tiles, item_keys,
                        item_taps, tap_keys, tap_last, fiber_lengths, sum_cycles,
                    )  # fmt: skip
                    pe_causes[p] = pe_cause
                    if pe_cause < 0:
                        unfed += 1
                    else:
                        any_pending = True
                        counters[c, pe_cause] += 1
                if unfed:
                    if cause < 0:
                        if not idle_loader:
                            cause = LOAD
                        else:
                            cause = TAIL if any_pending or drain_busy else IDLE
                    counters[c, cause] += unfed
                if history.size:
                    for p in range(pe_count):
                        own = pe_causes[p] if pe_causes[p] >= 0 else cause
                        history[now // window, c, p, own] += 1
                step_reader(load_reader, load_event, chunks_per_beat)
                step_reader(stream_reader, stream_event, chunks_per_beat)
                if given >= 0:
                    gave = True
                    rounds[c] += 1
            if gave:
                jobs_left -= 1
                jobs_active += 1
                slowest = rounds.min()
            jobs_active -= finished
            while done_level > 0 and dones[done_head] <= now:
                done_head = (done_head + 1) % ring
                done_level -= 1
                bursts -= 1
            if starts:
                waits = False
                jobs_left = job_count
                if phase + 1 < phase_jobs.shape[0]:
                    sequencer[S_ASKS], sequencer[S_DUE] = descriptor_bursts, descriptor_beats
            now += 1
            if history.size and now == window * history.shape[0]:
                half = history.shape[0] // 2
                for index in range(half):
                    history[index] = history[2 * index] + history[2 * index + 1]
                history[half:] = 0
                window *= 2
        phase_cycles[phase] = now - start
        first_job += job_count
    turns[:, 0], turns[:, 1] = ports[:, A_READ_BELOW], ports[:, A_WRITE_BELOW]
    return now, read_beats, write_beats, window


def _addresses(program: Program, tables: JobTables) -> np.ndarray:
    """Beat addresses: row 0 of queue entries, row 1 of segment descriptors."""
    beat = program.config.mem_bytes
    job_addrs, segment_addrs = [], []
    for phase in program.phases:
        entries = records.queue_entries(program.image, phase.queue_addr, phase.job_count)
        for index, job in enumerate(entries["job"]):
            job_addrs.append(phase.queue_addr + records.QUEUE_ENTRY.itemsize * index)
            segment_addrs += records.segment_addresses(job_addrs[-1], job)
    table = np.zeros((2, max(len(job_addrs), len(segment_addrs), 1)), np.int64)
    table[0, : len(job_addrs)] = np.array(job_addrs, np.int64) // beat
    table[1, : len(segment_addrs)] = np.array(segment_addrs, np.int64) // beat
    assert len(segment_addrs) == len(tables.segments)
    return table


def _descriptor_bursts(config: AcceleratorConfig) -> int:
    """Return the bursts in which a phase's descriptor is read, as by `hw.core.sequencer`."""
    beats = records.PHASE_DESCRIPTOR.width // config.mem_width
    return beats // min(beats, config.burst_beats)


def simulate(
    program: Program,
    *,
    latency: int = READ_LATENCY,
    write_latency: int = WRITE_LATENCY,
    one_start: bool = False,
    turns: np.ndarray | None = None,
    most_windows: int = 0,
    max_cycles: int = 1 << 34,
) -> CycleResult:
    """Return the time that a program takes.

    Parameters
    ----------
    program
        As `lowering.lower` returns it.
    latency
        Cycles from a read command at a port to its first beat; at least 2.
    write_latency
        Cycles from a burst's last beat to its acknowledgement; at least 2.
    one_start
        Whether one start runs all phases, from their list. The fetch of its descriptors then
        counts, and shares the first port with all else.
    turns
        Of the launch before on the same accelerator; by default this one comes after a reset.
    most_windows
        Windows of `CycleResult.history`, at most, in pairs; by default none.
    max_cycles
        Bound on the cycles of a phase.

    Raises
    ------
    InputError
        A latency is below 2, or a phase takes more than `max_cycles`.
    """
    for name, value in (("latency", latency), ("write_latency", write_latency)):
        if value < 2:
            raise InputError(f"{name} must be at least 2 cycles, not {value}")
    config = program.config
    causes = len(CLUSTER_COUNTER_NAMES)
    windows = most_windows // 2 * 2
    history = np.zeros((windows, config.clusters, config.pes_per_cluster, causes), np.int32)
    tables = decode(program)
    state = state_arrays(
        config.clusters,
        config.pes_per_cluster,
        config.b_fifo_depth,
        config.match_fifo_depth,
        config.read_fifo_beats,
    )
    sizes = (
        config.burst_beats,
        config.chunks_per_beat,
        config.outstanding_bursts,
        config.prefetch_words,
        config.mem_width // 16 // config.pes_per_cluster,
        latency,
        write_latency,
        DRAIN_CYCLES + (FLOAT_DRAIN_CYCLES if config.floats else 0),
        SEGMENT_QUEUE,
        DRAIN_QUEUE,
        max_cycles,
        SUM_CYCLES + (FLOAT_SUM_CYCLES if config.floats else 0),
    )
    counters = np.zeros((config.clusters, causes), np.int64)
    spans = np.zeros((max(len(tables.jobs), 1), 3), np.int64)
    phase_cycles = np.zeros(len(program.phases), np.int64)
    turns = np.full((config.ports, 2), -1, np.int64) if turns is None else turns.copy()
    cycles, read_beats, write_beats, window = _run(
        tables.phase_jobs,
        tables.jobs,
        tables.segments,
        tables.tiles,
        tables.item_keys,
        tables.item_taps,
        tables.tap_keys,
        tables.tap_last,
        tables.fiber_lengths,
        _addresses(program, tables),
        np.array([0, *(served.stop for served in config.port_slices)], np.int64),
        state,
        sizes,
        counters,
        spans,
        phase_cycles,
        turns,
        history,
        _descriptor_bursts(config) if one_start else 0,
    )
    if cycles < 0:
        raise InputError(f"a phase must end within max_cycles, {max_cycles}")
    assert int(counters.sum()) == cycles * config.multipliers
    return CycleResult(
        cycles=int(cycles),
        phase_cycles=tuple(int(n) for n in phase_cycles),
        counters=counters,
        job_spans=spans,
        read_beats=int(read_beats),
        write_beats=int(write_beats),
        turns=turns,
        window=int(window),
        history=history[: -(-cycles // window)],
    )


def products(result: CycleResult) -> int:
    """Return the products that the multipliers took, those that fall off the border included."""
    return int(result.counters[:, BUSY].sum())
