"""Rounding of a lane's sums: one normalisation, one rounding, ReLU and mask."""

from __future__ import annotations

from amaranth.hdl import Cat, Const, Module, Mux, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from gscn.encode import LEAST_TOP, SLOPE_KNEE
from gscn.formats import BF16, FLOAT32
from gscn.hw.arguments import need_number
from gscn.hw.encode.layouts import CODE, GUARD, HEIGHT, MANTISSA, SIGNIFICAND, TOP
from gscn.hw.layouts import SPECIAL

_CUT = FLOAT32.mantissa_width - BF16.mantissa_width
"""Bits that bf16 lacks."""
_SHORT_KNEE = (SLOPE_KNEE + (1 << _CUT >> 1)) >> _CUT << _CUT
"""0.4 in bf16."""


class LaneRounder(wiring.Component):
    """Round the sum of a `CombineLane` to float32 or bf16, to nearest, ties to even.

    The leading one moves to the top, but a subnormal number's only as far as its last place is
    where that of the smallest normal number is: a top of `LEAST_TOP` or more lies above them all.
    Beyond the largest number follows an infinity. Special bits give infinity or NaN. ReLU makes
    what is negative, and -0, to +0; so is a value that is not kept. One at the `knee` of the slope
    is 0.4 instead.

    Implements: rounding of "Numbers", floating point, of `docs/contract/encode.md`.
    Golden: `emulator.encode_arithmetic.rounded`.

    Timing
    ------
    - Latency: `LATENCY` from `sum`, `top` to `o`; `LAST_LATENCY` from `there`, `kept`,
      `wide`, `relu`, `knee` to `o`. No stage can be held.
    - Throughput: one sum per cycle.
    - Combinational: none.
    - Reset: none, the pipeline goes on; outputs `o`, `saturated`, `nonfinite` undefined.

    Parameters
    ----------
    window
        Bits of the window, the sign included; 25 to 62.

    Attributes
    ----------
    sum : In(signed(window + GUARD))
        Sum.
    top : In(TOP)
        Top of its window, `LEAST_TOP` at least, and special bits.
    there : In(1)
        There is a value: otherwise the result is 0, and nothing is reported.
    kept : In(1)
        The mask keeps it: otherwise the result is 0.
    wide : In(1)
        The result is float32, not bf16.
    relu : In(1)
        ReLU.
    knee : In(1)
        The result is that of the slope between its knee and its end.
    o : Out(CODE)
        Code; one of bf16 in the upper half, and zeros below.
    saturated : Out(1)
        A finite result was beyond the largest number.
    nonfinite : Out(1)
        Special bits gave the result.
    """

    LATENCY = 2
    LAST_LATENCY = 1

    def __init__(self, *, window: int):
        need_number(self, "window", window, SIGNIFICAND + 1 - GUARD, 62)
        self._window = window
        super().__init__(
            {
                "sum": In(signed(window + GUARD)),
                "top": In(TOP),
                "there": In(1),
                "kept": In(1),
                "wide": In(1),
                "relu": In(1),
                "knee": In(1),
                "o": Out(CODE),
                "saturated": Out(1),
                "nonfinite": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        head, tail, field, negative, special = self._normalise(m)
        wide = self.wide

        # -- round: the hidden bit, and a carry out of the fraction, count up the exponent
        significand, half = head[1:], head[0]
        cut, rest = significand[:_CUT], significand[_CUT:]
        up_wide = wide & half & (tail | significand[0])
        below = half | tail | cut[:-1].any()
        up_narrow = ~wide & cut[-1] & (below | rest[0])
        whole = Cat(Mux(wide, cut, 0), rest)
        ups = Cat(up_wide, Const(0, _CUT - 1), up_narrow)
        magnitude = Signal(HEIGHT + MANTISSA)
        m.d.comb += magnitude.eq((field << MANTISSA) + whole + ups)
        beyond = magnitude[MANTISSA:] >= FLOAT32.infinity >> MANTISSA

        # -- what is no rounded number
        is_special = special.any()
        is_nan = special.all()
        infinite = beyond | is_special
        sign = Mux(is_special, special[1] & ~is_nan, negative)
        zero = ~self.there | ~self.kept | (self.relu & sign)
        code = Cat(
            Mux(infinite, 0, magnitude[: MANTISSA - 1]),
            Mux(infinite, is_nan, magnitude[MANTISSA - 1]),
            magnitude[MANTISSA : CODE - 1] | infinite.replicate(CODE - 1 - MANTISSA),
            sign,
        )
        o = Signal(CODE, reset_less=True)
        saturated, nonfinite = Signal(reset_less=True), Signal(reset_less=True)
        m.d.sync += [
            o.eq(Mux(zero, 0, Mux(self.knee, Mux(wide, SLOPE_KNEE, _SHORT_KNEE), code))),
            saturated.eq(beyond & ~is_special & self.there),
            nonfinite.eq(is_special & self.there),
        ]
        m.d.comb += [
            self.o.eq(o),
            self.saturated.eq(saturated),
            self.nonfinite.eq(nonfinite),
        ]
        return m

    def _normalise(self, m):
        """Return significand and half, whether anything is below, exponent, sign, special bits."""
        negative = self.sum[-1]
        width = self._window + GUARD - 1
        value = Signal(width)
        m.d.comb += value.eq((self.sum ^ negative.replicate(width + 1)) + negative)
        # A number whose leading one lies this far below is the smallest normal one.
        limit = Signal(HEIGHT)
        m.d.comb += limit.eq(self.top.height - LEAST_TOP)
        unlimited = limit[(width - 1).bit_length() :].any()
        moves = []
        for bit in reversed(range((width - 1).bit_length())):
            step = 1 << bit
            moves_on, moved = Signal(name=f"moves{step}"), Signal(width, name=f"moved{step}")
            m.d.comb += [
                moves_on.eq(~value[-step:].any() & (unlimited | limit[bit])),
                moved.eq(Mux(moves_on, value << step, value)),
            ]
            unlimited = unlimited | (limit[bit] & ~moves_on)
            value = moved
            moves.append(moves_on)
        head = Signal(SIGNIFICAND + 1, reset_less=True)
        tail, sign = Signal(reset_less=True), Signal(reset_less=True)
        field, special = Signal(HEIGHT, reset_less=True), Signal(SPECIAL, reset_less=True)
        places = (limit - Cat(reversed(moves)))[:HEIGHT]
        m.d.sync += [
            head.eq(value[-(SIGNIFICAND + 1) :]),
            tail.eq(value[: -(SIGNIFICAND + 1)].any()),
            field.eq(Mux(value[-1], places, 0)),
            sign.eq(negative),
            special.eq(self.top.special),
        ]
        return head, tail, field, sign, special
