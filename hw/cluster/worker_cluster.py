"""Cluster of an array: PEs that share one stream, with their input, drain and memory channels."""

from __future__ import annotations

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from gscn.array import ArrayConfig
from gscn.counters import CLUSTER_COUNTER_NAMES, COUNTER_WIDTH, COUNTERS_PER_CLUSTER
from gscn.hw.array_layouts import PASS, ROWS_WIDTH, WordKind, job_layout, sums_layout
from gscn.hw.cluster.cluster_input import CHANNELS, ClusterInput
from gscn.hw.cluster.result_writer import ResultWriter
from gscn.hw.cluster.results import Results
from gscn.hw.cluster.summing import SummingDrain
from gscn.hw.cluster.tally import Tally
from gscn.hw.input_layouts import InputState
from gscn.hw.layouts import burst_layout, slotted_beat_layout
from gscn.hw.pe.worker import Worker
from gscn.hw.shared import Shared
from gscn.pass_errors import PASS_ERROR_WIDTH, PassError
from gscn.passes import Mode

READ_CHANNELS = len(CHANNELS)


class WorkerCluster(wiring.Component):
    """Execute jobs: find strips, load, stream, multiply, sum up and write, all overlapped.

    Golden: `emulator.passes` (results), `cycles.passes` (time).

    Timing
    ------
    - Latency: `COUNTER_LATENCY` from `counter` to `counter_value`.
    - Throughput: that of its parts.
    - Combinational: none. A simulator may evaluate a cluster once per cycle
      (`cosim.builds.partition`).
    - Reset: no job; outputs 0, but `job.ready` = 1, `chain_i.ready` = 1, `hungry` = 1, `empty` = 1,
      `counter_value` undefined, `overflow` undefined with float formats. Both accumulator banks are
      cleared then, which `initialized` ends.

    Parameters
    ----------
    config
        Sizes.

    Attributes
    ----------
    d : In(PASS)
        The pass; still from `pass_begins` until all its jobs are done.
    pass_begins : In(1)
        A pass begins (pulse, while there is no job).
    job : In(stream.Signature(job_layout(config)))
        Jobs.
    hungry : Out(1)
        No job's words are waited for.
    done : Out(1)
        A job that drains is done (pulse).
    empty : Out(1)
        All bursts of jobs that are done have been handed on.
    chain_i : In(stream.Signature(sums_layout(config)))
        Sums of the next cluster.
    chain_o : Out(stream.Signature(sums_layout(config)))
        Sums for the cluster before.
    commands : Out(stream.Signature(burst_layout(config))).array(READ_CHANNELS)
        Bursts to read for each of `hw.cluster.cluster_input.CHANNELS`.
    data : In(config.mem_width)
        Beats read.
    data_valid : In(READ_CHANNELS)
        Per channel, `data` is a beat for it.
    write_command : Out(stream.Signature(burst_layout(config)))
        Bursts written.
    write_data : Out(stream.Signature(slotted_beat_layout(config)))
        Their beats.
    count : In(1)
        Advance the counters. It begins and ends while there is nothing to count but that a PE is
        idle, as what was in the cycle before is counted.
    counter : In(range(COUNTERS_PER_CLUSTER))
        Number of a counter in `gscn.counters`.
    counter_value : Out(COUNTER_WIDTH)
        Its value.
    initialized : Out(1)
        Ready for the first job after reset.
    saturated, overflow : Out(1)
        Pulses.
    error : Out(PASS_ERROR_WIDTH)
        What is wrong, while it shows; the first one counts, and whatever the cluster does after it
        means nothing.
    nonfinite : Out(1)
        With float formats: a result was infinite or NaN (pulse).
    """

    COUNTER_LATENCY = Tally.LATENCY

    def __init__(self, *, config: ArrayConfig):
        self.config = config
        command = stream.Signature(burst_layout(config))
        sums = stream.Signature(sums_layout(config))
        super().__init__(
            {
                "d": In(PASS),
                "pass_begins": In(1),
                "job": In(stream.Signature(job_layout(config))),
                "hungry": Out(1),
                "done": Out(1),
                "empty": Out(1),
                "chain_i": In(sums),
                "chain_o": Out(sums),
                "commands": Out(command).array(READ_CHANNELS),
                "data": In(config.mem_width),
                "data_valid": In(READ_CHANNELS),
                "write_command": Out(command),
                "write_data": Out(stream.Signature(slotted_beat_layout(config))),
                "count": In(1),
                "counter": In(range(COUNTERS_PER_CLUSTER)),
                "counter_value": Out(COUNTER_WIDTH),
                "initialized": Out(1),
                "saturated": Out(1),
                "overflow": Out(1),
                "error": Out(PASS_ERROR_WIDTH),
                **({"nonfinite": Out(1)} if config.floats else {}),
            }
        )

    def elaborate(self, platform):
        m = Module()
        config = self.config
        m.submodules.input = source = ClusterInput(config=config)
        m.submodules.drain = drain = SummingDrain(config=config)
        m.submodules.results = results = Results(config=config)
        m.submodules.writer = writer = ResultWriter(config=config)
        pes = []
        for number in range(config.pes):
            pe = Shared(Worker(config=config), "gscn_worker")
            m.submodules[f"pe{number}"] = pe
            pes.append(pe)

        self._take_jobs(m, source, drain)
        self._read(m, source)
        wiring.connect(m, wiring.flipped(self.chain_i), drain.chain_i)
        wiring.connect(m, drain.chain_o, wiring.flipped(self.chain_o))
        wiring.connect(m, drain.o, results.i)
        wiring.connect(m, results.o, writer.i)
        wiring.connect(m, writer.command, wiring.flipped(self.write_command))
        wiring.connect(m, writer.o, wiring.flipped(self.write_data))
        m.d.comb += [part.d.eq(self.d) for part in (source, drain, results)]
        m.d.comb += [
            source.begin.eq(self.pass_begins),
            source.bank_cleared.eq(drain.freed),
            results.tile.eq(drain.tile),
            results.begin.eq(drain.begin),
            drain.written.eq(results.written),
            writer.out_format.eq(results.out_format),
            self.hungry.eq(source.state == InputState.EMPTY),
            self.done.eq(drain.done),
            self.empty.eq(writer.empty),
            self.initialized.eq(drain.initialized),
            self.saturated.eq(results.saturated),
            self.overflow.eq(Cat(*(pe.overflow for pe in pes), drain.overflow).any()),
        ]
        if config.floats:
            m.d.comb += self.nonfinite.eq(results.nonfinite)
        for number, pe in enumerate(pes):
            wiring.connect(m, source.o[number], pe.i)
            m.d.comb += [
                pe.load.eq(source.load),
                pe.row_keys.eq(source.row_keys),
                pe.row_step.eq(source.row_step),
                pe.drain.eq(drain.drain),
                source.levels[number].eq(pe.level),
                source.marks[number].eq(pe.mark),
                drain.job_end[number].eq(pe.job_end),
                drain.sums[number].eq(pe.sums),
            ]
            if config.floats:
                m.d.comb += [
                    pe.mode.number_format.eq(self.d.number_format),
                    pe.mode.window.eq(self.d.window),
                ]
        with m.If(source.error != 0):
            m.d.comb += self.error.eq(source.error)
        with m.Elif(Cat(pe.index_error for pe in pes).any()):
            m.d.comb += self.error.eq(PassError.INDEX)
        self._count(m, pes, source, drain, writer)
        return m

    def _take_jobs(self, m, source, drain):
        """Announce a job to the input, and if it drains to the drain."""
        job = self.job.p
        correlate = self.d.mode == Mode.CORRELATE
        takes = Signal()
        m.d.comb += [
            # whether it drains or not, so that no output depends on an input
            self.job.ready.eq(source.job.ready & drain.tiles.ready),
            takes.eq(self.job.valid & self.job.ready),
            source.job.p.eq(job),
            source.job.valid.eq(takes),
            drain.tiles.valid.eq(takes & job.drains),
            drain.tiles.p.samples.eq(Mux(correlate, 1, job.samples)),
            drain.tiles.p.rows.eq(Mux(correlate, 1, job.rows)),
            drain.tiles.p.cols.eq(Mux(correlate, 1, job.x1 - job.x0)),
            *(drain.tiles.p[name].eq(job[name]) for name in ("out_addr", "head", "last")),
        ]

    def _read(self, m, source):
        """Connect the read channels."""
        m.d.comb += [
            source.data.eq(self.data),
            source.data_valid.eq(self.data_valid),
        ]
        for inner, outer in zip(source.commands, self.commands, strict=True):
            wiring.connect(m, inner, wiring.flipped(outer))

    def _count(self, m, pes, source, drain, writer):
        """Advance one counter of causes per PE and cycle, and those of events, during `count`.

        What is counted in a cycle is of one or two before, as it takes long to know; no counter is
        the less for it, as in the last two cycles of `count` a cluster does what it does before the
        first one: nothing.
        """
        names = CLUSTER_COUNTER_NAMES
        idle = names.index("idle")
        fed = Signal(range(len(names)), init=idle)  # the cause for a PE with nothing queued
        others = Cat(
            *(pe.pending for pe in pes), drain.busy & drain.initialized, ~writer.empty
        ).any()
        with m.Switch(source.state):
            for state, name in (
                (InputState.LOAD, "load"),
                (InputState.DRAIN, "drain"),
                (InputState.STREAM, "stream"),
            ):
                with m.Case(state):
                    m.d.sync += fed.eq(names.index(name))
            with m.Case(InputState.EMPTY):
                m.d.sync += fed.eq(Mux(others, names.index("tail"), idle))
            with m.Default():
                m.d.sync += fed.eq(names.index("expand"))
        causes = []
        for number, pe in enumerate(pes):
            busy, pending = Signal(name=f"busy{number}"), Signal(name=f"pending{number}")
            cause = Signal(range(len(names)), name=f"cause{number}", init=idle)
            m.d.sync += [busy.eq(pe.busy), pending.eq(pe.pending)]
            with m.If(busy):
                m.d.sync += cause.eq(names.index("busy"))
            with m.Elif(pending):
                m.d.sync += cause.eq(names.index("lookup"))
            with m.Else():
                m.d.sync += cause.eq(fed)
            causes.append(cause)

        of_causes = [sum((cause == n for cause in causes), Const(0)) for n in range(len(names))]
        events = []
        for number, event in enumerate(self._events(m, source, drain)):
            events.append(Signal(Value.cast(event).shape(), name=f"event{number}"))
            m.d.sync += events[-1].eq(event)
        m.submodules.tally = tally = Tally(
            count=COUNTERS_PER_CLUSTER, most=max(len(pes), 1 << ROWS_WIDTH), width=COUNTER_WIDTH
        )
        with m.If(self.count):
            m.d.comb += [
                increment.eq(n)
                for increment, n in zip(tally.increments, [*of_causes, *events], strict=True)
            ]
        m.d.comb += [tally.select.eq(self.counter), self.counter_value.eq(tally.value)]

    def _events(self, m, source, drain):
        """Return how often each of `gscn.counters.CLUSTER_EVENTS` happens in this cycle."""
        word, load = Signal(), source.load
        lookups = Signal(ROWS_WIDTH + 1)
        for one in source.o:  # at most one of them is given a word
            with m.If(one.valid & one.ready & (one.p.kind == WordKind.MAC)):
                m.d.comb += [word.eq(1), lookups.eq(one.p.rows + 1)]
        drained = drain.drain.en & drain.initialized
        return [word, lookups, sum(load.entry_en, Const(0)), load.key_en, drained]
