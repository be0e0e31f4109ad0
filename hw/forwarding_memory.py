"""A memory of one port each way whose read comes a cycle later and sees what is written."""

from __future__ import annotations

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from gscn.hw.arguments import need_number
from gscn.hw.ram import Ram

SMALL_BITS = 1024
"""A memory of no more bits may read at once: it is flip-flops in any case."""
PIECE = 512
"""Bits of a memory's row: wider ones are side by side, as no memory of a technology is so wide."""


class ForwardingMemory(wiring.Component):
    """Read rows a cycle ahead, whatever is written to them in that cycle.

    A macro, or a block of an FPGA, may show anything where a row is read in the cycle in which it
    is written: what is written is kept here for the next cycle. Of a memory of no more than
    `SMALL_BITS`, the row's number is kept, and it is read at once.

    Timing
    ------
    - Latency: `LATENCY` from `addr` to `data`.
    - Throughput: a row is read, and a row is written, in each cycle.
    - Combinational: none.
    - Reset: none, rows stay; outputs `data` undefined.

    Parameters
    ----------
    width
        Bits of a row.
    depth
        Rows, at least 2.

    Attributes
    ----------
    addr : In(range(depth))
        Row to be read.
    data : Out(width)
        What it holds after that cycle.
    en : In(1)
        A row is written.
    write_addr : In(range(depth))
        Which.
    write_data : In(width)
        What it is to hold.
    """

    LATENCY = 1

    def __init__(self, *, width: int, depth: int):
        need_number(self, "width", width)
        need_number(self, "depth", depth, 2)
        self._width, self._depth = width, depth
        super().__init__(
            {
                "addr": In(range(depth)),
                "data": Out(width),
                "en": In(1),
                "write_addr": In(range(depth)),
                "write_data": In(width),
            }
        )

    def elaborate(self, platform):
        m = Module()
        if self._width * self._depth <= SMALL_BITS:
            self._small(m)
        else:
            self._large(m)
        return m

    def _small(self, m):
        m.submodules.rows = rows = Memory(shape=self._width, depth=self._depth, init=[])
        write, read = rows.write_port(), rows.read_port(domain="comb")
        m.d.sync += read.addr.eq(self.addr)
        m.d.comb += [
            write.addr.eq(self.write_addr),
            write.data.eq(self.write_data),
            write.en.eq(self.en),
            self.data.eq(read.data),
        ]

    def _large(self, m):
        kept = Signal(self._width, reset_less=True)
        forwards = Signal(reset_less=True)
        m.d.sync += [
            kept.eq(self.write_data),
            forwards.eq(self.en & (self.addr == self.write_addr)),
        ]
        for start in range(0, self._width, PIECE):
            piece = slice(start, min(start + PIECE, self._width))
            memory = Ram(shape=piece.stop - piece.start, depth=self._depth)
            m.submodules[f"piece{start}"] = memory
            write, read = memory.write, memory.read
            m.d.comb += [
                write.addr.eq(self.write_addr),
                write.data.eq(self.write_data[piece]),
                write.en.eq(self.en),
                read.addr.eq(self.addr),
                self.data[piece].eq(Mux(forwards, kept[piece], read.data)),
            ]
