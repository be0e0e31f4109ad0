"""The largest product of a value: where its window lies, and each term in it."""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from gscn.encode import LEAST_TOP, TENSORS
from gscn.formats import FLOAT32
from gscn.hw.arguments import need_number
from gscn.hw.encode.layouts import (
    HEIGHT,
    MANTISSA,
    SHIFT,
    SIGNIFICAND,
    TOP,
    exponent,
    value_layout,
)
from gscn.hw.layouts import SPECIAL


class LaneTop(wiring.Component):
    """Find the largest height of a value's products, and how far below it each of them lies.

    A product with a zero adds nothing, whatever the other is, and has no height, nor has one with
    an infinity or NaN.

    Implements: `top` of "Numbers", floating point, in `docs/contract/encode.md`.
    Golden: `emulator.encode_arithmetic.height`.

    Timing
    ------
    - Latency: `LATENCY` from `value` to `top`, `shifts`.
    - Throughput: one value per cycle.
    - Combinational: `value` -> `top`, `shifts`.
    - Reset: no register; outputs `top`, `shifts` meaningless: of a value of zeros.

    Parameters
    ----------
    factor_width
        Bits of a coefficient's significand, 1 to 24.

    Attributes
    ----------
    value : In(value_layout(factor_width))
        Terms and bias.
    top : Out(TOP)
        Largest height, `LEAST_TOP` at least, and special bits.
    shifts : Out(SHIFT).array(TENSORS + 1)
        Of each term, and of the bias; what adds nothing is not inside.
    """

    LATENCY = 0

    def __init__(self, *, factor_width: int):
        need_number(self, "factor_width", factor_width, 1, SIGNIFICAND)
        super().__init__(
            {
                "value": In(value_layout(factor_width)),
                "top": Out(TOP),
                "shifts": Out(SHIFT).array(TENSORS + 1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        heights, specials = [], []
        for number, term in enumerate(self.value.terms):
            factor = term.factor
            counts = factor.significand.any() & self.value.adds[number]
            self._term(m, number, term.code, counts, factor, heights, specials)
        self._term(m, "bias", self.value.bias, self.value.adds[TENSORS], None, heights, specials)
        left = list(heights)
        while len(left) > 1:
            first, second, *left = left
            larger = Signal(HEIGHT, name=f"larger{len(left)}")
            m.d.comb += larger.eq(Mux(first > second, first, second))
            left.append(larger)
        top = Signal(HEIGHT)
        m.d.comb += top.eq(Mux(left[0] > LEAST_TOP, left[0], LEAST_TOP))
        for number, height in enumerate(heights):
            distance = Signal(HEIGHT, name=f"distance{number}")
            amount = len(self.shifts[number].amount)
            m.d.comb += [
                distance.eq(top - height),
                self.shifts[number].amount.eq(distance),
                self.shifts[number].inside.eq((height != 0) & ~distance[amount:].any()),
            ]
        special = Signal(SPECIAL)
        for bits in specials:
            special = special | bits
        m.d.comb += [
            self.top.height.eq(top),
            self.top.special.eq(special),
        ]
        return m

    def _term(self, m, name, code, counts, factor, heights, specials):
        """Add height and special bits of a term; a bias has the factor 1."""
        full = code[MANTISSA:-1].all()
        fraction = code[:MANTISSA].any()
        nonzero = (code[MANTISSA:-1].any() | fraction) & counts
        nan, infinite, negative, scale = full & fraction, full, code[-1], FLOAT32.bias
        if factor is not None:
            nan, infinite = nan | factor.nan, infinite | factor.infinite
            negative, scale = negative ^ factor.negative, factor.exponent
        height, bits = Signal(HEIGHT, name=f"height_{name}"), Signal(SPECIAL, name=f"bits_{name}")
        m.d.comb += [
            height.eq(Mux(nonzero & ~infinite & ~nan, exponent(code) + scale, 0)),
            bits.eq(Mux(nonzero & (infinite | nan), Cat(nan | ~negative, nan | negative), 0)),
        ]
        heights.append(height)
        specials.append(bits)
