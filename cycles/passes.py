"""Cycle model of an array: the time that a list of passes takes, without running the RTL.

It reads the same memory that the RTL reads, with the same queues and arbiters, and mirrors the RTL
cycle by cycle in front of a memory that answers each burst after a fixed latency and then delivers
one beat per cycle at each port.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gscn import latencies
from gscn.array import ArrayConfig
from gscn.counters import CLUSTER_COUNTER_NAMES, CLUSTER_EVENT_NAMES
from gscn.cycles.cluster.cluster_input import Image, Inputs, input_sizes, new_inputs
from gscn.cycles.cluster.result_writer import RESULT_WRITER
from gscn.cycles.cluster.summing import DRAIN, TILE
from gscn.cycles.core.array import CORE, ArraySizes, Clusters, Core, Passes, Ports, run
from gscn.cycles.core.cutter import CUTTER, MEMBER, TEAM
from gscn.cycles.core.pass_checker import check_cycles
from gscn.cycles.core.pass_sequencer import PASS_SEQUENCER
from gscn.cycles.core.tiles import CURSOR, TILE_LIST
from gscn.cycles.descriptors import JOB, PASS
from gscn.cycles.pe.worker import FIBER, WORD, WORKER
from gscn.cycles.port.channels import ARBITER, BURST, LIST_READER
from gscn.cycles.port.dram import Memory, new_memory
from gscn.cycles.state import WRITTEN_BURSTS
from gscn.dram import Dram
from gscn.errors import InputError
from gscn.pass_errors import PassError
from gscn.passes import DESCRIPTOR_BYTES, PASS_DESCRIPTOR
from gscn.port import ALIGNMENT_BYTES, READ_LATENCY, WRITE_LATENCY
from gscn.records import OUT_WIDTHS

NOTED_BURSTS = 1 << 16
"""Of which notes are taken at a time."""
ACCUMULATOR_BANKS = 2
"""Of a PE: one fills while the other drains."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PassCycles:
    """What a list of passes costs."""

    cycles: int
    """Clock cycles in which the array is busy."""
    pass_cycles: tuple[int, ...]
    """The same per pass, from the end of the one before to its own."""
    counters: np.ndarray
    """PE-cycles by cluster and cause (`gscn.counters.CLUSTER_COUNTERS`)."""
    events: np.ndarray
    """How often, by cluster and event (`gscn.counters.CLUSTER_EVENTS`)."""
    read_beats: int
    """Beats read, all ports together; `write_beats` likewise."""
    write_beats: int
    bursts: np.ndarray | None = None
    """int64 (bursts, 3): read bursts in the order in which the ports took them, if they were asked
    for: address in beats, -1 of the list of passes; beats; channels that share it."""

    def by_cause(self) -> dict[str, int]:
        """Return PE-cycles per cause, all clusters together; they sum to cycles x multipliers."""
        totals = self.counters.sum(axis=0)
        return {name: int(n) for name, n in zip(CLUSTER_COUNTER_NAMES, totals, strict=True)}

    def by_event(self) -> dict[str, int]:
        """Return how often each event happens, all clusters together."""
        totals = self.events.sum(axis=0)
        return {name: int(n) for name, n in zip(CLUSTER_EVENT_NAMES, totals, strict=True)}


def _sizes(config: ArrayConfig, latency: int, write_latency: int, limit: int) -> ArraySizes:
    floats = bool(config.floats)
    results = latencies.RESULT_FLOAT_LATENCY if floats else latencies.RESULT_LATENCY
    widths = [OUT_WIDTHS[number] for number in sorted(OUT_WIDTHS)]
    assert sorted(OUT_WIDTHS) == list(range(len(widths)))
    return ArraySizes(
        input=input_sizes(config),
        burst=config.burst_beats,
        beat_bits=(config.mem_bytes - 1).bit_length(),
        row_bits=config.drain_width.bit_length() - 1,
        row_bytes=tuple(width // 8 * config.drain_width for width in widths),
        sum_levels=latencies.team_sum_cycles(config.pes) - 1,
        result_cycles=results,
        end_cycles=latencies.job_end_cycles(floats=floats),
        latency=latency,
        write_latency=write_latency,
        limit=limit,
    )


def new_core(config: ArrayConfig, count: int) -> Core:
    """Return the core when a list has been taken."""
    core = Core(
        cores=np.zeros(1, CORE),
        sequencers=np.zeros(1, PASS_SEQUENCER),
        cutters=np.zeros(1, CUTTER),
        tile_lists=np.zeros(1, TILE_LIST),
        jobs=np.zeros(1, JOB),
        teams=np.zeros(config.clusters, TEAM),
        cursors=np.zeros(config.clusters, CURSOR),
        members=np.zeros(config.clusters, MEMBER),
        acknowledged=np.zeros(WRITTEN_BURSTS, np.int64),
    )
    core.sequencers["left"] = count
    core.sequencers["number"] = -1
    core.sequencers["beats"] = DESCRIPTOR_BYTES // config.mem_bytes
    core.cutters["below"] = -1
    return core


def _ports(config: ArrayConfig, inputs: Inputs, core: Core, noted: int, memory: Memory) -> Ports:
    """Return the memory ports, without a burst under way, and room to note so many."""
    ports, channels = config.ports, inputs.channels.size
    per_cluster = channels // config.clusters
    burst_beats = min(config.burst_beats, max(1, ALIGNMENT_BYTES // config.mem_bytes))
    core.sequencers["asks"] = core.sequencers["beats"] // burst_beats
    arbiters = np.zeros(ports, ARBITER)
    arbiters["first_cluster"] = [served.start for served in config.port_slices]
    arbiters["end_cluster"] = [served.stop for served in config.port_slices]
    arbiters["first"] = per_cluster * arbiters["first_cluster"]
    arbiters["end"] = per_cluster * arbiters["end_cluster"]
    arbiters["read_below"] = arbiters["write_below"] = -1
    readers = np.zeros(ports, LIST_READER)
    readers["burst"] = burst_beats
    return Ports(
        arbiters=arbiters,
        readers=readers,
        bursts=np.zeros((ports, config.outstanding_bursts), BURST),
        owners=np.zeros((ports, config.outstanding_bursts, channels), np.bool_),
        channels=inputs.channels.reshape(-1),
        requests=np.zeros(channels, np.int64),
        noted=np.zeros((noted, 3), np.int64),
        memory=memory,
    )


def _clusters(config: ArrayConfig) -> Clusters:
    """Return the clusters after reset."""
    count, pes = config.clusters, config.pes
    return Clusters(
        drains=np.zeros(count, DRAIN),
        tiles=np.zeros((count, latencies.TILES_ANNOUNCED), TILE),
        writers=np.zeros(count, RESULT_WRITER),
        written=np.zeros((count, 2 * config.burst_beats), np.int64),
        workers=np.zeros((count, pes), WORKER),
        words=np.zeros((count, pes, config.word_depth), WORD),
        fibers=np.zeros((count, pes, config.fiber_depth), FIBER),
        counters=np.zeros((count, len(CLUSTER_COUNTER_NAMES)), np.int64),
        events=np.zeros((count, len(CLUSTER_EVENT_NAMES)), np.int64),
        causes=np.zeros(pes, np.int64),
    )


def _passes(image: np.ndarray, addr: int, count: int, memory_bytes: int) -> Passes:
    """Return the passes of a list in memory."""
    memory = np.zeros(-(-max(memory_bytes, image.size) // 64) * 64, np.uint8)
    memory[: image.size] = image
    listed = memory[addr : addr + count * DESCRIPTOR_BYTES].view(PASS_DESCRIPTOR.dtype)
    descriptors = np.zeros(count, PASS)
    for name in PASS.names:
        descriptors[name] = listed[name]
    fields = [{name: int(one[name]) for name in PASS.names} for one in descriptors]
    return Passes(
        descriptors=descriptors,
        check_cycles=np.array([check_cycles(one) for one in fields], np.int64),
        cycles=np.zeros(count, np.int64),
        image=Image(halfwords=memory.view("<u2"), entries=memory.view("<u4")),
    )


def simulate_passes(
    config: ArrayConfig,
    image: np.ndarray,
    descriptors_addr: int,
    count: int,
    memory_bytes: int,
    *,
    latency: int = READ_LATENCY,
    write_latency: int = WRITE_LATENCY,
    max_cycles: int = 1 << 34,
    bursts: bool = False,
    dram: Dram | None = None,
) -> PassCycles:
    """Return the time that a list of passes takes after a reset.

    Parameters
    ----------
    config
        The array.
    image
        uint8: memory from address 0.
    descriptors_addr, count
        Address of the list, a multiple of 64, and passes, at least 1; all as
        `docs/contract/passes.md` says.
    memory_bytes
        Size of memory.
    latency
        Cycles from a read command at a port to its first beat; at least 2.
    write_latency
        Cycles from a burst's last beat to its acknowledgement; at least 2.
    max_cycles
        Bound on the cycles of a pass.
    bursts
        Whether to return every read burst.
    dram
        Behind the ports, with its buffer (`cycles.port.dram`); None: it is no limit.

    Raises
    ------
    InputError
        A latency is below 2, a pass takes more than `max_cycles`, or its strips are wrong.
    """
    # Wide: a list in memory, and the memory, each by a few numbers
    for name, value in (("latency", latency), ("write_latency", write_latency)):
        if value < 2:
            raise InputError(f"{name} must be at least 2 cycles, not {value}")
    passes = _passes(image, descriptors_addr, count, memory_bytes)
    inputs, core, clusters = new_inputs(config), new_core(config, count), _clusters(config)
    inputs.streamers["free"] = ACCUMULATOR_BANKS
    memory = new_memory(dram, memory_bytes)
    ports = _ports(config, inputs, core, NOTED_BURSTS if bursts else 0, memory)
    sizes = _sizes(config, latency, write_latency, max_cycles)
    noted = []
    while True:
        ended = run(core, inputs, ports, clusters, passes, sizes)
        count = int(core.cores["noted"][0])
        noted.append(ports.noted[:count].copy())
        if count <= NOTED_BURSTS - config.ports or ended:
            break
        core.cores["noted"] = 0
    error = PassError(int(core.cores["error"][0]))
    if error:
        raise InputError(f"a pass must have no error, not {error.name}")
    if not ended:
        raise InputError(f"a pass must end within max_cycles, {max_cycles}")
    cycles, read_beats, write_beats = (
        int(core.cores[name][0]) for name in ("now", "read_beats", "write_beats")
    )
    assert int(clusters.counters.sum()) == cycles * config.multipliers
    return PassCycles(
        cycles=cycles,
        pass_cycles=tuple(int(n) for n in passes.cycles),
        counters=clusters.counters,
        events=clusters.events,
        read_beats=read_beats,
        write_beats=write_beats,
        bursts=np.concatenate(noted) if bursts else None,
    )
