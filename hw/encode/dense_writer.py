"""Dense results of an encode pass, as lines of memory."""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from gscn.array import ArrayConfig
from gscn.hw.encode.layouts import CODE
from gscn.hw.encode.line_gatherer import HALFWORDS, LineGatherer, line_layout
from gscn.hw.encode.unit_layouts import LINE, dense_layout
from gscn.passes import VECTOR
from gscn.port import ALIGNMENT_BITS

_HALF = 16 * VECTOR
"""Bits of a vector of bf16."""
_HALF_BYTES = (_HALF // 8).bit_length() - 1


class DenseWriter(wiring.Component):
    """Make lines of vectors; one outside the range is never taken, nor any behind it.

    A vector is half a line, or a whole one if it is `wide`.

    Implements: "What is computed" of `docs/contract/encode.md`, where dense results are.
    Golden: `emulator.encode`.

    Timing
    ------
    - Latency: `LATENCY` from `i` to `o`, of the vector behind a line.
    - Throughput: one vector per cycle, if lines are taken.
    - Combinational: `i.p`, `first`, `last`, `wide` -> `i.ready`; `i.p`, `i.valid`, `first`,
      `last`, `wide` -> `outside`.
    - Reset: no vector; outputs 0, but `i.ready` = 1.

    Parameters
    ----------
    config
        Width of addresses.

    Attributes
    ----------
    i : In(stream.Signature(dense_layout(config)))
        Vectors. Behind the one that ends, none until a reset.
    wide : In(1)
        Values are float32, else bf16.
    first : In(config.addr_width)
        Where the range begins, a multiple of 64.
    last : In(config.addr_width + 1)
        Where it ends, one past its last byte.
    o : Out(stream.Signature(line_layout(config)))
        Lines.
    outside : Out(1)
        The vector at hand lies outside the range.
    ended : Out(1)
        All lines have left.
    """

    DEPTH = 4
    LATENCY = LineGatherer.LATENCY

    def __init__(self, *, config: ArrayConfig):
        self.config = config
        super().__init__(
            {
                "i": In(stream.Signature(dense_layout(config))),
                "wide": In(1),
                "first": In(config.addr_width),
                "last": In(config.addr_width + 1),
                "o": Out(stream.Signature(line_layout(config))),
                "outside": Out(1),
                "ended": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        m.submodules.gatherer = gatherer = LineGatherer(config=self.config, depth=self.DEPTH)
        wiring.connect(m, gatherer.o, wiring.flipped(self.o))
        vector, piece = self.i.p, gatherer.i.p
        place, upper = vector.addr[ALIGNMENT_BITS:], vector.addr[_HALF_BYTES]
        end, rest = self.last[ALIGNMENT_BITS:], self.last[_HALF_BYTES]
        bad = Signal()
        # Behind the range's last whole line there may be room for half a one.
        fits = (place < end) | ((place == end) & ~self.wide & ~upper & rest)
        codes = Cat(vector.codes)
        halves = Cat(code[CODE // 2 :] for code in vector.codes)
        half = HALFWORDS // 2
        m.d.comb += [
            bad.eq(vector.wanted & ((place < self.first[ALIGNMENT_BITS:]) | ~fits)),
            self.outside.eq(self.i.valid & bad),
            self.i.ready.eq(gatherer.i.ready & ~bad),
            gatherer.i.valid.eq(self.i.valid & ~bad),
            piece.line.place.eq(place),
            piece.line.data.eq(Mux(self.wide, codes, halves.replicate(LINE // _HALF))),
            piece.line.halfwords.eq(
                Cat((self.wide | ~upper).replicate(half), (self.wide | upper).replicate(half))
            ),
            piece.there.eq(vector.wanted),
            piece.last.eq(vector.ends),
            self.ended.eq(gatherer.ended),
        ]
        return m
