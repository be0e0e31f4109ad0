"""Maxima of segments: the first largest value of each lane, and bits that say which it was."""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Mux, Signal, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from gscn.array import ArrayConfig
from gscn.encode import MOST_MAXIMUM
from gscn.hw.encode.layouts import CODE, MANTISSA, reaches
from gscn.hw.encode.loop_walk import VECTOR_BITS
from gscn.hw.encode.segments import BANKS, SegmentPlaces, segmented_layout
from gscn.hw.encode.unit_layouts import BITS, dense_layout
from gscn.hw.forwarding_memory import ForwardingMemory
from gscn.passes import VECTOR

POSITION = (MOST_MAXIMUM - 1).bit_length()
_WINNER = data.StructLayout({"position": POSITION, "found": 1})
"""Position of the largest value within its segment, and whether there is one."""
_KIND = data.StructLayout({"nan": 1, "nonzero": 1})
_BEST = data.StructLayout({"code": CODE, "kind": _KIND, "winner": _WINNER})
_LENGTH = data.StructLayout({"last": POSITION, "ends": 1})
"""The last position of a segment that is complete; whether the pass ends with it."""


class Maxima(wiring.Component):
    """Find the largest value of each lane of each segment.

    A value takes the place of the largest so far if it is larger as a number, or NaN. With the last
    position of a segment its maxima are there. Its bits, one for each value, follow while the next
    segment is compared. If it does not compare, each vector is a dense result as it is.

    Implements: maxima of "One dense result for a segment" in `docs/contract/encode.md`.
    Golden: `emulator.encode_reductions.maxima`.

    Timing
    ------
    - Latency: `LATENCY` from `i` to `o_dense`; `BITS_LATENCY` from `i` to `o_bits`.
    - Throughput: one vector per cycle, and one of bits.
    - Combinational: `i`, `compares`, `has_dense` -> `o_dense`; `i`, `compares`, `has_dense`,
      `o_dense.ready` -> `i.ready`; `vectors` -> `o_bits`.
    - Reset: no segment; outputs 0, but `i.ready` = 1.

    Parameters
    ----------
    config
        Width of addresses.

    Attributes
    ----------
    i : In(stream.Signature(segmented_layout(config)))
        Results.
    vectors : In(VECTOR_BITS)
        The last vector of a position. Held while there are results.
    compares : In(1)
        There are segments. Held likewise.
    has_dense : In(1)
        Dense results are wanted. Held likewise.
    has_bits : In(1)
        Bits are wanted. Held likewise.
    o_dense : Out(stream.Signature(dense_layout(config)))
        Maxima; +0 where nothing is there.
    o_bits : Out(stream.Signature(BITS))
        Bits.
    busy : Out(1)
        Bits are due.
    """

    LATENCY = 0
    BITS_LATENCY = 1

    def __init__(self, *, config: ArrayConfig):
        self.config = config
        super().__init__(
            {
                "i": In(stream.Signature(segmented_layout(config))),
                "vectors": In(VECTOR_BITS),
                "compares": In(1),
                "has_dense": In(1),
                "has_bits": In(1),
                "o_dense": Out(stream.Signature(dense_layout(config))),
                "o_bits": Out(stream.Signature(BITS)),
                "busy": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        item, marks = self.i.p, self.i.p.marks
        bank, full = Signal(), Signal(BANKS)
        position = Signal(POSITION)
        taken, completes, emits, free = Signal(), Signal(), Signal(), Signal()
        m.d.comb += [
            emits.eq(marks.ends_segment | ~self.compares),
            free.eq(~full.bit_select(bank, 1)),
            self.i.ready.eq(~emits | ((self.o_dense.ready | ~self.has_dense) & free)),
            taken.eq(self.i.valid & self.i.ready),
            completes.eq(taken & item.last_vector & emits & self.compares & self.has_bits),
        ]
        with m.If(taken & item.last_vector):
            m.d.sync += position.eq(Mux(marks.ends_segment, 0, position + 1))
        with m.If(completes):
            m.d.sync += bank.eq(~bank)

        # Vectors of a position come in order: which one is next is known before it comes.
        coming, due = Signal(VECTOR_BITS), Signal(VECTOR_BITS)
        m.d.comb += coming.eq(due)
        with m.If(taken):
            m.d.comb += coming.eq(Mux(item.last_vector, 0, item.vector + 1))
        m.d.sync += due.eq(coming)
        after = self._compare(m, taken, position, coming)
        m.submodules.places = places = SegmentPlaces(config=self.config, banks=1)
        dense = self.o_dense
        m.d.comb += [
            places.en.eq(taken),
            places.row.eq(item.vector),
            places.begins.eq(marks.begins_segment | ~self.compares),
            places.addr.eq(item.addr),
            places.some.eq(item.there.any()),
            dense.valid.eq(self.i.valid & emits & self.has_dense & free),
            dense.p.addr.eq(places.after.addr),
            dense.p.wanted.eq(places.after.some),
            dense.p.ends.eq(marks.ends),
            *(dense.p.codes[n].eq(one.code) for n, one in enumerate(after)),
        ]
        emptied = self._bits(m, [one.winner for one in after], taken, bank, full, position)
        m.d.sync += full.eq((full | Mux(completes, 1 << bank, 0)) & ~Mux(emptied.any(), emptied, 0))
        m.d.comb += self.busy.eq(full.any())
        return m

    def _compare(self, m, taken, position, coming):
        """Return the largest values with this vector's, for each lane."""
        item = self.i.p
        layout = data.ArrayLayout(_BEST, VECTOR)
        m.submodules.best = best = ForwardingMemory(width=layout.size, depth=VECTOR)
        held, after = data.View(layout, best.data), Signal(layout)
        m.d.comb += [
            best.addr.eq(coming),
            best.write_addr.eq(item.vector),
            best.write_data.eq(after),
            best.en.eq(taken),
        ]
        for number in range(VECTOR):
            before, code = held[number], item.codes[number]
            found = Signal(name=f"found{number}")
            takes = Signal(name=f"takes{number}")
            kind = after[number].kind
            nan, larger = self._is_larger(m, number, code, before)
            m.d.comb += [
                found.eq(before.winner.found & ~item.marks.begins_segment & self.compares),
                takes.eq(~found | (item.there[number] & larger)),
                # What is not there is 0 already.
                after[number].code.eq(Mux(takes, code, before.code)),
                kind.nan.eq(Mux(takes, nan, before.kind.nan)),
                kind.nonzero.eq(Mux(takes, code[:-1].any(), before.kind.nonzero)),
                after[number].winner.position.eq(Mux(takes, position, before.winner.position)),
                after[number].winner.found.eq(item.there[number] | found),
            ]
        return after

    def _is_larger(self, m, number, code, before):
        """Return whether a code is NaN, and whether it takes the place of the one before."""
        nan = code[MANTISSA:-1].all() & code[:MANTISSA].any()
        return nan, nan | (~before.kind.nan & _is_larger(m, number, code, before))

    def _bits(self, m, winners, taken, bank, full, position):
        """Say, position by position, which values are the largest; return banks that are done."""
        item = self.i.p
        layout = data.ArrayLayout(_WINNER, VECTOR)
        m.submodules.winners = rows = ForwardingMemory(width=layout.size, depth=BANKS * VECTOR)
        m.submodules.lengths = lengths = Memory(shape=_LENGTH, depth=BANKS, init=[])
        note, noted = lengths.write_port(), lengths.read_port(domain="comb")
        out, vector, at = Signal(), Signal(VECTOR_BITS), Signal(POSITION)
        to_out, to_vector, written = Signal(), Signal(VECTOR_BITS), Signal(layout)
        last_vector, last = Signal(), Signal()
        emptied = Signal(BANKS)
        m.d.comb += [
            rows.write_addr.eq(Cat(item.vector, bank)),
            rows.write_data.eq(written),
            *(written[n].eq(one) for n, one in enumerate(winners)),
            rows.en.eq(taken & item.marks.ends_segment),
            note.addr.eq(bank),
            note.data.last.eq(position),
            note.data.ends.eq(item.marks.ends),
            note.en.eq(taken & item.marks.ends_segment),
            to_out.eq(out),
            to_vector.eq(vector),
            rows.addr.eq(Cat(to_vector, to_out)),
            noted.addr.eq(out),
            last_vector.eq(vector == self.vectors),
            last.eq(last_vector & (at == noted.data.last)),
            self.o_bits.valid.eq(full.bit_select(out, 1)),
            *(
                self.o_bits.p.bits[n].eq(one.found & (one.position == at))
                for n, one in enumerate(data.View(layout, rows.data))
            ),
            self.o_bits.p.ends.eq(last & noted.data.ends),
        ]
        with m.If(self.o_bits.valid & self.o_bits.ready):
            m.d.comb += to_vector.eq(Mux(last_vector, 0, vector + 1))
            with m.If(last_vector):
                m.d.sync += at.eq(Mux(last, 0, at + 1))
            with m.If(last):
                m.d.comb += [to_out.eq(~out), emptied.eq(1 << out)]
        m.d.sync += [out.eq(to_out), vector.eq(to_vector)]
        return emptied


def _is_larger(m: Module, number: int, code: Value, before: data.View) -> Value:
    """Return whether a number is larger than the one before."""
    than = before.code
    negative, nonzero = code[-1], Signal(name=f"nonzero{number}")
    m.d.comb += nonzero.eq(code[:-1].any())
    # Of negative numbers the one that does not reach the other is larger.
    same = reaches(code[:-1], than[:-1], negative) ^ negative
    # Zeros of both signs are equal.
    opposite = ~negative & (nonzero | before.kind.nonzero)
    return Mux(negative == than[-1], same, opposite)
