"""A queue with stream ports of any shape."""

from __future__ import annotations

from amaranth.hdl import Module, Mux, Shape, Signal
from amaranth.lib import fifo, stream, wiring
from amaranth.lib.wiring import In, Out

from gscn.hw.arguments import need, need_number
from gscn.hw.forwarding_memory import SMALL_BITS, ForwardingMemory


def _is_shape(shape: object) -> bool:
    try:
        Shape.cast(shape)
    except TypeError:
        return False
    return True


def reads_ahead(width: int, depth: int) -> bool:
    """Return whether a queue of so many words of `width` bits has a memory read a cycle ahead."""
    return depth > 1 and depth * width > SMALL_BITS


class StreamFIFO(wiring.Component):
    """Queue stream words in order.

    A full queue accepts nothing, even when read in the same cycle. One of more than `SMALL_BITS`
    has a memory that is read a cycle ahead: the row that is first in the next cycle.

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
        if reads_ahead(len(payload), self._depth):
            self._large(m, payload, out)
        else:
            self._small(m, payload, out)
        return m

    def _small(self, m, payload, out):
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

    def _large(self, m, payload, out):
        depth = self._depth
        m.submodules.rows = rows = ForwardingMemory(width=len(payload), depth=depth)
        produce, consume, first = (
            Signal(range(depth), name=name) for name in ("produce", "consume", "first")
        )
        enters, leaves = self.i.valid & self.i.ready, self.o.valid & self.o.ready
        m.d.comb += [
            self.i.ready.eq(self.level != depth),
            self.o.valid.eq(self.level != 0),
            first.eq(consume),
            rows.addr.eq(first),
            out.eq(rows.data),
            rows.en.eq(enters),
            rows.write_addr.eq(produce),
            rows.write_data.eq(payload),
        ]
        m.d.sync += [self.level.eq(self.level + enters - leaves), consume.eq(first)]
        with m.If(enters):
            m.d.sync += produce.eq(Mux(produce == depth - 1, 0, produce + 1))
        with m.If(leaves):
            m.d.comb += first.eq(Mux(consume == depth - 1, 0, consume + 1))
