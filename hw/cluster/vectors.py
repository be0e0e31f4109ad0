"""Expansion of strips to their nonzeros, each with its place."""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from gscn import latencies
from gscn.array import ArrayConfig
from gscn.hw.arguments import need, need_number
from gscn.hw.cluster.ranks import Ranks, number_of
from gscn.hw.input_layouts import STRIP, WANTED, WINDOW_HALFWORDS, item_layout
from gscn.passes import VECTOR

LOOKED_AT = WINDOW_HALFWORDS - 1
"""Values that are looked at in a cycle where lanes are chosen: a fresh mask leaves so many."""


class _Place:
    """Where in a strip the expander is.

    The base is a position in the row: that of the first vector that `bits` speaks of.
    """

    def __init__(self) -> None:
        self.active = Signal()
        """A strip is under way."""
        self.ends_piece = Signal()
        self.rows_left = Signal(16)
        self.mid_left = Signal(8)
        self.row_left = Signal(16)
        """Positions of the row from the base on."""
        self.block_left = Signal(5)
        """Positions of the block from the base on."""
        self.bits = Signal(VECTOR)
        """Vectors of the block from the base on that are not expanded to their end."""
        self.at = Signal(5)
        """Positions from the base to the item before."""
        self.mask_left = Signal(VECTOR)
        """Lanes of the lowest of these vectors that are left; 0: its mask was not taken yet."""
        self.fresh = Signal(init=1)
        """`mask_left` is 0."""
        self.odd = Signal()
        """The next value is in the high half of its halfword."""


class _Step:
    """What is found at a place: combinational."""

    def __init__(self) -> None:
        self.stretch = Signal(16)
        """Positions, from the base on, whose end an item must report."""
        self.reaches = Signal()
        """The block has all of them."""
        self.has = Signal()
        """There is a vector among them."""
        self.header = Signal()
        """The next halfword is a block's first one."""
        self.enough = Signal()
        """The halfwords that it takes are there."""
        self.used = Signal(range(WINDOW_HALFWORDS + 1))
        """Halfwords that are taken."""
        self.position = Signal(4)
        """Positions from the base to the vector."""
        self.emits = Signal()
        """A nonzero is found."""
        self.rest = Signal(VECTOR)
        """Lanes of the vector that are left after the item."""
        self.exhausted = Signal()
        """None is."""
        self.odd = Signal()
        """The value behind it is in the high half of its halfword."""
        self.bits = Signal(VECTOR)
        """Vectors of the block that are left after it."""
        self.ends_stretch = Signal()
        self.ends_row = Signal()
        self.ends_strip = Signal()
        self.goes = Signal()
        """The header is taken, or the item made, in this cycle."""


class VectorExpander(wiring.Component):
    """Turn strips into items: up to `values` nonzeros of one vector each, and where they are.

    A strip is `rows` x `mid` rows of `inner` positions of 2 ** `vectors` vectors. Without `skip`
    every position has at least one item, and no `step` means anything. With `skip` positions
    without nonzeros are passed over as far as block and row reach: a row's end is reported with its
    last nonzero if that is in the last block of the row, else by an item without values, and each
    header is an item without values.

    With `values` 1 items are of `wanted` lanes alone. Up to `LOOKED_AT` values are taken in a
    cycle: all before and behind a wanted one, up to the next. So a vector without any takes a cycle
    for so many values, and makes no item but what reports an end.

    An item leaves one register. A piece is done with one cycle after its last item is in there.

    Implements: strips in `docs/contract/passes.md`.

    Timing
    ------
    - Latency: `LATENCY` from `window` to `o`, and from `strips` to `take`.
    - Throughput: one item per cycle, strips of a piece back to back; a header takes one cycle, and
      so does the end of a piece.
    - Combinational: `o.ready` -> `strips.ready`, `take`; `available`, `window` -> `strips.ready`,
      `take`; `vectors`, `narrow`, `wanted` -> `strips.ready`, `take`; `available`, `ends` ->
      `done`.
    - Reset: no strip; outputs 0, but `strips.ready` = 1.

    Parameters
    ----------
    config
        Width of a value.
    values
        Nonzeros of an item, 1 or 2.
    skip
        Whether positions without nonzeros are passed over.

    Attributes
    ----------
    vectors : In(3)
        Log2 of the vectors of a position, 0 to 4.
    mid : In(8)
        Rows of an outer position.
    inner : In(16)
        Positions of a row.
    narrow : In(1)
        Values have 8 bits, two to a halfword; else 16.
    wanted : In(WANTED)
        Lanes that items are made of; still while there is a strip. Not looked at with `values` 2.
    strips : In(stream.Signature(STRIP))
        What to expand.
    window : In(data.ArrayLayout(16, WINDOW_HALFWORDS))
        From `hw.port.pieces.PieceReader`, as are the next two.
    available : In(range(WINDOW_HALFWORDS + 1))
        Halfwords that are there.
    ends : In(1)
        The piece has no others.
    take : Out(range(WINDOW_HALFWORDS + 1))
        Halfwords taken.
    done : Out(1)
        The piece is done with.
    o : Out(stream.Signature(item_layout(config, values)))
        Items.
    error : Out(1)
        A piece is no strips (pulse): it ends before or after its data, has an empty mask, or
        vectors beyond a strip.
    """

    LATENCY = latencies.VECTOR_LATENCY

    def __init__(self, *, config: ArrayConfig, values: int, skip: bool):
        need_number(self, "values", values, 1, 2)
        need(self, "skip", skip, isinstance(skip, bool), "True or False")
        self.config = config
        self._values = values
        self._skip = skip
        super().__init__(
            {
                "vectors": In(3),
                "mid": In(8),
                "inner": In(16),
                "narrow": In(1),
                "wanted": In(WANTED),
                "strips": In(stream.Signature(STRIP)),
                "window": In(data.ArrayLayout(16, WINDOW_HALFWORDS)),
                "available": In(range(WINDOW_HALFWORDS + 1)),
                "ends": In(1),
                "take": Out(range(WINDOW_HALFWORDS + 1)),
                "done": Out(1),
                "o": Out(stream.Signature(item_layout(config, values))),
                "error": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        place, step = _Place(), _Step()
        item = Signal.like(self.o.p)
        makes = Signal()  # an item is made, not only a header taken
        advance = Signal()
        closing = Signal()
        bad = Signal()
        self._look(m, place, step, item, bad)
        m.d.comb += [
            advance.eq(~self.o.valid | self.o.ready),
            step.goes.eq(place.active & advance & step.enough),
            makes.eq(step.goes & Mux(step.header, self._skip, step.emits | step.ends_stretch)),
            self.take.eq(Mux(step.goes, step.used, 0)),
            self.done.eq(closing & self.ends & (self.available == 0)),
        ]
        with m.If(advance):
            m.d.sync += [self.o.valid.eq(makes), self.o.p.eq(item)]
        self._move(m, place, step)

        finishes = step.goes & step.ends_strip
        m.d.comb += self.strips.ready.eq(Mux(place.active, finishes & ~place.ends_piece, ~closing))
        with m.If(finishes):
            m.d.sync += [place.active.eq(0), closing.eq(place.ends_piece)]
        with m.Elif(self.done):
            m.d.sync += closing.eq(0)
        with m.If(self.strips.valid & self.strips.ready):
            m.d.sync += [
                place.active.eq(1),
                place.ends_piece.eq(self.strips.p.ends_piece),
                place.rows_left.eq(self.strips.p.rows),
                place.mid_left.eq(self.mid),
                place.row_left.eq(self.inner),
            ]
        m.d.sync += self.error.eq(
            (place.active & ~step.enough & self.ends)
            | (step.goes & bad)
            | (closing & (self.available != 0))
        )
        return m

    def _look(self, m, place, step, item, bad):
        """Find the next vector, and what is left behind the item that it makes."""
        reach, within, after = Signal(range(VECTOR + 1)), Signal(VECTOR), Signal(VECTOR)
        ones = Signal(VECTOR)
        # vectors of the stretch are the lowest ones: the first of them is the first of all
        vectors = Ranks(m, place.bits, 1)
        vector, single = Signal(range(VECTOR)), Signal()
        m.d.comb += [
            step.stretch.eq(place.row_left if self._skip else 1),
            step.reaches.eq(step.stretch <= place.block_left),
            # vectors of the stretch, at most those of a block
            reach.eq(
                Mux(
                    step.stretch < (VECTOR >> self.vectors)[:5],
                    (step.stretch[:4] << self.vectors)[:4],
                    VECTOR,
                )
            ),
            within.eq(place.bits & ones),
            after.eq(vectors.left[1] & ones),
            single.eq(~after.any()),
            step.has.eq(within.any()),
            step.header.eq(~step.has & ~step.reaches),
            vector.eq(number_of(vectors.one(0))),
        ]
        with m.Switch(reach):
            for number in range(VECTOR + 1):
                with m.Case(number):
                    m.d.comb += ones.eq((1 << number) - 1)
        mask, lane = Signal(VECTOR), Signal(4)
        m.d.comb += [
            mask.eq(Mux(place.fresh, self.window[0], place.mask_left)),
            step.position.eq(vector >> self.vectors),
            lane.eq(vector & ((1 << self.vectors)[:5] - 1)[:4]),
            item.vector.eq(Mux(step.has, lane, 0)),
        ]
        m.d.comb += step.enough.eq(1)
        if self._values == 2:
            ranks = self._take_two(m, place, step, item, mask)
        else:
            ranks = self._take_one(m, place, step, item, mask, lane)
        ends_row = 1 if self._skip else place.row_left == step.stretch
        m.d.comb += [
            step.bits.eq((place.bits & ~ones) | Mux(step.exhausted, after, within)),
            step.ends_stretch.eq(step.reaches & (~step.has | (step.exhausted & single))),
            step.ends_row.eq(step.ends_stretch & ends_row),
            step.ends_strip.eq(step.ends_row & (place.rows_left == 1) & (place.mid_left == 1)),
            bad.eq((step.has & ~ranks.there[0]) | (step.ends_strip & (place.bits & ~ones).any())),
        ]
        m.d.comb += [
            item.ends_position.eq(step.ends_stretch),
            item.ends_row.eq(step.ends_row),
            item.ends_strip.eq(step.ends_strip),
        ]
        with m.If(step.has):
            m.d.comb += item.step.eq(step.position - place.at)
        with m.Elif(step.header):
            m.d.comb += [
                item.step.eq(place.block_left - place.at),
                step.enough.eq(self.available != 0),
                step.used.eq(1),
            ]

    def _has(self, needed):
        """Return whether so many halfwords are there, at least one.

        With none there, a simulator of unknown bits does not know how many a mask makes needed.
        """
        return (self.available != 0) & (self.available >= needed)

    def _take_two(self, m, place, step, item, mask):
        """Make an item of the next two values of a vector, or of its last one."""
        ranks = Ranks(m, mask, 3)
        pair = ranks.there[1]
        needed = Signal(range(WINDOW_HALFWORDS + 1))
        m.d.comb += [item.lanes[number].eq(number_of(ranks.one(number))) for number in range(2)]
        m.d.comb += needed.eq(place.fresh + 1 + (pair & ~self.narrow))
        with m.If(step.has):
            m.d.comb += [
                step.emits.eq(1),
                step.rest.eq(ranks.left[2]),
                step.exhausted.eq(~ranks.there[2]),
                step.enough.eq(self._has(needed)),
                step.used.eq(needed),
                item.count.eq(1 + pair),
            ]
        halves = Cat(Mux(place.fresh, self.window[n + 1], self.window[n]) for n in range(2))
        for number in range(2):
            byte, half = (halves.word_select(number, width).as_signed() for width in (8, 16))
            m.d.comb += item.values[number].eq(Mux(self.narrow, byte, half))
        return ranks

    def _take_one(self, m, place, step, item, mask, vector):
        """Make an item of the next wanted value of a vector, if it is near.

        Of the next values all up to the second wanted one are taken. What follows from how many
        these are is found for each number of them, while it is found out.
        """
        ranks = Ranks(m, mask, LOOKED_AT + 1)
        # which vector it is, is known last
        matches = Signal()
        in_lanes, is_wanted = Signal(LOOKED_AT), Signal(LOOKED_AT)
        m.d.comb += [
            matches.eq(((vector ^ self.wanted.vector) & self.wanted.care) == 0),
            in_lanes.eq(
                Cat((ranks.one(number) & self.wanted.lanes).any() for number in range(LOOKED_AT))
            ),
            is_wanted.eq(Mux(matches, in_lanes, 0)),
        ]
        chosen = Signal(range(LOOKED_AT))
        with m.If(step.has):
            m.d.comb += [step.emits.eq(is_wanted.any()), item.count.eq(step.emits)]
        # behind so many values: no more are there, or the next one is another wanted one
        stops = [
            ~ranks.there[number] | (matches & in_lanes[:number].any() & in_lanes[number])
            for number in range(1, LOOKED_AT)
        ]
        counts = range(1, LOOKED_AT + 1)
        bytes_end = [Signal(3, name=f"bytes_end{number}") for number in counts]
        needed = [Signal(range(WINDOW_HALFWORDS + 1), name=f"needed{number}") for number in counts]
        for number, end, there in zip(counts, bytes_end, needed, strict=True):
            m.d.comb += [
                end.eq(place.odd + number),
                there.eq(place.fresh + Mux(self.narrow, (end + 1) >> 1, number)),
            ]
        for number, stop in zip(counts, [*stops, 1], strict=True):
            left, end, there = ranks.there[number], bytes_end[number - 1], needed[number - 1]
            with (m.If if number == 1 else m.Elif)(step.has & stop):
                m.d.comb += [
                    step.rest.eq(ranks.left[number]),
                    step.exhausted.eq(~left),
                    step.odd.eq(left & end[0]),
                    step.enough.eq(self._has(there)),
                    step.used.eq(Mux(self.narrow & left, place.fresh + (end >> 1), there)),
                ]
        for number in reversed(range(LOOKED_AT)):
            with m.If(is_wanted[number]):
                m.d.comb += chosen.eq(number)
        lanes = [number_of(ranks.one(number)) for number in range(LOOKED_AT)]
        with m.Switch(chosen):
            for number, lane in enumerate(lanes):
                with m.Case(number):
                    m.d.comb += item.lanes[0].eq(lane)
        halves = Cat(Mux(place.fresh, self.window[n + 1], self.window[n]) for n in range(LOOKED_AT))
        byte = halves.word_select((place.odd + chosen)[:2], 8).as_signed()
        half = halves.word_select(chosen, 16).as_signed()
        m.d.comb += item.values[0].eq(Mux(self.narrow, byte, half))
        return ranks

    def _move(self, m, place, step):
        """Move on behind the item made or the header taken."""
        with m.If(step.goes & step.header):
            m.d.sync += [
                place.row_left.eq(place.row_left - place.block_left),
                place.block_left.eq(VECTOR >> self.vectors),
                place.bits.eq(self.window[0]),
                place.at.eq(0),
            ]
        with m.Elif(step.goes):
            m.d.sync += [
                place.mask_left.eq(step.rest),
                place.fresh.eq(~step.has | step.exhausted),
                place.odd.eq(step.odd),
                place.bits.eq(step.bits),
            ]
            with m.If(step.emits):
                m.d.sync += place.at.eq(step.position)
            with m.If(step.ends_stretch):
                m.d.sync += [
                    # none of the stretch is left
                    place.bits.eq(place.bits >> (step.stretch[:5] << self.vectors)[:5]),
                    place.block_left.eq(place.block_left - step.stretch),
                    place.row_left.eq(place.row_left - step.stretch),
                    place.at.eq(0),
                ]
            with m.If(step.ends_row):
                m.d.sync += [
                    place.row_left.eq(self.inner),
                    place.mid_left.eq(Mux(place.mid_left == 1, self.mid, place.mid_left - 1)),
                    place.rows_left.eq(place.rows_left - (place.mid_left == 1)),
                ]
            with m.If(step.ends_strip):
                m.d.sync += [place.bits.eq(0), place.block_left.eq(0)]
