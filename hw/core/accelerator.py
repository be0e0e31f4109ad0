"""The whole core: sequencer, dispatcher, clusters and the memory ports that they share."""

from __future__ import annotations

from amaranth.hdl import Array, Cat, Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from gscn.config import ALIGNMENT_BITS, AcceleratorConfig
from gscn.counters import CLUSTER_COUNTER_NAMES, COUNTER_WIDTH
from gscn.error_codes import ERROR_WIDTH, NO_JOB, ErrorCode
from gscn.hw.cluster.cluster import Cluster
from gscn.hw.core.dispatcher import Dispatcher, start_layout
from gscn.hw.core.sequencer import Sequencer, list_layout
from gscn.hw.layouts import entry_width, error_layout, memory_port_members
from gscn.hw.port.arbiter import ReadArbiter, WriteArbiter
from gscn.hw.shared import Shared
from gscn.port import port_names


class Accelerator(wiring.Component):
    """Run phases of jobs against one memory, through one port or several.

    A phase is started by itself, or all phases of a list by one start (`hw.core.sequencer`). Starts
    are taken when the core is idle (after reset, once the accumulators are cleared), `start` before
    `start_list`; `busy` rises in the next cycle and falls when all results of the phase, or of the
    list, are acknowledged by the memory; it stays high after an error.

    Each port serves a slice of consecutive clusters (`AcceleratorConfig.port_slices`) on its own;
    clusters share bursts within a slice only. With several ports the members `mem_*` are
    `mem0_*`, `mem1_*` and so on (`gscn.port.port_names`). All ports must see the same memory. The
    first one reads the list of phases besides.

    After an error the core stays busy, writes nothing outside the output range of its phase, and
    must be reset; `error_code`, `error_job` and `error_phase` say what was wrong first.

    Golden: `emulator.functional` (results), `emulator.validation` (errors), `cycles.model` (time).

    Timing
    ------
    - Latency: `START_LATENCY` from `start.p` to `mem_read_cmd`; `COUNTER_LATENCY` from
      `counter_addr` to `counter_data`.
    - Throughput: that of its parts.
    - Combinational: `start.valid` -> `start_list.ready`.
    - Reset: no phase; outputs 0, but `phase` = 0xffffffff. Starts are taken once the accumulators
      are cleared.

    Parameters
    ----------
    config
        Sizes.

    Attributes
    ----------
    start : In(stream.Signature(start_layout(config)))
        Phases.
    start_list : In(stream.Signature(list_layout(config)))
        Lists of phases.
    busy : Out(1)
        A phase or list is under way, or there was an error.
    phase : Out(32)
        Number in its list of the phase that is under way, waited for or else over; all ones if it
        is not of a list.
    error_code : Out(ERROR_WIDTH)
        Of the first error (`gscn.error_codes.ErrorCode`), or 0; until reset.
    error_job : Out(32)
        Number in its phase of the job that the error belongs to.
    error_phase : Out(32)
        What `phase` was when the error was seen.
    saturated, accumulator_overflow, address_error, nonfinite : Out(1)
        Sticky until reset.
    counter_addr : In(16)
        Cluster x counters + counter (`gscn.counters.CLUSTER_COUNTERS`); clusters x counters for the
        busy cycles.
    counter_data : Out(COUNTER_WIDTH)
        The counter's value.
    mem_read_cmd : Out(stream.Signature(burst_layout(config)))
        Bursts to read.
    mem_read_data : In(read_beats(config))
        Beats read, in the order of the commands, taken at once (no ready: what is asked for has
        room).
    mem_write_cmd : Out(stream.Signature(burst_layout(config)))
        Bursts to write.
    mem_write_data : Out(stream.Signature(write_beat_layout(config)))
        Their beats, in order; may come before or after the command.
    mem_write_done : In(1)
        A write burst is complete (pulse, one per burst).
    """

    COUNTER_LATENCY = 2
    START_LATENCY = Dispatcher.LATENCY + Cluster.JOB_LATENCY + ReadArbiter.COMMAND_LATENCY

    def __init__(self, *, config: AcceleratorConfig):
        self.config = config
        ports = {}
        for name in port_names("mem", config.ports):
            ports |= memory_port_members(config, name)
        super().__init__(
            {
                "start": In(stream.Signature(start_layout(config))),
                "start_list": In(stream.Signature(list_layout(config))),
                "busy": Out(1),
                "phase": Out(32),
                "error_code": Out(ERROR_WIDTH),
                "error_job": Out(32),
                "error_phase": Out(32),
                "saturated": Out(1),
                "accumulator_overflow": Out(1),
                "address_error": Out(1),
                "nonfinite": Out(1),
                "counter_addr": In(16),
                "counter_data": Out(COUNTER_WIDTH),
                **ports,
            }
        )

    def elaborate(self, platform):
        m = Module()
        config = self.config
        m.submodules.sequencer = sequencer = Sequencer(config=config)
        m.submodules.dispatcher = dispatcher = Dispatcher(config=config)
        self._range_start = Signal(config.addr_width - ALIGNMENT_BITS)
        self._range_end = Signal(config.addr_width - ALIGNMENT_BITS + 1)
        self._refused = Signal(config.clusters)
        clusters = []
        for number in range(config.clusters):
            cluster = Shared(Cluster(config=config), "gscn_cluster")
            m.submodules[f"cluster{number}"] = cluster
            clusters.append(cluster)

        wiring.connect(m, wiring.flipped(self.start), sequencer.start)
        wiring.connect(m, wiring.flipped(self.start_list), sequencer.start_list)
        wiring.connect(m, sequencer.o, dispatcher.start)
        m.d.comb += [
            dispatcher.allowed.eq(Cat(cluster.initialized for cluster in clusters).all()),
            self.busy.eq(dispatcher.busy | sequencer.busy | (self.error_code != 0)),
            self.phase.eq(sequencer.phase),
            sequencer.halt.eq(self.error_code != 0),
        ]
        for number, cluster in enumerate(clusters):
            wiring.connect(m, dispatcher.jobs[number], cluster.job)
            m.d.comb += [
                cluster.count.eq(self.busy),
                cluster.forget.eq(dispatcher.forget),
                dispatcher.done[number].eq(cluster.done),
            ]
        for port, served in enumerate(config.port_slices):
            lists = sequencer if port == 0 else None
            refused = self._add_port(
                m, port, clusters[served.start : served.stop], dispatcher, lists
            )
            m.d.comb += self._refused[served.start : served.stop].eq(refused)
        for flag, source in (
            (self.saturated, "saturated"),
            (self.accumulator_overflow, "overflow"),
            (self.address_error, "address_error"),
            *([(self.nonfinite, "nonfinite")] if config.floats else []),
        ):
            with m.If(Cat(getattr(cluster, source) for cluster in clusters).any()):
                m.d.sync += flag.eq(1)

        self._keep_error(m, clusters, sequencer)
        self._read_counters(m, clusters)
        return m

    def _keep_error(self, m, clusters, sequencer):
        """Keep the first error; of several in one cycle that of the lowest cluster.

        Of two in one cluster, a burst outside the output range comes first.

        A phase of a list is checked while no job is under way, which alone can have other errors.
        """
        first = Signal(error_layout(self.config))
        queue = Signal(entry_width(self.config))
        for cluster, refused in reversed([*zip(clusters, self._refused, strict=True)]):
            with m.If(cluster.error.code != 0):
                m.d.comb += first.eq(cluster.error)
            with m.If(refused):
                m.d.comb += [first.code.eq(ErrorCode.OUTPUT_RANGE), first.entry.eq(cluster.written)]
        bad_phase = sequencer.error != 0
        with m.If(self.error_code == 0):
            m.d.sync += [
                self.error_code.eq(Mux(bad_phase, sequencer.error, first.code)),
                self.error_job.eq(Mux(bad_phase, NO_JOB, first.entry - queue)),
                self.error_phase.eq(self.phase),
            ]
        phase = sequencer.o
        with m.If(phase.valid & phase.ready):
            m.d.sync += [
                queue.eq(phase.p.queue_addr[-len(queue) :]),
                self._range_start.eq(phase.p.out_addr[ALIGNMENT_BITS:]),
                self._range_end.eq(phase.p.out_end[ALIGNMENT_BITS:]),
            ]

    def _add_port(self, m, port, clusters, dispatcher, sequencer):
        """Add the arbiters of a memory port and connect the clusters that it serves.

        The sequencer, if it reads through this port, has the channel after those of the clusters.
        Return which of the clusters offer a burst that may not be written.
        """
        config = self.config
        channels = 2 * len(clusters)
        reads = ReadArbiter(config=config, count=channels + (sequencer is not None))
        writes = WriteArbiter(config=config, count=len(clusters))
        m.submodules[port_names("reads", config.ports)[port]] = reads
        m.submodules[port_names("writes", config.ports)[port]] = writes

        def member(suffix):
            return getattr(self, f"{port_names('mem', config.ports)[port]}_{suffix}")

        wiring.connect(m, reads.command, wiring.flipped(member("read_cmd")))
        wiring.connect(m, writes.command, wiring.flipped(member("write_cmd")))
        wiring.connect(m, writes.data, wiring.flipped(member("write_data")))
        m.d.comb += [
            reads.data_valid.eq(member("read_data").valid),
            writes.range_start.eq(self._range_start),
            writes.range_end.eq(self._range_end),
            dispatcher.write_issued[port].eq(writes.issued),
            dispatcher.write_done[port].eq(member("write_done")),
        ]
        if sequencer is not None:
            wiring.connect(m, sequencer.command, reads.channels[channels])
            m.d.comb += [
                reads.urgent[channels].eq(1),
                sequencer.data.eq(member("read_data").payload[: len(sequencer.data)]),
                sequencer.data_valid.eq(reads.channel_valid[channels]),
            ]
        for number, cluster in enumerate(clusters):
            wiring.connect(m, cluster.write_command, writes.commands[number])
            wiring.connect(m, cluster.write_data, writes.beats[number])
            for channel in range(2):
                place = 2 * number + channel
                wiring.connect(m, cluster.commands[channel], reads.channels[place])
                m.d.comb += reads.sharers[place].eq(cluster.sharers[channel])
            m.d.comb += [
                cluster.data.eq(member("read_data").payload),
                cluster.data_valid.eq(reads.channel_valid.word_select(number, 2)),
                reads.urgent.word_select(number, 2).eq(cluster.urgent),
            ]
        return writes.refused

    def _read_counters(self, m, clusters):
        """Put the counter that `counter_addr` names on `counter_data`."""
        per_cluster = len(CLUSTER_COUNTER_NAMES)
        cycles = Signal(COUNTER_WIDTH)
        with m.If(self.busy):
            m.d.sync += cycles.eq(cycles + 1)
        owner = Signal(range(len(clusters) + 1))
        # each cluster compares for itself: a switch over all counters would grow with their square
        m.d.sync += owner.eq(len(clusters))
        for number, cluster in enumerate(clusters):
            first = number * per_cluster
            position = Signal(16, name=f"position{number}")  # wraps below the cluster's first
            m.d.comb += [
                position.eq(self.counter_addr - first),
                cluster.counter.eq(position),
            ]
            with m.If(position < per_cluster):
                m.d.sync += owner.eq(number)
        values = Array([*(cluster.counter_value for cluster in clusters), cycles])
        m.d.sync += self.counter_data.eq(values[owner])
