"""Walk over the results of a tile, in accumulators or in memory."""

from __future__ import annotations

from amaranth.hdl import Const, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from gscn.array import ArrayConfig
from gscn.hw.arguments import need_number
from gscn.hw.array_layouts import tile_layout
from gscn.passes import VECTOR


class TileWalk(wiring.Component):
    """Visit samples, rows, columns and, fastest, the rows of results of a run.

    Timing
    ------
    - Latency: `LATENCY` from `begin`, `en` to `place`.
    - Throughput: one place per cycle in which `en` is high.
    - Combinational: none.
    - Reset: outputs `place`, `last` undefined, until a `begin`.

    Parameters
    ----------
    config
        Results of a row, address width.
    width
        Bits of a place.

    Attributes
    ----------
    begin : In(1)
        Go to the first place.
    first : In(width)
        That place.
    en : In(1)
        Go to the next place; not with `begin`.
    tile : In(tile_layout(config))
        Counts; held, like the rest, while a walk is under way.
    run : In(16)
        Results of a run, a multiple of `VECTOR`.
    item : In(width)
        From one row of results to the next.
    col : In(width)
        From one run to the next.
    row : In(width)
        From one row of runs to the next.
    sample : In(width)
        From one sample to the next.
    place : Out(width)
        Where the walk is.
    last : Out(1)
        That is the last place.
    """

    LATENCY = 1

    def __init__(self, *, config: ArrayConfig, width: int):
        self.config = config
        need_number(self, "width", width)
        self._width = width
        super().__init__(
            {
                "begin": In(1),
                "first": In(width),
                "en": In(1),
                "tile": In(tile_layout(config)),
                "run": In(16),
                "item": In(width),
                "col": In(width),
                "row": In(width),
                "sample": In(width),
                "place": Out(width),
                "last": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        row_bits = self.config.drain_width.bit_length() - 1
        place = Signal(self._width, reset_less=True)
        loops = [
            # how many, and the step
            (self.run[row_bits:], self.item),
            (self.tile.cols, self.col),
            (self.tile.rows, self.row),
            (self.tile.samples, self.sample),
        ]
        assert VECTOR % self.config.drain_width == 0
        lefts = [Signal(16, name=f"left{n}", reset_less=True) for n in range(len(loops))]
        # whether a loop is at its last turn is known before it is asked for
        ends = [Signal(name=f"end{n}", reset_less=True) for n in range(len(loops))]
        bases = [Signal.like(place, name=f"base{n}") for n in range(len(loops))]
        m.d.comb += [self.place.eq(place), bases[0].eq(place)]

        # what the next values are does not wait for whether the walk goes on: `en` is often late
        before = Const(1)  # all loops within have ended
        befores = [before]
        for left, end, (many, _) in zip(lefts, ends, loops, strict=True):
            restarts = self.begin | (before & end)
            with m.If(self.begin | (self.en & before)):
                m.d.sync += [
                    left.eq(Mux(restarts, many, left - 1)),
                    end.eq(Mux(restarts, many == 1, left == 2)),
                ]
            before = before & end
            befores.append(before)
        m.d.comb += self.last.eq(before)

        # the innermost loop that goes on says where those within it go on from
        after = None
        for number in reversed(range(len(loops))):
            stepped = Signal.like(place, name=f"stepped{number}")
            m.d.comb += stepped.eq(bases[number] + loops[number][1])
            after = stepped if after is None else Mux(ends[number], after, stepped)
            with m.If(self.begin | (self.en & befores[number])):
                m.d.sync += (bases[number] if number else place).eq(
                    Mux(self.begin, self.first, after)
                )
        return m
