"""A queue with stream ports of any shape."""

from __future__ import annotations

from amaranth.hdl import Module, Mux, Shape, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.memory import Memory
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

    A full queue accepts nothing, even when read in the same cycle. Whether it is full, or empty, is
    in registers. One whose memory, or each piece of it, has more than `SMALL_BITS` reads a cycle
    ahead: the row that is first in the next cycle.

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
        depth = self._depth
        payload = self.i.p.as_value() if hasattr(self.i.p, "as_value") else self.i.p
        out = self.o.p.as_value() if hasattr(self.o.p, "as_value") else self.o.p
        produce, consume, first = (
            Signal(range(depth), name=name) for name in ("produce", "consume", "first")
        )
        room, there = Signal(init=1), Signal()  # what follows from `level`
        enters, leaves = self.i.valid & room, self.o.ready & there
        m.d.comb += [self.i.ready.eq(room), self.o.valid.eq(there), first.eq(consume)]
        m.d.sync += [self.level.eq(self.level + enters - leaves), consume.eq(first)]
        with m.If(enters & ~leaves):
            m.d.sync += [room.eq(self.level != depth - 1), there.eq(1)]
        with m.Elif(leaves & ~enters):
            m.d.sync += [room.eq(1), there.eq(self.level != 1)]
        with m.If(enters):
            m.d.sync += produce.eq(Mux(produce == depth - 1, 0, produce + 1))
        with m.If(leaves):
            m.d.comb += first.eq(Mux(consume == depth - 1, 0, consume + 1))

        if reads_ahead(len(payload), depth):
            m.submodules.rows = rows = ForwardingMemory(width=len(payload), depth=depth)
            m.d.comb += [
                rows.addr.eq(first),
                out.eq(rows.data),
                rows.en.eq(enters),
                rows.write_addr.eq(produce),
                rows.write_data.eq(payload),
            ]
            return m
        for start in range(0, max(1, len(payload)), PIECE):
            piece = slice(start, min(start + PIECE, len(payload)))
            rows = Memory(shape=piece.stop - piece.start, depth=depth, init=[])
            m.submodules[f"rows{start or ''}"] = rows
            write, read = rows.write_port(), rows.read_port(domain="comb")
            m.d.comb += [
                write.addr.eq(produce),
                write.data.eq(payload[piece]),
                write.en.eq(enters),
                read.addr.eq(consume),
                out[piece].eq(read.data),
            ]
        return m
