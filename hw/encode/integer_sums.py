"""Sums of integers of segments: of results and of products with a tensor, lane by lane."""

from __future__ import annotations

from amaranth.hdl import Module, Mux, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from gscn.hw.arguments import need_number
from gscn.hw.encode.integer_combiner import DOT_PRODUCT, IntegerCombiner, integer_dot_layout
from gscn.hw.encode.integer_judge import magnitude_of
from gscn.hw.encode.integer_lane import NUMBER, SIZE_BITS, number_of, saturated_to
from gscn.hw.encode.lane_counts import LaneCounts
from gscn.hw.encode.lane_sums import channel_sum_layout
from gscn.hw.encode.layouts import CODE
from gscn.hw.encode.segment_sums import COUNT_ROWS, SUM_ROWS, SegmentSums
from gscn.hw.encode.sum_rounding import SumRounding
from gscn.hw.encode.unit_layouts import size_of
from gscn.passes import VECTOR


class IntegerLaneSums(wiring.Component):
    """Add numbers modulo 2**width in rows: results, or products of a lane.

    There is a row for each vector of a position; the first number of a segment `begins` its row at
    0. A sum that wraps is reported.

    Implements: "Sums", integers, of `docs/contract/encode.md`.
    Golden: `emulator.encode_arithmetic.add_up`.

    Timing
    ------
    - Latency: `LATENCY` from `adds`, `row` to `sum`, `overflow`; `VALUE_LATENCY` from `value` to
      `sum`, `overflow`. No stage can be held.
    - Throughput: one number per cycle, and a row that is read.
    - Combinational: `drained` -> `sum`.
    - Reset: none, rows stay; outputs 0, but `sum` undefined.

    Parameters
    ----------
    bits
        Of a number.
    width
        Bits of a sum.
    depth
        Rows, at least 2.

    Attributes
    ----------
    adds : In(1)
        There is something to add.
    row : In(range(depth))
        Row of the sum.
    begins : In(1)
        The row begins at 0.
    value : In(signed(bits))
        What is added, a cycle later.
    drained : In(range(depth))
        Row to be read.
    sum : Out(channel_sum_layout(width))
        What it holds; special bits are its sign.
    overflow : Out(1)
        The sum wrapped.
    """

    LATENCY = 2
    VALUE_LATENCY = 1

    def __init__(self, *, bits: int, width: int, depth: int):
        need_number(self, "bits", bits)
        need_number(self, "width", width, 2, 62)
        need_number(self, "depth", depth, 2)
        self._width, self._depth = width, depth
        super().__init__(
            {
                "adds": In(1),
                "row": In(range(depth)),
                "begins": In(1),
                "value": In(signed(bits)),
                "drained": In(range(depth)),
                "sum": Out(channel_sum_layout(width)),
                "overflow": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        width = self._width
        adds, begins = Signal(), Signal(reset_less=True)
        row = Signal.like(self.row, reset_less=True)
        m.d.sync += [begins.eq(self.begins), adds.eq(self.adds), row.eq(self.row)]
        m.submodules.rows = rows = Memory(shape=signed(width), depth=self._depth, init=[])
        read, write = rows.read_port(domain="comb"), rows.write_port()
        drain = rows.read_port(domain="comb")
        addend, before = Signal(signed(width)), Signal(signed(width))
        total = Signal(signed(width + 1))
        m.d.comb += [
            # in two's complement only the lowest bits count
            addend.eq(self.value),
            read.addr.eq(row),
            before.eq(Mux(begins, 0, read.data)),
            total.eq(before + addend),
            write.addr.eq(row),
            write.data.eq(total),
            write.en.eq(adds),
            drain.addr.eq(self.drained),
            self.sum.value.eq(drain.data),
            self.sum.special.eq(drain.data[-1].replicate(len(self.sum.special))),
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

    def _add(self, m, taken, bank):
        """Return sums of results, sums of products, and counts of lanes, to be taken out."""
        settings, item = self.settings, self.i.p
        absolute = Signal()
        m.d.comb += absolute.eq(settings.absolute.bit_select((settings.dot - 1)[:2], 1))
        own, dots, counts = [], [], []
        for number in range(VECTOR):
            sizes = {"width": self.config.acc_width, "depth": SUM_ROWS}
            m.submodules[f"sums{number}"] = one = IntegerLaneSums(bits=NUMBER, **sizes)
            m.submodules[f"dots{number}"] = dot = IntegerLaneSums(bits=DOT_PRODUCT, **sizes)
            m.submodules[f"counts{number}"] = count = LaneCounts(depth=COUNT_ROWS)
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
        self._advance(m, taken, bank, own, dots, counts)
        return own, dots, counts

    def _rounding(self, m):
        """Return what rounds sums."""
        rounding = IntegerSumRounding(config=self.config)
        m.d.comb += rounding.size.eq(size_of(self.settings.out_format))
        return rounding


assert CODE == 32
assert IntegerCombiner.PRODUCT_LATENCY == IntegerLaneSums.LATENCY - IntegerLaneSums.VALUE_LATENCY
