"""Counts of a lane's results, channel by channel."""

from __future__ import annotations

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import data, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from gscn.hw.arguments import need_number
from gscn.hw.encode.layouts import EXPONENT

CHANNEL_COUNTS = data.StructLayout({"nonzeros": 32, "kept": 32, "largest": EXPONENT})
"""Of a segment: results that are not 0, values of strips A, and the largest exponent."""


class LaneCounts(wiring.Component):
    """Count what a lane has, in rows.

    There is a row for each vector of a position; the first result of a segment `begins` it at 0.

    Implements: counts of "Sums" in `docs/contract/encode.md`.

    Timing
    ------
    - Latency: `LATENCY` from `exponent`, `nonzero`, `kept`, `row` to `o`. No stage can be held.
    - Throughput: one result per cycle, and a row that is read.
    - Combinational: `drained` -> `o`.
    - Reset: none, rows stay; outputs `o` undefined.

    Parameters
    ----------
    depth
        Rows, at least 2.

    Attributes
    ----------
    en : In(1)
        There is a result.
    row : In(range(depth))
        Its row.
    begins : In(1)
        The row begins at 0.
    nonzero : In(1)
        The result is not 0.
    kept : In(1)
        It is in strips A.
    exponent : In(EXPONENT)
        Its exponent field if it is finite and not 0, a subnormal's being 1; otherwise 0.
    drained : In(range(depth))
        Row to be read.
    o : Out(CHANNEL_COUNTS)
        What it holds.
    """

    LATENCY = 1

    def __init__(self, *, depth: int):
        need_number(self, "depth", depth, 2)
        self._depth = depth
        super().__init__(
            {
                "en": In(1),
                "row": In(range(depth)),
                "begins": In(1),
                "nonzero": In(1),
                "kept": In(1),
                "exponent": In(EXPONENT),
                "drained": In(range(depth)),
                "o": Out(CHANNEL_COUNTS),
            }
        )

    def elaborate(self, platform):
        m = Module()
        m.submodules.rows = rows = Memory(shape=CHANNEL_COUNTS, depth=self._depth, init=[])
        read, write = rows.read_port(domain="comb"), rows.write_port()
        before, after = Signal(CHANNEL_COUNTS), Signal(CHANNEL_COUNTS)
        drain = rows.read_port(domain="comb")
        larger = self.exponent > before.largest
        m.d.comb += [
            read.addr.eq(self.row),
            before.eq(Mux(self.begins, 0, read.data)),
            after.nonzeros.eq(before.nonzeros + self.nonzero),
            after.kept.eq(before.kept + self.kept),
            after.largest.eq(Mux(larger, self.exponent, before.largest)),
            write.addr.eq(self.row),
            write.data.eq(after),
            write.en.eq(self.en),
            drain.addr.eq(self.drained),
            self.o.eq(drain.data),
        ]
        return m
