"""The queue of wide words neither loses, duplicates nor reorders any, and keeps them whole."""

from __future__ import annotations

from amaranth.hdl import Cat, Signal, Value

from formal.checker import Checker, Ring
from gscn.hw.encode.wide_fifo import PIECE, WideFIFO


class WideFIFOChecker(Checker):
    """Follow one word, of any value, through a `WideFIFO`."""

    CLAIMS = {
        "order": "every word accepted leaves, all pieces of it unchanged, after exactly the words "
        "accepted before",
        "flow": "a word is offered if one is stored, and accepted if there is room",
        "held": "`o` is held, its payload unchanged, until it is taken",
    }

    dut: WideFIFO

    def __init__(self, dut: WideFIFO, *, depth: int, **options) -> None:
        super().__init__(dut, **options)
        self._depth = depth

    def describe(self) -> None:
        """State that one word comes out as it came in."""
        dut, m, probe = self.dut, self.m, self.probe
        word = Value.cast(dut.i.p)
        enters, leaves = dut.i.valid & dut.i.ready, dut.o.valid & dut.o.ready
        ring = Ring(
            self,
            name="words",
            rows=self._depth,
            most=self._depth,
            level=probe.signal("level"),
            produce=probe.signal("produce"),
            consume=probe.signal("consume"),
            read=self._row,
        )
        follower = ring.follow(enters=enters, word=word, leaves=leaves)
        stored = Signal(len(ring.level) + 1)  # one bit more: a count that wraps is seen
        m.d.sync += stored.eq(stored + enters - leaves)
        self.invariant(stored == ring.level)
        self.claim(
            "order",
            ~follower.is_next | (dut.o.valid & (Value.cast(dut.o.p) == follower.word)),
        )
        self.claim("flow", (dut.o.valid == (stored != 0)) & (dut.i.ready == (stored < self._depth)))
        self.claim("held", self.held(dut.o, name="o"))
        self.reach(follower.is_next & (stored == self._depth))

    def _row(self, addr: Signal, name: str) -> Value:
        width = len(Value.cast(self.dut.i.p))
        return Cat(
            self.probe.row(
                f"piece{start}", addr, min(PIECE, width - start), name=f"{name}_piece{start}"
            )
            for start in range(0, width, PIECE)
        )
