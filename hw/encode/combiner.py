"""Lanes of combinations side by side: from vectors of tensors to vectors of results."""

from __future__ import annotations

from typing import NamedTuple

from amaranth.hdl import Cat, Module, Mux, Signal, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from gscn.encode import COEFFICIENT_BITS, TENSORS, WINDOW_WIDTH
from gscn.hw.arguments import need_number
from gscn.hw.encode.lane import CombineLane
from gscn.hw.encode.lane_rounding import LaneRounder
from gscn.hw.encode.lane_sums import PRODUCT
from gscn.hw.encode.lane_top import LaneTop
from gscn.hw.encode.layouts import CODE, SHIFT, SIGNIFICAND, TOP, term_layout, value_layout
from gscn.hw.fifo import StreamFIFO

DIGIT = 8
"""Bits of a value's significand that are multiplied in a turn: all of one of bf16."""
DIGITS = SIGNIFICAND // DIGIT


class _Turns(NamedTuple):
    """What all lanes do in a cycle."""

    digit: Value
    again: Value
    """Tensor 2 is multiplied."""
    opens: Value
    """A term's first digit."""
    ends: Value
    """A vector's last turn."""
    dots: Value
    """A term of sums is multiplied."""


def vector_layout(lanes: int) -> data.StructLayout:
    """Return what lanes combine: a value each, whether it is there, and whether it is kept.

    `knee`: it lies between the knee and the end of the slope. `wide`: some tensor that is
    multiplied is float32, with a coefficient that is no normal power of two in all lanes. `third`:
    tensor 2 is multiplied, for the same reason, whatever its format. `second` only goes along.
    """
    return data.StructLayout(
        {
            "values": data.ArrayLayout(value_layout(COEFFICIENT_BITS), lanes),
            "there": lanes,
            "kept": lanes,
            "knee": lanes,
            "relu": 1,
            "wide": 1,
            "third": 1,
            "second": 1,
        }
    )


_ALONG = ("there", "kept", "knee", "relu", "wide", "third", "second")


def _queued_layout(lanes: int) -> data.StructLayout:
    """Return what is queued of a vector: what lanes multiply, and what goes along."""
    terms = data.ArrayLayout(term_layout(COEFFICIENT_BITS), TENSORS)
    members = {name: vector_layout(lanes).members[name] for name in _ALONG}
    return data.StructLayout({"terms": data.ArrayLayout(terms, lanes), **members})


_ADDENDS = data.StructLayout(
    {
        "plain": CODE,
        "negative": 1,
        "bias": CODE,
        "top": TOP,
        "shifts": data.ArrayLayout(SHIFT, TENSORS + 1),
    }
)
"""Of a lane: what is added as it is; `negative`: the sign of the plain term's coefficient."""


def result_layout(lanes: int) -> data.StructLayout:
    """Return results of lanes: codes, whether one was saturated, or is not finite, and `second`."""
    return data.StructLayout(
        {"codes": data.ArrayLayout(CODE, lanes), "saturated": 1, "nonfinite": 1, "second": 1}
    )


def dot_layout(lanes: int) -> data.StructLayout:
    """Return terms of lanes that are multiplied for sums; `wide`: values are float32."""
    return data.StructLayout(
        {"terms": data.ArrayLayout(term_layout(COEFFICIENT_BITS), lanes), "wide": 1}
    )


class Combiner(wiring.Component):
    """Combine vectors value by value: `CombineLane`s in step, each with a `LaneRounder`.

    A vector takes a turn; one that is `wide` takes `DIGITS`, and `third` as many more. Results have
    a queue, and a vector begins only if there is room for it, so that lanes need not be held.

    Between vectors, and before the next one, lanes multiply a vector of `dot`: it is taken with its
    last digit, and its `products` are there a cycle later, for sums of results. If tensor 1 is
    `idle`, its multiplier does so in the turn of a vector, where both take one turn alone.

    Implements: "Numbers", floating point, combinations, activations and mask
    of `docs/contract/encode.md`.
    Golden: `emulator.encode_arithmetic.combine`.

    Timing
    ------
    - Latency: `ADDEND_LATENCY` from `i` to `o`; `PRODUCT_LATENCY` from `dot` to `products`. The
      first is of the registers that what is added as it is goes through; it waits a cycle for its
      products, so that a result takes `LATENCY`.
    - Throughput: one vector per cycle and turn.
    - Combinational: `dot` -> `dot.ready`.
    - Reset: nothing under way; outputs 0, but `i.ready` = 1, and `products` undefined.

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
    o : Out(stream.Signature(result_layout(count)))
        Results.
    idle : In(1)
        Nothing is multiplied in the place of tensor 1. Held likewise.
    dot : In(stream.Signature(dot_layout(count)))
        What is multiplied for sums.
    products : Out(PRODUCT).array(count)
        Of the significands of what was taken from `dot` a cycle before.
    """

    DEPTH = 8
    """Vectors of results under way and in the queue; the least that keeps lanes busy."""
    _QUEUE = 2
    PRODUCT_LATENCY = CombineLane.PRODUCT_LATENCY
    LATENCY = 1 + CombineLane.LATENCY + LaneRounder.LATENCY + 1
    ADDEND_LATENCY = LATENCY - CombineLane.LATENCY + CombineLane.LAST_LATENCY

    def __init__(self, *, count: int):
        need_number(self, "count", count)
        self._count = count
        super().__init__(
            {
                "i": In(stream.Signature(vector_layout(count))),
                "wide": In(1),
                "o": Out(stream.Signature(result_layout(count))),
                "idle": In(1),
                "dot": In(stream.Signature(dot_layout(count))),
                "products": Out(PRODUCT).array(count),
            }
        )

    def elaborate(self, platform):
        m = Module()
        count = self._count
        m.submodules.vectors = vectors = StreamFIFO(shape=_queued_layout(count), depth=self._QUEUE)
        # What is added as it is stays in a queue until it is, which is a cycle longer.
        m.submodules.addends = addends = StreamFIFO(
            shape=data.ArrayLayout(_ADDENDS, count), depth=self._QUEUE + 1
        )
        m.submodules.results = results = StreamFIFO(shape=result_layout(count), depth=self.DEPTH)
        wiring.connect(m, results.o, wiring.flipped(self.o))
        m.d.comb += [
            *(vectors.i.p[name].eq(self.i.p[name]) for name in _ALONG),
            vectors.i.valid.eq(self.i.valid),
            addends.i.valid.eq(self.i.valid & self.i.ready),
            self.i.ready.eq(vectors.i.ready),
        ]
        vector = vectors.o.p
        turns = self._turns(m, vectors.o)
        again = Signal(reset_less=True)
        m.d.sync += [addends.o.ready.eq(turns.ends), again.eq(turns.again)]

        # -- what goes along: valid, and what the last stage wants to know
        flight = Signal(CombineLane.LATENCY + LaneRounder.LATENCY)
        m.d.sync += flight.eq(Cat(turns.ends, flight))
        marks = Cat(vector.there, vector.kept, vector.knee, vector.relu, vector.second)
        marks = delayed(m, marks, len(flight) - LaneRounder.LAST_LATENCY)
        relu, second = marks[-2], marks[-1]

        rounders = []
        for number in range(count):
            m.submodules[f"top{number}"] = top = LaneTop(factor_width=COEFFICIENT_BITS)
            m.submodules[f"rounder{number}"] = rounder = LaneRounder(window=WINDOW_WIDTH)
            lane = self._lane(m, number, vector, turns)
            self._add(m, lane, addends.o.p[number], again)
            value, added = self.i.p.values[number], addends.i.p[number]
            m.d.comb += [
                top.value.eq(value),
                vectors.i.p.terms[number].eq(value.terms),
                added.plain.eq(value.terms[TENSORS - 1].code),
                added.negative.eq(value.terms[TENSORS - 1].factor.negative),
                added.bias.eq(value.bias),
                added.top.eq(top.top),
                *(added.shifts[n].eq(one) for n, one in enumerate(top.shifts)),
                rounder.sum.eq(lane.sum),
                rounder.top.eq(lane.sum_top),
                rounder.there.eq(marks[number]),
                rounder.kept.eq(marks[count + number]),
                rounder.knee.eq(marks[2 * count + number]),
                rounder.wide.eq(self.wide),
                rounder.relu.eq(relu),
                results.i.p.codes[number].eq(rounder.o),
            ]
            rounders.append(rounder)
        m.d.comb += [
            results.i.valid.eq(flight[-1]),
            results.i.p.saturated.eq(Cat(one.saturated for one in rounders).any()),
            results.i.p.nonfinite.eq(Cat(one.nonfinite for one in rounders).any()),
            results.i.p.second.eq(delayed(m, second, LaneRounder.LAST_LATENCY)),
        ]
        return m

    def _lane(self, m, number, queued, turns):
        """Return a lane that takes the turns of a vector, or of what is multiplied for sums."""
        m.submodules[f"lane{number}"] = lane = CombineLane(
            factor_width=COEFFICIENT_BITS, window=WINDOW_WIDTH, digit=DIGIT
        )
        terms, again = queued.terms[number], turns.again
        last = turns.digit == DIGITS - 1
        m.d.comb += [
            lane.first.eq(Mux(again, terms[TENSORS - 1], terms[0])),
            lane.second.eq(Mux(turns.dots, self.dot.p.terms[number], terms[1])),
            lane.turn.digit.eq(turns.digit),
            lane.turn.opens.eq(turns.opens),
            lane.turn.adds.eq(last),
            lane.turn.adds_others.eq(last & ~again),
            lane.turn.adds_plain.eq(last & ~again & ~queued.third),
            # A turn for sums leaves any sum here, which the next vector starts anew.
            lane.turn.starts.eq(last & ~again),
            self.products[number].eq(lane.products[1]),
        ]
        return lane

    def _add(self, m, lane, added, again):
        """Give a lane what it adds as it is, and where everything is added."""
        shifts = added.shifts
        m.d.comb += [
            lane.plain.code.eq(added.plain),
            lane.plain.factor.negative.eq(added.negative),
            lane.bias.eq(added.bias),
            lane.top.eq(added.top),
            lane.shifts[0].eq(Mux(again, shifts[TENSORS - 1], shifts[0])),
            *(lane.shifts[n].eq(shifts[n]) for n in range(1, TENSORS + 1)),
        ]

    def _turns(self, m, o) -> _Turns:
        """Return what lanes do; a vector leaves the queue with its last turn."""
        vector = o.p
        due = Signal(range(self.DEPTH + 1))  # results under way or in the queue
        turn, again, under_way = Signal(range(DIGITS)), Signal(), Signal()
        dots, runs, ends, last = Signal(), Signal(), Signal(), Signal()
        digit, beside = Signal(range(DIGITS)), Signal()
        wide = Mux(dots, self.dot.p.wide, vector.wide)
        m.d.comb += [
            dots.eq(self.dot.valid & ~under_way),
            beside.eq(self.idle & ~self.dot.p.wide & ~vector.wide & ~vector.third),
            runs.eq(o.valid & (~dots | beside) & (under_way | (due != self.DEPTH))),
            last.eq(~wide | (turn == DIGITS - 1)),
            digit.eq(Mux(wide, turn, DIGITS - 1)),
            ends.eq(runs & last & (again | ~vector.third)),
            o.ready.eq(ends),
            self.dot.ready.eq(dots & last),
        ]
        leaves = self.o.valid & self.o.ready
        m.d.sync += due.eq(due + (runs & ~under_way) - leaves)
        with m.If(runs | dots):
            m.d.sync += turn.eq(Mux(last, 0, turn + 1))
        with m.If(runs):
            m.d.sync += [again.eq(Mux(ends, 0, again | last)), under_way.eq(~ends)]
        return _Turns(digit, again, turn == 0, ends, dots)


def delayed(m: Module, value: Value, cycles: int) -> Value:
    """Return what a value was so many cycles before."""
    for _ in range(cycles):
        later = Signal(len(value), name="later", reset_less=True)
        m.d.sync += later.eq(value)
        value = later
    return value
