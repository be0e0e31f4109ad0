"""Strips of an encode pass and their table, as lines of memory."""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from gscn.array import ArrayConfig
from gscn.hw.arguments import need
from gscn.hw.encode.integer_writer import halved
from gscn.hw.encode.line_gatherer import HALFWORD, HALFWORDS, LineGatherer, line_layout
from gscn.hw.encode.strip_packer import StripPacker
from gscn.hw.fifo import StreamFIFO
from gscn.passes import VECTOR
from gscn.port import ALIGNMENT_BITS

STRIP_VECTOR = data.StructLayout(
    {
        "codes": data.ArrayLayout(16, VECTOR),
        "kept": VECTOR,
        "ends_strip": 1,
        "ends_group": 1,
        "ends": 1,
    }
)
"""A vector, and which of its lanes are kept; the last one of its strip, group, and pass."""
_MARKS = data.StructLayout({"ends_group": 1, "ends": 1})
_ENTRY = 32


class StripWriter(wiring.Component):
    """Write strips of all groups one behind the other, and the halfword at which each begins.

    An entry of the table is written when the strip before is packed: what ends one strip begins
    the next, and the end of a group is an entry of its own, in the last row. Strips that are too
    long are packed, but not written from there on where their range ends.

    Implements: strips of "What is kept" of `docs/contract/encode.md`; tables of
    `docs/contract/passes.md`.
    Golden: `gscn.strips.encode`.

    Timing
    ------
    - Latency: `LATENCY` from `i.p` to `o_data.valid`, of the last vector of a block.
    - Throughput: one vector per cycle, as `StripPacker`, two cycles for a strip at least.
    - Combinational: `last` -> `o_data.valid`.
    - Reset: no vector; outputs 0, but `i.ready` = 1.

    Parameters
    ----------
    config
        Width of addresses.
    integers
        Codes are of integers, whose lower halves may be all that there is.

    Attributes
    ----------
    i : In(stream.Signature(STRIP_VECTOR))
        Vectors. Behind the one that ends, none until a reset.
    narrow : In(1)
        Codes have 8 bits. Held while there are vectors.
    first : In(config.addr_width)
        Where the range begins, a multiple of 64.
    last : In(config.addr_width + 1)
        Where it ends, one past its last byte.
    table : In(config.addr_width)
        Address of the table, a multiple of 64.
    columns : In(32)
        Groups.
    o_data : Out(stream.Signature(line_layout(config)))
        Lines of strips.
    o_table : Out(stream.Signature(line_layout(config)))
        Lines of the table.
    halfwords : Out(32)
        Of all strips that are packed.
    exceeded : Out(1)
        They are longer than their range.
    ended : Out(1)
        All lines have left.
    """

    BEATS = 4
    DEPTH = 2
    STRIPS = 8
    """Whose ends wait: one of each block that waits, and those that wait for their entries."""
    LATENCY = StripPacker.LATENCY

    def __init__(self, *, config: ArrayConfig, integers: bool = False):
        need(self, "integers", integers, isinstance(integers, bool), "True or False")
        self.config, self._integers = config, integers
        super().__init__(
            {
                "i": In(stream.Signature(STRIP_VECTOR)),
                "narrow": In(1),
                "first": In(config.addr_width),
                "last": In(config.addr_width + 1),
                "table": In(config.addr_width),
                "columns": In(32),
                "o_data": Out(stream.Signature(line_layout(config))),
                "o_table": Out(stream.Signature(line_layout(config))),
                "halfwords": Out(32),
                "exceeded": Out(1),
                "ended": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        m.submodules.packer = packer = StripPacker(depth=self.BEATS, masked=self._integers)
        m.submodules.marks = marks = StreamFIFO(shape=_MARKS, depth=self.STRIPS)
        m.submodules.entries = entries = LineGatherer(config=self.config, depth=self.DEPTH)
        wiring.connect(m, entries.o, wiring.flipped(self.o_table))
        vector = self.i.p
        # Marks have room for all strips that the packer has, so that vectors never wait for it.
        m.d.comb += [
            self.i.ready.eq(packer.i.ready & marks.i.ready),
            packer.i.valid.eq(self.i.valid & marks.i.ready),
            packer.i.p.ends_strip.eq(vector.ends_strip),
            packer.i.p.ends.eq(vector.ends),
            marks.i.valid.eq(self.i.valid & packer.i.ready & vector.ends_strip),
            marks.i.p.ends_group.eq(vector.ends_group),
            marks.i.p.ends.eq(vector.ends),
        ]
        names = ("codes", "kept")
        if self._integers:
            vector, names = halved(m, vector, self.narrow), (*names, "mask")
        m.d.comb += [packer.i.p[name].eq(vector[name]) for name in names]
        opened, opens = Signal(), Signal()
        m.d.comb += opens.eq(self.i.valid & ~opened)
        with m.If(opens):
            m.d.sync += opened.eq(1)
        ended = self._lines(m, packer.o, opens)
        self._table(m, packer.o_strip, marks.o, entries.i, opens)
        m.d.comb += self.ended.eq(ended & entries.ended)
        return m

    def _lines(self, m, beat, opens):
        """Write beats; return whether the last one has left."""
        place = Signal(len(self.last) - ALIGNMENT_BITS, reset_less=True)
        end, rest = self.last[ALIGNMENT_BITS:], self.last[:ALIGNMENT_BITS]
        fits, ended = Signal(), Signal()
        m.d.comb += [
            fits.eq((place < end) | ((place == end) & (beat.p.count << 1 <= rest))),
            self.o_data.valid.eq(beat.valid & fits),
            beat.ready.eq(self.o_data.ready | ~fits),
            self.o_data.p.place.eq(place),
            self.o_data.p.data.eq(Cat(beat.p.halfwords)),
            self.o_data.p.halfwords.eq(Cat(beat.p.count > n for n in range(HALFWORDS))),
        ]
        with m.If(opens):
            m.d.sync += place.eq(self.first[ALIGNMENT_BITS:])
        with m.Elif(beat.valid & beat.ready):
            m.d.sync += [place.eq(place + 1), ended.eq(beat.p.last)]
            with m.If(~fits):
                m.d.sync += self.exceeded.eq(1)
        return ended

    def _table(self, m, strip, marks, entries, opens):
        """Write entries: a group's first one when the group before ends."""
        bits = (_ENTRY // 8).bit_length() - 1
        at = Signal(self.config.addr_width - bits, reset_less=True)
        column = Signal.like(at, reset_less=True)
        waits, again, ending = Signal(), Signal(), Signal()
        number = at[: ALIGNMENT_BITS - bits]
        piece = entries.p
        leaves, follows = Signal(), Signal()
        last = Signal()
        m.d.comb += [
            entries.valid.eq(waits),
            leaves.eq(waits & entries.ready),
            piece.line.place.eq(at[len(number) :]),
            piece.line.data.eq(self.halfwords.replicate(len(piece.line.data) // _ENTRY)),
            piece.line.halfwords.eq(
                Cat(
                    (number == one).replicate(_ENTRY // HALFWORD) for one in range(1 << len(number))
                )
            ),
            piece.there.eq(1),
            piece.last.eq(ending),
            follows.eq(strip.valid & ~waits),
            strip.ready.eq(~waits),
            marks.ready.eq(follows),
            last.eq(marks.p.ends),
        ]
        with m.If(opens):
            m.d.sync += [
                waits.eq(1),
                at.eq(self.table[bits:]),
                column.eq(self.table[bits:] + 1),
            ]
        with m.Elif(leaves):
            m.d.sync += [waits.eq(again), again.eq(0)]
            with m.If(again):
                m.d.sync += [at.eq(column), column.eq(column + 1)]
        with m.Elif(follows):
            m.d.sync += [
                waits.eq(1),
                at.eq(at + self.columns),
                self.halfwords.eq(strip.p),
                again.eq(marks.p.ends_group & ~last),
                ending.eq(last),
            ]
        return m
