"""Lanes of combinations of integers side by side: from vectors of tensors to vectors of results."""

from __future__ import annotations

from amaranth.hdl import Array, Cat, Module, Mux, Signal, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from gscn.encode import COEFFICIENT_BITS, TENSORS
from gscn.hw.arguments import need_number
from gscn.hw.encode.combiner import delayed, result_layout
from gscn.hw.encode.integer_lane import (
    FACTOR,
    NUMBER,
    PRODUCT,
    SIZE_BITS,
    IntegerLane,
    number_of,
)
from gscn.hw.encode.layouts import CODE
from gscn.hw.fifo import StreamFIFO
from gscn.records import MOST_SHIFT

DOT_PRODUCT = PRODUCT + COEFFICIENT_BITS
"""Bits of the product of two numbers."""
_INTEGERS = data.StructLayout(
    {
        "codes": data.ArrayLayout(CODE, TENSORS),
        "factors": data.ArrayLayout(COEFFICIENT_BITS, TENSORS),
        "bias": CODE,
    }
)
"""What one lane combines."""
_TERM = data.StructLayout({"code": signed(NUMBER), "factor": signed(NUMBER)})


def integers_layout(lanes: int) -> data.StructLayout:
    """Return what lanes combine: values each, whether there is one, and whether it is kept."""
    return data.StructLayout(
        {
            "values": data.ArrayLayout(_INTEGERS, lanes),
            "there": lanes,
            "kept": lanes,
            "relu": 1,
        }
    )


def integer_dot_layout(lanes: int) -> data.StructLayout:
    """Return terms of lanes that are multiplied for sums."""
    return data.StructLayout({"terms": data.ArrayLayout(_TERM, lanes)})


class IntegerCombiner(wiring.Component):
    """Combine vectors of integers value by value: `IntegerLane`s in step.

    A vector takes a turn for each tensor that is multiplied, and stays at `i` until its last one.
    Results have a queue, and a vector begins only if there is room for it, so that lanes need not
    be held. Between vectors, and before the next one, lanes multiply a vector of `dot` in two
    turns: it is taken with the second, and its `products` are there a cycle later.

    Implements: "Numbers", integers, combinations, ReLU and mask of `docs/contract/encode.md`.
    Golden: `emulator.encode_arithmetic.combine`.

    Timing
    ------
    - Latency: `LATENCY` from `i` to `o`, of a vector of one turn; `PRODUCT_LATENCY` from `dot` to
      `products`.
    - Throughput: one vector per cycle and turn.
    - Combinational: `i`, `dot`, `used` -> `i.ready`; `dot` -> `dot.ready`.
    - Reset: nothing under way; outputs 0, but `products` undefined.

    Parameters
    ----------
    count
        Lanes.

    Attributes
    ----------
    used : In(TENSORS)
        Tensors that are multiplied, one at least. Held while there are vectors, as all of these.
    absolute : In(TENSORS)
        Tensors that are magnitudes, without a sign.
    shift : In(6)
        Bits that sums are divided by.
    size : In(SIZE_BITS)
        log2 of the bytes of a result.
    i : In(stream.Signature(integers_layout(count)))
        Vectors.
    o : Out(stream.Signature(result_layout(count)))
        Results in two's complement.
    dot : In(stream.Signature(integer_dot_layout(count)))
        What is multiplied for sums.
    products : Out(signed(DOT_PRODUCT)).array(count)
        Of what was taken from `dot` a cycle before.
    """

    DEPTH = 8
    """Vectors of results under way and in the queue; more than lanes have stages."""
    PRODUCT_LATENCY = IntegerLane.PRODUCT_LATENCY
    LATENCY = IntegerLane.LATENCY + StreamFIFO.LATENCY

    def __init__(self, *, count: int):
        need_number(self, "count", count)
        self._count = count
        super().__init__(
            {
                "used": In(TENSORS),
                "absolute": In(TENSORS),
                "shift": In(MOST_SHIFT.bit_length()),
                "size": In(SIZE_BITS),
                "i": In(stream.Signature(integers_layout(count))),
                "o": Out(stream.Signature(result_layout(count))),
                "dot": In(stream.Signature(integer_dot_layout(count))),
                "products": Out(signed(DOT_PRODUCT)).array(count),
            }
        )

    def elaborate(self, platform):
        m = Module()
        count = self._count
        m.submodules.results = results = StreamFIFO(shape=result_layout(count), depth=self.DEPTH)
        wiring.connect(m, results.o, wiring.flipped(self.o))
        tensor, upper, adds, starts, ends, dots = self._turns(m)
        vector = self.i.p
        flight = Signal(IntegerLane.LATENCY)
        m.d.sync += flight.eq(Cat(ends, flight))
        marks = Cat(vector.there, vector.kept, vector.relu)
        marks = delayed(m, marks, len(flight) - IntegerLane.LAST_LATENCY)
        lanes = []
        for number in range(count):
            m.submodules[f"lane{number}"] = lane = IntegerLane()
            value, term = vector.values[number], self.dot.p.terms[number]
            codes = Array(value.codes[n] for n in range(TENSORS))
            factors = Array(value.factors[n] for n in range(TENSORS))
            own = number_of(codes[tensor], self.absolute.bit_select(tensor, 1))
            low, high = term.factor[:COEFFICIENT_BITS], term.factor[COEFFICIENT_BITS:]
            held = Signal(signed(PRODUCT), name=f"held{number}", reset_less=True)
            m.d.sync += held.eq(lane.product)
            m.d.comb += [
                lane.code.eq(Mux(dots, term.code, own)),
                lane.factor.eq(
                    Mux(dots, Mux(upper, high.as_signed(), low), factors[tensor].as_signed())
                ),
                lane.adds.eq(adds),
                lane.starts.eq(starts),
                lane.bias.eq(value.bias),
                lane.shift.eq(self.shift),
                lane.size.eq(self.size),
                lane.there.eq(marks[number]),
                lane.kept.eq(marks[count + number]),
                lane.relu.eq(marks[-1]),
                # the product with the upper digit of the factor, and that of the lower one before
                self.products[number].eq(held + (lane.product << COEFFICIENT_BITS)),
                results.i.p.codes[number].eq(lane.o),
            ]
            lanes.append(lane)
        m.d.comb += [
            results.i.valid.eq(flight[-1]),
            results.i.p.saturated.eq(Cat(one.saturated for one in lanes).any()),
        ]
        return m

    def _turns(self, m):
        """Return what lanes do; a vector leaves with its last turn."""
        due = Signal(range(self.DEPTH + 1))  # results under way or in the queue
        left, under_way, upper = Signal(TENSORS), Signal(), Signal()
        now, after = Signal(TENSORS), Signal(TENSORS)
        tensor = Signal(range(TENSORS))
        runs, ends, dots = Signal(), Signal(), Signal()
        m.d.comb += [
            dots.eq(self.dot.valid & ~under_way),
            runs.eq(self.i.valid & ~dots & (under_way | (due != self.DEPTH))),
            now.eq(Mux(under_way, left, self.used)),
            after.eq(now & (now - 1)),
            tensor.eq(Mux(now[0], 0, Mux(now[1], 1, 2))),
            ends.eq(runs & (after == 0)),
            self.i.ready.eq(ends),
            self.dot.ready.eq(dots & upper),
        ]
        m.d.sync += due.eq(due + (runs & ~under_way) - (self.o.valid & self.o.ready))
        with m.If(runs):
            m.d.sync += [left.eq(after), under_way.eq(~ends)]
        with m.If(dots):
            m.d.sync += upper.eq(~upper)
        return tensor, upper, runs, runs & ~under_way, ends, dots


assert FACTOR == NUMBER - COEFFICIENT_BITS
