"""Lanes of combinations side by side: from vectors of tensors to vectors of results."""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from gscn.encode import COEFFICIENT_BITS, TENSORS, WINDOW_WIDTH
from gscn.hw.arguments import need_number
from gscn.hw.encode.lane import CombineLane
from gscn.hw.encode.lane_rounding import LaneRounder
from gscn.hw.encode.lane_top import LaneTop
from gscn.hw.encode.layouts import CODE, SHIFT, SIGNIFICAND, TOP, value_layout
from gscn.hw.fifo import StreamFIFO

DIGIT = 8
"""Bits of a value's significand that are multiplied in a turn: all of one of bf16."""
DIGITS = SIGNIFICAND // DIGIT


def vector_layout(lanes: int) -> data.StructLayout:
    """Return what lanes combine: a value each, whether it is there, and whether it is kept.

    `wide`: some tensor that is multiplied is float32. `third`: tensor 2 is multiplied, since its
    coefficient is no power of two in all lanes.
    """
    return data.StructLayout(
        {
            "values": data.ArrayLayout(value_layout(COEFFICIENT_BITS), lanes),
            "there": lanes,
            "kept": lanes,
            "wide": 1,
            "third": 1,
        }
    )


def result_layout(lanes: int) -> data.StructLayout:
    """Return results of lanes: codes, and whether one was saturated, or is not finite."""
    return data.StructLayout(
        {"codes": data.ArrayLayout(CODE, lanes), "saturated": 1, "nonfinite": 1}
    )


class Combiner(wiring.Component):
    """Combine vectors value by value: `CombineLane`s in step, each with a `LaneRounder`.

    A vector takes a turn; one that is `wide` takes `DIGITS`, and `third` as many more. Results have
    a queue, and a vector begins only if there is room for it, so that lanes need not be held.

    Implements: "Numbers", floating point, the first combination, ReLU and mask of
    `docs/contract/encode.md`.
    Golden: `emulator.encode_arithmetic.combine`.

    Timing
    ------
    - Latency: `LATENCY` from `i` to `o`.
    - Throughput: one vector per cycle and turn.
    - Combinational: none.
    - Reset: nothing under way; outputs 0, but `i.ready` = 1.

    Parameters
    ----------
    count
        Lanes.

    Attributes
    ----------
    i : In(stream.Signature(vector_layout(count)))
        Vectors.
    wide : In(1)
        Results are float32, not bf16. Held while there are vectors.
    relu : In(1)
        ReLU. Held likewise.
    o : Out(stream.Signature(result_layout(count)))
        Results.
    """

    DEPTH = 8
    """Vectors of results under way and in the queue; the least that keeps lanes busy."""
    _QUEUE = 2
    LATENCY = 1 + CombineLane.LATENCY + LaneRounder.LATENCY + 1

    def __init__(self, *, count: int):
        need_number(self, "count", count)
        self._count = count
        super().__init__(
            {
                "i": In(stream.Signature(vector_layout(count))),
                "wide": In(1),
                "relu": In(1),
                "o": Out(stream.Signature(result_layout(count))),
            }
        )

    def elaborate(self, platform):
        m = Module()
        count = self._count
        queued = data.StructLayout(
            {
                "vector": vector_layout(count),
                "tops": data.ArrayLayout(TOP, count),
                "shifts": data.ArrayLayout(data.ArrayLayout(SHIFT, TENSORS + 1), count),
            }
        )
        m.submodules.vectors = vectors = StreamFIFO(shape=queued, depth=self._QUEUE)
        m.submodules.results = results = StreamFIFO(shape=result_layout(count), depth=self.DEPTH)
        wiring.connect(m, results.o, wiring.flipped(self.o))
        m.d.comb += [
            vectors.i.p.vector.eq(self.i.p),
            vectors.i.valid.eq(self.i.valid),
            self.i.ready.eq(vectors.i.ready),
        ]
        vector = vectors.o.p.vector
        digit, again, begins, ends = self._turns(m, vectors.o, results)

        # -- what goes along: valid, and what the last stage wants to know
        flight = Signal(CombineLane.LATENCY + LaneRounder.LATENCY)
        marks = Cat(vector.there, vector.kept)
        m.d.sync += flight.eq(Cat(ends, flight))
        for _ in range(CombineLane.LATENCY + LaneRounder.LATENCY - LaneRounder.LAST_LATENCY):
            later = Signal(len(marks), reset_less=True)
            m.d.sync += later.eq(marks)
            marks = later

        saturated, nonfinite = [], []
        for number in range(count):
            m.submodules[f"top{number}"] = top = LaneTop(factor_width=COEFFICIENT_BITS)
            m.submodules[f"lane{number}"] = lane = CombineLane(
                factor_width=COEFFICIENT_BITS, window=WINDOW_WIDTH, digit=DIGIT
            )
            m.submodules[f"rounder{number}"] = rounder = LaneRounder(window=WINDOW_WIDTH)
            terms, shifts = vector.values[number].terms, vectors.o.p.shifts[number]
            m.d.comb += [
                top.value.eq(self.i.p.values[number]),
                vectors.i.p.tops[number].eq(top.top),
                *(vectors.i.p.shifts[number][n].eq(one) for n, one in enumerate(top.shifts)),
                lane.first.eq(Mux(again, terms[TENSORS - 1], terms[0])),
                lane.second.eq(terms[1]),
                lane.plain.eq(terms[TENSORS - 1]),
                lane.bias.eq(vector.values[number].bias),
                lane.top.eq(vectors.o.p.tops[number]),
                lane.shifts[0].eq(Mux(again, shifts[TENSORS - 1], shifts[0])),
                *(lane.shifts[n].eq(shifts[n]) for n in range(1, TENSORS + 1)),
                lane.turn.digit.eq(digit),
                lane.turn.opens.eq(begins),
                lane.turn.adds.eq(digit == DIGITS - 1),
                lane.turn.adds_others.eq((digit == DIGITS - 1) & ~again),
                lane.turn.adds_plain.eq((digit == DIGITS - 1) & ~again & ~vector.third),
                lane.turn.starts.eq((digit == DIGITS - 1) & ~again),
                rounder.sum.eq(lane.sum),
                rounder.top.eq(lane.sum_top),
                rounder.there.eq(marks[number]),
                rounder.kept.eq(marks[count + number]),
                rounder.wide.eq(self.wide),
                rounder.relu.eq(self.relu),
                results.i.p.codes[number].eq(rounder.o),
            ]
            saturated.append(rounder.saturated)
            nonfinite.append(rounder.nonfinite)
        m.d.comb += [
            results.i.valid.eq(flight[-1]),
            results.i.p.saturated.eq(Cat(saturated).any()),
            results.i.p.nonfinite.eq(Cat(nonfinite).any()),
        ]
        return m

    def _turns(self, m, o, results):
        """Return digit, whether tensor 2 is multiplied, and the first and last turn of a term.

        The last one is that of a vector, which leaves the queue.
        """
        vector = o.p.vector
        due = Signal(range(self.DEPTH + 1))  # results under way or in the queue
        turn, again, under_way = Signal(range(DIGITS)), Signal(), Signal()
        runs, ends = Signal(), Signal()
        digit = Signal(range(DIGITS))
        last = ~vector.wide | (turn == DIGITS - 1)
        m.d.comb += [
            runs.eq(o.valid & (under_way | (due != self.DEPTH))),
            digit.eq(Mux(vector.wide, turn, DIGITS - 1)),
            ends.eq(runs & last & (again | ~vector.third)),
            o.ready.eq(ends),
        ]
        leaves = self.o.valid & self.o.ready
        m.d.sync += due.eq(due + (runs & ~under_way) - leaves)
        with m.If(runs):
            m.d.sync += [
                turn.eq(Mux(last, 0, turn + 1)),
                again.eq(Mux(ends, 0, again | last)),
                under_way.eq(~ends),
            ]
        return digit, again, turn == 0, ends
