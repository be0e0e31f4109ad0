"""What is kept of results that are integers: thresholds of two kinds of strips, and bits."""

from __future__ import annotations

from amaranth.hdl import Module, Mux, Signal, Value
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from gscn.hw.encode.judge import JUDGED_VECTOR, VERDICT
from gscn.hw.encode.layouts import CODE


def magnitude_of(code: Value) -> Value:
    """Return the magnitude of a number in two's complement, without a sign."""
    return ((code ^ code[-1].replicate(CODE)) + code[-1])[:CODE]


class IntegerJudge(wiring.Component):
    """Compare magnitudes of integers with thresholds.

    Implements: "What is kept", integers, of `docs/contract/encode.md`.
    Golden: `golden.oracle.encode.is_kept`.

    Timing
    ------
    - Latency: `LATENCY` from `i` to `o`.
    - Throughput: one vector per cycle.
    - Combinational: `i`, `unsigned`, `strict` -> `o`; `o.ready` -> `i.ready`.
    - Reset: no register; outputs 0.

    Attributes
    ----------
    i : In(stream.Signature(JUDGED_VECTOR))
        Results, in two's complement; 0 where there is none.
    unsigned : In(1)
        What is judged is a magnitude, without a sign. Held while there are vectors.
    strict : In(1)
        A magnitude must be above its threshold; otherwise it may equal it. Held likewise.
    o : Out(stream.Signature(VERDICT))
        What is kept; codes of strips are the lower 16 bits.
    """

    LATENCY = 0

    def __init__(self):
        super().__init__(
            {
                "i": In(stream.Signature(JUDGED_VECTOR)),
                "unsigned": In(1),
                "strict": In(1),
                "o": Out(stream.Signature(VERDICT)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        found = self.o.p
        for number, lane in enumerate(self.i.p.lanes):
            nonzero = lane.code.any() & self.i.p.there[number]
            judged = Signal(CODE, name=f"judged{number}")
            m.d.comb += [
                judged.eq(Mux(self.unsigned, lane.judged, magnitude_of(lane.judged))),
                found.codes[number].eq(lane.code),
                found.nonzero[number].eq(nonzero),
            ]
            for part, threshold in (("a", lane.threshold_a), ("b", lane.threshold_b)):
                kept = nonzero & Mux(self.strict, judged > threshold, judged >= threshold)
                m.d.comb += [
                    found[f"kept_{part}"][number].eq(kept),
                    found[f"packed_{part}"][number].eq(kept),
                ]
        m.d.comb += [self.o.valid.eq(self.i.valid), self.i.ready.eq(self.o.ready)]
        return m
