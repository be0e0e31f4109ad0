"""Counts of a lane's results, channel by channel."""

from __future__ import annotations

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from gscn.hw.encode.layouts import EXPONENT

CHANNEL_COUNTS = data.StructLayout({"nonzeros": 32, "kept": 32, "largest": EXPONENT})
"""Of a segment: results that are not 0, values of strips A, and the largest exponent."""


class LaneCounts(wiring.Component):
    """Count a result of a lane: what its row holds then, of what it held before.

    Implements: counts of "Sums" in `docs/contract/encode.md`.

    Timing
    ------
    - Latency: `LATENCY` from `exponent`, `nonzero`, `kept` to `after`. No stage can be held.
    - Throughput: one result per cycle.
    - Combinational: `before` -> `after`.
    - Reset: none, the result goes on; outputs `after` undefined.

    Attributes
    ----------
    nonzero : In(1)
        The result is not 0.
    kept : In(1)
        It is in strips A.
    exponent : In(EXPONENT)
        Its exponent field if it is finite and not 0, a subnormal's being 1; otherwise 0.
    before : In(CHANNEL_COUNTS)
        What its row held, a cycle later.
    after : Out(CHANNEL_COUNTS)
        What the row holds with it.
    """

    LATENCY = 1

    def __init__(self):
        super().__init__(
            {
                "nonzero": In(1),
                "kept": In(1),
                "exponent": In(EXPONENT),
                "before": In(CHANNEL_COUNTS),
                "after": Out(CHANNEL_COUNTS),
            }
        )

    def elaborate(self, platform):
        m = Module()
        nonzero, kept = Signal(reset_less=True), Signal(reset_less=True)
        exponent = Signal(EXPONENT, reset_less=True)
        m.d.sync += [
            nonzero.eq(self.nonzero),
            kept.eq(self.kept),
            exponent.eq(self.exponent),
        ]
        before, after = self.before, self.after
        m.d.comb += [
            after.nonzeros.eq(before.nonzeros + nonzero),
            after.kept.eq(before.kept + kept),
            after.largest.eq(Mux(exponent > before.largest, exponent, before.largest)),
        ]
        return m
