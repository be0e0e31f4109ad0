"""Cluster: a few PEs that share one stream, with their control and memory channels."""

from __future__ import annotations

from amaranth.hdl import Cat, Const, Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from gscn import latencies
from gscn.config import AcceleratorConfig
from gscn.counters import CLUSTER_COUNTER_NAMES, COUNTER_WIDTH
from gscn.error_codes import ErrorCode
from gscn.hw.cluster.broadcast import Broadcaster, FeedState
from gscn.hw.cluster.drain import Drainer
from gscn.hw.cluster.filler import Filler
from gscn.hw.cluster.loader import Loader
from gscn.hw.cluster.tally import Tally
from gscn.hw.fifo import StreamFIFO
from gscn.hw.layouts import (
    NUMBER_MODES,
    SHARERS_WIDTH,
    burst_layout,
    entry_width,
    error_layout,
    limits_layout,
    read_request_layout,
    slotted_beat_layout,
)
from gscn.hw.pe.pe import PE
from gscn.hw.port.reader import ChunkReader
from gscn.hw.port.writer import BurstWriter
from gscn.hw.shared import Shared
from gscn.records import AT_ONCE


class Cluster(wiring.Component):
    """Execute jobs: fetch, load, stream, multiply, drain, all overlapped.

    A job is taken when the loader is idle and at most `prefetch_words` words of the job before are
    left.

    Golden: `emulator.functional` (results), `cycles.model` (time).

    Timing
    ------
    - Latency: `JOB_LATENCY` from `job` to `commands`, if the load channel is idle;
      `COUNTER_LATENCY` from `counter` to `counter_value`.
    - Throughput: that of its parts.
    - Combinational: none. All outputs come from registers, so that a simulator may evaluate a
      cluster once per cycle (`cosim.builds.partition`).
    - Reset: no job; outputs 0, but `job.ready` = 1 and `urgent`, `sharers`, `counter_value`
      undefined, `overflow` undefined with float formats. Both accumulator banks are cleared then,
      which `initialized` ends.

    Parameters
    ----------
    config
        Sizes.

    Attributes
    ----------
    job : In(stream.Signature(config.addr_width))
        Byte address of a queue entry.
    forget : In(1)
        No stationary tile loaded before may be used again (pulse).
    done : Out(1)
        A job's results have all been handed on (pulse).
    commands : Out(stream.Signature(burst_layout(config))).array(2)
        Burst commands of the two read channels (0 load, 1 stream).
    urgent : Out(2)
        Per read channel, whether its command should not wait to be shared (`load_lead`,
        `stream_wait`).
    sharers : Out(SHARERS_WIDTH).array(2)
        Per read channel, how many channels must offer its waiting command for it to be taken all
        the same (`load_sharers`, `stream_sharers`); 0: none do.
    data : In(config.mem_width)
        Beats read.
    data_valid : In(2)
        Per read channel, `data` is a beat for it.
    write_command : Out(stream.Signature(burst_layout(config)))
        Bursts written.
    write_data : Out(stream.Signature(slotted_beat_layout(config)))
        Their beats.
    written : Out(entry_width(config))
        Queue entry of the job whose results are being written.
    count : In(1)
        Advance the counters.
    counter : In(range(len(CLUSTER_COUNTER_NAMES)))
        Number of a counter in `gscn.counters.CLUSTER_COUNTERS`.
    counter_value : Out(COUNTER_WIDTH)
        Its value.
    initialized : Out(1)
        Ready for the first job after reset.
    saturated, overflow, address_error : Out(1)
        Pulses.
    error : Out(error_layout(config))
        What is wrong with a job, while it shows; the first one counts, and whatever the cluster
        does after it means nothing.
    nonfinite : Out(1)
        With float formats: a written result was infinite or NaN (pulse).
    """

    STREAM_REQUESTS = latencies.STREAM_REQUESTS

    JOB_LATENCY = Loader.LATENCY + ChunkReader.REQUEST_LATENCY
    COUNTER_LATENCY = Tally.LATENCY

    def __init__(self, *, config: AcceleratorConfig):
        self.config = config
        command = stream.Signature(burst_layout(config))
        super().__init__(
            {
                "job": In(stream.Signature(config.addr_width)),
                "forget": In(1),
                "done": Out(1),
                "commands": Out(command).array(2),
                "urgent": Out(2),
                "sharers": Out(SHARERS_WIDTH).array(2),
                "data": In(config.mem_width),
                "data_valid": In(2),
                "write_command": Out(command),
                "write_data": Out(stream.Signature(slotted_beat_layout(config))),
                "written": Out(entry_width(config)),
                "count": In(1),
                "counter": In(range(len(CLUSTER_COUNTER_NAMES))),
                "counter_value": Out(COUNTER_WIDTH),
                "initialized": Out(1),
                "saturated": Out(1),
                "overflow": Out(1),
                "address_error": Out(1),
                "error": Out(error_layout(config)),
                **({"nonfinite": Out(1)} if config.floats else {}),
            }
        )

    def elaborate(self, platform):
        m = Module()
        config = self.config
        m.submodules.load_reader = load_reader = Shared(
            ChunkReader(config=config), "gscn_chunk_reader"
        )
        m.submodules.stream_reader = stream_reader = Shared(
            ChunkReader(config=config), "gscn_chunk_reader"
        )
        m.submodules.loader = loader = Loader(config=config)
        m.submodules.broadcaster = broadcaster = Broadcaster(config=config)
        m.submodules.drainer = drainer = Drainer(config=config)
        m.submodules.writer = writer = BurstWriter(config=config)
        pes = []
        for number in range(config.pes_per_cluster):
            pe = Shared(PE(config=config), "gscn_pe")
            m.submodules[f"pe{number}"] = pe
            pes.append(pe)

        for number, reader in enumerate((load_reader, stream_reader)):
            wiring.connect(m, reader.command, wiring.flipped(self.commands[number]))
            m.d.comb += [
                reader.data.eq(self.data),
                reader.data_valid.eq(self.data_valid[number]),
                self.sharers[number].eq(reader.sharers),
            ]
        wiring.connect(m, loader.request, load_reader.request)
        wiring.connect(m, load_reader.o, loader.chunks)
        # streams are requested ahead, so that a long one does not keep the next tile from loading
        m.submodules.stream_requests = stream_requests = StreamFIFO(
            shape=read_request_layout(config), depth=self.STREAM_REQUESTS
        )
        wiring.connect(m, loader.stream_request, stream_requests.i)
        wiring.connect(m, stream_requests.o, stream_reader.request)
        wiring.connect(m, stream_reader.o, broadcaster.chunks)
        wiring.connect(m, loader.segment, broadcaster.segment)
        wiring.connect(m, loader.drain, drainer.context)
        wiring.connect(m, drainer.parts, writer.i)
        wiring.connect(m, writer.command, wiring.flipped(self.write_command))
        wiring.connect(m, writer.o, wiring.flipped(self.write_data))

        # a segment has ended when every PE has ended it; PEs may be segments apart
        segment_ends = [
            Signal(range(Filler.SEGMENTS + 1), name=f"segment_ends{n}") for n in range(len(pes))
        ]
        segment_end = Signal()
        m.d.comb += segment_end.eq(Cat(count != 0 for count in segment_ends).all())
        for count, pe in zip(segment_ends, pes, strict=True):
            m.d.sync += count.eq(count + pe.segment_end - segment_end)

        load_urgent = Signal()  # its requests have no `urgent_room`
        m.d.comb += [
            loader.job.p.eq(self.job.p),
            loader.job.valid.eq(self.job.valid & broadcaster.near_end),
            self.job.ready.eq(loader.job.ready & broadcaster.near_end),
            broadcaster.lead.eq(loader.lead),
            load_urgent.eq((loader.lead == AT_ONCE) | broadcaster.hurry),
            self.urgent.eq(Cat(load_urgent & load_reader.urgent, stream_reader.urgent)),
            loader.segment_end.eq(segment_end),
            loader.forget.eq(self.forget),
            broadcaster.loaded.eq(loader.loaded),
            broadcaster.bank_cleared.eq(drainer.cleared),
            writer.start.eq(drainer.writer_start),
            writer.start_addr.eq(drainer.writer_addr),
            writer.flush.eq(drainer.writer_flush),
            drainer.writer_empty.eq(writer.empty),
            self.done.eq(drainer.done),
            self.initialized.eq(drainer.initialized),
            self.saturated.eq(drainer.any_saturated),
            self.overflow.eq(Cat(pe.overflow for pe in pes).any()),
            self.address_error.eq(Cat(pe.address_error for pe in pes).any()),
        ]
        for number, pe in enumerate(pes):
            wiring.connect(m, broadcaster.o[number], pe.i)
            m.d.comb += [
                pe.load.eq(loader.load),
                pe.load_en.eq(loader.load_en[number]),
                pe.drain_en.eq(drainer.en),
                pe.drain_addr.eq(drainer.addr),
                pe.drain_bank.eq(drainer.bank),
                pe.drain_advance.eq(drainer.advance),
                pe.shift.eq(drainer.shift),
                pe.out_format.eq(drainer.out_format),
                drainer.job_end[number].eq(pe.job_end),
                drainer.result[number].eq(pe.result),
                drainer.saturated[number].eq(pe.saturated),
            ]
            if config.floats:
                m.d.comb += [pe.mode.eq(drainer.mode), drainer.nonfinite[number].eq(pe.nonfinite)]
        if config.floats:
            m.d.comb += self.nonfinite.eq(drainer.any_nonfinite)
            self._keep_modes(m, pes, loader, broadcaster)
        self._report(m, pes, loader, broadcaster, drainer)
        self._count(m, pes, loader, broadcaster, drainer)
        return m

    def _keep_modes(self, m, pes, loader, broadcaster):
        """Tell the PEs how the job of each accumulator bank calculates; banks take turns."""
        modes = Signal(NUMBER_MODES)
        bank = Signal()
        with m.If(broadcaster.starts_job):
            m.d.sync += [modes[bank].eq(loader.mode), bank.eq(~bank)]
        m.d.comb += [pe.modes.eq(modes) for pe in pes]

    def _report(self, m, pes, loader, broadcaster, drainer):
        """Keep the limits of the accumulators, and say which job an error belongs to.

        Descriptors and load blocks are those of the job taken last: the cluster takes a job only
        when the tiles of the one before are loaded. Accumulator banks belong to jobs in turn.
        """
        limits = Signal(limits_layout(self.config))
        entries = [Signal(entry_width(self.config), name=f"entry{bank}") for bank in range(2)]
        fed = Signal(init=1)  # bank of the job that is being broadcast
        with m.If(broadcaster.starts_job):
            m.d.sync += [fed.eq(~fed), limits[~fed].eq(loader.walk_count)]
            for bank, entry in enumerate(entries):
                with m.If(fed != bank):
                    m.d.sync += entry.eq(loader.entry)
        with m.If(drainer.writer_start):
            m.d.sync += self.written.eq(Mux(drainer.bank, entries[1], entries[0]))

        dropped = [
            Cat(pe.address_error & (pe.error_bank == bank) for pe in pes).any() for bank in range(2)
        ]
        m.d.comb += [pe.limits.eq(limits) for pe in pes]
        m.d.comb += broadcaster.tap_counts.eq(loader.tap_counts)
        for condition, code, entry in (
            (loader.error != 0, loader.error, loader.entry),
            (broadcaster.bad_tap, ErrorCode.STREAM_TAP, Mux(fed, entries[1], entries[0])),
            (dropped[1], ErrorCode.ACCUMULATOR, entries[1]),
            (dropped[0], ErrorCode.ACCUMULATOR, entries[0]),
        ):
            with m.If(condition):
                m.d.comb += [self.error.code.eq(code), self.error.entry.eq(entry)]

    def _count(self, m, pes, loader, broadcaster, drainer):
        """Advance exactly one counter per PE and cycle while `count` is high."""
        names = CLUSTER_COUNTER_NAMES
        fed = Signal(range(len(names)))  # the cause for a PE with nothing queued
        with m.Switch(broadcaster.state):
            with m.Case(FeedState.LOAD):
                m.d.comb += fed.eq(names.index("load"))
            with m.Case(FeedState.DRAIN):
                m.d.comb += fed.eq(names.index("drain"))
            with m.Case(FeedState.STREAM, FeedState.MOVING):
                m.d.comb += fed.eq(names.index("stream"))
            with m.Case(FeedState.SIBLING):
                m.d.comb += fed.eq(names.index("sibling"))
            with m.Default():
                others = Cat(pe.pending for pe in pes).any() | (drainer.busy & drainer.initialized)
                m.d.comb += fed.eq(
                    Mux(
                        loader.busy,
                        names.index("load"),
                        Mux(others, names.index("tail"), names.index("idle")),
                    )
                )
        causes = []
        for number, pe in enumerate(pes):
            cause = Signal(range(len(names)), name=f"cause{number}")
            with m.If(pe.busy):
                m.d.comb += cause.eq(names.index("busy"))
            with m.Elif(pe.adds):
                m.d.comb += cause.eq(names.index("add"))
            with m.Elif(pe.pending):
                m.d.comb += cause.eq(names.index("lookup"))
            with m.Else():
                m.d.comb += cause.eq(fed)
            causes.append(cause)

        m.submodules.tally = tally = Tally(count=len(names), most=len(pes), width=COUNTER_WIDTH)
        with m.If(self.count):
            m.d.comb += [
                increment.eq(sum((cause == number for cause in causes), Const(0)))
                for number, increment in enumerate(tally.increments)
            ]
        m.d.comb += [tally.select.eq(self.counter), self.counter_value.eq(tally.value)]
