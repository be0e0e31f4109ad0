"""Sums of a lane's results, and of products with a tensor, channel by channel."""

from __future__ import annotations

from amaranth.hdl import Cat, Const, Module, Mux, Signal, signed
from amaranth.lib import data, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from gscn.encode import COEFFICIENT_BITS
from gscn.formats import FLOAT32
from gscn.hw.arguments import need_number
from gscn.hw.encode.layouts import (
    CODE,
    HEIGHT,
    MANTISSA,
    SIGNIFICAND,
    exponent,
    factor_layout,
    significand,
    term_layout,
)
from gscn.hw.layouts import SPECIAL

PRODUCT = SIGNIFICAND + COEFFICIENT_BITS
"""Bits of a product of significands."""


def channel_sum_layout(width: int) -> data.StructLayout:
    """Return a sum with its special bits."""
    return data.StructLayout({"value": signed(width), "special": SPECIAL})


class LaneSums(wiring.Component):
    """Add products of a `CombineLane` in the window of a pass, in rows.

    A term that the lane multiplies is added when its last digit is: a tensor's value times a
    result. There is a row for each vector of a position; the first product of a segment `begins`
    its row at 0. What falls below the window is cut off magnitudes; a product above it is left out
    and reported, as is a sum that wraps.

    Implements: "Sums", floating point, of `docs/contract/encode.md`.
    Golden: `emulator.encode_arithmetic.add_up`.

    Timing
    ------
    - Latency: `LATENCY` from `term`, `row` to `sum`, `overflow`; `PRODUCT_LATENCY` from `product`
      to `sum`, `overflow`. No stage can be held.
    - Throughput: one product per cycle, and a row that is read.
    - Combinational: `drained` -> `sum`.
    - Reset: none, the pipeline goes on, and rows stay; outputs 0, but `sum` undefined.

    Parameters
    ----------
    width
        Bits of a sum, 41 to 62.
    depth
        Rows, at least 2.

    Attributes
    ----------
    term : In(term_layout(COEFFICIENT_BITS))
        What the lane multiplies.
    adds : In(1)
        Its last digit.
    row : In(range(depth))
        Row of the sum.
    begins : In(1)
        The row begins at 0.
    top : In(HEIGHT + 1)
        Top of the window.
    product : In(PRODUCT)
        Of the significands of the term that was there a cycle before.
    drained : In(range(depth))
        Row to be read.
    sum : Out(channel_sum_layout(width))
        What it holds.
    overflow : Out(1)
        The product was left out, or the sum wrapped.
    """

    LATENCY = 2
    PRODUCT_LATENCY = 1
    MEMBERS = (("term", In(term_layout(COEFFICIENT_BITS))), ("product", In(PRODUCT)))
    """What is added."""

    def __init__(self, *, width: int, depth: int):
        need_number(self, "width", width, PRODUCT + 1, 62)
        need_number(self, "depth", depth, 2)
        self._width, self._depth = width, depth
        super().__init__(
            {
                **dict(self.MEMBERS),
                "adds": In(1),
                "row": In(range(depth)),
                "begins": In(1),
                "top": In(HEIGHT + 1),
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
        m.d.sync += [adds.eq(self.adds), begins.eq(self.begins), row.eq(self.row)]
        shift, inside, negative, beyond, special = self._place(m)
        product = self._product(m)

        layout = channel_sum_layout(width)
        m.submodules.rows = rows = Memory(shape=layout, depth=self._depth, init=[])
        read, write = rows.read_port(domain="comb"), rows.write_port()
        aligned = Mux(inside, Cat(Const(0, width - 1 - PRODUCT), product) >> shift, 0)
        subtracts = inside & negative
        addend = (Cat(aligned, Const(0, 1)) ^ subtracts.replicate(width)).as_signed()
        before, total = Signal(signed(width)), Signal(signed(width + 1))
        after = Signal(layout)
        m.d.comb += [
            read.addr.eq(row),
            before.eq(Mux(begins, 0, read.data.value)),
            total.eq(before + addend + subtracts),
            after.value.eq(total),
            after.special.eq(Mux(begins, 0, read.data.special) | special),
            write.addr.eq(row),
            write.data.eq(after),
            write.en.eq(adds),
        ]
        drain = rows.read_port(domain="comb")
        m.d.comb += [drain.addr.eq(self.drained), self.sum.eq(drain.data)]
        m.d.sync += self.overflow.eq(adds & (beyond | (total[width] ^ total[width - 1])))
        return m

    def _term(self):
        """Return a value, and its coefficient."""
        return self.term.code, self.term.factor

    def _product(self, m):
        """Return the product of significands, a cycle behind the term."""
        return self.product

    def _place(self, m):
        """Return, in registers, shift, whether it is inside, negative, beyond; special bits."""
        code, factor = self._term()
        full = code[MANTISSA:-1].all()
        nan = (full & code[:MANTISSA].any()) | factor.nan
        special = full | factor.nan | factor.infinite
        nonzero = code[:-1].any() & factor.significand.any()
        sign = code[-1] ^ factor.negative
        distance = Signal(signed(HEIGHT + 2))
        m.d.comb += distance.eq(self.top - (exponent(code) + factor.exponent))
        counts = nonzero & ~special
        shift = Signal(range(self._width), reset_less=True)
        inside, negative = Signal(reset_less=True), Signal(reset_less=True)
        beyond, bits = Signal(reset_less=True), Signal(SPECIAL, reset_less=True)
        m.d.sync += [
            shift.eq(distance),
            inside.eq(counts & ~distance[len(shift) :].any()),
            negative.eq(sign),
            beyond.eq(counts & distance[-1]),
            bits.eq(Mux(nonzero & special, Cat(nan | ~sign, nan | sign), 0)),
        ]
        return shift, inside, negative, beyond, bits


class LaneResultSums(LaneSums):
    """Add results in the window of a pass, in rows: each times 1, and so not multiplied.

    Implements: `sum` of "Sums", floating point, of `docs/contract/encode.md`.
    Golden: `emulator.encode_arithmetic.add_up`.

    Timing
    ------
    - Latency: `LATENCY` from `code`, `row` to `sum`, `overflow`. No stage can be held.
    - Throughput, combinational paths, reset: those of `LaneSums`.

    Attributes
    ----------
    code : In(CODE)
        What is added.
    """

    MEMBERS = (("code", In(CODE)),)

    def _term(self):
        """Return a result, and 1."""
        layout = factor_layout(COEFFICIENT_BITS)
        one = 1 << (COEFFICIENT_BITS - 1) | FLOAT32.bias << COEFFICIENT_BITS
        return self.code, data.View(layout, Const(one, layout.size))

    def _product(self, m):
        """Return the significand, as a product with that of 1."""
        whole = Signal(SIGNIFICAND, reset_less=True)
        m.d.sync += whole.eq(significand(self.code))
        return Cat(Const(0, COEFFICIENT_BITS - 1), whole, Const(0, 1))
