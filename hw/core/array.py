"""The whole array: sequencer of passes, cutter, clusters and the memory ports that they share."""

from __future__ import annotations

import itertools

from amaranth.hdl import Array as Choice
from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from gscn.array import ArrayConfig
from gscn.counters import COUNTER_WIDTH, COUNTERS_PER_CLUSTER
from gscn.hw.cluster.worker_cluster import READ_CHANNELS, WorkerCluster
from gscn.hw.core.cutter import Cutter
from gscn.hw.core.pass_sequencer import PassSequencer, listed_passes_layout, pass_list_layout
from gscn.hw.layouts import memory_port_members
from gscn.hw.port.arbiter import ReadArbiter, WriteArbiter
from gscn.hw.shared import Shared
from gscn.pass_errors import PASS_ERROR_WIDTH, PassError
from gscn.passes import DESCRIPTOR_BYTES
from gscn.port import ALIGNMENT_BITS, port_names

CLUSTER_MODULE = "gscn_cluster"


def start_layout(config: ArrayConfig, listed: bool) -> data.StructLayout:
    """Return what starts an array."""
    return (listed_passes_layout if listed else pass_list_layout)(config)


class Array(wiring.Component):
    """Run lists of passes against one memory, through one port or several.

    A list is taken when the array is idle (after reset, once the accumulators are cleared); `busy`
    rises in the next cycle and falls when all results of the list are acknowledged by the memory;
    it stays high after an error.

    Each port serves a slice of consecutive clusters on its own; clusters share bursts within a
    slice only. With several ports the members `mem_*` are `mem0_*`, `mem1_*` and so on
    (`gscn.port.port_names`). All ports must see the same memory. The first one reads the list of
    passes besides.

    After an error the array stays busy, writes nothing outside the output range of its pass, and
    must be reset; `error_code` and `error_pass` say what was wrong first.

    Golden: `emulator.passes` (results), `emulator.pass_checks` (errors), `cycles.passes` (time).

    Timing
    ------
    - Latency: `START_LATENCY` from `start_list.p` to `mem_read_cmd`; `COUNTER_LATENCY` from
      `counter_addr` to `counter_data`.
    - Throughput: that of its parts.
    - Combinational: none.
    - Reset: no list; outputs 0, but `pass_number` = 0xffffffff. Lists are taken once the
      accumulators are cleared.

    Parameters
    ----------
    config
        Sizes.
    listed
        Passes are of a list that others walk, of which `start_list` says where it lies.

    Attributes
    ----------
    start_list : In(stream.Signature(start_layout(config, listed)))
        Lists of passes.
    busy : Out(1)
        A list is under way, or there was an error.
    pass_number : Out(32)
        Number in its list of the pass under way, or of the last one; all ones before the first.
    error_code : Out(PASS_ERROR_WIDTH)
        Of the first error (`gscn.pass_errors.PassError`), or 0; until reset.
    error_pass : Out(32)
        Number in its list of the pass that it belongs to.
    saturated, accumulator_overflow, nonfinite : Out(1)
        Sticky until reset.
    counter_addr : In(16)
        Cluster x counters + counter (`gscn.counters`); clusters x counters for the busy
        cycles.
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
    START_LATENCY = PassSequencer.FETCH_LATENCY + ReadArbiter.COMMAND_LATENCY

    def __init__(self, *, config: ArrayConfig, listed: bool = False):
        self.config = config
        self._listed = listed
        ports = {}
        for name in port_names("mem", config.ports):
            ports |= memory_port_members(config, name)
        super().__init__(
            {
                "start_list": In(stream.Signature(start_layout(config, listed))),
                "busy": Out(1),
                "pass_number": Out(32),
                "error_code": Out(PASS_ERROR_WIDTH),
                "error_pass": Out(32),
                "saturated": Out(1),
                "accumulator_overflow": Out(1),
                "nonfinite": Out(1),
                "counter_addr": In(16),
                "counter_data": Out(COUNTER_WIDTH),
                **ports,
            }
        )

    def elaborate(self, platform):
        m = Module()
        config = self.config
        m.submodules.sequencer = sequencer = PassSequencer(config=config)
        m.submodules.cutter = cutter = Cutter(config=config)
        self._refused = Signal(config.clusters)
        clusters = []
        for number in range(config.clusters):
            cluster = Shared(WorkerCluster(config=config), CLUSTER_MODULE)
            m.submodules[f"cluster{number}"] = cluster
            clusters.append(cluster)

        initialized = Signal()
        m.d.comb += [
            initialized.eq(Cat(cluster.initialized for cluster in clusters).all()),
            sequencer.start_list.valid.eq(self.start_list.valid & initialized),
            self.start_list.ready.eq(
                sequencer.start_list.ready & initialized & (self.error_code == 0)
            ),
            sequencer.running.eq(cutter.busy),
            sequencer.halt.eq(self.error_code != 0),
            cutter.d.eq(sequencer.d),
            cutter.start.eq(sequencer.start),
            self.busy.eq(sequencer.busy | cutter.busy | (self.error_code != 0)),
            self.pass_number.eq(sequencer.number),
        ]
        self._give_list(m, sequencer)
        for number, cluster in enumerate(clusters):
            wiring.connect(m, cutter.jobs[number], cluster.job)
            m.d.comb += [
                cluster.d.eq(sequencer.d),
                cluster.pass_begins.eq(sequencer.start),
                cluster.count.eq(self.busy),
                cutter.hungry[number].eq(cluster.hungry),
                cutter.done[number].eq(cluster.done),
                cutter.empty[number].eq(cluster.empty),
            ]
        for before, after in itertools.pairwise(clusters):
            wiring.connect(m, after.chain_o, before.chain_i)
        for port, served in enumerate(config.port_slices):
            self._add_port(m, port, served, clusters, cutter, sequencer)
        for flag, source in (
            (self.saturated, "saturated"),
            (self.accumulator_overflow, "overflow"),
            *([(self.nonfinite, "nonfinite")] if config.floats else []),
        ):
            with m.If(Cat(getattr(cluster, source) for cluster in clusters).any()):
                m.d.sync += flag.eq(1)
        self._keep_error(m, clusters, sequencer)
        self._read_counters(m, clusters)
        return m

    def _give_list(self, m, sequencer):
        """Give the sequencer a list, with the range of what it is of: itself, if nobody says."""
        given, taken = self.start_list.p, sequencer.start_list.p
        if self._listed:
            m.d.comb += taken.eq(given)
        else:
            m.d.comb += [
                taken.addr.eq(given.addr),
                taken.count.eq(given.count),
                taken.list_range.begin.eq(given.addr),
                taken.list_range.end.eq(given.addr + given.count * DESCRIPTOR_BYTES),
            ]

    def _keep_error(self, m, clusters, sequencer):
        """Keep the first error; of several in one cycle that of the lowest cluster.

        Of two in one cluster, a burst outside the output range comes first. A descriptor is found
        bad while no pass is under way, which alone can have other errors.
        """
        first = Signal(PASS_ERROR_WIDTH)
        for cluster, refused in reversed([*zip(clusters, self._refused, strict=True)]):
            with m.If(cluster.error != 0):
                m.d.comb += first.eq(cluster.error)
            with m.If(refused):
                m.d.comb += first.eq(PassError.OUTPUT_RANGE)
        bad = sequencer.error != 0
        with m.If((self.error_code == 0) & (bad | (first != 0))):
            m.d.sync += [
                self.error_code.eq(Mux(bad, sequencer.error, first)),
                self.error_pass.eq(sequencer.number + bad),
            ]

    def _add_port(self, m, port, served, every, cutter, sequencer):
        """Add the arbiters of a memory port and connect the clusters that it serves.

        The sequencer reads through the first port, on the channel after those of the clusters.
        """
        config = self.config
        clusters = every[served.start : served.stop]
        channels = READ_CHANNELS * len(clusters)
        reads = ReadArbiter(config=config, count=channels + (port == 0))
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
            writes.range_start.eq(sequencer.d.out_addr >> ALIGNMENT_BITS),
            writes.range_end.eq((sequencer.d.out_end + 63) >> ALIGNMENT_BITS),
            cutter.write_issued[port].eq(writes.issued),
            cutter.write_done[port].eq(member("write_done")),
            self._refused[served.start : served.stop].eq(writes.refused),
        ]
        if port == 0:
            wiring.connect(m, sequencer.command, reads.channels[channels])
            m.d.comb += [
                sequencer.data.eq(member("read_data").payload),
                sequencer.data_valid.eq(reads.channel_valid[channels]),
            ]
        for number, cluster in enumerate(clusters):
            wiring.connect(m, cluster.write_command, writes.commands[number])
            wiring.connect(m, cluster.write_data, writes.beats[number])
            for channel in range(READ_CHANNELS):
                place = READ_CHANNELS * number + channel
                wiring.connect(m, cluster.commands[channel], reads.channels[place])
            m.d.comb += [
                cluster.data.eq(member("read_data").payload),
                cluster.data_valid.eq(reads.channel_valid.word_select(number, READ_CHANNELS)),
            ]

    def _read_counters(self, m, clusters):
        """Put the counter that `counter_addr` names on `counter_data`."""
        cycles = Signal(COUNTER_WIDTH)
        with m.If(self.busy):
            m.d.sync += cycles.eq(cycles + 1)
        owner = Signal(range(len(clusters) + 1))
        # each cluster compares for itself: a switch over all counters would grow with their square
        m.d.sync += owner.eq(len(clusters))
        for number, cluster in enumerate(clusters):
            first = number * COUNTERS_PER_CLUSTER
            position = Signal(16, name=f"position{number}")  # wraps below the cluster's first
            m.d.comb += [
                position.eq(self.counter_addr - first),
                cluster.counter.eq(position),
            ]
            with m.If(position < COUNTERS_PER_CLUSTER):
                m.d.sync += owner.eq(number)
        values = Choice([*(cluster.counter_value for cluster in clusters), cycles])
        m.d.sync += self.counter_data.eq(values[owner])
