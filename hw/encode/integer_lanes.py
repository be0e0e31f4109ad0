"""Lanes of a unit of integers: from vectors of tensors to all that a pass makes of them."""

from __future__ import annotations

from amaranth.hdl import Cat, Const, Mux, Signal, Value

from gscn.encode import COEFFICIENT_BITS, TENSORS, Activation, Masked
from gscn.hw.encode.integer_combiner import IntegerCombiner
from gscn.hw.encode.integer_judge import IntegerJudge, magnitude_of
from gscn.hw.encode.integer_sums import IntegerSegmentSums
from gscn.hw.encode.lane_outputs import LaneOutputs
from gscn.hw.encode.lanes import Lanes
from gscn.hw.encode.layouts import CODE
from gscn.hw.encode.maxima import Maxima
from gscn.hw.encode.selection import magnitudes_layout
from gscn.hw.encode.unit_layouts import size_of
from gscn.passes import VECTOR


class IntegerMaxima(Maxima):
    """Find the largest integer of each lane of each segment.

    Implements: maxima of "One dense result for a segment" in `docs/contract/encode.md`.
    Golden: `emulator.encode_reductions.maxima`.

    Timing
    ------
    - Latency, throughput, combinational paths, reset: those of `Maxima`.
    """

    def _is_larger(self, m, number, code, before):
        """Return that no code is NaN, and whether it is larger than the one before."""
        return Const(0), code.as_signed() > before.code.as_signed()


class IntegerLaneOutputs(LaneOutputs):
    """Give results that are integers to all outputs that a pass has.

    Implements: steps 3 to 6 of "What is computed", "Sums", and what is counted for "The state", of
    `docs/contract/encode.md`, integers.
    Golden: `emulator.encode`, group by group.

    Timing
    ------
    - Latency, throughput, combinational paths, reset: those of `LaneOutputs`.

    Attributes
    ----------
    dot : Out(stream.Signature(IntegerSegmentSums.DOT))
        What lanes are to multiply.
    products : In(IntegerSegmentSums.PRODUCT).array(VECTOR)
        Their products, a cycle later.
    o_selected : Out(stream.Signature(magnitudes_layout(VECTOR, CODE)))
        What a selection counts.
    """

    SUMS, MAXIMA = IntegerSegmentSums, IntegerMaxima
    SELECTED = magnitudes_layout(VECTOR, CODE)

    def _magnitude(self, code: Value) -> Value:
        """Return the magnitude of a result."""
        return magnitude_of(code)


class IntegerLanes(Lanes):
    """Make all results of a pass of vectors of its tensors, which are integers.

    There is one combination, whose results are the last ones.

    Implements: "What is computed", "What is kept" and "Sums", integers, of
    `docs/contract/encode.md`.
    Golden: `emulator.encode`, group by group.

    Timing
    ------
    - Latency: `TAG_LATENCY` from `i` to `o_dense`, `o_verdicts`. That is of what goes beside the
      lanes; a result takes `LATENCY` if lanes are free.
    - Throughput: one vector per cycle and turn: one for each tensor that is multiplied, and two for
      sums of products.
    - Combinational: `settings`, `i` -> `i.ready`.
    - Reset: nothing under way; outputs 0.

    Attributes
    ----------
    o_selected : Out(stream.Signature(magnitudes_layout(VECTOR, CODE)))
        What a selection counts.
    """

    LATENCY = IntegerCombiner.LATENCY + 2
    DEPTH = IntegerCombiner.DEPTH
    OUTPUTS = IntegerLaneOutputs
    SELECTED = IntegerLaneOutputs.SELECTED

    def _combiner(self):
        """Return the lanes."""
        return IntegerCombiner(count=VECTOR)

    def _first(self, first, finished):
        """Return the results of a vector."""
        return finished.last

    def _combine(self, m, combiner, returns, second, has_second):
        """Bring vectors to the lanes."""
        settings, item, vector = self.settings, self.i.p, combiner.i.p
        product = settings.product[0]
        masks_tensor = settings.masked == Masked.TENSOR
        there = [settings[f"t{n}_format"] != 0 for n in range(TENSORS)]
        m.d.comb += [
            combiner.used.eq(Cat(there[0], there[1] & ~product, *there[2:])),
            combiner.absolute.eq(settings.absolute),
            combiner.shift.eq(settings.shift),
            combiner.size.eq(size_of(settings.out_format)),
            vector.there.eq(item.there),
            vector.kept.eq(item.kept | masks_tensor.replicate(VECTOR)),
            vector.relu.eq(settings.activation == Activation.RELU),
        ]
        for number, value in enumerate(vector.values):
            codes, row = [one[number] for one in item.codes], item.rows[number]
            own = ~masks_tensor | item.kept[number]
            # a coefficient is where that of a float32 has its significand
            factors = [one.significand for one in row.factors]
            factors[-1] = Mux(product, codes[1][:COEFFICIENT_BITS], factors[-1])
            m.d.comb += [
                value.codes[0].eq(Mux(own, codes[0], 0)),
                *(value.codes[n].eq(codes[n]) for n in range(1, TENSORS)),
                *(value.factors[n].eq(one) for n, one in enumerate(factors)),
                value.bias.eq(row.bias),
            ]

    def _judging(self, m):
        """Return the judge, told what its numbers are."""
        judge, unsigned = IntegerJudge(), Signal()
        with m.Switch(self.settings.judged):
            for tensor in range(TENSORS):
                with m.Case(tensor + 1):
                    m.d.comb += unsigned.eq(self.settings.absolute[tensor])
        m.d.comb += judge.unsigned.eq(unsigned)
        return judge
