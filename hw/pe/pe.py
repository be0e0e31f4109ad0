"""Processing element: one multiplier with its stationary tile and its accumulators."""

from __future__ import annotations

from amaranth.hdl import Module
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out, connect

from gscn import latencies
from gscn.config import AcceleratorConfig
from gscn.hw.fifo import StreamFIFO
from gscn.hw.layouts import (
    LOAD_WORD,
    NUMBER_MODE,
    NUMBER_MODES,
    PE_WORD,
    OutFormat,
    fiber_layout,
    limits_layout,
)
from gscn.hw.pe.accumulator import Accumulator
from gscn.hw.pe.float_rounding import FloatRounder
from gscn.hw.pe.lookup import Lookup
from gscn.hw.pe.rounding import Rounder
from gscn.hw.pe.walker import Walker


class PE(wiring.Component):
    """Queue words, look their keys up, walk the fibers, multiply, accumulate; drain on request.

    Golden: `emulator.functional`.

    Timing
    ------
    - Latency: `WORD_TO_SUM_CYCLES` from `i` to `segment_end`, `FLOAT_PRODUCT_CYCLES` more with
      float formats, if nothing is queued before; `DRAIN_CYCLES` from `drain_addr` to `result`,
      `FLOAT_DRAIN_CYCLES` more with float formats, counting cycles of `drain_advance`.
    - Throughput: one product per cycle.
    - Combinational: none.
    - Reset: nothing queued or under way; outputs 0, but `i.ready` = 1 and `result`, `error_bank`
      undefined, `saturated` undefined without float formats, `overflow` undefined with float
      formats.

    Parameters
    ----------
    config
        Sizes.

    Attributes
    ----------
    i : In(stream.Signature(PE_WORD))
        Words, broadcast by the cluster.
    load : In(LOAD_WORD)
        Chunk of a load block.
    load_en : In(1)
        `load` is for this PE; taken in the same cycle.
    limits : In(limits_layout(config))
        Accumulators in use, per bank.
    drain_en : In(1)
        Read and clear an accumulator; only meaningful with `drain_advance`.
    drain_addr : In(range(config.acc_depth))
        Which one.
    drain_bank : In(1)
        Of which bank.
    drain_advance : In(1)
        Let the drain pipeline move.
    shift : In(range(64))
        How results are scaled.
    out_format : In(OutFormat)
        Their format.
    result : Out(64)
        Of the address given `drain_cycles` cycles of `drain_advance` ago.
    segment_end, job_end : Out(1)
        The PE has finished a segment (the last one of a job); pulses.
    busy, adds, pending : Out(1)
        For the counters: a product is issued, a partial sum is added, anything is queued or under
        way.
    saturated : Out(1)
        `result` was saturated.
    overflow, address_error : Out(1)
        Pulses, as of `Accumulator` and `Walker`.
    error_bank : Out(1)
        Accumulator bank that `address_error` is about.
    modes : In(NUMBER_MODES)
        With float formats: how the jobs of the accumulator banks calculate; changes only while a
        bank is not in use.
    mode : In(NUMBER_MODE)
        With float formats: the same of the job that is drained.
    nonfinite : Out(1)
        With float formats: `result` is infinite or NaN.
    """

    WORD_TO_SUM_CYCLES = (
        StreamFIFO.LATENCY
        + Lookup.LATENCY
        + StreamFIFO.LATENCY
        + Walker.LATENCY
        + Accumulator.LATENCY
    )
    DRAIN_CYCLES = latencies.DRAIN_CYCLES
    FLOAT_PRODUCT_CYCLES = latencies.FLOAT_PRODUCT_CYCLES
    FLOAT_DRAIN_CYCLES = latencies.FLOAT_DRAIN_CYCLES

    @classmethod
    def word_to_sum_cycles(cls, config: AcceleratorConfig) -> int:
        """Cycles from a word to its first sum."""
        return cls.WORD_TO_SUM_CYCLES + (cls.FLOAT_PRODUCT_CYCLES if config.floats else 0)

    @classmethod
    def drain_cycles(cls, config: AcceleratorConfig) -> int:
        """Cycles of `drain_advance` from a drain address to its result."""
        return latencies.drain_cycles(floats=bool(config.floats))

    def __init__(self, *, config: AcceleratorConfig):
        self.config = config
        floats = {"modes": In(NUMBER_MODES), "mode": In(NUMBER_MODE), "nonfinite": Out(1)}
        super().__init__(
            {
                "i": In(stream.Signature(PE_WORD)),
                "load": In(LOAD_WORD),
                "load_en": In(1),
                "limits": In(limits_layout(config), init=[config.acc_depth] * 2),
                "drain_en": In(1),
                "drain_addr": In((config.acc_depth - 1).bit_length()),
                "drain_bank": In(1),
                "drain_advance": In(1),
                "shift": In(range(64)),
                "out_format": In(OutFormat),
                "result": Out(64),
                "segment_end": Out(1),
                "job_end": Out(1),
                "busy": Out(1),
                "adds": Out(1),
                "pending": Out(1),
                "saturated": Out(1),
                "overflow": Out(1),
                "address_error": Out(1),
                "error_bank": Out(1),
                **(floats if config.floats else {}),
            }
        )

    def elaborate(self, platform):
        m = Module()
        config = self.config
        m.submodules.words = words = StreamFIFO(shape=PE_WORD, depth=config.b_fifo_depth)
        m.submodules.lookup = lookup = Lookup(config=config)
        m.submodules.fibers = fibers = StreamFIFO(
            shape=fiber_layout(config), depth=config.match_fifo_depth
        )
        m.submodules.walker = walker = Walker(config=config)
        m.submodules.accumulator = accumulator = Accumulator(config=config)
        m.submodules.rounder = rounder = Rounder(width=config.acc_width)

        connect(m, wiring.flipped(self.i), words.i)
        connect(m, words.o, lookup.i)
        connect(m, lookup.o, fibers.i)
        connect(m, fibers.o, walker.i)
        m.d.comb += [
            lookup.load.eq(self.load),
            lookup.load_en.eq(self.load_en),
            walker.load.eq(self.load),
            walker.load_en.eq(self.load_en),
            accumulator.i.eq(walker.o),
            accumulator.i_valid.eq(walker.o_valid),
            accumulator.limits.eq(self.limits),
            accumulator.drain_en.eq(self.drain_en & self.drain_advance),
            accumulator.drain_addr.eq(self.drain_addr),
            accumulator.drain_bank.eq(self.drain_bank),
            rounder.i.eq(accumulator.drained),
            rounder.shift.eq(self.shift),
            rounder.out_format.eq(self.out_format),
            rounder.en.eq(self.drain_advance),
            self.segment_end.eq(accumulator.segment_end),
            self.job_end.eq(accumulator.job_end),
            self.address_error.eq(accumulator.address_error),
            self.error_bank.eq(accumulator.bank),
            self.busy.eq(walker.issues),
            self.adds.eq(walker.adds),
            self.pending.eq(
                words.o.valid | lookup.active | fibers.o.valid | walker.active | accumulator.active
            ),
        ]
        if not config.floats:
            m.d.comb += [
                self.result.eq(rounder.o),
                self.saturated.eq(rounder.saturated),
                self.overflow.eq(accumulator.overflow),
            ]
            return m
        m.submodules.float_rounder = float_rounder = FloatRounder(config=config)
        m.d.comb += [
            walker.modes.eq(self.modes),
            float_rounder.i.eq(accumulator.drained),
            float_rounder.i_special.eq(accumulator.drained_special),
            float_rounder.integer.eq(rounder.o),
            float_rounder.integer_saturated.eq(rounder.saturated),
            float_rounder.mode.eq(self.mode),
            float_rounder.out_format.eq(self.out_format),
            float_rounder.en.eq(self.drain_advance),
            self.result.eq(float_rounder.o),
            self.saturated.eq(float_rounder.saturated),
            self.nonfinite.eq(float_rounder.nonfinite),
            self.overflow.eq(accumulator.overflow | walker.overflow),
        ]
        return m
