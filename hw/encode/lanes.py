"""Lanes of the encode unit: from vectors of tensors to all that a pass makes of them."""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Mux, ResetInserter, Signal, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from gscn.array import ArrayConfig
from gscn.encode import (
    COEFFICIENT_BITS,
    SLOPE_END,
    SLOPE_KNEE,
    TENSORS,
    Activation,
    Masked,
    Thresholds,
)
from gscn.hw.encode.combiner import Combiner
from gscn.hw.encode.judge import Judge
from gscn.hw.encode.lane_outputs import (
    OUTPUTS,
    LaneOutputs,
    finished_layout,
    last_vector_of,
)
from gscn.hw.encode.layouts import CODE, factor_layout, factor_of
from gscn.hw.encode.loop_walk import VECTOR_BITS
from gscn.hw.encode.unit_layouts import (
    BITS,
    LANE_SUMS,
    MARKS,
    STATE,
    TALLY,
    VERDICTS,
    WIDE_FORMAT,
    dense_layout,
    has_result,
    input_layout,
    settings_layout,
)
from gscn.hw.fifo import StreamFIFO
from gscn.passes import VECTOR

_CODES = data.ArrayLayout(CODE, VECTOR)
_FINISHED = 2
"""Vectors whose results wait for outputs."""


def _tag_layout(config: ArrayConfig) -> data.StructLayout:
    """Return what is wanted of a vector when its results are there."""
    return data.StructLayout(
        {
            "judged": _CODES,
            "others": _CODES,
            "thresholds": data.ArrayLayout(data.ArrayLayout(32, 2), VECTOR),
            "there": VECTOR,
            "vector": VECTOR_BITS,
            "addr": config.addr_width,
            "marks": MARKS,
        }
    )


_SECOND = data.StructLayout(
    {
        "codes": _CODES,
        "factors": data.ArrayLayout(factor_layout(COEFFICIENT_BITS), VECTOR),
        "there": VECTOR,
    }
)
"""What the second combination wants of a vector: tensor 0, and coefficients of the first result."""


class Lanes(wiring.Component):
    """Make all results of a pass of vectors of its tensors.

    A vector is combined; with a second combination its result goes through the same lanes again.
    Results are judged, and wait in a queue until every output that the pass has takes them, each
    into a queue of its own. Sums of products take lanes for a turn meanwhile. As many vectors are
    under way as there is room for results, so that those that come back need not wait for others.
    An output that the pass has not is not offered.

    Implements: "What is computed", "What is kept" and "Sums", floating point, of
    `docs/contract/encode.md`.
    Golden: `emulator.encode`, group by group.

    Timing
    ------
    - Latency: `TAG_LATENCY` from `i` to `o_dense`, `o_second`, `o_verdicts`. That is of what goes
      beside the lanes; a result takes `LATENCY` if lanes are free, and a second combination as long
      again as one takes.
    - Throughput: one vector per cycle and turn: one for each combination, and one for sums of
      products, `DIGITS` if what is multiplied is float32, and not by a power of two; of the first
      combination twice as many if tensor 2 is multiplied. Sums of products take none beside a
      combination of one turn without tensor 1.
    - Combinational: `settings` -> `i.ready`.
    - Reset: nothing under way; outputs 0, but `i.ready` = 1.

    Parameters
    ----------
    config
        The array beside which the unit is.

    Attributes
    ----------
    settings : In(settings_layout(config))
        Of the pass; held from `start` to its end.
    state : In(STATE)
        As the pass found it; held likewise.
    start : In(1)
        A pass begins (pulse): all of the one before is forgotten.
    i : In(stream.Signature(input_layout(config)))
        Vectors, in the order of the walk.
    o_dense : Out(stream.Signature(dense_layout(config)))
        The dense result.
    o_second : Out(stream.Signature(dense_layout(config)))
        The second combination.
    o_bits : Out(stream.Signature(BITS))
        Bits.
    o_verdicts : Out(stream.Signature(VERDICTS))
        What strips get.
    o_sums : Out(stream.Signature(LANE_SUMS))
        Sums.
    o_selected : Out(stream.Signature(LaneOutputs.SELECTED))
        What a selection counts.
    tally : Out(TALLY)
        What was counted so far.
    done : Out(1)
        The last vector came, and all outputs were taken, until `start`.
    """

    LATENCY = Combiner.LATENCY + 2
    TAG_LATENCY = 2
    DEPTH = Combiner.DEPTH
    """Vectors under way."""
    OUTPUTS = LaneOutputs
    SELECTED = LaneOutputs.SELECTED

    def __init__(self, *, config: ArrayConfig):
        self.config = config
        super().__init__(
            {
                "settings": In(settings_layout(config)),
                "state": In(STATE),
                "start": In(1),
                "i": In(stream.Signature(input_layout(config))),
                "o_dense": Out(stream.Signature(dense_layout(config))),
                "o_second": Out(stream.Signature(dense_layout(config))),
                "o_bits": Out(stream.Signature(BITS)),
                "o_verdicts": Out(stream.Signature(VERDICTS)),
                "o_sums": Out(stream.Signature(LANE_SUMS)),
                "o_selected": Out(stream.Signature(self.SELECTED)),
                "tally": Out(TALLY),
                "done": Out(1),
            }
        )

    def elaborate(self, platform):
        m, inner = Module(), Module()
        m.submodules.inner = ResetInserter(self.start)(inner)
        combiner, tags, seconds, firsts, finished = self._parts(inner)
        has_second = has_result(inner, self.settings, "second")
        settings = self.settings
        returns = combiner.o.valid & has_second & ~combiner.o.p.second
        comes = self.i.valid & tags.i.ready & seconds.i.ready
        inner.d.comb += [
            combiner.i.valid.eq(returns | comes),
            self.i.ready.eq(combiner.i.ready & tags.i.ready & seconds.i.ready & ~returns),
            tags.i.valid.eq(self.i.valid & self.i.ready),
            seconds.i.valid.eq(self.i.valid & self.i.ready & has_second),
            seconds.o.ready.eq(returns & combiner.i.ready),
            # There is room: first results are of vectors that are under way or finished.
            firsts.i.valid.eq(combiner.o.valid & combiner.o.ready & ~combiner.o.p.second),
            firsts.i.p.eq(combiner.o.p.codes),
        ]
        self._tag(inner, tags.i.p, seconds.i.p)
        self._combine(inner, combiner, returns, seconds.o.p, has_second)
        judged = self._judge(inner, combiner.o.p.codes, tags.o.p, finished)
        ends = combiner.o.valid & ~returns
        inner.d.comb += [
            finished.i.valid.eq(ends),
            combiner.o.ready.eq(Mux(returns, combiner.i.ready, finished.i.ready)),
            tags.o.ready.eq(ends & finished.i.ready),
            firsts.o.ready.eq(finished.o.ready),
            judged.i.valid.eq(ends),
            judged.o.ready.eq(finished.i.ready),
        ]
        inner.submodules.outputs = outputs = self.OUTPUTS(config=self.config)
        passes = combiner.o.valid & combiner.o.ready
        inner.d.comb += [
            outputs.settings.eq(settings),
            outputs.state.eq(self.state),
            outputs.i.valid.eq(finished.o.valid),
            finished.o.ready.eq(outputs.i.ready),
            outputs.i.p.eq(finished.o.p),
            outputs.i.p.segmented.codes.eq(self._first(firsts.o.p, finished.o.p)),
            *(outputs.products[n].eq(one) for n, one in enumerate(combiner.products)),
            outputs.saturated.eq(passes & combiner.o.p.saturated),
            outputs.nonfinite.eq(passes & combiner.o.p.nonfinite),
            self.tally.eq(outputs.tally),
            self.done.eq(outputs.done),
        ]
        wiring.connect(inner, outputs.dot, combiner.dot)
        for name in OUTPUTS:
            wiring.connect(inner, getattr(outputs, name), wiring.flipped(getattr(self, name)))
        return m

    def _parts(self, m):
        """Return lanes and queues."""
        m.submodules.combiner = combiner = self._combiner()
        m.submodules.tags = tags = StreamFIFO(shape=_tag_layout(self.config), depth=self.DEPTH)
        m.submodules.seconds = seconds = StreamFIFO(shape=_SECOND, depth=self.DEPTH)
        finished = StreamFIFO(shape=finished_layout(self.config), depth=_FINISHED)
        firsts = StreamFIFO(shape=_CODES, depth=self.DEPTH + _FINISHED)
        m.submodules.finished, m.submodules.firsts = finished, firsts
        return combiner, tags, seconds, firsts, finished

    def _combiner(self):
        """Return the lanes."""
        return Combiner(count=VECTOR)

    def _first(self, first, finished):
        """Return the results of the first combination of a vector that is finished."""
        return first

    def _is_wide(self, tensor: int) -> Value:
        return self.settings[f"t{tensor}_format"] == WIDE_FORMAT

    # -- the way in

    def _tag(self, m, tag, second):
        """Say what is wanted of a vector later."""
        found = self.i.p
        for name, number in (("judged", self.settings.judged), ("others", self.settings.dot)):
            with m.Switch(number):
                for tensor in range(TENSORS - 1):
                    with m.Case(tensor + 1):
                        m.d.comb += tag[name].eq(found.codes[tensor])
                with m.Default():
                    m.d.comb += tag[name].eq(found.codes[TENSORS - 1])
        m.d.comb += [
            tag.there.eq(found.there),
            tag.vector.eq(found.vector),
            tag.addr.eq(found.dense_addr),
            tag.marks.eq(found.marks),
            second.codes.eq(found.codes[0]),
            second.there.eq(found.there),
        ]
        for number, row in enumerate(found.rows):
            m.d.comb += [
                tag.thresholds[number][0].eq(row.threshold_a),
                tag.thresholds[number][1].eq(row.threshold_b),
                second.factors[number].eq(row.second),
            ]

    def _combine(self, m, combiner, returns, second, has_second):
        """Bring vectors to the lanes: those that come, or come back."""
        settings, item, vector = self.settings, self.i.p, combiner.i.p
        product = settings.product[0]
        masks_tensor = settings.masked == Masked.TENSOR
        slope = settings.activation == Activation.SLOPE
        present = [settings[f"t{n}_format"] != 0 for n in range(TENSORS)]
        third = present[2] & (item.odd[2] | product)
        # What is only shifted needs no digits, whatever its format.
        digits = [self._is_wide(n) & item.odd[n] for n in range(TENSORS - 1)]
        wide = digits[0] | (digits[1] & ~product) | (self._is_wide(2) & third)
        m.d.comb += [
            combiner.wide.eq(settings.out_format == WIDE_FORMAT),
            combiner.idle.eq((~present[1] | product) & ~has_second),
            vector.there.eq(Mux(returns, second.there, item.there)),
            vector.relu.eq((settings.activation == Activation.RELU) & ~returns),
            vector.wide.eq(Mux(returns, settings.out_format == WIDE_FORMAT, wide)),
            vector.third.eq(third & ~returns),
            vector.second.eq(returns),
        ]
        for number, value in enumerate(vector.values):
            codes, row = [one[number] for one in item.codes], item.rows[number]
            own, kept = Signal(name=f"own{number}"), item.kept[number]
            some = vector.there[number]
            magnitude = codes[0][:-1]
            terms = value.terms
            m.d.comb += [
                own.eq(~masks_tensor | kept),
                terms[0].code.eq(codes[0]),
                terms[0].factor.eq(row.factors[0]),
                # What returns is multiplied in the place of tensor 1, tensor 0 is added as it is.
                terms[1].code.eq(Mux(returns, combiner.o.p.codes[number], codes[1])),
                terms[1]
                .factor.as_value()
                .eq(Mux(returns, second.factors[number].as_value(), row.factors[1].as_value())),
                terms[2].code.eq(codes[2]),
                terms[2]
                .factor.as_value()
                .eq(Mux(product, factor_of(codes[1], COEFFICIENT_BITS), row.factors[2].as_value())),
                value.bias.eq(Mux(returns, second.codes[number], row.bias)),
                value.adds.eq(
                    Cat(
                        ~returns & own & present[0],
                        returns | (~product & present[1]),
                        ~returns & present[2],
                        1,
                    )
                    & some.replicate(TENSORS + 1)
                ),
                vector.knee[number].eq(slope & own & (magnitude > SLOPE_KNEE) & ~returns),
                vector.kept[number].eq(
                    returns | ((kept | masks_tensor) & ~(slope & own & (magnitude > SLOPE_END)))
                ),
            ]

    # -- the way out

    def _judging(self, m):
        """Return the judge, told what its numbers are."""
        judge, wide = Judge(), Signal()
        with m.Switch(self.settings.judged):
            for tensor in range(TENSORS):
                with m.Case(tensor + 1):
                    m.d.comb += wide.eq(self._is_wide(tensor))
            with m.Default():
                m.d.comb += wide.eq(self.settings.out_format == WIDE_FORMAT)
        m.d.comb += judge.wide.eq(wide)
        return judge

    def _judge(self, m, last, tag, finished):
        """Judge results, and describe them for all outputs."""
        settings, found = self.settings, finished.i.p
        m.submodules.judge = judge = self._judging(m)
        of_result = settings.judged == 0
        m.d.comb += [
            judge.strict.eq(settings.strict[0]),
            judge.i.p.there.eq(tag.there),
            found.verdict.eq(judge.o.p),
            found.last.eq(last),
            found.segmented.others.eq(tag.others),
            found.segmented.chosen.eq(judge.o.p.kept_a),
            found.segmented.there.eq(tag.there),
            found.segmented.vector.eq(tag.vector),
            found.segmented.last_vector.eq(tag.vector == last_vector_of(settings)),
            found.segmented.addr.eq(tag.addr),
            found.segmented.marks.eq(tag.marks),
        ]
        for number, lane in enumerate(judge.i.p.lanes):
            m.d.comb += [
                lane.code.eq(last[number]),
                lane.judged.eq(Mux(of_result, last[number], tag.judged[number])),
            ]
            for part, (name, own) in enumerate(
                (("threshold_a", self.state.threshold_a), ("threshold_b", self.state.threshold_b))
            ):
                with m.Switch(settings.thresholds):
                    with m.Case(Thresholds.STATE):
                        m.d.comb += lane[name].eq(own)
                    with m.Case(Thresholds.ROWS):
                        m.d.comb += lane[name].eq(tag.thresholds[number][part])
        return judge
