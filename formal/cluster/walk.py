"""A walk over the results of a tile comes to each of them once, in order, at its place."""

from __future__ import annotations

from amaranth.hdl import Cat, Signal

from formal.checker import Checker
from formal.odometer import Odometer
from gscn.hw.cluster.walk import TileWalk
from gscn.passes import VECTOR


class TileWalkChecker(Checker):
    """Compare a walk with counters of samples, rows, columns and rows of a run's results.

    Assumed: a tile has results, runs are of whole vectors, and what a walk goes by is held while
    it is under way; a walk begins when none is.
    """

    CLAIMS = {
        "place": "the place is the first one and the steps of each loop as often as it went on",
        "last": "`last` is high exactly at the last result",
        "each": "each result of the tile has its turn once, until the last one had",
    }

    dut: TileWalk

    def describe(self) -> None:
        """State where the walk is."""
        dut, m, probe = self.dut, self.m, self.probe
        width, row_bits = len(dut.place), dut.config.drain_width.bit_length() - 1
        tile = dut.tile
        steps = [dut.item, dut.col, dut.row, dut.sample]
        counts = [dut.run[row_bits:], tile.cols, tile.rows, tile.samples]
        walk = Odometer(self, loops=[(0, count) for count in counts], begin=dut.begin, step=dut.en)
        for count in counts:
            self.assume(count != 0)
        self.assume((dut.run % VECTOR == 0) & ~(dut.begin & (walk.under_way | dut.en)))
        fields = Cat(*steps, *counts)
        before = Signal(len(fields), name="fields_before")
        m.d.sync += before.eq(fields)
        self.assume(~walk.under_way | (fields == before))

        first = Signal(width)
        with m.If(dut.begin):
            m.d.sync += first.eq(dut.first)
        gone = [
            walk.product(number, step, width, name=f"gone{number}")
            for number, step in enumerate(steps)
        ]
        place = (first + sum(gone[1:], gone[0]))[:width]
        self.claim("place", ~walk.under_way | (dut.place == place))
        self.claim("last", ~walk.under_way | (dut.last == walk.last))
        self.claim("each", walk.each(dut.last))
        for number, (at, count) in enumerate(zip(walk.at, counts, strict=True)):
            left, end = probe.signal(f"left{number}"), probe.signal(f"end{number}")
            self.invariant(~walk.under_way | ((left == count - at) & (end == walk.ends[number])))
            if number:
                base = (first + sum(gone[number + 1 :], gone[number]))[:width]
                self.invariant(~walk.under_way | (probe.signal(f"base{number}") == base))
        self.reach(walk.steps & walk.last & (tile.samples > 1))
