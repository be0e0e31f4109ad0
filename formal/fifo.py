"""The queue neither loses, duplicates nor reorders words."""

from __future__ import annotations

from amaranth.hdl import Signal, Value

from formal.checker import Checker, Queue
from gscn.hw.fifo import StreamFIFO


class StreamFIFOChecker(Checker):
    """Follow one word, of any value, through a `StreamFIFO`."""

    CLAIMS = {
        "order": "every word accepted leaves, unchanged, after exactly the words accepted before",
        "count": "`level` is the number of words accepted less the number delivered",
        "flow": "a word is offered if one is stored, and accepted if there is room",
        "held": "`o` is held, its payload unchanged, until it is taken",
    }

    def __init__(self, dut: StreamFIFO, *, depth: int, **options) -> None:
        super().__init__(dut, **options)
        self._depth = depth

    def describe(self) -> None:
        """State that one word comes out as it came in."""
        dut, m = self.dut, self.m
        word = Value.cast(dut.i.p)
        queue = Queue(self, "", depth=self._depth, width=len(word))
        enters, leaves = dut.i.valid & dut.i.ready, dut.o.valid & dut.o.ready
        follower = queue.follow(enters=enters, word=word, leaves=leaves)
        stored = Signal(len(dut.level) + 1)  # one bit more: a count that wraps is seen
        m.d.sync += stored.eq(stored + enters - leaves)

        self.invariant(stored == queue.level)
        self.claim(
            "order",
            ~follower.is_next | (dut.o.valid & (Value.cast(dut.o.p) == follower.word)),
        )
        self.claim("count", (dut.level == stored) & (stored <= self._depth))
        self.claim("flow", (dut.o.valid == (stored != 0)) & (dut.i.ready == (stored < self._depth)))
        self.claim("held", self.held(dut.o, name="o"))
        self.reach(follower.is_next & (dut.level == self._depth))
