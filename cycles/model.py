"""Cycle model: the time that a program takes on the accelerator, without running the RTL.

Trace driven: the same descriptors, directories and streams that the RTL reads from memory; the same
queues, arbiters and counters. It mirrors the RTL cycle by cycle in front of a memory that answers
each burst after a fixed latency and then delivers one beat per cycle at each port.

The way of the data: `decode` makes tables of a program (`cycles.tables`), `cycles.core.accelerator`
walks through them with one function per block of hardware, each of which sees the values that
registers had at the start of the cycle and leaves those they have at its end (`cycles.state`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gscn import latencies, records
from gscn.config import AcceleratorConfig
from gscn.counters import CLUSTER_COUNTER_NAMES
from gscn.cycles.cluster.broadcast import FEED
from gscn.cycles.cluster.drain import DRAIN
from gscn.cycles.cluster.fetcher import FETCHER
from gscn.cycles.cluster.filler import FILLER
from gscn.cycles.core.accelerator import CORE, run
from gscn.cycles.core.dispatcher import DISPATCHER
from gscn.cycles.core.sequencer import SEQUENCER
from gscn.cycles.pe.pe import BUSY, FIBER, PE, WORD
from gscn.cycles.port.arbiter import ARBITER, BURST
from gscn.cycles.port.reader import READER
from gscn.cycles.port.writer import WRITER
from gscn.cycles.state import WRITTEN_BURSTS, Account, Control, Machine, Ports, Sizes
from gscn.cycles.tables import decode
from gscn.errors import InputError
from gscn.port import READ_LATENCY, WRITE_LATENCY
from gscn.program import Program

CAUSES = len(CLUSTER_COUNTER_NAMES)


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


def _sizes(
    config: AcceleratorConfig, latency: int, write_latency: int, *, one_start: bool, limit: int
) -> Sizes:
    beats = records.PHASE_DESCRIPTOR.width // config.mem_width
    bursts = beats // min(beats, config.burst_beats)
    return Sizes(
        clusters=config.clusters,
        burst=config.burst_beats,
        chunks_per_beat=config.chunks_per_beat,
        prefetch_words=config.prefetch_words,
        narrow_results=config.mem_width // 16 // config.pes_per_cluster,
        latency=latency,
        write_latency=write_latency,
        sum_cycles=latencies.sum_cycles(floats=bool(config.floats)),
        drain_cycles=latencies.drain_cycles(floats=bool(config.floats)),
        descriptor_bursts=bursts if one_start else 0,
        descriptor_beats=beats,
        limit=limit,
    )


def _control(config: AcceleratorConfig) -> Control:
    """Return the core without its clusters and ports after reset."""
    control = Control(
        cores=np.zeros(1, CORE),
        sequencers=np.zeros(config.ports, SEQUENCER),
        dispatchers=np.zeros(1, DISPATCHER),
        rounds=np.zeros(config.clusters, np.int64),
        acknowledged=np.zeros(WRITTEN_BURSTS, np.int64),
    )
    control.cores["window"] = 1
    return control


def _machine(config: AcceleratorConfig) -> Machine:
    """Return the clusters after reset."""
    clusters, pes = config.clusters, config.pes_per_cluster
    machine = Machine(
        readers=np.zeros(2 * clusters, READER),
        writers=np.zeros(clusters, WRITER),
        fetchers=np.zeros(clusters, FETCHER),
        fillers=np.zeros(clusters, FILLER),
        feeds=np.zeros(clusters, FEED),
        drains=np.zeros(clusters, DRAIN),
        pes=np.zeros((clusters, pes), PE),
        words=np.zeros((clusters, pes, config.b_fifo_depth), WORD),
        fibers=np.zeros((clusters, pes, config.match_fifo_depth), FIBER),
    )
    machine.readers["room"] = config.read_fifo_beats
    machine.feeds["banks"] = latencies.ACCUMULATOR_BANKS
    return machine


def _ports(config: AcceleratorConfig, turns: np.ndarray) -> Ports:
    """Return the memory ports, without a burst under way."""
    ports, clusters = config.ports, config.clusters
    arbiters = np.zeros(ports, ARBITER)
    arbiters["first"] = [served.start for served in config.port_slices]
    arbiters["end"] = [served.stop for served in config.port_slices]
    arbiters["read_below"], arbiters["write_below"] = turns.T
    return Ports(
        arbiters=arbiters,
        bursts=np.zeros((ports, config.outstanding_bursts), BURST),
        owners=np.zeros((ports, config.outstanding_bursts, 2 * clusters), np.bool_),
        offers=np.zeros(2 * clusters, np.int64),
        urgent=np.zeros(2 * clusters, np.int64),
        written=np.zeros(clusters, np.int64),
    )


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
    tables = decode(program)
    ports = _ports(config, np.full((config.ports, 2), -1, np.int64) if turns is None else turns)
    windows = most_windows // 2 * 2
    account = Account(
        counters=np.zeros((config.clusters, CAUSES), np.int64),
        causes=np.zeros(config.pes_per_cluster, np.int64),
        spans=np.zeros((tables.jobs.size, 3), np.int64),
        phase_cycles=np.zeros(len(program.phases), np.int64),
        history=np.zeros((windows, config.clusters, config.pes_per_cluster, CAUSES), np.int32),
    )
    control = _control(config)
    ended = run(
        control,
        tables,
        _sizes(config, latency, write_latency, one_start=one_start, limit=max_cycles),
        _machine(config),
        ports,
        account,
    )
    if not ended:
        raise InputError(f"a phase must end within max_cycles, {max_cycles}")
    cycles, read_beats, write_beats, window = (
        int(control.cores[name][0]) for name in ("now", "read_beats", "write_beats", "window")
    )
    assert int(account.counters.sum()) == cycles * config.multipliers
    return CycleResult(
        cycles=cycles,
        phase_cycles=tuple(int(n) for n in account.phase_cycles),
        counters=account.counters,
        job_spans=account.spans,
        read_beats=read_beats,
        write_beats=write_beats,
        turns=np.stack([ports.arbiters["read_below"], ports.arbiters["write_below"]], axis=1),
        window=window,
        history=account.history[: -(-cycles // window)],
    )


def products(result: CycleResult) -> int:
    """Return the products that the multipliers took, those that fall off the border included."""
    return int(result.counters[:, BUSY].sum())
