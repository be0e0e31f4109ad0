"""Broadcast of a cluster's stream to its PEs."""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import enum, stream, wiring
from amaranth.lib.wiring import In, Out

from gscn import latencies
from gscn.config import CHUNK_WIDTH, AcceleratorConfig
from gscn.hw.cluster.expand import Expander
from gscn.hw.fifo import StreamFIFO
from gscn.hw.layouts import PE_WORD, SEGMENT_CONTEXT, WordKind, tap_counts_layout


class FeedState(enum.Enum, shape=3):
    """Why a PE with an empty queue has nothing to do, as far as its broadcaster knows."""

    EMPTY = 0
    """No segment is announced."""
    LOAD = 1
    """The next segment's tile is not loaded."""
    DRAIN = 2
    """No accumulator bank is free."""
    STREAM = 3
    """The next word has not arrived."""
    SIBLING = 4
    """A PE's queue is full."""
    MOVING = 5
    """A word is being handed over."""


class Broadcaster(wiring.Component):
    """Hand the words of each segment to all PEs at once, then an END word.

    A MAC word goes to every PE, expanded; ADD record number i goes to PE `i % pes_per_cluster`. A
    segment starts when its tile is loaded and, if it is the first of its job, an accumulator bank
    is free.

    Timing
    ------
    - Latency: `LATENCY` from `chunks` to `o`; `SEGMENT_LATENCY` from `segment` to `starts_job`.
    - Throughput: one word per cycle, when every PE addressed has room; a rebase takes two cycles,
      needs no room and hands nothing over. Two cycles lie between one segment's last word and the
      next one's first: the END word, and one that hands nothing over.
    - Combinational: `chunks.valid`, `chunks.p` -> `chunks.ready`, `o.valid`, `bad_tap`, `state`;
      `chunks.p` -> `o.p`; `o.ready` -> `chunks.ready`, `o.valid`, `state`; `tap_counts` ->
      `bad_tap`. Every PE's valid depends on the ready of all.
    - Reset: no segment; outputs 0, but `segment.ready` = 1 and `near_end` = 1.

    Parameters
    ----------
    config
        Sizes.

    Attributes
    ----------
    segment : In(stream.Signature(SEGMENT_CONTEXT))
        Announced segments.
    chunks : In(stream.Signature(CHUNK_WIDTH))
        From the stream channel's reader.
    o : Out(stream.Signature(PE_WORD)).array(config.pes_per_cluster)
        Words for each PE.
    loaded : In(1)
        Another announced segment's tile is loaded (pulse).
    bank_cleared : In(1)
        Another accumulator bank is free (pulse).
    starts_job : Out(1)
        The first segment of a job starts (pulse).
    tap_counts : In(tap_counts_layout(config))
        Taps in each stationary bank.
    bad_tap : Out(1)
        The stream of the segment under way names a first tap that is not in its bank.
    state : Out(FeedState)
        Why idle PEs are idle.
    near_end : Out(1)
        The cluster should be given its next job: at most `prefetch_words` items are left.
    lead : In(16)
        Items.
    hurry : Out(1)
        No tile is loaded for the next segment, and at most `lead` items of the current one were
        left in the cycle before.
    """

    SEGMENTS = latencies.SEGMENTS_ANNOUNCED

    LATENCY = Expander.LATENCY
    SEGMENT_LATENCY = StreamFIFO.LATENCY

    def __init__(self, *, config: AcceleratorConfig):
        self.config = config
        super().__init__(
            {
                "segment": In(stream.Signature(SEGMENT_CONTEXT)),
                "chunks": In(stream.Signature(CHUNK_WIDTH)),
                "o": Out(stream.Signature(PE_WORD)).array(config.pes_per_cluster),
                "loaded": In(1),
                "bank_cleared": In(1),
                "starts_job": Out(1),
                "tap_counts": In(tap_counts_layout(self.config)),
                "bad_tap": Out(1),
                "state": Out(FeedState),
                "near_end": Out(1),
                "lead": In(16),
                "hurry": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        pes = self.config.pes_per_cluster
        m.submodules.segments = segments = StreamFIFO(shape=SEGMENT_CONTEXT, depth=self.SEGMENTS)
        wiring.connect(m, wiring.flipped(self.segment), segments.i)
        current = segments.o.p

        tiles_ready = Signal(range(self.SEGMENTS + 1))
        banks_free = Signal(range(3))
        starts = Signal()
        m.d.sync += [
            tiles_ready.eq(tiles_ready + self.loaded - starts),
            banks_free.eq(banks_free + self.bank_cleared - self.starts_job),
        ]

        m.submodules.expander = expander = Expander()
        wiring.connect(m, wiring.flipped(self.chunks), expander.chunks)
        items_left = Signal(32)
        target = Signal(range(pes))
        ready = Cat(o.ready for o in self.o)
        addressed = Signal(pes)
        offers, fires = Signal(), Signal()
        feeding = Signal()  # the first segment announced has started
        ends = Signal()
        m.d.comb += [
            expander.start.eq(starts),
            expander.add.eq(current.add),
            expander.offset_bits.eq(current.offset_bits),
            expander.last.eq(items_left == 1),
            expander.tap_count.eq(self.tap_counts[current.bank]),
            self.bad_tap.eq(offers & ~ends & expander.bad_tap),
        ]
        with m.If(ends):
            m.d.comb += addressed.eq(~0)
        with m.Elif(current.add):
            m.d.comb += addressed.eq(1 << target)
        with m.Else():
            m.d.comb += addressed.eq(expander.o.p.is_word.replicate(pes))
        m.d.comb += [
            fires.eq(offers & ((ready & addressed) == addressed)),
            self.near_end.eq(
                (segments.level == 0)
                | (
                    (segments.level == 1)
                    & current.last
                    & feeding
                    & (items_left <= self.config.prefetch_words)
                )
            ),
        ]
        m.d.sync += self.hurry.eq((tiles_ready == 0) & (~feeding | (items_left <= self.lead)))
        for number, o in enumerate(self.o):
            m.d.comb += [
                o.valid.eq(fires & addressed[number]),
                o.p.chunk.eq(expander.o.p.chunk),
                o.p.job_end.eq(current.last),
                o.p.bank.eq(current.bank),
                o.p.kind.eq(Mux(ends, WordKind.END, Mux(current.add, WordKind.ADD, WordKind.MAC))),
            ]

        with m.FSM():
            with m.State("WAIT"):
                with m.If(~segments.o.valid):
                    m.d.comb += self.state.eq(FeedState.EMPTY)
                with m.Elif(tiles_ready == 0):
                    m.d.comb += self.state.eq(FeedState.LOAD)
                with m.Elif(current.first & (banks_free == 0)):
                    m.d.comb += self.state.eq(FeedState.DRAIN)
                with m.Else():
                    m.d.comb += [
                        self.state.eq(FeedState.MOVING),
                        starts.eq(1),
                        self.starts_job.eq(current.first),
                    ]
                    m.d.sync += [items_left.eq(current.stream_count), target.eq(0)]
                    m.next = "STREAM"
                    with m.If(current.stream_count == 0):
                        m.next = "END"
            with m.State("STREAM"):
                m.d.comb += feeding.eq(1)
                m.d.comb += [offers.eq(expander.o.valid), expander.o.ready.eq(fires)]
                with m.If(fires):
                    m.d.comb += self.state.eq(FeedState.MOVING)
                    m.d.sync += [items_left.eq(items_left - 1), target.eq(target + 1)]
                    with m.If(items_left == 1):
                        m.next = "END"
                with m.Elif(expander.o.valid):
                    m.d.comb += self.state.eq(FeedState.SIBLING)
                with m.Else():
                    m.d.comb += self.state.eq(FeedState.STREAM)
            with m.State("END"):
                m.d.comb += [feeding.eq(1), offers.eq(1), ends.eq(1)]
                m.d.comb += self.state.eq(Mux(fires, FeedState.MOVING, FeedState.SIBLING))
                with m.If(fires):
                    m.d.comb += segments.o.ready.eq(1)
                    m.next = "WAIT"
        return m
