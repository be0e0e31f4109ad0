"""PE of an array: one multiplier with a copy of the stationary operand and its own accumulators."""

from __future__ import annotations

from amaranth.hdl import Module
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out, connect

from gscn import latencies
from gscn.array import ArrayConfig
from gscn.hw.array_layouts import (
    drain_layout,
    load_layout,
    sums_layout,
    word_layout,
)
from gscn.hw.fifo import StreamFIFO
from gscn.hw.layouts import NUMBER_MODE
from gscn.hw.pe.ranges import RangeLookup
from gscn.hw.pe.ring import RingWalker
from gscn.hw.pe.sums import Sums


class Worker(wiring.Component):
    """Queue words, look their keys up, walk the fibers, multiply and add; drain on request.

    Entries and keys that a word meets must be there before it comes, and stay until a MARK or END
    that follows it is reported by `mark`.

    Implements: `docs/contract/passes.md`, 'The law'.

    Timing
    ------
    - Latency: `MARK_CYCLES` from `i` to `mark`, not through memories; `END_CYCLES` from `i` to
      `job_end`, `FLOAT_CYCLES` more with float formats, not through memories; `DRAIN_CYCLES` from
      `drain` to `sums`, which stay until the next row. The first two if nothing is queued before.
    - Throughput: one product per cycle; a MARK or END takes a cycle.
    - Combinational: none.
    - Reset: nothing queued or under way; outputs 0, but `i.ready` = 1 and `sums` undefined, and
      `overflow` undefined with float formats. The drain side must walk both banks of sums once
      before any word comes.

    Parameters
    ----------
    config
        Sizes.

    Attributes
    ----------
    i : In(stream.Signature(word_layout(config)))
        Words for this PE.
    level : Out(range(config.word_depth + 1))
        Words queued.
    row_keys : In(config.key_width)
        Keys from one look-up of a word to the next; still while words are under way.
    row_step : In(config.index_width)
        Added to the offset from one to the next; likewise.
    load : In(load_layout(config))
        Stationary entries and keys; taken in the same cycle.
    drain : In(drain_layout(config))
        Row of sums to read and clear; what may be drained is said by `Sums`.
    sums : Out(sums_layout(config))
        What it held.
    mark : Out(1)
        A MARK or END has passed, and all entries before it have been read (pulse).
    job_end : Out(1)
        An END with `job_end` has passed, and all sums before it are stored (pulse).
    busy, pending : Out(1)
        For the counters: a product is issued, anything is queued or under way.
    overflow : Out(1)
        A sum or, with float formats, a product left its width (pulse).
    index_error : Out(1)
        A product was for no accumulator (pulse).
    mode : In(NUMBER_MODE)
        With float formats: how is calculated; still while anything is under way.
    """

    MARK_CYCLES = latencies.WORD_MARK_CYCLES
    END_CYCLES = latencies.WORD_END_CYCLES
    FLOAT_CYCLES = latencies.RING_FLOAT_LATENCY - latencies.RING_LATENCY
    DRAIN_CYCLES = latencies.SUMS_DRAIN_LATENCY

    def __init__(self, *, config: ArrayConfig):
        self.config = config
        super().__init__(
            {
                "i": In(stream.Signature(word_layout(config))),
                "level": Out(range(config.word_depth + 1)),
                "row_keys": In(config.key_width),
                "row_step": In(config.index_width),
                "load": In(load_layout(config)),
                "drain": In(drain_layout(config)),
                "sums": Out(sums_layout(config)),
                "mark": Out(1),
                "job_end": Out(1),
                "busy": Out(1),
                "pending": Out(1),
                "overflow": Out(1),
                "index_error": Out(1),
                **({"mode": In(NUMBER_MODE)} if config.floats else {}),
            }
        )

    def elaborate(self, platform):
        m = Module()
        config = self.config
        m.submodules.words = words = StreamFIFO(shape=word_layout(config), depth=config.word_depth)
        m.submodules.lookup = lookup = RangeLookup(config=config)
        m.submodules.walker = walker = RingWalker(config=config)
        m.submodules.accumulators = accumulators = Sums(config=config)

        connect(m, wiring.flipped(self.i), words.i)
        connect(m, words.o, lookup.i)
        connect(m, lookup.o, walker.i)
        m.d.comb += [
            self.level.eq(words.level),
            lookup.row_keys.eq(self.row_keys),
            lookup.row_step.eq(self.row_step),
            lookup.load.eq(self.load),
            walker.load.eq(self.load),
            accumulators.i.eq(walker.o),
            accumulators.i_valid.eq(walker.o_valid),
            accumulators.product.eq(walker.product),
            accumulators.drain.eq(self.drain),
            self.sums.eq(accumulators.drained),
            self.mark.eq(walker.mark),
            self.job_end.eq(accumulators.job_end),
            self.index_error.eq(accumulators.index_error),
            self.busy.eq(walker.issues),
            self.pending.eq(words.o.valid | lookup.active | walker.active | accumulators.active),
        ]
        if config.floats:
            m.d.comb += [
                walker.mode.eq(self.mode),
                self.overflow.eq(accumulators.overflow | walker.overflow),
            ]
        else:
            m.d.comb += self.overflow.eq(accumulators.overflow)
        return m
