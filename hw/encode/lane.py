"""A lane of combinations: products of a value aligned below the largest one, and added."""

from __future__ import annotations

from typing import NamedTuple

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from gscn.hw.arguments import need_number
from gscn.hw.encode.layouts import (
    CODE,
    GUARD,
    SHIFT,
    SIGNIFICAND,
    TOP,
    significand,
    term_layout,
    turn_layout,
)

PRODUCTS = 2
"""Terms that are multiplied in a turn."""


class _Addend(NamedTuple):
    """What is shifted to its place and added."""

    magnitude: Value
    shift: Value
    inside: Value
    """Some of it lies in the window."""
    negative: Value


class CombineLane(wiring.Component):
    """Add the products of a value in a window below the largest of them.

    In a turn two terms are multiplied by a digit of their values' significands; `plain` has a
    coefficient that is a power of two, and is only shifted, and so is the bias. A float32
    significand has `24 / digit` digits, and takes as many turns; one of bf16 needs the highest
    alone, if that is not shorter, and so does one whose coefficient is a normal power of two: what
    lies below its highest digit is shifted. With the last digit all is added. What falls below the
    window is cut off magnitudes. A value may have more products than a turn takes: turns add up
    until one `starts` the next value.

    Sums of integers are not formed here.

    Implements: sums of "Numbers", floating point, in `docs/contract/encode.md`.
    Golden: `emulator.encode_arithmetic.product`.

    Timing
    ------
    - Latency: `LATENCY` from `first`, `second` to `sum`; `LAST_LATENCY` from `plain`, `bias`,
      `shifts` to `sum`, and from `top` to `sum_top`, which come a cycle behind their turn;
      `PRODUCT_LATENCY` from `first`, `second` to `products`. No stage can be held.
    - Throughput: one turn per cycle.
    - Combinational: none.
    - Reset: none, the pipeline goes on; outputs `sum`, `sum_top`, `products` undefined.

    Parameters
    ----------
    factor_width
        Bits of a coefficient's significand, 1 to 24.
    window
        Bits of the window, the sign included; 8 to 32.
    digit
        Bits of a value's significand that are multiplied in a turn; 8, 12 or 24.

    Attributes
    ----------
    first, second : In(term_layout(factor_width))
        Terms that are multiplied. They stay for all digits.
    plain : In(term_layout(factor_width))
        A term whose coefficient is a normal power of two, or zero: it is not inside then.
    bias : In(CODE)
        Bias.
    shifts : In(SHIFT).array(PRODUCTS + 2)
        Of `first`, `second`, `plain` and `bias`.
    top : In(TOP)
        Of the value.
    turn : In(turn_layout(SIGNIFICAND // digit))
        What is multiplied and added; all 0 in other cycles.
    sum : Out(signed(window + GUARD))
        Of the products; 1 stands for 2**(top - (window - 3) - 254).
    sum_top : Out(TOP)
        Of the sum.
    products : Out(SIGNIFICAND + factor_width).array(PRODUCTS)
        Of the significands, all digits of them, for sums of results.
    """

    LATENCY = 2
    LAST_LATENCY = 1
    PRODUCT_LATENCY = 1

    def __init__(self, *, factor_width: int, window: int, digit: int):
        need_number(self, "factor_width", factor_width, 1, SIGNIFICAND)
        need_number(self, "window", window, 8, 32)
        need_number(self, "digit", digit, 8, SIGNIFICAND)
        self._width, self._window, self._digit = factor_width, window, digit
        self._kept = window - 1
        super().__init__(
            {
                "first": In(term_layout(factor_width)),
                "second": In(term_layout(factor_width)),
                "plain": In(term_layout(factor_width)),
                "bias": In(CODE),
                "shifts": In(SHIFT).array(PRODUCTS + 2),
                "top": In(TOP),
                "turn": In(turn_layout(SIGNIFICAND // digit)),
                "sum": Out(signed(window + GUARD)),
                "sum_top": Out(TOP),
                "products": Out(SIGNIFICAND + factor_width).array(PRODUCTS),
            }
        )

    def elaborate(self, platform):
        m = Module()
        addends = [
            self._multiplied(m, "first", self.first, self.products[0], self.shifts[0]),
            self._multiplied(m, "second", self.second, self.products[1], self.shifts[1]),
            self._whole(self.plain.code, self.plain.factor.negative, self.shifts[2]),
            self._whole(self.bias, 0, self.shifts[3]),
        ]
        turn = Signal.like(self.turn)
        top = Signal(TOP, reset_less=True)
        m.d.sync += [turn.eq(self.turn), top.eq(self.top)]
        total = Signal(signed(self._window + GUARD), reset_less=True)
        added = Mux(turn.starts, 0, total)
        adds = [turn.adds, turn.adds_others, turn.adds_plain, turn.adds_others]
        for addend, is_added in zip(addends, adds, strict=True):
            counts = is_added & addend.inside
            aligned = Mux(counts, addend.magnitude >> addend.shift, 0)
            subtracts = counts & addend.negative
            negated = Cat(aligned, Const(0, 1)) ^ subtracts.replicate(self._kept + 1)
            added = added + negated.as_signed() + subtracts
        m.d.sync += total.eq(added)
        m.d.comb += [self.sum.eq(total), self.sum_top.eq(top)]
        return m

    def _multiplied(self, m, name, term, product, shift):
        """Return a product, when its last digit has been multiplied."""
        turn, digit = self.turn, self._digit
        whole = significand(term.code)
        digits = SIGNIFICAND // digit
        held = Signal(SIGNIFICAND + self._width, name=f"{name}_product", reset_less=True)
        taken = Signal(digit, name=f"{name}_digit")
        with m.Switch(turn.digit):
            for number in range(digits - 1):
                with m.Case(number):
                    m.d.comb += taken.eq(whole.word_select(number, digit))
            with m.Default():
                m.d.comb += taken.eq(whole[-digit:])
        # What the digits before it made lies a digit lower. If the highest is the first one, those
        # before it are zeros, or the coefficient is a normal power of two.
        lower = SIGNIFICAND - digit
        below = whole[:lower] & (turn.digit == digits - 1).replicate(lower)
        before = Mux(turn.opens, below << (self._width - 1), held[digit:])
        added = taken * term.factor.significand + before[lower:]
        m.d.sync += held.eq(Cat(before[:lower], added[: digit + self._width]))
        m.d.comb += product.eq(held)
        negative = Signal(name=f"{name}_negative", reset_less=True)
        m.d.sync += negative.eq(term.code[-1] ^ term.factor.negative)
        return _Addend(held[-self._kept :], shift.amount, shift.inside, negative)

    def _whole(self, code, negated, shift):
        """Return a value times a power of two."""
        # Above it is the place of a carry, which only a product has.
        padded = Cat(Const(0, max(self._kept - 1 - SIGNIFICAND, 0)), significand(code))
        return _Addend(padded[-(self._kept - 1) :], shift.amount, shift.inside, code[-1] ^ negated)
