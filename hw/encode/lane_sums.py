"""Sums of a lane's results, and of products with a tensor, channel by channel."""

from __future__ import annotations

from amaranth.hdl import Cat, Const, Module, Mux, Signal, signed
from amaranth.lib import data, wiring
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
    """Add a product of a `CombineLane` to a sum, in the window of a pass.

    A term that the lane multiplies is added when its last digit is: a tensor's value times a
    result. What falls below the window is cut off magnitudes; a product above it is left out and
    reported, as is a sum that wraps.

    Implements: "Sums", floating point, of `docs/contract/encode.md`.
    Golden: `emulator.encode_arithmetic.add_up`.

    Timing
    ------
    - Latency: `LATENCY` from `term` to `after`; `OVERFLOW_LATENCY` from `adds`, `term` to
      `overflow`. No stage can be held.
    - Throughput: one product per cycle.
    - Combinational: `product`, `before` -> `after`.
    - Reset: none, the pipeline goes on; outputs 0, but `after` undefined.

    Parameters
    ----------
    width
        Bits of a sum, 41 to 62.

    Attributes
    ----------
    term : In(term_layout(COEFFICIENT_BITS))
        What the lane multiplies.
    adds : In(1)
        Its last digit.
    top : In(HEIGHT + 1)
        Top of the window.
    product : In(PRODUCT)
        Of the significands of the term that was there a cycle before.
    before : In(channel_sum_layout(width))
        The sum that it is added to, in that cycle.
    after : Out(channel_sum_layout(width))
        The sum with it.
    overflow : Out(1)
        The product was left out, or the sum wrapped.
    """

    LATENCY = 1
    OVERFLOW_LATENCY = 2
    MEMBERS = (("term", In(term_layout(COEFFICIENT_BITS))), ("product", In(PRODUCT)))
    """What is added."""

    def __init__(self, *, width: int):
        need_number(self, "width", width, PRODUCT + 1, 62)
        self._width = width
        super().__init__(
            {
                **dict(self.MEMBERS),
                "adds": In(1),
                "top": In(HEIGHT + 1),
                "before": In(channel_sum_layout(width)),
                "after": Out(channel_sum_layout(width)),
                "overflow": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        width = self._width
        adds = Signal()
        m.d.sync += adds.eq(self.adds)
        shift, inside, negative, beyond, special = self._place(m)
        product = self._product(m)

        aligned = Mux(inside, Cat(Const(0, width - 1 - PRODUCT), product) >> shift, 0)
        subtracts = inside & negative
        addend = (Cat(aligned, Const(0, 1)) ^ subtracts.replicate(width)).as_signed()
        total = Signal(signed(width + 1))
        m.d.comb += [
            total.eq(self.before.value + addend + subtracts),
            self.after.value.eq(total),
            self.after.special.eq(self.before.special | special),
        ]
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
    """Add a result to a sum, in the window of a pass: times 1, and so not multiplied.

    Implements: `sum` of "Sums", floating point, of `docs/contract/encode.md`.
    Golden: `emulator.encode_arithmetic.add_up`.

    Timing
    ------
    - Latency: `LATENCY` from `code` to `after`; `OVERFLOW_LATENCY` from `adds`, `code` to
      `overflow`. No stage can be held.
    - Throughput, reset: those of `LaneSums`.
    - Combinational: `before` -> `after`.

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
