"""Sums of segments: of results and of products with a tensor, lane by lane, and counts."""

from __future__ import annotations

from amaranth.hdl import Array, Cat, Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from gscn.array import ArrayConfig
from gscn.encode import COEFFICIENT_BITS, Reduce
from gscn.formats import FLOAT32
from gscn.hw.encode.combiner import Combiner, dot_layout
from gscn.hw.encode.lane_counts import CHANNEL_COUNTS, LaneCounts
from gscn.hw.encode.lane_sums import PRODUCT, LaneSums, channel_sum_layout
from gscn.hw.encode.layouts import CODE, HEIGHT, MANTISSA, exponent, factor_of
from gscn.hw.encode.loop_walk import VECTOR_BITS
from gscn.hw.encode.segments import BANKS, SegmentPlaces, segmented_layout
from gscn.hw.encode.sum_rounding import SumRounding
from gscn.hw.encode.unit_layouts import LANE_SUMS, STATE, dense_layout, has_result, settings_layout
from gscn.passes import VECTOR
from gscn.records import PLUS_BIT

SUM_ROWS, COUNT_ROWS = 2 * BANKS * VECTOR, BANKS * VECTOR
_LANE = VECTOR.bit_length() - 1


class SegmentSums(wiring.Component):
    """Sum up results of segments, and take complete segments out lane by lane.

    A vector that sums of products are wanted of is first multiplied by the lanes; what it adds
    itself is added in the cycle in which it is taken. There are rows for two segments: one is added
    to while the one before is taken out, vector by vector and in it lane by lane; a lane with a sum
    of products takes two cycles, another one a cycle. With `reduce`, sums are rounded as they are
    taken out, and make a vector of a dense result when all lanes of one are there.

    Implements: "Sums" and sums of "One dense result for a segment", floating point, of
    `docs/contract/encode.md`.
    Golden: `emulator.encode_arithmetic.add_up`, `emulator.encode_reductions.rounded_sums`.

    Timing
    ------
    - Latency: `LATENCY` from `i` to `o_sums`. Sums are in their rows a cycle later than counts, and
      are taken out from then on.
    - Throughput: one vector per cycle, or, with sums of products, per cycle and turns of `dot`.
    - Combinational: `i`, `settings` -> `dot`; `settings` -> `i.ready`, `o_sums`.
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
        has_dot, multiplied = Signal(), Signal()
        taken, completes = Signal(), Signal()
        m.d.comb += [
            has_dot.eq(has_sums & settings.dot.any()),
            self.i.ready.eq(~full.bit_select(bank, 1) & (multiplied | ~has_dot)),
            taken.eq(self.i.valid & self.i.ready),
            completes.eq(taken & item.last_vector & item.marks.ends_segment),
            self.dot.valid.eq(self.i.valid & has_dot & ~multiplied & ~full.bit_select(bank, 1)),
        ]
        with m.If(taken):
            m.d.sync += multiplied.eq(0)
        with m.Elif(self.dot.valid & self.dot.ready):
            m.d.sync += multiplied.eq(1)
        with m.If(completes):
            m.d.sync += [bank.eq(~bank), ends.bit_select(bank, 1).eq(item.marks.ends)]

        sums, counts = self._add(m, taken, bank)
        m.submodules.places = places = SegmentPlaces(config=self.config)
        m.d.comb += [
            places.en.eq(taken),
            places.row.eq(Cat(item.vector, bank)),
            places.begins.eq(item.marks.begins_segment),
            places.addr.eq(item.addr),
            places.some.eq(item.there.any()),
        ]
        emptied = self._drain(m, sums, counts, places, full, ends, has_sums, has_dot)
        m.d.sync += full.eq((full | Mux(completes, 1 << bank, 0)) & ~emptied)
        return m

    def _add(self, m, taken, bank):
        """Return sums and counts of lanes, to be taken out."""
        settings, item = self.settings, self.i.p
        dots = Signal()
        top = Signal(HEIGHT + 1)
        wanted = Mux(dots, self.state.dot_top, self.state.sum_top)
        of_dot = Array([settings.t0_format, settings.t1_format, settings.t2_format])
        m.d.comb += [
            dots.eq(self.dot.valid & self.dot.ready),
            # A window that is higher is too high for any product.
            top.eq(Mux(wanted[HEIGHT + 1 :].any(), ~0, wanted)),
            self.dot.p.wide.eq(of_dot[(settings.dot - 1)[:2]] == 2),
        ]
        sums, counts = [], []
        for number in range(VECTOR):
            summed = Signal(CODE, name=f"summed{number}")
            chosen = item.chosen[number] | ~settings.kept_sums[0]
            code = item.codes[number]
            sign = code[-1] & ~settings.magnitudes[0]
            term = self.dot.p.terms[number]
            m.submodules[f"sums{number}"] = one = LaneSums(
                width=self.config.acc_width, depth=SUM_ROWS
            )
            m.submodules[f"counts{number}"] = count = LaneCounts(depth=COUNT_ROWS)
            field = summed[MANTISSA:-1]
            m.d.comb += [
                summed.eq(Mux(chosen, Cat(code[:-1], sign), 0)),
                term.code.eq(item.others[number]),
                term.factor.as_value().eq(factor_of(summed, COEFFICIENT_BITS)),
                one.term.code.eq(Mux(dots, item.others[number], summed)),
                one.term.factor.as_value().eq(Mux(dots, term.factor.as_value(), _one())),
                one.alone.eq(~dots),
                one.adds.eq(dots | taken),
                one.row.eq(Cat(item.vector, bank, dots)),
                one.begins.eq(item.marks.begins_segment),
                one.top.eq(top),
                one.product.eq(self.products[number]),
                count.en.eq(taken),
                count.row.eq(Cat(item.vector, bank)),
                count.begins.eq(item.marks.begins_segment),
                count.nonzero.eq(summed[:-1].any()),
                count.kept.eq(item.chosen[number]),
                count.exponent.eq(Mux(summed[:-1].any() & ~field.all(), exponent(summed), 0)),
            ]
            sums.append(one)
            counts.append(count)
        m.d.comb += self.overflow.eq(Cat(one.overflow for one in sums).any())
        return sums, counts

    def _rounding(self, m):
        """Return what rounds sums."""
        rounding = SumRounding(config=self.config)
        m.d.comb += [
            rounding.top.eq(self.state.sum_top),
            rounding.wide.eq(self.settings.out_format == 2),
        ]
        return rounding

    def _drain(self, m, sums, counts, places, full, ends, has_sums, has_dot):
        """Take segments out; return the banks that are empty then."""
        out, vector, lane, second = Signal(), Signal(VECTOR_BITS), Signal(_LANE), Signal()
        settled = Signal(BANKS)  # the last products are in their rows
        m.d.sync += settled.eq(full)
        width = self.config.acc_width
        found, counted = Signal(channel_sum_layout(width)), Signal(CHANNEL_COUNTS)
        raw, held = Signal(PLUS_BIT + 2), Signal(PLUS_BIT + 2, reset_less=True)
        runs, goes, record, last_lane, last = Signal(), Signal(), Signal(), Signal(), Signal()
        emptied = Signal(BANKS)
        last_vector = vector == ((1 << self.settings.vectors[:3]) - 1)
        m.submodules.rounding = rounding = self._rounding(m)
        rounds = self.settings.reduce == Reduce.SUM
        sums_out = self.o_sums.p.sums
        for one, count in zip(sums, counts, strict=True):
            m.d.comb += [
                one.drained.eq(Cat(vector, out, second)),
                count.drained.eq(Cat(vector, out)),
            ]
        m.d.comb += [
            found.eq(Array(one.sum.as_value() for one in sums)[lane]),
            counted.eq(Array(one.o.as_value() for one in counts)[lane]),
            raw.eq(Cat(found.value[:width], found.value[-1].replicate(PLUS_BIT - width),
                       found.special)),
            runs.eq((full & settled).bit_select(out, 1) & (rounding.i.ready | ~rounds | second)),
            record.eq(second | ~has_dot),
            self.o_sums.valid.eq(runs & record & has_sums),
            sums_out.sum.eq(Mux(second, held, raw)),
            sums_out.dot.eq(Mux(second, raw, 0)),
            sums_out.nonzeros.eq(counted.nonzeros),
            sums_out.kept_a.eq(counted.kept),
            sums_out.largest.eq(counted.largest),
            last_lane.eq(lane == VECTOR - 1),
            last.eq(last_lane & last_vector),
            self.o_sums.p.ends.eq(last & ends.bit_select(out, 1)),
            goes.eq(runs & (~record | ~has_sums | self.o_sums.ready)),
            rounding.i.valid.eq((full & settled).bit_select(out, 1) & rounds & ~second
                                & (~record | ~has_sums | self.o_sums.ready)),
            rounding.i.p.sum.eq(found),
            rounding.i.p.last.eq(last_lane),
            rounding.i.p.place.eq(places.o),
            rounding.i.p.ends.eq(last & ends.bit_select(out, 1)),
            places.drained.eq(Cat(vector, out)),
            self.saturated.eq(rounding.saturated),
            self.nonfinite.eq(rounding.nonfinite),
            self.busy.eq(full.any() | rounding.busy),
        ]  # fmt: skip
        wiring.connect(m, rounding.o, wiring.flipped(self.o_dense))
        with m.If(goes):
            m.d.sync += [held.eq(raw), second.eq(~record)]
            with m.If(record):
                m.d.sync += lane.eq(lane + 1)
                with m.If(last_lane):
                    m.d.sync += vector.eq(Mux(last_vector, 0, vector + 1))
                with m.If(last):
                    m.d.sync += out.eq(~out)
                    m.d.comb += emptied.eq(1 << out)
        return emptied


def _one() -> int:
    """Return the coefficient 1: `factor_layout`."""
    return 1 << (COEFFICIENT_BITS - 1) | FLOAT32.bias << COEFFICIENT_BITS


assert Combiner.PRODUCT_LATENCY == LaneSums.LATENCY - LaneSums.PRODUCT_LATENCY
