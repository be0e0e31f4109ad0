"""Expansion of strips to their nonzeros, each with its place."""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from gscn import latencies
from gscn.array import ArrayConfig
from gscn.hw.arguments import need, need_number
from gscn.hw.cluster.portions import PortionReader
from gscn.hw.fifo import StreamFIFO
from gscn.hw.input_layouts import STRIP, WANTED, WINDOW_HALFWORDS, PortionKind, item_layout
from gscn.passes import VECTOR

TAKEN = WINDOW_HALFWORDS - 1
"""Values that are taken in a cycle where lanes are chosen: beside a mask there is room for so many.
"""


class _Place:
    """Where in a strip the expander is: all in registers.

    A stretch are the positions, from a place on, whose end an item must report: those of the row
    that are left, or one. Its vectors are counted in blocks, as if the strip's first block came
    behind another one, which has ended.
    """

    def __init__(self) -> None:
        self.active = Signal()
        """A strip is under way."""
        self.ends_piece = Signal()
        self.rows_left, self.last_row = Signal(16), Signal()
        """Rows, or outer positions, and whether it is the last."""
        self.mid_left, self.last_mid = Signal(8), Signal()
        """Likewise rows of an outer position."""
        self.row_left, self.last_position = Signal(16), Signal()
        """Likewise positions of a row, where each is a stretch."""
        self.next = Signal(5, init=VECTOR)
        """The next vector of the block, `VECTOR` or more if it has no other."""
        self.last = Signal(4)
        """The stretch's last vector, in its block."""
        self.blocks = Signal(17)
        """Blocks before that one."""
        self.reaches, self.near = Signal(), Signal()
        """They are 0, or 1."""
        self.has = Signal()
        """The next vector is one of the stretch."""
        self.at = Signal(5)
        """The vector of the item before, or where the stretch begins."""


class _Step:
    """What is found at a place: combinational."""

    def __init__(self) -> None:
        self.advance = Signal()
        """An item may be made: there is room for it."""
        self.block = Signal()
        """A block comes next."""
        self.goes = Signal()
        """The block is taken, or the item made, in this cycle."""
        self.emits = Signal()
        """A nonzero is found."""
        self.whole = Signal()
        """None of the portion is left behind it."""
        self.next = Signal(5)
        """The next vector behind it."""
        self.ends_stretch = Signal()
        self.ends_row = Signal()
        """If it ends a stretch, it ends a row."""
        self.ends_strip = Signal()
        """Likewise."""
        self.finishes = Signal()
        """The strip ends in this cycle."""
        self.closes = Signal()
        """The piece does."""


class VectorExpander(wiring.Component):
    """Turn strips into items: up to `values` nonzeros of one vector each, and where they are.

    A strip is `rows` x `mid` rows of `inner` positions of 2 ** `vectors` vectors. Without `skip`
    every position has at least one item, and no `step` means anything. With `skip` positions
    without nonzeros are passed over as far as block and row reach: a row's end is reported with its
    last nonzero if that is in the last block of the row, else by an item without values, and each
    header is an item without values.

    With `values` 1 items are of `wanted` lanes alone. `TAKEN` values are taken at a time, and make
    an item for each wanted one; if there is none, they take a cycle, and make no item but what
    reports an end.

    Halfwords are taken ahead (`hw.cluster.portions`), also of the next piece, whether its strips
    are known or not. `ITEMS` items wait, so that whether one is taken, which is known late, decides
    nothing in the same cycle.

    Implements: strips in `docs/contract/passes.md`.

    Timing
    ------
    - Latency: `LATENCY` from `window` to `o`, once their mask has been taken.
    - Throughput: one item per cycle, strips of a piece back to back; a block takes one cycle, and
      so does the end of a piece.
    - Combinational: `wanted` -> `strips.ready`; `available` -> `take`, `arrived`; `available`,
      `ends` -> `done`.
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
        Log2 of the vectors of a position, 0 to 4; like the next two still while there is a strip,
        and two cycles before.
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
        All of the piece is taken.
    arrived : Out(1)
        There is something to expand.
    o : Out(stream.Signature(item_layout(config, values)))
        Items.
    error : Out(1)
        A piece is no strips: it ends before or after its data, has an empty mask, or
        vectors beyond a strip.
    """

    LATENCY = latencies.VECTOR_LATENCY
    ITEMS = latencies.ITEMS_QUEUED

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
                "arrived": Out(1),
                "o": Out(stream.Signature(item_layout(config, values))),
                "error": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        most = TAKEN if self._values == 1 else self._values
        m.submodules.portions = portions = PortionReader(config=self.config, most=most)
        m.d.comb += [
            portions.narrow.eq(self.narrow),
            portions.window.eq(self.window),
            portions.available.eq(self.available),
            portions.ends.eq(self.ends),
            self.take.eq(portions.take),
            self.done.eq(portions.done),
            self.arrived.eq((self.available != 0) | portions.o.valid),
        ]
        m.submodules.items = items = StreamFIFO(shape=self.o.p.shape(), depth=self.ITEMS)
        wiring.connect(m, items.o, wiring.flipped(self.o))
        place, step, portion = _Place(), _Step(), portions.o
        closing, wrong = Signal(), Signal()
        m.d.comb += portion.ready.eq(
            step.closes | (step.goes & Mux(place.has, step.whole, step.block))
        )
        self._look(m, place, step, items.i, portion)
        self._move(m, place, step, portion.p)

        # -- strips
        m.d.comb += [
            step.closes.eq(closing & portion.valid & (portion.p.kind == PortionKind.END)),
            self.strips.ready.eq(
                Mux(place.active, step.finishes & ~place.ends_piece, ~closing | step.closes)
            ),
        ]
        with m.If(step.finishes):
            m.d.sync += [place.active.eq(0), closing.eq(place.ends_piece)]
        with m.Elif(step.closes):
            m.d.sync += closing.eq(0)
        with m.If(self.strips.valid & self.strips.ready):
            m.d.sync += [place.active.eq(1), place.ends_piece.eq(self.strips.p.ends_piece)]

        needs = place.active & step.advance & (place.has | step.block)
        m.d.comb += wrong.eq(
            (portion.valid & needs & ~step.goes)
            | (portion.valid & closing & ~step.closes)
            | (step.finishes & ~step.next[4])
        )
        m.d.sync += self.error.eq(wrong)
        return m

    def _look(self, m, place, step, items, portion):
        """Make the item that comes next."""
        new, item = portion.p, items.p
        is_values, is_block = (
            portion.valid & (new.kind == kind) for kind in (PortionKind.VALUES, PortionKind.BLOCK)
        )
        passes = place.has & step.whole & new.last
        ends = Mux(place.has, passes & ~_is_before(new.next, place.last), 1)
        m.d.comb += [
            step.advance.eq(items.ready),
            step.block.eq(~place.has & ~place.reaches),
            step.goes.eq(
                place.active & step.advance & Mux(place.has, is_values, place.reaches | is_block)
            ),
            step.next.eq(Mux(passes | step.block, new.next, place.next)),
            step.ends_stretch.eq(place.reaches & ends),
            step.ends_row.eq(1 if self._skip else place.last_position),
            step.ends_strip.eq(step.ends_row & place.last_row & place.last_mid),
            step.finishes.eq(step.goes & step.ends_stretch & step.ends_strip),
        ]
        if self._values == 1:
            self._choose(m, place, step, item, new)
        else:
            m.d.comb += [
                step.emits.eq(place.has),
                step.whole.eq(1),
                item.count.eq(Mux(place.has, new.count, 0)),
                item.lanes.eq(new.lanes),
                item["values"].eq(new["values"]),
            ]
        m.d.comb += [
            item.vector.eq(Mux(place.has, _within(place.next[:4], self.vectors), 0)),
            item.ends_position.eq(step.ends_stretch),
            item.ends_row.eq(step.ends_stretch & step.ends_row),
            item.ends_strip.eq(step.ends_stretch & step.ends_strip),
        ]
        if self._skip:
            reached = Mux(place.has, place.next, VECTOR)
            with m.If(place.has | step.block):
                m.d.comb += item.step.eq((reached >> self.vectors) - (place.at >> self.vectors))
        makes = Mux(step.block, self._skip, step.emits | step.ends_stretch)
        m.d.comb += items.valid.eq(step.goes & makes)

    def _choose(self, m, place, step, item, portion):
        """Make an item of the next wanted value of a portion."""
        numbers = range(TAKEN)
        # the next vector has wanted lanes; values of the portion that items were made of
        matches, given = Signal(), Signal(TAKEN)
        wanted, rest = Signal(TAKEN), Signal(TAKEN)
        m.d.comb += [
            wanted.eq(
                Cat(
                    (matches & ~given[number] & (portion.count > number))
                    & self.wanted.lanes.bit_select(portion.lanes[number], 1)
                    for number in numbers
                )
            ),
            step.emits.eq(place.has & wanted.any()),
            step.whole.eq(~rest.any()),
            item.count.eq(step.emits),
        ]
        for number in reversed(numbers):
            with m.If(wanted[number]):
                m.d.comb += [
                    item.lanes[0].eq(portion.lanes[number]),
                    item["values"][0].eq(portion["values"][number]),
                    rest.eq(wanted[number + 1 :] << number + 1),
                ]
        with m.If(step.goes & place.has):
            m.d.sync += given.eq(Mux(step.whole, 0, given | (wanted ^ rest)))
        with m.If(step.goes & Mux(place.has, step.whole & portion.last, step.block)):
            vector = _within(portion.next[:4], self.vectors)
            m.d.sync += matches.eq(((vector ^ self.wanted.vector) & self.wanted.care) == 0)

    def _move(self, m, place, step, portion):
        """Move on behind the item made or the block taken."""
        length = Signal(21)  # of a stretch that begins, in vectors
        last, carry = Signal(4), Signal()
        m.d.sync += length.eq((self.inner if self._skip else 1) << self.vectors)
        blocks, rest = length[4:], length[:4]
        is_zero, is_one = (blocks == number for number in (0, 1))
        m.d.comb += Cat(last, carry).eq(place.last + rest)
        begin = [  # behind a block
            place.last.eq(length - 1),
            place.blocks.eq(blocks + rest.any()),
            place.reaches.eq(0),
            place.near.eq(Mux(rest.any(), is_zero, is_one)),
            place.has.eq(0),
            place.at.eq(VECTOR),
        ]
        with m.If(step.goes):
            m.d.sync += place.next.eq(step.next)
            with m.If(step.block):
                m.d.sync += [
                    place.blocks.eq(place.blocks - 1),
                    place.reaches.eq(place.near),
                    place.near.eq(place.blocks == 2),
                    place.has.eq(
                        Mux(place.near, _is_before(portion.next, place.last), ~portion.next[4])
                    ),
                    place.at.eq(0),
                ]
            with m.Elif(step.ends_stretch):
                is_before = Mux(carry | ~is_zero, ~step.next[4], _is_before(step.next, last))
                m.d.sync += [
                    place.last.eq(last),
                    place.blocks.eq(blocks + carry),
                    place.reaches.eq(is_zero & ~carry),
                    place.near.eq(Mux(carry, is_zero, is_one)),
                    place.has.eq(is_before),
                    place.at.eq(place.last + 1),
                ]
                with m.If(step.ends_strip):
                    m.d.sync += begin
                self._count(m, place)
            with m.Else():
                m.d.sync += place.has.eq(~step.next[4])
                with m.If(step.emits):
                    m.d.sync += place.at.eq(place.next)
        with m.Elif(~place.active):
            m.d.sync += begin
            _restart(m, place.row_left, place.last_position, self.inner)
            _restart(m, place.mid_left, place.last_mid, self.mid)
            _restart(m, place.rows_left, place.last_row, self.strips.p.rows)

    def _count(self, m, place):
        """Count the end of a stretch; behind the strip's, whether the next one is there or not."""
        loops = [
            (place.mid_left, place.last_mid, self.mid),
            (place.rows_left, place.last_row, self.strips.p.rows),
        ]
        if not self._skip:
            loops.insert(0, (place.row_left, place.last_position, self.inner))
        ends = 1
        for left, last, many in loops:
            with m.If(ends & ~last):
                m.d.sync += [left.eq(left - 1), last.eq(left == 2)]
            with m.Elif(ends):
                _restart(m, left, last, many)
            ends = ends & last


def _restart(m, left, last, many):
    """Let a loop begin."""
    m.d.sync += [left.eq(many), last.eq(many == 1)]


def _within(vector, vectors):
    """Return the number of a vector in its position, which has 2 ** `vectors`."""
    return vector & ((1 << vectors)[:5] - 1)[:4]


def _is_before(vector, last):
    """Return whether a vector is there, and not behind the last one."""
    before = 1
    for one, end in zip(vector[:4], last, strict=True):
        before = Mux(one == end, before, end)
    return ~vector[4] & before
