"""Packing of vectors into strips: from lanes that are kept to beats of halfwords without a gap."""

from __future__ import annotations

from typing import NamedTuple

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from gscn.hw.arguments import need, need_number
from gscn.hw.fifo import StreamFIFO
from gscn.passes import VECTOR

_LANE_BITS = VECTOR.bit_length() - 1
BEAT_HALFWORDS = 32
"""Halfwords of a beat of 64 bytes."""


def kept_layout(*, masked: bool) -> data.StructLayout:
    """Return a vector of 16 codes, and which of them are kept.

    `ends_strip`, `ends`: the last one of its strip, of all strips. `mask`, if codes are narrower
    than their halfwords: the lanes that are kept, as a strip says them; `kept` are then halfwords.
    """
    return data.StructLayout(
        {
            "codes": data.ArrayLayout(16, VECTOR),
            "kept": VECTOR,
            **({"mask": VECTOR} if masked else {}),
            "ends_strip": 1,
            "ends": 1,
        }
    )


KEPT_VECTOR = kept_layout(masked=False)
STRIP_BEAT = data.StructLayout(
    {
        "halfwords": data.ArrayLayout(16, BEAT_HALFWORDS),
        "count": range(BEAT_HALFWORDS + 1),
        "last": 1,
    }
)
"""A beat of strips; of the last one only `count` halfwords are strips, lowest first."""
_BLOCK = data.StructLayout({"occupied": VECTOR, "vectors": _LANE_BITS, "ends_strip": 1, "ends": 1})
"""Which vectors of a block have a lane that is kept, and the number of its last one."""


class _Piece(NamedTuple):
    """Halfwords that are written in a cycle."""

    header: Value
    """The block's halfword comes first."""
    mask: Value
    """The vector's follows."""
    lanes: Value
    """Of these the codes follow."""


def ranks(m: Module, bits: Value, first: Value) -> list[Signal]:
    """Return the places of bits that are set when counted from `first` on, modulo their number."""
    places = []
    for lane in range(len(bits)):
        place = Signal(_LANE_BITS, name=f"place{lane}")
        below = Value.cast(0)
        for bit in bits[:lane]:
            below = below + bit
        m.d.comb += place.eq(first + below)
        places.append(place)
    return places


def route(m: Module, words: list[Value], valid: list[Value], places: list[Value]) -> tuple:
    """Return words at their places, and which places have one; combinational.

    A butterfly whose stages set a bit of a word's place, lowest first, and hand on those above.
    Words that are neighbours among those that are valid, at places that are neighbours in a ring,
    never meet: two of a block of 2**n have places that differ in their lowest n bits.
    """
    for bit in range(_LANE_BITS):
        stage = []
        for number in range(len(words)):
            partner = number ^ 1 << bit
            goes = number >> bit & 1
            stays = Signal(name=f"stays{bit}_{number}")
            comes = Signal(name=f"comes{bit}_{number}")
            m.d.comb += [
                stays.eq(valid[number] & (places[number][0] == goes)),
                comes.eq(valid[partner] & (places[partner][0] == goes)),
            ]
            whole, other = (Cat(words[lane], places[lane][1:]) for lane in (number, partner))
            taken = Signal(len(whole), name=f"taken{bit}_{number}")
            m.d.comb += taken.eq(Mux(comes, other, whole))
            stage.append((taken[: len(words[0])], stays | comes, taken[len(words[0]) :]))
        words, valid, places = (list(column) for column in zip(*stage, strict=True))
    return words, valid


class StripPacker(wiring.Component):
    """Write strips of vectors, in beats of 32 halfwords.

    A strip is a halfword for each block of 16 vectors, one for each vector that has any lane that
    is kept, and the codes of these lanes. A vector waits until all of its block are there, since
    the block's halfword comes first. At most 16 halfwords are written in a cycle; a vector takes
    two if its halfwords are more. They go to banks of a queue of beats, 32 in all, by a network
    that moves them to their places in one step.

    Implements: "Strips" of `docs/contract/passes.md`, codes of 16 bits, or halfwords of two.
    Golden: `gscn.strips.encode`.

    Timing
    ------
    - Latency: `LATENCY` from `i` to `o`, of the last vector of a block, and to `o_strip`.
    - Throughput: one vector per cycle, and one beat.
    - Combinational: none.
    - Reset: no vector, no beat, halfword 0; outputs 0, but `i.ready` = 1.

    Parameters
    ----------
    depth
        Beats that it holds, 4 at least.
    masked
        The halfword of a vector is its own, not that of the lanes that are written.

    Attributes
    ----------
    i : In(stream.Signature(kept_layout(masked=masked)))
        Vectors.
    o : Out(stream.Signature(STRIP_BEAT))
        Beats. After the last one halfwords are counted from 0 again.
    o_strip : Out(stream.Signature(32))
        For each strip, the halfword behind its last.
    """

    LATENCY = 2
    VECTORS = 2 * VECTOR
    """Vectors that wait for their blocks."""

    def __init__(self, *, depth: int, masked: bool = False):
        need_number(self, "depth", depth, 4)
        need(self, "masked", masked, isinstance(masked, bool), "True or False")
        self._depth, self._masked = depth, masked
        super().__init__(
            {
                "i": In(stream.Signature(kept_layout(masked=masked))),
                "o": Out(stream.Signature(STRIP_BEAT)),
                "o_strip": Out(stream.Signature(32)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        vector, block = self._collect(m)
        header, second = Signal(init=1), Signal()
        number = Signal(_LANE_BITS)
        position = Signal(32)
        m.submodules.strips = strips = StreamFIFO(shape=32, depth=2)
        wiring.connect(m, strips.o, wiring.flipped(self.o_strip))

        # -- what is written of the vector at hand
        half = VECTOR // 2
        kept = vector.p.kept
        some = Signal()
        lanes = Signal(VECTOR)
        splits, through = Signal(), Signal()
        m.d.comb += [
            some.eq(kept.any()),
            # 16 codes, or 15 with both halfwords before them
            splits.eq(kept.all() | (header & self._lacks_one(m, kept))),
            lanes.eq(
                Mux(second, kept & ~((1 << half) - 1), Mux(splits, kept & ((1 << half) - 1), kept))
            ),
            through.eq(second | ~splits),
        ]
        piece = _Piece(header=header & ~second, mask=some & ~second, lanes=lanes)
        room, flushing = Signal(), Signal()
        is_last = number == block.p.vectors
        ends_strip = is_last & block.p.ends_strip & through
        writes = Signal()
        m.d.comb += writes.eq(
            vector.valid & block.valid & room & ~flushing & (~ends_strip | strips.i.ready)
        )
        total = Signal(range(VECTOR + 1))
        after = Signal(32)
        m.d.comb += [
            total.eq(piece.header + piece.mask + sum(lanes)),
            after.eq(position + total),
            vector.ready.eq(writes & through),
            block.ready.eq(writes & through & is_last),
            strips.i.valid.eq(writes & ends_strip),
            strips.i.p.eq(after),
        ]
        with m.If(writes):
            m.d.sync += [header.eq(0), second.eq(~through), position.eq(after)]
            with m.If(through):
                m.d.sync += [number.eq(Mux(is_last, 0, number + 1)), header.eq(is_last)]
                with m.If(is_last & block.p.ends):
                    m.d.sync += flushing.eq(1)
        mask = vector.p.mask if self._masked else kept
        slots = self._arrange(m, piece, vector.p.codes, mask, block.p.occupied, position)
        flushed = self._store(m, slots, position, writes, after, room, flushing)
        with m.If(flushed):
            m.d.sync += [flushing.eq(0), position.eq(0)]
        return m

    def _lacks_one(self, m, kept):
        """Return whether all lanes but one are kept."""
        zeros, more = Value.cast(0), Value.cast(0)
        for lane in kept:
            more = more | (zeros & ~lane)
            zeros = zeros | ~lane
        lacks = Signal()
        m.d.comb += lacks.eq((zeros & ~more)[0])
        return lacks

    def _collect(self, m):
        """Return the streams of vectors and of the blocks that are complete."""
        names = ("codes", "kept", "mask") if self._masked else ("codes", "kept")
        layout = data.StructLayout({name: self.i.p.shape()[name].shape for name in names})
        m.submodules.vectors = vectors = StreamFIFO(shape=layout, depth=self.VECTORS)
        m.submodules.blocks = blocks = StreamFIFO(shape=_BLOCK, depth=4)
        occupied, count = Signal(VECTOR), Signal(_LANE_BITS)
        i = self.i
        enters = i.valid & i.ready
        now = Signal(VECTOR)
        ends = (count == VECTOR - 1) | i.p.ends_strip | i.p.ends
        m.d.comb += [
            i.ready.eq(vectors.i.ready & blocks.i.ready),
            vectors.i.valid.eq(i.valid & blocks.i.ready),
            *(vectors.i.p[name].eq(i.p[name]) for name in names),
            now.eq(occupied | (i.p.kept.any() << count)),
            blocks.i.valid.eq(i.valid & vectors.i.ready & ends),
            blocks.i.p.occupied.eq(now),
            blocks.i.p.vectors.eq(count),
            blocks.i.p.ends_strip.eq(i.p.ends_strip | i.p.ends),
            blocks.i.p.ends.eq(i.p.ends),
        ]
        with m.If(enters):
            m.d.sync += [occupied.eq(Mux(ends, 0, now)), count.eq(Mux(ends, 0, count + 1))]
        return vectors.o, blocks.o

    def _arrange(self, m, piece, codes, mask, occupied, position):
        """Return the word of each place of a ring of 16 halfwords, and whether there is one."""
        first = position[:_LANE_BITS]
        behind = Signal(_LANE_BITS)
        m.d.comb += behind.eq(first + piece.header + piece.mask)
        places = ranks(m, piece.lanes, behind)
        words, valid = route(m, list(codes), list(piece.lanes), places)
        mask_place = Signal(_LANE_BITS)
        m.d.comb += mask_place.eq(first + piece.header)
        slots = []
        for place, (word, there) in enumerate(zip(words, valid, strict=True)):
            is_header = piece.header & (first == place)
            is_mask = piece.mask & (mask_place == place)
            slot = Signal(16, name=f"slot{place}")
            m.d.comb += slot.eq(Mux(is_header, occupied, Mux(is_mask, mask, word)))
            slots.append((slot, there | is_header | is_mask))
        return slots

    def _store(self, m, slots, position, writes, after, room, flushing):
        """Store slots in the beats of the queue; return whether the last beat has been queued."""
        depth = self._depth
        beat_bits = BEAT_HALFWORDS.bit_length() - 1
        produce, consume = Signal(range(depth)), Signal(range(depth))
        level = Signal(range(depth + 1))
        following = Signal.like(produce)
        at = position[:beat_bits]
        completes, flushes, leaves = Signal(), Signal(), Signal()
        # Beats to the last one, 0: it is not known; and how much of it is strips.
        last_level, last_count = Signal.like(level), Signal(range(BEAT_HALFWORDS + 1))
        partial = at != 0
        m.d.comb += [
            following.eq(Mux(produce == depth - 1, 0, produce + 1)),
            # A piece reaches into the beat behind the one that is being put together.
            room.eq(level < depth - 1),
            completes.eq(writes & (after[beat_bits:] != position[beat_bits:])),
            flushes.eq(flushing & (last_level == 0)),
            leaves.eq(self.o.valid & self.o.ready),
        ]
        for bank in range(BEAT_HALFWORDS):
            memory = Memory(shape=16, depth=depth, init=[])
            m.submodules[f"bank{bank}"] = memory
            write, read = memory.write_port(), memory.read_port(domain="comb")
            slot, there = slots[bank % VECTOR]
            # no place is behind the last one
            is_last = bank % VECTOR == VECTOR - 1
            wraps = Const(0) if is_last else at[:_LANE_BITS] > bank % VECTOR
            upper = at[_LANE_BITS] ^ wraps
            m.d.comb += [
                write.addr.eq(Mux(wraps & at[_LANE_BITS], following, produce)),
                write.data.eq(slot),
                write.en.eq(writes & there & (upper == bank // VECTOR)),
                read.addr.eq(consume),
                self.o.p.halfwords[bank].eq(read.data),
            ]
        with m.If(flushes):
            m.d.sync += [
                last_level.eq(level + partial - leaves),
                last_count.eq(Mux(partial, at, BEAT_HALFWORDS)),
            ]
        with m.Elif(leaves & (last_level != 0)):
            m.d.sync += last_level.eq(last_level - 1)
        queued = completes | (flushes & partial)
        with m.If(queued):
            m.d.sync += produce.eq(following)
        with m.If(leaves):
            m.d.sync += consume.eq(Mux(consume == depth - 1, 0, consume + 1))
        m.d.sync += level.eq(level + queued - leaves)
        m.d.comb += [
            # A beat that might be the last one waits until it is known.
            self.o.valid.eq((level > 1) | ((level == 1) & (partial | (last_level == 1)))),
            self.o.p.last.eq(last_level == 1),
            self.o.p.count.eq(Mux(last_level == 1, last_count, BEAT_HALFWORDS)),
        ]
        return flushes
