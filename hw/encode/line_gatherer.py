"""Lines of memory put together of pieces of them."""

from __future__ import annotations

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from gscn.array import ArrayConfig
from gscn.hw.arguments import need
from gscn.hw.encode.unit_layouts import LINE
from gscn.hw.ram import Ram
from gscn.port import ALIGNMENT_BITS

HALFWORD = 16
HALFWORDS = LINE // HALFWORD
"""Of a line. All that is written are whole ones."""


def line_layout(config: ArrayConfig) -> data.StructLayout:
    """Return a line of memory, its address in lines, and which of its halfwords are written."""
    return data.StructLayout(
        {"place": config.addr_width - ALIGNMENT_BITS, "data": LINE, "halfwords": HALFWORDS}
    )


def piece_layout(config: ArrayConfig) -> data.StructLayout:
    """Return a piece of a line, at its place in it; of one that is not `there` only `last` counts.

    Behind the last one no other comes until a reset.
    """
    return data.StructLayout({"line": line_layout(config), "there": 1, "last": 1})


class LineGatherer(wiring.Component):
    """Put pieces of lines together; neighbours in one line become one.

    A line is complete when a piece of another one comes, or with the last piece.

    Timing
    ------
    - Latency: `LATENCY` from `i` to `o`, of the piece behind a line.
    - Throughput: one piece per cycle, if lines are taken and `depth` is at least 4.
    - Combinational: none.
    - Reset: no line, and none that is begun; outputs 0, but `i.ready` = 1.

    Parameters
    ----------
    config
        Width of addresses.
    depth
        Lines that it holds, one of them begun; power of two, 2 at least.

    Attributes
    ----------
    i : In(stream.Signature(piece_layout(config)))
        Pieces.
    o : Out(stream.Signature(line_layout(config)))
        Lines.
    ended : Out(1)
        The last piece has come, and all lines have left.
    """

    LATENCY = 1

    def __init__(self, *, config: ArrayConfig, depth: int):
        self.config = config
        holds = isinstance(depth, int) and depth >= 2 and depth & (depth - 1) == 0
        need(self, "depth", depth, holds, "a power of two of at least 2")
        self._depth = depth
        super().__init__(
            {
                "i": In(stream.Signature(piece_layout(config))),
                "o": Out(stream.Signature(line_layout(config))),
                "ended": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        depth, line = self._depth, self.i.p.line
        begun, ending = Signal(), Signal()
        place = Signal.like(line.place, reset_less=True)
        level = Signal(range(depth))  # lines that are complete
        enters, other, fresh = Signal(), Signal(), Signal()
        completes, leaves, room = Signal(), Signal(), Signal()
        m.d.comb += [
            room.eq(level != depth - 1),
            self.i.ready.eq(~ending & (~begun | room)),
            enters.eq(self.i.valid & self.i.ready & self.i.p.there),
            other.eq(begun & (line.place != place)),
            fresh.eq(enters & (other | ~begun)),
            completes.eq((enters & other) | (ending & begun & room)),
            self.o.valid.eq(level != 0),
            leaves.eq(self.o.valid & self.o.ready),
            self.ended.eq(ending & ~begun & ~self.o.valid),
        ]
        with m.If(enters):
            m.d.sync += [begun.eq(1), place.eq(line.place)]
        with m.Elif(completes):
            m.d.sync += begun.eq(0)
        with m.If(self.i.valid & self.i.ready & self.i.p.last):
            m.d.sync += ending.eq(1)
        m.d.sync += level.eq(level + completes - leaves)

        produce, consume, first = (
            Signal(range(depth), name=name) for name in ("produce", "consume", "first")
        )
        at = Signal.like(produce)
        # A piece that completes a line begins the next one.
        m.d.comb += [at.eq(produce + completes), first.eq(consume + leaves)]
        m.d.sync += [produce.eq(at), consume.eq(first)]
        # A line is not complete in the cycle in which it is written: it may be read ahead.
        m.submodules.data = rows = Ram(shape=LINE, depth=depth, granularity=HALFWORD)
        m.d.comb += rows.read.addr.eq(first)
        written = enters.replicate(HALFWORDS) & line.halfwords
        ports = [("data", rows.read, rows.write, written)]
        for name, en, granularity in (
            ("halfwords", Mux(fresh, ~0, Mux(enters, line.halfwords, 0)), 1),
            ("place", fresh, None),
        ):
            memory = Memory(shape=len(line[name]), depth=depth, init=[])
            m.submodules[name] = memory
            read = memory.read_port(domain="comb")
            m.d.comb += read.addr.eq(consume)
            ports.append((name, read, memory.write_port(granularity=granularity), en))
        for name, read, write, en in ports:
            m.d.comb += [
                write.addr.eq(at), write.data.eq(line[name]), write.en.eq(en),
                self.o.p[name].eq(read.data),
            ]  # fmt: skip
        return m
