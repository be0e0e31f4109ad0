"""A queue of vectors, which has a memory for each piece of a word."""

from __future__ import annotations

from amaranth.hdl import Module, Mux, Shape, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from gscn.hw.arguments import need_number

PIECE = 512
"""Bits of a memory: a vector's word is several thousand wide, more than memories are, and more than
pysim can compile."""


class WideFIFO(wiring.Component):
    """Queue stream words in order, like `gscn.hw.fifo.StreamFIFO`.

    A full queue accepts nothing, even when read in the same cycle.

    Timing
    ------
    - Latency: `LATENCY` from `i` to `o`.
    - Throughput: one word per cycle in and out, from a depth of 2 on.
    - Combinational: none.
    - Reset: empty; outputs 0, but `i.ready` = 1.

    Parameters
    ----------
    shape
        Of the payload.
    depth
        Words; at least 2.

    Attributes
    ----------
    i : In(stream.Signature(shape))
        Words in.
    o : Out(stream.Signature(shape))
        Words out.
    """

    LATENCY = 1

    def __init__(self, *, shape, depth: int):
        need_number(self, "depth", depth, 2)
        self._depth = depth
        super().__init__({"i": In(stream.Signature(shape)), "o": Out(stream.Signature(shape))})

    def elaborate(self, platform):
        m = Module()
        depth = self._depth
        produce, consume, level = (Signal(range(n)) for n in (depth, depth, depth + 1))
        comes, goes = self.i.valid & self.i.ready, self.o.valid & self.o.ready
        m.d.comb += [self.i.ready.eq(level != depth), self.o.valid.eq(level != 0)]
        m.d.sync += level.eq(level + comes - goes)
        with m.If(comes):
            m.d.sync += produce.eq(Mux(produce == depth - 1, 0, produce + 1))
        with m.If(goes):
            m.d.sync += consume.eq(Mux(consume == depth - 1, 0, consume + 1))
        given, taken = (
            one.as_value() if hasattr(one, "as_value") else one for one in (self.i.p, self.o.p)
        )
        width = Shape.cast(self.i.p.shape()).width
        for start in range(0, width, PIECE):
            piece = slice(start, min(start + PIECE, width))
            memory = Memory(shape=piece.stop - piece.start, depth=depth, init=[])
            m.submodules[f"piece{start}"] = memory
            write, read = memory.write_port(), memory.read_port(domain="comb")
            m.d.comb += [
                write.addr.eq(produce),
                write.data.eq(given[piece]),
                write.en.eq(comes),
                read.addr.eq(consume),
                taken[piece].eq(read.data),
            ]
        return m
