"""The whole core: dispatcher, clusters and the memory ports that they share."""

from __future__ import annotations

from amaranth.hdl import Array, Cat, Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from gscn.config import AcceleratorConfig
from gscn.counters import CLUSTER_COUNTER_NAMES, COUNTER_WIDTH
from gscn.error_codes import ERROR_WIDTH
from gscn.port import port_names
from hw.arbiter import ALIGNMENT_BITS, ReadArbiter, WriteArbiter
from hw.cluster import Cluster
from hw.dispatcher import Dispatcher, start_layout
from hw.layouts import entry_width, error_layout, memory_port_members
from hw.shared import Shared


class Accelerator(wiring.Component):
    """Run phases of jobs against one memory, through one port or several.

    Each port serves a slice of consecutive clusters (`AcceleratorConfig.port_slices`) on its own;
    clusters share bursts within a slice only. With several ports the members `mem_*` are
    `mem0_*`, `mem1_*` and so on (`gscn.port.port_names`). All ports must see the same memory.

    After an error the core stays busy, writes nothing outside the output range of its phase, and
    must be reset; `error_code` and `error_job` say what was wrong first.

    Golden: `lowering.functional` (results), `lowering.validate` (errors), `perf.cycles` (time).

    Timing: `start` is taken when the core is idle (after reset, once the accumulators are cleared);
    `busy` rises in the next cycle and falls when all results of the phase are acknowledged by the
    memory; it stays high after an error. `counter_data` follows `counter_addr` by
    `COUNTER_LATENCY` cycles.

    Parameters
    ----------
        config: sizes.

    Members:
        start: phases.
        busy: a phase is under way, or there was an error.
        error_code: of the first error (`gscn.error_codes.ErrorCode`), or 0; until reset.
        error_job: number in its phase of the job that the error belongs to.
        saturated, accumulator_overflow, address_error, nonfinite: sticky until reset.
        counter_addr: cluster x counters + counter (`gscn.counters.CLUSTER_COUNTERS`); clusters x
            counters for the busy cycles.
        counter_data: the counter's value.
        mem_read_cmd: bursts to read.
        mem_read_data: beats read, in the order of the commands, taken at once (no ready: what is
            asked for has room).
        mem_write_cmd: bursts to write.
        mem_write_data: their beats, in order; may come before or after the command.
        mem_write_done: a write burst is complete (pulse, one per burst).
    """

    COUNTER_LATENCY = 2

    def __init__(self, *, config: AcceleratorConfig):
        self.config = config
        ports = {}
        for name in port_names("mem", config.ports):
            ports |= memory_port_members(config, name)
        super().__init__(
            {
                "start": In(stream.Signature(start_layout(config))),
                "busy": Out(1),
                "error_code": Out(ERROR_WIDTH),
                "error_job": Out(32),
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
        m.submodules.dispatcher = dispatcher = Dispatcher(config=config)
        self._range_start = Signal(config.addr_width - ALIGNMENT_BITS)
        self._range_end = Signal(config.addr_width - ALIGNMENT_BITS + 1)
        clusters = []
        for number in range(config.clusters):
            cluster = Shared(Cluster(config=config), "gscn_cluster")
            m.submodules[f"cluster{number}"] = cluster
            clusters.append(cluster)

        wiring.connect(m, wiring.flipped(self.start), dispatcher.start)
        m.d.comb += [
            dispatcher.allowed.eq(Cat(cluster.initialized for cluster in clusters).all()),
            self.busy.eq(dispatcher.busy | (self.error_code != 0)),
        ]
        for number, cluster in enumerate(clusters):
            wiring.connect(m, dispatcher.jobs[number], cluster.job)
            m.d.comb += [
                cluster.count.eq(self.busy),
                cluster.forget.eq(dispatcher.forget),
                dispatcher.done[number].eq(cluster.done),
            ]
        for port, served in enumerate(config.port_slices):
            self._add_port(m, port, clusters[served.start : served.stop], dispatcher)
        for flag, source in (
            (self.saturated, "saturated"),
            (self.accumulator_overflow, "overflow"),
            (self.address_error, "address_error"),
            *([(self.nonfinite, "nonfinite")] if config.floats else []),
        ):
            with m.If(Cat(getattr(cluster, source) for cluster in clusters).any()):
                m.d.sync += flag.eq(1)

        self._keep_error(m, clusters)
        self._read_counters(m, clusters)
        return m

    def _keep_error(self, m, clusters):
        """Keep the first error; of several in one cycle that of the lowest cluster."""
        first = Signal(error_layout(self.config))
        queue = Signal(entry_width(self.config))
        for cluster in reversed(clusters):
            with m.If(cluster.error.code != 0):
                m.d.comb += first.eq(cluster.error)
        with m.If(self.error_code == 0):
            m.d.sync += [self.error_code.eq(first.code), self.error_job.eq(first.entry - queue)]
        with m.If(self.start.valid & self.start.ready):
            m.d.sync += [
                queue.eq(self.start.p.queue_addr[-len(queue) :]),
                self._range_start.eq(self.start.p.out_addr[ALIGNMENT_BITS:]),
                self._range_end.eq(self.start.p.out_end[ALIGNMENT_BITS:]),
            ]

    def _add_port(self, m, port, clusters, dispatcher):
        """Add the arbiters of a memory port and connect the clusters that it serves."""
        config = self.config
        reads = ReadArbiter(config=config, count=2 * len(clusters))
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
        for number, cluster in enumerate(clusters):
            wiring.connect(m, cluster.write_command, writes.commands[number])
            wiring.connect(m, cluster.write_data, writes.beats[number])
            for channel in range(2):
                wiring.connect(m, cluster.commands[channel], reads.channels[2 * number + channel])
            m.d.comb += [
                cluster.write_refused.eq(writes.refused[number]),
                cluster.data.eq(member("read_data").payload),
                cluster.data_valid.eq(reads.channel_valid.word_select(number, 2)),
                reads.urgent.word_select(number, 2).eq(cluster.urgent),
            ]

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
