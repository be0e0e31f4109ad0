"""Sums of integers of segments: of results and of products with a tensor, lane by lane."""

from __future__ import annotations

from amaranth.hdl import Module, Mux, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from gscn.hw.arguments import need_number
from gscn.hw.encode.integer_combiner import DOT_PRODUCT, IntegerCombiner, integer_dot_layout
from gscn.hw.encode.integer_judge import magnitude_of
from gscn.hw.encode.integer_lane import NUMBER, SIZE_BITS, number_of, saturated_to
from gscn.hw.encode.lane_counts import LaneCounts
from gscn.hw.encode.layouts import CODE
from gscn.hw.encode.segment_rows import SegmentRows
from gscn.hw.encode.segment_sums import SegmentSums
from gscn.hw.encode.sum_rounding import SumRounding
from gscn.hw.encode.unit_layouts import size_of
from gscn.hw.layouts import SPECIAL
from gscn.passes import VECTOR


class IntegerLaneSums(wiring.Component):
    """Add a number to a sum modulo 2**width: a result, or a product of a lane.

    A sum that wraps is reported.

    Implements: "Sums", integers, of `docs/contract/encode.md`.
    Golden: `emulator.encode_arithmetic.add_up`.

    Timing
    ------
    - Latency: `LATENCY` from `adds` to `overflow`. No stage can be held.
    - Throughput: one number per cycle.
    - Combinational: `value`, `before` -> `after`.
    - Reset: outputs 0.

    Parameters
    ----------
    bits
        Of a number.
    width
        Bits of a sum.

    Attributes
    ----------
    adds : In(1)
        There is something to add.
    value : In(signed(bits))
        What is added, a cycle later.
    before : In(signed(width))
        The sum that it is added to, in that cycle.
    after : Out(signed(width))
        The sum with it.
    overflow : Out(1)
        The sum wrapped.
    """

    LATENCY = 2

    def __init__(self, *, bits: int, width: int):
        need_number(self, "bits", bits)
        need_number(self, "width", width, 2, 62)
        self._width = width
        super().__init__(
            {
                "adds": In(1),
                "value": In(signed(bits)),
                "before": In(signed(width)),
                "after": Out(signed(width)),
                "overflow": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        width = self._width
        adds = Signal()
        m.d.sync += adds.eq(self.adds)
        addend, total = Signal(signed(width)), Signal(signed(width + 1))
        m.d.comb += [
            # in two's complement only the lowest bits count
            addend.eq(self.value),
            total.eq(self.before + addend),
            self.after.eq(total),
        ]
        m.d.sync += self.overflow.eq(adds & (total[width] ^ total[width - 1]))
        return m


class IntegerSumRounding(SumRounding):
    """Saturate sums of integers, and put those of 16 lanes together.

    Implements: sums of "One dense result for a segment", integers, in `docs/contract/encode.md`.
    Golden: `emulator.encode_reductions.rounded_sums`.

    Timing
    ------
    - Latency, throughput: those of `SumRounding`.
    - Combinational: none.
    - Reset: no lane; outputs 0, but `i.ready` = 1.

    Attributes
    ----------
    size : In(SIZE_BITS)
        log2 of the bytes of a result. Held while there are sums.
    """

    MEMBERS = (("size", In(SIZE_BITS)),)

    def _round(self, m):
        """Return the code of a sum, whether it was saturated, and that it is finite."""
        code, beyond = saturated_to(m, "sum", self.i.p.sum.value, self.size)
        for _ in range(self.STAGES):
            code, beyond = self._later(m, code), self._later(m, beyond)
        return code, beyond, 0

    def _later(self, m, value):
        later = Signal(len(value), name="later", reset_less=True)
        m.d.sync += later.eq(value)
        return later


class IntegerSegmentSums(SegmentSums):
    """Sum up results that are integers, and take complete segments out lane by lane.

    Implements: "Sums" and sums of "One dense result for a segment", integers, of
    `docs/contract/encode.md`.
    Golden: `emulator.encode_arithmetic.add_up`, `emulator.encode_reductions.rounded_sums`.

    Timing
    ------
    - Latency, throughput, combinational paths, reset: those of `SegmentSums`.

    Attributes
    ----------
    dot : Out(stream.Signature(integer_dot_layout(VECTOR)))
        What lanes are to multiply.
    products : In(signed(DOT_PRODUCT)).array(VECTOR)
        Their products, a cycle later.
    """

    DOT = integer_dot_layout(VECTOR)
    PRODUCT = signed(DOT_PRODUCT)

    def _sum_shape(self):
        """Return what a row has of a sum: it has no special bits."""
        return signed(self.config.acc_width)

    def _sum_of(self, held):
        """Return a sum with its special bits, which are its sign."""
        return held, held[-1].replicate(SPECIAL)

    def _add(self, m, taken):
        """Return sums of results, sums of products, and counts of lanes, to be taken out."""
        settings, item = self.settings, self.i.p
        absolute = Signal()
        m.d.comb += absolute.eq(settings.absolute.bit_select((settings.dot - 1)[:2], 1))
        own, dots, counts = [], [], []
        for number in range(VECTOR):
            width = self.config.acc_width
            m.submodules[f"sums{number}"] = one = IntegerLaneSums(bits=NUMBER, width=width)
            m.submodules[f"dots{number}"] = dot = IntegerLaneSums(bits=DOT_PRODUCT, width=width)
            m.submodules[f"counts{number}"] = count = LaneCounts()
            code, term = item.codes[number], self.dot.p.terms[number]
            summed = Signal(signed(NUMBER), name=f"summed{number}")
            chosen = item.chosen[number] | ~settings.kept_sums[0]
            size = Mux(settings.magnitudes[0], magnitude_of(code), code)
            m.d.comb += [
                summed.eq(Mux(chosen, number_of(size, settings.magnitudes[0]), 0)),
                term.code.eq(number_of(item.others[number], absolute)),
                term.factor.eq(summed),
                dot.value.eq(self.products[number]),
                count.nonzero.eq(summed.any()),
            ]
            m.d.sync += one.value.eq(summed)
            own.append(one)
            dots.append(dot)
            counts.append(count)
        self._advance(m, taken, own, dots, counts)
        return own, dots, counts

    def _rounding(self, m):
        """Return what rounds sums."""
        rounding = IntegerSumRounding(config=self.config)
        m.d.comb += rounding.size.eq(size_of(self.settings.out_format))
        return rounding


assert CODE == 32
assert IntegerCombiner.PRODUCT_LATENCY == SegmentRows.LATENCY
