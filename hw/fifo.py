"""A queue with stream ports of any shape."""

from __future__ import annotations

from amaranth.hdl import Module, Mux, Shape, Signal
from amaranth.lib import fifo, stream, wiring
from amaranth.lib.wiring import In, Out

from gscn.hw.arguments import need, need_number
from gscn.hw.forwarding_memory import PIECE, SMALL_BITS, ForwardingMemory


def _is_shape(shape: object) -> bool:
    try:
        Shape.cast(shape)
    except TypeError:
        return False
    return True


def reads_ahead(width: int, depth: int) -> bool:
    """Return whether a queue of so many words of `width` bits has a memory read a cycle ahead."""
    return depth > 1 and depth * min(width, PIECE) > SMALL_BITS


class StreamFIFO(wiring.Component):
    """Queue stream words in order.

    A full queue accepts nothing, even when read in the same cycle. One whose memory, or each piece
    of it, has more than `SMALL_BITS` reads a cycle ahead: the row that is first in the next cycle.

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
        parts = []
        for start in range(0, max(1, len(payload)), PIECE):
            piece = slice(start, min(start + PIECE, len(payload)))
            part = fifo.SyncFIFO(width=piece.stop - start, depth=self._depth)
            m.submodules[f"queue{start or ''}"] = part
            parts.append(part)
            m.d.comb += [
                part.w_data.eq(payload[piece]),
                part.w_en.eq(self.i.valid),
                out[piece].eq(part.r_data),
                part.r_en.eq(self.o.ready),
            ]
        queue = parts[0]  # the others are as full
        m.d.comb += [
            self.i.ready.eq(queue.w_rdy),
            self.o.valid.eq(queue.r_rdy),
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
