"""Counts of a pass: values kept, values that are there, the largest exponent, and flags."""

from __future__ import annotations

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from gscn.hw.encode.judge import VERDICT
from gscn.hw.encode.unit_layouts import TALLY
from gscn.passes import VECTOR


class Tally(wiring.Component):
    """Count what a pass writes into its state.

    Implements: what "The state" of `docs/contract/encode.md` says is written, but halfwords.
    Golden: `emulator.encode`, as it counts.

    Timing
    ------
    - Latency: `LATENCY` from `en`, `there`, `verdict`, `flags` to `o`.
    - Throughput: one vector per cycle.
    - Combinational: none.
    - Reset: outputs 0.

    Attributes
    ----------
    en : In(1)
        There is a vector.
    there : In(VECTOR)
        Which of its values are there.
    verdict : In(VERDICT)
        What is said of them.
    flags : In(3)
        Flags to be set, in any cycle.
    o : Out(TALLY)
        What was counted since reset.
    """

    LATENCY = 1

    def __init__(self):
        super().__init__(
            {
                "en": In(1),
                "there": In(VECTOR),
                "verdict": In(VERDICT),
                "flags": In(3),
                "o": Out(TALLY),
            }
        )

    def elaborate(self, platform):
        m = Module()
        found = Signal(TALLY)
        counted = {
            "kept_a": self.verdict.kept_a,
            "kept_b": self.verdict.kept_b,
            "nonzeros": self.verdict.nonzero,
            "elements": self.there,
        }
        with m.If(self.en):
            for name, bits in counted.items():
                m.d.sync += found[name].eq(found[name] + sum(bits))
            larger = self.verdict.largest > found.largest
            m.d.sync += found.largest.eq(Mux(larger, self.verdict.largest, found.largest))
        m.d.sync += found.flags.eq(found.flags | self.flags)
        m.d.comb += self.o.eq(found)
        return m
