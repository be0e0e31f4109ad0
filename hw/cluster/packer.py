"""Packer of a cluster: the place in a beat of every set of results."""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from gscn.config import AcceleratorConfig
from gscn.hw.layouts import OutFormat, write_part_layout, write_slots

RESULT_SLOTS = {OutFormat.INT16: 1, OutFormat.INT32: 2, OutFormat.RAW: 4}
"""Slots of one set of results."""
FLOAT_RESULT_SLOTS = {OutFormat.BF16: 1}
"""The same of the format that only a core with float formats has."""


class Packer(wiring.Component):
    """Give each set of results, one per PE and PE 0 lowest, the next slots of a beat.

    The packer stores no result: beats come together in the queue that takes the parts.

    Timing
    ------
    - Latency: `LATENCY` from `i` to `o`.
    - Throughput: one set of results per cycle.
    - Combinational: `i_valid`, `flush` -> `o.valid`; `i`, `i_valid`, `out_format` -> `o.p`;
      `o.ready` -> `i_ready`.
    - Reset: no beat begun; outputs 0, but `flushed` = 1.

    Parameters
    ----------
    config
        Port width, PEs.

    Attributes
    ----------
    i : In(64).array(config.pes_per_cluster)
        Results, of which the format's width counts.
    i_valid : In(1)
        `i` is there.
    i_ready : Out(1)
        `i` is taken, if it is there.
    out_format : In(OutFormat)
        Format of the results; changes only while `flushed`.
    flush : In(1)
        End a beat that has been begun; high until `flushed`.
    flushed : Out(1)
        No beat has been begun.
    o : Out(stream.Signature(write_part_layout(config)))
        Parts of beats.
    """

    LATENCY = 0

    def __init__(self, *, config: AcceleratorConfig):
        self.config = config
        super().__init__(
            {
                "i": In(64).array(config.pes_per_cluster),
                "i_valid": In(1),
                "i_ready": Out(1),
                "out_format": In(OutFormat),
                "flush": In(1),
                "flushed": Out(1),
                "o": Out(stream.Signature(write_part_layout(config))),
            }
        )

    def elaborate(self, platform):
        m = Module()
        slots = write_slots(self.config)

        # a set takes 1, 2 or 4 slots, at a position that is a multiple of that
        position = Signal(range(slots))
        within = Signal.like(position)
        formats = RESULT_SLOTS | (FLOAT_RESULT_SLOTS if self.config.floats else {})
        with m.Switch(self.out_format):
            for out_format, result_slots in formats.items():
                with m.Case(out_format):
                    results = Cat(result[: 16 * result_slots] for result in self.i)
                    m.d.comb += [
                        self.o.p.data.as_value().eq(results.replicate(4 // result_slots)),
                        within.eq(result_slots - 1),
                    ]
        full = (position | within) == slots - 1
        m.d.comb += [
            self.i_ready.eq(self.o.ready),
            self.flushed.eq(position == 0),
            self.o.valid.eq(self.i_valid | (self.flush & ~self.flushed)),
            self.o.p.ends.eq(full | ~self.i_valid),
        ]
        with m.If(self.i_valid):
            m.d.comb += self.o.p.slots.eq(
                Cat((slot & ~within) == position for slot in range(slots))
            )
        with m.If(self.o.valid & self.o.ready):
            m.d.sync += position.eq(position + within + 1)
            with m.If(self.o.p.ends):
                m.d.sync += position.eq(0)
        return m
