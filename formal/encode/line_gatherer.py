"""Pieces become lines: each halfword where its piece wrote it, each line once and in order."""

from __future__ import annotations

from amaranth.hdl import Cat, Mux, Signal, Value

from formal.checker import Checker, Ring
from gscn.hw.encode.line_gatherer import HALFWORD, HALFWORDS, LineGatherer


def seen(data: Value, halfwords: Value, number: Value) -> Value:
    """Return one halfword of a line, zero if it is not written, and above it whether it is."""
    is_written = halfwords.bit_select(number, 1)
    return Cat(Mux(is_written, data.word_select(number, HALFWORD), 0), is_written)


class LineGathererChecker(Checker):
    """Put lines together beside the component, and follow one of them, any, until it leaves.

    Of a line one halfword, any, is watched; it stands for all.
    """

    CLAIMS = {
        "content": "lines leave in order, once, each as its pieces wrote it and only where they "
        "did; pieces of one line that follow each other are one line",
        "held": "`o` is held, its payload unchanged, until it is taken",
        "taken": "a piece is accepted while there is room for the line that it may complete, until "
        "the last",
        "ended": "`ended` is high exactly if the last piece has come and all lines have left",
    }

    dut: LineGatherer

    def __init__(self, dut: LineGatherer, *, depth: int, **options) -> None:
        super().__init__(dut, **options)
        self._depth = depth

    def describe(self) -> None:
        """State what is put together and what of it is complete."""
        dut, m, probe, depth = self.dut, self.m, self.probe, self._depth
        piece, line = dut.i.p, dut.i.p.line
        began, ending = Signal(), Signal()
        place, stored = Signal.like(line.place), Signal(range(depth + 1))
        takes, comes, other, completes, fresh = (Signal() for _ in range(5))
        leaves = dut.o.valid & dut.o.ready
        m.d.comb += [
            takes.eq(dut.i.valid & dut.i.ready),
            comes.eq(takes & piece.there),
            other.eq(began & (line.place != place)),
            completes.eq((comes & other) | (ending & began & (stored < depth - 1))),
            fresh.eq(comes & (other | ~began)),
        ]
        with m.If(comes):
            m.d.sync += [began.eq(1), place.eq(line.place)]
        with m.Elif(completes):
            m.d.sync += began.eq(0)
        with m.If(takes & piece.last):
            m.d.sync += ending.eq(1)
        m.d.sync += stored.eq(stored + completes - leaves)

        self._watched = self.any_constant((HALFWORDS - 1).bit_length(), name="halfword")
        content, now = Signal(HALFWORD + 1), Signal(HALFWORD + 1)  # and whether it is written
        m.d.comb += now.eq(seen(line.data, line.halfwords, self._watched))
        with m.If(comes & now[-1]):
            m.d.sync += content.eq(now)
        with m.Elif(fresh | completes):
            m.d.sync += content.eq(0)
        whole = Cat(content, place)
        ring = Ring(
            self,
            name="lines",
            rows=depth,
            most=depth - 1,
            level=probe.signal("level"),
            produce=probe.signal("produce"),
            consume=probe.signal("consume"),
            read=self._row,
        )
        follower = ring.follow(enters=completes, word=whole, leaves=leaves)
        out = dut.o.p
        given = Cat(seen(out.data, out.halfwords, self._watched), out.place)
        self.claim(
            "content",
            (leaves <= (stored != 0))
            & (~follower.is_next | (dut.o.valid & (given == follower.word))),
        )
        self.claim("held", self.held(dut.o, name="o"))
        self.claim("taken", dut.i.ready == (~ending & (~began | (stored < depth - 1))))
        self.claim("ended", dut.ended == (ending & ~began & (stored == 0)))
        self.invariant(ring.level == stored)
        self.invariant(probe.signal("begun") == began)
        self.invariant(probe.signal("ending") == ending)
        self.invariant(~began | ((probe.signal("place") == place) & (ring.next_row() == whole)))
        self.invariant(began | (content == 0))
        self.reach(follower.is_next & leaves & follower.word[HALFWORD] & ending)

    def _row(self, addr: Signal, name: str) -> Value:
        widths = {"data": HALFWORDS * HALFWORD, "halfwords": HALFWORDS}
        widths["place"] = len(self.dut.i.p.line.place)
        data, halfwords, place = (
            self.probe.row(part, addr, width, name=f"{name}_{part}")
            for part, width in widths.items()
        )
        return Cat(seen(data, halfwords, self._watched), place)
