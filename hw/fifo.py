"""A queue with stream ports of any shape."""

from __future__ import annotations

from amaranth.hdl import Module
from amaranth.lib import fifo, stream, wiring
from amaranth.lib.wiring import In, Out


class StreamFIFO(wiring.Component):
    """Queue stream words in order.

    Timing: a word accepted in cycle t is offered from cycle t + `LATENCY`; one word per cycle in
    and out. `i.ready` depends on registers only (a full queue accepts nothing, even when read in
    the same cycle).

    Parameters
    ----------
        shape: payload shape.
        depth: words.

    Members:
        i: words in.
        o: words out.
        level: words stored.
    """

    LATENCY = 1

    def __init__(self, *, shape, depth: int):
        self._depth = depth
        super().__init__(
            {
                "i": In(stream.Signature(shape)),
                "o": Out(stream.Signature(shape)),
                "level": Out(range(depth + 1)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        payload = self.i.p.as_value() if hasattr(self.i.p, "as_value") else self.i.p
        out = self.o.p.as_value() if hasattr(self.o.p, "as_value") else self.o.p
        m.submodules.queue = queue = fifo.SyncFIFO(width=len(payload), depth=self._depth)
        m.d.comb += [
            queue.w_data.eq(payload),
            queue.w_en.eq(self.i.valid),
            self.i.ready.eq(queue.w_rdy),
            out.eq(queue.r_data),
            self.o.valid.eq(queue.r_rdy),
            queue.r_en.eq(self.o.ready),
            self.level.eq(queue.level),
        ]
        return m
