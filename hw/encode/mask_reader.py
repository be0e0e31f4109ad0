"""Bits of a mask, vector by vector."""

from __future__ import annotations

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from gscn.array import ArrayConfig
from gscn.encode import BITS_BYTES
from gscn.hw.arguments import need_number
from gscn.hw.encode.line_reader import LineReader, pick, spot_layout
from gscn.hw.fifo import StreamFIFO
from gscn.hw.layouts import burst_layout
from gscn.passes import VECTOR


class MaskReader(wiring.Component):
    """Read the bits of vectors; those of a vector that is not used are 0.

    Implements: the mask in "Where it is" of `docs/contract/encode.md`.
    Golden: `emulator.encode_walk.Walk.mask`.

    Timing
    ------
    - Latency: `LATENCY` from `data_valid` to `o`; `COMMAND_LATENCY` from `i` to `command`.
    - Throughput: one vector per cycle, or one burst.
    - Combinational: `i`, `start_addr`, `end_addr` -> `outside`.
    - Reset: no vector; outputs 0, but `i.ready` = 1.

    Parameters
    ----------
    config
        Port.
    depth
        Lines that are asked for or held, 2 at least.
    vectors
        Vectors that are taken and not handed on.

    Attributes
    ----------
    start_addr : In(config.addr_width)
        Of the mask's first byte.
    end_addr : In(config.addr_width + 1)
        One past its last byte.
    i : In(stream.Signature(spot_layout(config)))
        Vectors.
    outside : Out(1)
        The bits of `i` are outside the range; they are not read.
    command : Out(stream.Signature(burst_layout(config)))
        Bursts to read.
    data : In(config.mem_width)
        Beats, in the order of the commands.
    data_valid : In(1)
        `data` is a beat.
    o : Out(stream.Signature(VECTOR))
        Bits.
    """

    COMMAND_LATENCY = StreamFIFO.LATENCY + LineReader.COMMAND_LATENCY
    LATENCY = LineReader.LATENCY

    def __init__(self, *, config: ArrayConfig, depth: int, vectors: int):
        need_number(self, "depth", depth, 2)
        need_number(self, "vectors", vectors)
        self.config, self._depth, self._vectors = config, depth, vectors
        super().__init__(
            {
                "start_addr": In(config.addr_width),
                "end_addr": In(config.addr_width + 1),
                "i": In(stream.Signature(spot_layout(config))),
                "outside": Out(1),
                "command": Out(stream.Signature(burst_layout(config))),
                "data": In(config.mem_width),
                "data_valid": In(1),
                "o": Out(stream.Signature(VECTOR)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        config = self.config
        m.submodules.places = places = StreamFIFO(shape=spot_layout(config), depth=self._vectors)
        m.submodules.lines = lines = LineReader(
            config=config, depth=self._depth, vectors=self._vectors
        )
        i, end = self.i, Signal(config.addr_width + 1)
        found = lines.o.p
        m.d.comb += [
            end.eq(i.p.addr + BITS_BYTES),
            self.outside.eq(
                i.valid & i.p.used & ((i.p.addr < self.start_addr) | (end > self.end_addr))
            ),
            places.i.valid.eq(i.valid),
            i.ready.eq(places.i.ready),
            places.i.p.addr.eq(i.p.addr),
            places.i.p.used.eq(i.p.used & ~self.outside),
            lines.data.eq(self.data),
            lines.data_valid.eq(self.data_valid),
            self.o.valid.eq(lines.o.valid),
            lines.o.ready.eq(self.o.ready),
            self.o.p.eq(Mux(found.used, pick(found, VECTOR), 0)),
        ]
        wiring.connect(m, places.o, lines.i)
        wiring.connect(m, lines.command, wiring.flipped(self.command))
        return m
