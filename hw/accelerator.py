"""The whole core: dispatcher, clusters and the shared memory port."""

from __future__ import annotations

from amaranth.hdl import Array, Cat, Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from gscn.config import AcceleratorConfig
from gscn.counters import CLUSTER_COUNTER_NAMES, COUNTER_WIDTH
from hw.arbiter import ReadArbiter, WriteArbiter
from hw.cluster import Cluster
from hw.dispatcher import Dispatcher, start_layout
from hw.layouts import burst_layout, write_beat_layout
from hw.shared import Shared


class Accelerator(wiring.Component):
    """Run phases of jobs against one memory port.

    Golden: `lowering.functional` (results), `perf.cycles` (time).

    Timing: `start` is taken when the core is idle (after reset, once the accumulators are cleared);
    `busy` rises in the next cycle and falls when all results of the phase are acknowledged by the
    memory. `counter_data` follows `counter_addr` by `COUNTER_LATENCY` cycles.

    Parameters
    ----------
        config: sizes.

    Members:
        start: phases.
        busy: a phase is under way.
        saturated, accumulator_overflow, address_error: sticky until reset.
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
        command = stream.Signature(burst_layout(config))
        super().__init__(
            {
                "start": In(stream.Signature(start_layout(config))),
                "busy": Out(1),
                "saturated": Out(1),
                "accumulator_overflow": Out(1),
                "address_error": Out(1),
                "counter_addr": In(16),
                "counter_data": Out(COUNTER_WIDTH),
                "mem_read_cmd": Out(command),
                "mem_read_data": In(
                    wiring.Signature({"payload": Out(config.mem_width), "valid": Out(1)})
                ),
                "mem_write_cmd": Out(command),
                "mem_write_data": Out(stream.Signature(write_beat_layout(config))),
                "mem_write_done": In(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        config = self.config
        m.submodules.dispatcher = dispatcher = Dispatcher(config=config)
        m.submodules.reads = reads = ReadArbiter(config=config, count=2 * config.clusters)
        m.submodules.writes = writes = WriteArbiter(config=config, count=config.clusters)
        clusters = []
        for number in range(config.clusters):
            cluster = Shared(Cluster(config=config), "gscn_cluster")
            m.submodules[f"cluster{number}"] = cluster
            clusters.append(cluster)

        wiring.connect(m, wiring.flipped(self.start), dispatcher.start)
        wiring.connect(m, reads.command, wiring.flipped(self.mem_read_cmd))
        wiring.connect(m, writes.command, wiring.flipped(self.mem_write_cmd))
        wiring.connect(m, writes.data, wiring.flipped(self.mem_write_data))
        m.d.comb += [
            reads.data_valid.eq(self.mem_read_data.valid),
            dispatcher.allowed.eq(Cat(cluster.initialized for cluster in clusters).all()),
            dispatcher.write_issued.eq(writes.issued),
            dispatcher.write_done.eq(self.mem_write_done),
            self.busy.eq(dispatcher.busy),
        ]
        for number, cluster in enumerate(clusters):
            wiring.connect(m, dispatcher.jobs[number], cluster.job)
            wiring.connect(m, cluster.write_command, writes.commands[number])
            wiring.connect(m, cluster.write_data, writes.beats[number])
            for channel in range(2):
                wiring.connect(m, cluster.commands[channel], reads.channels[2 * number + channel])
            m.d.comb += [
                cluster.data.eq(self.mem_read_data.payload),
                cluster.data_valid.eq(reads.channel_valid.word_select(number, 2)),
                cluster.count.eq(self.busy),
                cluster.forget.eq(dispatcher.forget),
                dispatcher.done[number].eq(cluster.done),
            ]
        for flag, source in (
            (self.saturated, "saturated"),
            (self.accumulator_overflow, "overflow"),
            (self.address_error, "address_error"),
        ):
            with m.If(Cat(getattr(cluster, source) for cluster in clusters).any()):
                m.d.sync += flag.eq(1)

        # -- counters
        per_cluster = len(CLUSTER_COUNTER_NAMES)
        cycles = Signal(COUNTER_WIDTH)
        with m.If(self.busy):
            m.d.sync += cycles.eq(cycles + 1)
        owner = Signal(range(config.clusters + 1))
        with m.Switch(self.counter_addr):
            for number, cluster in enumerate(clusters):
                for counter in range(per_cluster):
                    with m.Case(number * per_cluster + counter):
                        m.d.comb += cluster.counter.eq(counter)
                        m.d.sync += owner.eq(number)
            with m.Default():
                m.d.sync += owner.eq(config.clusters)
        values = Array([*(cluster.counter_value for cluster in clusters), cycles])
        m.d.sync += self.counter_data.eq(values[owner])
        return m
