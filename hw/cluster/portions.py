"""Strips, a few values of a vector at a time."""

from __future__ import annotations

from amaranth.hdl import Cat, Const, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from gscn import latencies
from gscn.array import ArrayConfig
from gscn.hw.arguments import need_number
from gscn.hw.cluster.ranks import Ranks, add_up_to, count_up_to, first_numbers
from gscn.hw.input_layouts import WINDOW_HALFWORDS, PortionKind, portion_layout
from gscn.passes import VECTOR


class _Turn:
    """What is in hand, and what of it is next: all in registers.

    A mask is taken with the last values before it, and a block's first halfword likewise: so what
    a mask decides, how many halfwords are taken, does not depend on halfwords of the same cycle.
    """

    def __init__(self, most: int) -> None:
        self.within = Signal()
        """A vector, or a block's first halfword, is in hand."""
        self.block = Signal()
        """That is a block's first halfword."""
        self.later = Signal(VECTOR)
        """Vectors of the block behind it."""
        self.more = Signal()
        """There are any."""
        self.mask = Signal(VECTOR)
        """Lanes of the vector that are left."""
        self.count = Signal(range(most + 1))
        """How many of them are next, none where no vector is in hand."""
        self.last = Signal(init=1)
        """No others are left."""
        self.odd = Signal()
        """The next value is in the high half of its halfword."""
        self.there = Signal(range(WINDOW_HALFWORDS))
        """Halfwords in which those values are."""
        self.gone = Signal(range(WINDOW_HALFWORDS))
        """As many of them as have no other value."""


class PortionReader(wiring.Component):
    """Take strips apart: their blocks, and up to `most` values of a vector at a time.

    It goes through the blocks of a piece, one behind the other, and need not know what a strip is;
    two portions may wait. A piece is done with in the cycle in which its `END` is made. Behind what
    is `WRONG` nothing is of use before a reset.

    Timing
    ------
    - Latency: `LATENCY` from `window` to `o`, once its mask has been taken.
    - Throughput: one portion per cycle; besides, a cycle for each piece, and one for a block's
      first halfword that has not arrived with the last values before it.
    - Combinational: `available` -> `take`; `available`, `ends` -> `done`.
    - Reset: no portion; outputs 0.

    Parameters
    ----------
    config
        Width of a value.
    most
        Values of a portion, 1 to 3.

    Attributes
    ----------
    narrow : In(1)
        Values have 8 bits, two to a halfword; else 16.
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
    o : Out(stream.Signature(portion_layout(config, most)))
        Portions.
    """

    LATENCY = latencies.PORTION_LATENCY
    DEPTH = latencies.PORTIONS_QUEUED

    def __init__(self, *, config: ArrayConfig, most: int):
        need_number(self, "most", most, 1, WINDOW_HALFWORDS - 1)
        self.config = config
        self._most = most
        super().__init__(
            {
                "narrow": In(1),
                "window": In(data.ArrayLayout(16, WINDOW_HALFWORDS)),
                "available": In(range(WINDOW_HALFWORDS + 1)),
                "ends": In(1),
                "take": Out(range(WINDOW_HALFWORDS + 1)),
                "done": Out(1),
                "o": Out(stream.Signature(portion_layout(config, most))),
            }
        )

    def elaborate(self, platform):
        m = Module()
        turn, portion = _Turn(self._most), Signal.like(self.o.p)
        room, goes, over = Signal(), Signal(), Signal()
        enough, surplus = Signal(), Signal()  # all values are there; and a halfword behind them
        with m.Switch(turn.there):
            for number in range(WINDOW_HALFWORDS):
                with m.Case(number):
                    m.d.comb += [
                        enough.eq(self.available >= number if number else 1),
                        surplus.eq(self.available > number),
                    ]
        needs_next = turn.last & (turn.more | ~turn.within)
        m.d.comb += [
            goes.eq(room & Mux(needs_next, surplus, enough)),
            over.eq(self.ends & (self.available == 0) & ~turn.within),
            self.done.eq(room & over),
        ]
        with m.If(goes):
            m.d.comb += self.take.eq(
                Mux(turn.last, Mux(surplus, turn.there + 1, turn.there), turn.gone)
            )
        self._show(m, turn, portion, goes, over)
        self._move(m, turn, goes, surplus)
        self._queue(m, portion, room & Mux(goes, turn.within, self.ends), room)
        return m

    def _show(self, m, turn, portion, goes, over):
        """Make a portion of what is in hand."""
        halfwords = Cat(self.window[number] for number in range(self._most))
        lanes = first_numbers(m, turn.mask, self._most)
        m.d.comb += [
            portion.count.eq(turn.count),
            portion.last.eq(turn.last),
            portion.next.eq(Cat(first_numbers(m, turn.later, 1)[0], ~turn.more)),
        ]
        with m.If(~goes):
            m.d.comb += portion.kind.eq(Mux(over, PortionKind.END, PortionKind.WRONG))
        with m.Elif(turn.block):
            m.d.comb += portion.kind.eq(PortionKind.BLOCK)
        with m.Else():
            m.d.comb += portion.kind.eq(Mux(turn.count == 0, PortionKind.WRONG, PortionKind.VALUES))
        for number, lane in enumerate(lanes):
            low, high = (halfwords.word_select(number + odd, 8) for odd in (0, 1))
            byte = Mux(turn.odd, high, low).as_signed()
            half = self.window[number].as_signed()
            m.d.comb += [
                portion.lanes[number].eq(lane),
                portion["values"][number].eq(Mux(self.narrow, byte, half)),
            ]

    def _move(self, m, turn, goes, surplus):
        """Go on behind the portion, to what the halfword behind it says if it is the last one."""
        most = self._most
        fresh = Signal(VECTOR)
        # counted where it may be, while it is found where it is
        counted = [
            [count_up_to(half, most + 1) for half in (word[: VECTOR // 2], word[VECTOR // 2 :])]
            for word in self.window
        ]
        halves = [Signal(len(half)) for half in counted[0]]
        with m.Switch(turn.there):
            for number, word in enumerate(self.window):
                with m.Case(number):
                    m.d.comb += fresh.eq(word)
                    m.d.comb += [
                        half.eq(one) for half, one in zip(halves, counted[number], strict=True)
                    ]
        fresh_left = add_up_to(halves, most + 1)
        vectors = Ranks(turn.later, 2)
        with m.If(goes & ~turn.last):
            odd = turn.odd ^ (most & 1)
            m.d.sync += [turn.mask.eq(Ranks(turn.mask, most).left[most]), turn.odd.eq(odd)]
            self._note(m, turn, count_up_to(turn.mask, 2 * most + 1), odd, most)
        with m.Elif(goes):
            m.d.sync += [
                turn.within.eq(surplus),
                turn.block.eq(~turn.more),
                turn.mask.eq(fresh),
                turn.odd.eq(0),
            ]
            with m.If(turn.more):
                m.d.sync += [turn.later.eq(vectors.left[1]), turn.more.eq(vectors.there[1])]
                self._note(m, turn, fresh_left, 0, 0)
            with m.Else():
                m.d.sync += [turn.later.eq(fresh), turn.more.eq(surplus & (fresh_left != 0))]
                self._note(m, turn, Const(0, len(fresh_left)), 0, 0)

    def _note(self, m, turn, left, odd, before):
        """Note what is next where so many lanes are left, of which some come `before`."""
        with m.Switch(Cat(left, odd, self.narrow)):
            for number in range(self._most + 2):
                for half in range(2):
                    for narrow in range(2):
                        count = min(number, self._most)
                        key = number + before | half << len(left) | narrow << len(left) + 1
                        with m.Case(key):
                            m.d.sync += [
                                turn.count.eq(count),
                                turn.last.eq(number <= self._most),
                                turn.there.eq((half + count + 1) // 2 if narrow else count),
                                turn.gone.eq((half + count) // 2 if narrow else count),
                            ]

    def _queue(self, m, portion, enters, room):
        """Let a portion wait, in two registers, so that room for it is known before."""
        second, second_valid = Signal.like(self.o.p), Signal()
        m.d.comb += room.eq(~second_valid)
        with m.If(~self.o.valid | self.o.ready):
            m.d.sync += [
                self.o.valid.eq(second_valid | enters),
                self.o.p.eq(Mux(second_valid, second, portion)),
                second_valid.eq(0),
            ]
        with m.Elif(enters):
            m.d.sync += second_valid.eq(1)
        with m.If(room):
            m.d.sync += second.eq(portion)
