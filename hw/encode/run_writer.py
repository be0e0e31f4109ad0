"""Results of an encode pass that lie one behind the other, as lines of memory."""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from gscn.array import ArrayConfig
from gscn.hw.arguments import need
from gscn.hw.encode.line_gatherer import HALFWORD, HALFWORDS, LineGatherer, line_layout


def word_layout(halfwords: int) -> data.StructLayout:
    """Return what is written at a time, and whether it is the last."""
    return data.StructLayout({"word": HALFWORD * halfwords, "ends": 1})


class RunWriter(wiring.Component):
    """Make lines of words from an address on, without a gap.

    Implements: where bits and sums lie, of `docs/contract/encode.md`.

    Timing
    ------
    - Latency: `LATENCY` from `i` to `o`, of the word behind a line.
    - Throughput: one word per cycle, but those that begin a line, if lines are taken.
    - Combinational: none.
    - Reset: no word; outputs 0.

    Parameters
    ----------
    config
        Width of addresses.
    halfwords
        Of a word; power of two, less than a line's.

    Attributes
    ----------
    i : In(stream.Signature(word_layout(halfwords)))
        Words. Behind the one that ends, none until a reset.
    addr : In(config.addr_width)
        Of the first one, a multiple of 64.
    o : Out(stream.Signature(line_layout(config)))
        Lines.
    ended : Out(1)
        All lines have left.
    """

    DEPTH = 2
    LATENCY = LineGatherer.LATENCY

    def __init__(self, *, config: ArrayConfig, halfwords: int):
        self.config = config
        holds = isinstance(halfwords, int) and halfwords in [
            1 << bit for bit in range(HALFWORDS.bit_length() - 1)
        ]
        need(self, "halfwords", halfwords, holds, f"a power of two below {HALFWORDS}")
        self._halfwords = halfwords
        super().__init__(
            {
                "i": In(stream.Signature(word_layout(halfwords))),
                "addr": In(config.addr_width),
                "o": Out(stream.Signature(line_layout(config))),
                "ended": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        size = self._halfwords
        m.submodules.gatherer = gatherer = LineGatherer(config=self.config, depth=self.DEPTH)
        wiring.connect(m, gatherer.o, wiring.flipped(self.o))
        word_bits = (size * HALFWORD // 8).bit_length() - 1
        line_words = HALFWORDS // size
        opened = Signal()
        at = Signal(self.config.addr_width - word_bits, reset_less=True)
        number = at[: (line_words - 1).bit_length()]
        piece = gatherer.i.p
        m.d.comb += [
            self.i.ready.eq(opened & gatherer.i.ready),
            gatherer.i.valid.eq(opened & self.i.valid),
            piece.line.place.eq(at[len(number) :]),
            piece.line.data.eq(self.i.p.word.replicate(line_words)),
            piece.line.halfwords.eq(
                Cat((number == one).replicate(size) for one in range(line_words))
            ),
            piece.there.eq(1),
            piece.last.eq(self.i.p.ends),
            self.ended.eq(gatherer.ended),
        ]
        # The address is known when there is a word.
        with m.If(self.i.valid & ~opened):
            m.d.sync += [opened.eq(1), at.eq(self.addr[word_bits:])]
        with m.Elif(self.i.valid & self.i.ready):
            m.d.sync += at.eq(at + 1)
        return m
