"""Marks in the words of a cluster: what is true once all its PEs have passed one."""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out, connect

from gscn import latencies
from gscn.array import ArrayConfig
from gscn.hw.fifo import StreamFIFO
from gscn.hw.input_layouts import REPORT


class MarkJoiner(wiring.Component):
    """Hold the report of each MARK or END until every PE has passed it.

    A report enters in the cycle in which its word is given to the PEs, and leaves, one per cycle,
    when all have said once more that a word of that kind has passed them.

    Timing
    ------
    - Latency: `LATENCY` from `marks` to `o_valid`; `QUEUE_LATENCY` from `reports` to `o`.
    - Throughput: one report per cycle; at most `DEPTH` are held.
    - Combinational: none.
    - Reset: no report; outputs 0, but `reports.ready` = 1, `o` undefined and `idle` = 1.

    Parameters
    ----------
    config
        PEs.

    Attributes
    ----------
    reports : In(stream.Signature(REPORT))
        Of each MARK or END, in order.
    marks : In(config.pes)
        A PE has passed another one (pulse).
    o : Out(REPORT)
        The oldest report.
    o_valid : Out(1)
        It is true now (pulse).
    idle : Out(1)
        There is none.
    """

    DEPTH = latencies.MARKS_UNDER_WAY

    LATENCY = 1
    QUEUE_LATENCY = StreamFIFO.LATENCY

    def __init__(self, *, config: ArrayConfig):
        self.config = config
        super().__init__(
            {
                "reports": In(stream.Signature(REPORT)),
                "marks": In(config.pes),
                "o": Out(REPORT),
                "o_valid": Out(1),
                "idle": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        m.submodules.queue = queue = StreamFIFO(shape=REPORT, depth=self.DEPTH)
        connect(m, wiring.flipped(self.reports), queue.i)
        passed = [Signal(range(self.DEPTH + 1), name=f"passed{n}") for n in range(self.config.pes)]
        m.d.comb += [
            self.o.eq(queue.o.p),
            self.o_valid.eq(Cat(count != 0 for count in passed).all()),
            queue.o.ready.eq(self.o_valid),
            self.idle.eq(~queue.o.valid),
        ]
        for count, mark in zip(passed, self.marks, strict=True):
            m.d.sync += count.eq(count + mark - self.o_valid)
        return m
