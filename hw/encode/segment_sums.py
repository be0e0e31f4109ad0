"""Sums of segments: of results and of products with a tensor, lane by lane, and counts."""

from __future__ import annotations

from amaranth.hdl import Array, Cat, Module, Mux, Signal, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from gscn.array import ArrayConfig
from gscn.encode import COEFFICIENT_BITS, Reduce
from gscn.hw.encode.combiner import Combiner, dot_layout
from gscn.hw.encode.lane_counts import CHANNEL_COUNTS, LaneCounts
from gscn.hw.encode.lane_sums import PRODUCT, LaneResultSums, LaneSums, channel_sum_layout
from gscn.hw.encode.layouts import CODE, HEIGHT, MANTISSA, exponent, factor_of
from gscn.hw.encode.loop_walk import VECTOR_BITS
from gscn.hw.encode.segment_rows import SegmentRows
from gscn.hw.encode.segments import BANKS, SegmentPlaces, segmented_layout
from gscn.hw.encode.sum_rounding import SumRounding
from gscn.hw.encode.unit_layouts import LANE_SUMS, STATE, dense_layout, has_result, settings_layout
from gscn.passes import VECTOR
from gscn.records import PLUS_BIT

_LANE = VECTOR.bit_length() - 1


def lane_row_layout(sum_shape: object) -> data.StructLayout:
    """Return what a lane has in a row: both sums, of one shape, and counts."""
    return data.StructLayout({"sum": sum_shape, "dot": sum_shape, "counts": CHANNEL_COUNTS})


class SegmentSums(wiring.Component):
    """Sum up results of segments, and take complete segments out lane by lane.

    A vector that sums of products are wanted of is taken when the lanes have multiplied it. There
    are rows for two segments: one is added to while the one before is taken out, vector by vector
    and in it lane by lane, one each cycle. With `reduce`, sums are rounded as they are
    taken out, and make a vector of a dense result when all lanes of one are there.

    Implements: "Sums" and sums of "One dense result for a segment", floating point, of
    `docs/contract/encode.md`.
    Golden: `emulator.encode_arithmetic.add_up`, `emulator.encode_reductions.rounded_sums`.

    Timing
    ------
    - Latency: `LATENCY` from `i` to `o_sums`. What is added up is in its row a cycle after that,
      and is taken out from then on.
    - Throughput: one vector per cycle, or, with sums of products, per cycle and turns of `dot`.
    - Combinational: `i`, `settings` -> `dot`; `dot.ready`, `settings` -> `i.ready`; `settings` ->
      `o_sums`.
    - Reset: no segment; outputs 0, but `i.ready` = 1; payloads undefined.

    Parameters
    ----------
    config
        Widths of addresses and sums.

    Attributes
    ----------
    settings : In(settings_layout(config))
        Of the pass.
    state : In(STATE)
        With the tops of windows.
    i : In(stream.Signature(segmented_layout(config)))
        Results.
    dot : Out(stream.Signature(dot_layout(VECTOR)))
        What lanes are to multiply.
    products : In(PRODUCT).array(VECTOR)
        Their products, a cycle later.
    o_sums : Out(stream.Signature(LANE_SUMS))
        Sums of lanes.
    o_dense : Out(stream.Signature(dense_layout(config)))
        Rounded sums.
    overflow, saturated, nonfinite : Out(1)
        A sum left its window, or was so when it was rounded.
    busy : Out(1)
        Segments are complete, and not taken out.
    """

    LATENCY = 1
    DOT, PRODUCT = dot_layout(VECTOR), PRODUCT

    def __init__(self, *, config: ArrayConfig):
        self.config = config
        super().__init__(
            {
                "settings": In(settings_layout(config)),
                "state": In(STATE),
                "i": In(stream.Signature(segmented_layout(config))),
                "dot": Out(stream.Signature(self.DOT)),
                "products": In(self.PRODUCT).array(VECTOR),
                "o_sums": Out(stream.Signature(LANE_SUMS)),
                "o_dense": Out(stream.Signature(dense_layout(config))),
                "overflow": Out(1),
                "saturated": Out(1),
                "nonfinite": Out(1),
                "busy": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        settings, item = self.settings, self.i.p
        bank, full, ends = Signal(), Signal(BANKS), Signal(BANKS)
        has_sums = has_result(m, settings, "sums")
        has_dot, taken, completes = Signal(), Signal(), Signal()
        m.d.comb += [
            has_dot.eq(has_sums & settings.dot.any()),
            self.i.ready.eq(~full.bit_select(bank, 1) & (self.dot.ready | ~has_dot)),
            taken.eq(self.i.valid & self.i.ready),
            completes.eq(taken & item.last_vector & item.marks.ends_segment),
            self.dot.valid.eq(self.i.valid & has_dot & ~full.bit_select(bank, 1)),
        ]
        with m.If(completes):
            m.d.sync += [bank.eq(~bank), ends.bit_select(bank, 1).eq(item.marks.ends)]

        own, dots, counts = self._add(m, taken)
        m.submodules.rows = rows = self._rows(m, own, dots, counts)
        m.d.comb += [
            rows.en.eq(taken),
            rows.bank.eq(bank),
            rows.vector.eq(item.vector),
            rows.begins.eq(item.marks.begins_segment),
            rows.full.eq(full),
        ]
        m.submodules.places = places = SegmentPlaces(config=self.config, banks=BANKS)
        m.d.comb += [
            places.en.eq(taken),
            places.row.eq(Cat(item.vector, bank)),
            places.begins.eq(item.marks.begins_segment),
            places.addr.eq(item.addr),
            places.some.eq(item.there.any()),
        ]
        found, lane = self._taken_out(m, rows, has_dot)
        emptied = self._drain(m, found, lane, rows, places, full, ends, has_sums)
        m.d.sync += full.eq((full | Mux(completes, 1 << bank, 0)) & ~emptied)
        return m

    def _sum_shape(self):
        """Return what a row has of a sum."""
        return channel_sum_layout(self.config.acc_width)

    def _sum_of(self, held):
        """Return a sum, and its special bits."""
        return held.value, held.special

    def _add(self, m, taken):
        """Return sums of results, sums of products, and counts of lanes, to be taken out."""
        settings, item = self.settings, self.i.p
        of_dot = Array([settings.t0_format, settings.t1_format, settings.t2_format])
        m.d.comb += self.dot.p.wide.eq(of_dot[(settings.dot - 1)[:2]] == 2)
        own, dots, counts = [], [], []
        for number in range(VECTOR):
            summed = Signal(CODE, name=f"summed{number}")
            chosen = item.chosen[number] | ~settings.kept_sums[0]
            code = item.codes[number]
            sign = code[-1] & ~settings.magnitudes[0]
            term = self.dot.p.terms[number]
            width = self.config.acc_width
            m.submodules[f"sums{number}"] = one = LaneResultSums(width=width)
            m.submodules[f"dots{number}"] = dot = LaneSums(width=width)
            m.submodules[f"counts{number}"] = count = LaneCounts()
            field = summed[MANTISSA:-1]
            m.d.comb += [
                summed.eq(Mux(chosen, Cat(code[:-1], sign), 0)),
                term.code.eq(item.others[number]),
                term.factor.as_value().eq(factor_of(summed, COEFFICIENT_BITS)),
                one.code.eq(summed),
                one.top.eq(_window_top(self.state.sum_top)),
                dot.term.eq(term),
                dot.product.eq(self.products[number]),
                dot.top.eq(_window_top(self.state.dot_top)),
                count.nonzero.eq(summed[:-1].any()),
                count.exponent.eq(Mux(summed[:-1].any() & ~field.all(), exponent(summed), 0)),
            ]
            own.append(one)
            dots.append(dot)
            counts.append(count)
        self._advance(m, taken, own, dots, counts)
        return own, dots, counts

    def _rows(self, m, own, dots, counts):
        """Return the rows of what lanes add up, joined to the lanes."""
        rows = SegmentRows(shape=lane_row_layout(self._sum_shape()), count=VECTOR)
        for number, parts in enumerate(zip(own, dots, counts, strict=True)):
            for name, part in zip(("sum", "dot", "counts"), parts, strict=True):
                m.d.comb += [
                    part.before.eq(rows.before[number][name]),
                    rows.after[number][name].eq(part.after),
                ]
        return rows

    def _advance(self, m, taken, own, dots, counts):
        """Tell sums and counts of a vector that is taken, and collect what leaves its window."""
        item = self.i.p
        multiplied = self.dot.valid & self.dot.ready
        for one, dot in zip(own, dots, strict=True):
            m.d.comb += [one.adds.eq(taken), dot.adds.eq(multiplied)]
        for number, count in enumerate(counts):
            m.d.comb += count.kept.eq(item.chosen[number])
        m.d.comb += self.overflow.eq(Cat(one.overflow for one in (*own, *dots)).any())

    def _rounding(self, m):
        """Return what rounds sums."""
        rounding = SumRounding(config=self.config)
        m.d.comb += [
            rounding.top.eq(self.state.sum_top),
            rounding.wide.eq(self.settings.out_format == 2),
        ]
        return rounding

    def _taken_out(self, m, rows, has_dot):
        """Return the sum that is taken out, and the lane that has it."""
        width = self.config.acc_width
        lane = Signal(_LANE)
        row = data.View(rows.o[0].shape(), Array(one.as_value() for one in rows.o)[lane])
        found, product = (Signal(channel_sum_layout(width), name=name) for name in ("sum", "dot"))
        for one, held in ((found, row.sum), (product, row.dot)):
            value, special = self._sum_of(held)
            m.d.comb += [one.value.eq(value), one.special.eq(special)]
        sums, counted = self.o_sums.p.sums, row.counts
        raw = [
            Cat(one.value[:width], one.value[-1].replicate(PLUS_BIT - width), one.special)
            for one in (found, product)
        ]
        m.d.comb += [
            sums.sum.eq(raw[0]),
            sums.dot.eq(Mux(has_dot, raw[1], 0)),
            sums.nonzeros.eq(counted.nonzeros),
            sums.kept_a.eq(counted.kept),
            sums.largest.eq(counted.largest),
        ]
        return found, lane

    def _drain(self, m, found, lane, rows, places, full, ends, has_sums):
        """Take segments out; return the banks that are empty then."""
        vector, out = Signal(VECTOR_BITS), Signal()
        then = Signal.like(vector)
        m.d.comb += [then.eq(vector), rows.out.eq(out), rows.drained.eq(then)]
        m.d.sync += vector.eq(then)
        settled = Signal(BANKS)  # the last products are in their rows
        m.d.sync += settled.eq(full)
        there, goes, last_lane, last = Signal(), Signal(), Signal(), Signal()
        emptied = Signal(BANKS)
        last_vector = vector == ((1 << self.settings.vectors[:3]) - 1)
        m.submodules.rounding = rounding = self._rounding(m)
        rounds = self.settings.reduce == Reduce.SUM
        room = ~has_sums | self.o_sums.ready
        m.d.comb += [
            there.eq((full & settled).bit_select(out, 1)),
            self.o_sums.valid.eq(there & (rounding.i.ready | ~rounds) & has_sums),
            self.o_sums.p.ends.eq(last & ends.bit_select(out, 1)),
            last_lane.eq(lane == VECTOR - 1),
            last.eq(last_lane & last_vector),
            goes.eq(there & (rounding.i.ready | ~rounds) & room),
            rounding.i.valid.eq(there & rounds & room),
            rounding.i.p.sum.eq(found),
            rounding.i.p.last.eq(last_lane),
            rounding.i.p.place.eq(places.o),
            rounding.i.p.ends.eq(last & ends.bit_select(out, 1)),
            places.drained.eq(Cat(vector, out)),
            self.saturated.eq(rounding.saturated),
            self.nonfinite.eq(rounding.nonfinite),
            self.busy.eq(full.any() | rounding.busy),
        ]
        wiring.connect(m, rounding.o, wiring.flipped(self.o_dense))
        with m.If(goes):
            m.d.sync += lane.eq(lane + 1)
            with m.If(last_lane):
                m.d.comb += then.eq(Mux(last_vector, 0, vector + 1))
            with m.If(last):
                m.d.sync += out.eq(~out)
                m.d.comb += emptied.eq(1 << out)
        return emptied


def _window_top(top: Value) -> Value:
    """Return the top of a window: one that is higher is too high for any product."""
    return Mux(top[HEIGHT + 1 :].any(), ~0, top)


assert Combiner.PRODUCT_LATENCY == SegmentRows.LATENCY == LaneSums.LATENCY == LaneCounts.LATENCY
