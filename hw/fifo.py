"""A queue with stream ports of any shape."""

from __future__ import annotations

from amaranth.hdl import Module, Shape
from amaranth.lib import fifo, stream, wiring
from amaranth.lib.wiring import In, Out

from gscn.hw.arguments import need, need_number


def _is_shape(shape: object) -> bool:
    try:
        Shape.cast(shape)
    except TypeError:
        return False
    return True


class StreamFIFO(wiring.Component):
    """Queue stream words in order.

    A full queue accepts nothing, even when read in the same cycle.

    Timing
    ------
    - Latency: `LATENCY` from `i` to `o`.
    - Throughput: one word per cycle in and out.
    - Combinational: none.
    - Reset: empty; outputs 0, but `i.ready` = 1.

    Parameters
    ----------
    shape
        Of the payload.
    depth
        Words; at least 1.

    Attributes
    ----------
    i : In(stream.Signature(shape))
        Words in.
    o : Out(stream.Signature(shape))
        Words out.
    level : Out(range(depth + 1))
        Words stored.
    """

    LATENCY = 1

    def __init__(self, *, shape, depth: int):
        need(self, "shape", shape, _is_shape(shape), "a shape")
        need_number(self, "depth", depth)
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
