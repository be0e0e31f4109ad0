"""Rounding of a drained floating-point sum: one normalisation, one rounding."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

from amaranth.hdl import Cat, Const, Module, Mux, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from gscn import latencies
from gscn.array import ArrayConfig
from gscn.formats import BF16, FLOAT32, NUMBER_FORMATS, FloatFormat
from gscn.hw.arguments import need_floats
from gscn.hw.layouts import NUMBER_MODE, SPECIAL, OutFormat
from gscn.hw.pe.sticky_shift import shift_right
from gscn.window import lsb_exponent

_SIGNIFICAND = FLOAT32.significand_width
_HEAD = _SIGNIFICAND + 1
"""Bits of a significand of float32 and the half of its last place."""
_EXPONENT = 13
"""Bits of a signed exponent field, before it is limited."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Placed:
    """A result before its last place is rounded; registers."""

    kept: Signal
    """Significand, or what is passed on."""
    field: Signal
    """Exponent."""
    up: Signal
    """The significand is to be rounded up."""
    saturates: Signal
    """What is passed on was saturated."""


class FloatRounder(wiring.Component):
    """Round a sum to a floating-point format; pass the results of a `Rounder` on.

    A sum of a job in floating point becomes the nearest number of the result's format, ties to
    even, subnormals included; beyond the largest number, infinity. Special bits give infinity or
    NaN. For integers, and for raw sums, the result of the `Rounder` is passed on; a raw sum of a
    job in floating point has the special bits in its highest two bits.

    Implements: the results of `docs/contract/floating-point.md`.
    Golden: `emulator.arithmetic.drain`.

    Timing
    ------
    - Latency: `LATENCY` from `i` to `o`, counting cycles in which `en` is high: everything holds
      while it is low. Sign and magnitude; the leading one to the top; the last place of the result
      to its own; rounding.
    - Throughput: one value per cycle in which `en` is high.
    - Combinational: none.
    - Reset: the pipeline goes on; outputs 0, but `o` undefined.

    Parameters
    ----------
    config
        Operand formats, at least one of floating point; width of the accumulators.

    Attributes
    ----------
    i : In(signed(config.acc_width))
        Accumulator.
    i_special : In(SPECIAL)
        Its special bits.
    integer : In(signed(64))
        What a `Rounder` makes of the accumulator that was at `i` `Rounder.LATENCY` cycles of `en`
        before.
    integer_saturated : In(1)
        `integer` was saturated.
    mode : In(NUMBER_MODE)
        Number format and window. Held while values are under way.
    out_format : In(OutFormat)
        Format of the result. Held likewise.
    en : In(1)
        Advance.
    o : Out(64)
        Result; above the width of its format, RAW's being 64, the bits are undefined, but zero
        above a code of 8 bits in a result of 16.
    saturated : Out(1)
        A finite result was saturated.
    nonfinite : Out(1)
        Special bits gave the result.
    """

    LATENCY = latencies.FLOAT_ROUNDER_LATENCY

    def __init__(self, *, config: ArrayConfig):
        need_floats(self, config)
        self.config = config
        super().__init__(
            {
                "i": In(signed(config.acc_width)),
                "i_special": In(SPECIAL),
                "integer": In(signed(64)),
                "integer_saturated": In(1),
                "mode": In(NUMBER_MODE),
                "out_format": In(OutFormat),
                "en": In(1),
                "o": Out(64),
                "saturated": Out(1),
                "nonfinite": Out(1),
            }
        )

    def _results(self, m: Module) -> list[tuple[FloatFormat, Signal]]:
        """Return the formats of results, and whether the results have them."""
        formats = dict.fromkeys((FLOAT32, BF16, *self.config.floats))
        chosen = {fmt: Signal(name=f"is_{fmt.name}") for fmt in formats}
        with m.Switch(self.out_format):
            with m.Case(OutFormat.INT32):
                m.d.comb += chosen[FLOAT32].eq(1)
            with m.Case(OutFormat.BF16):
                m.d.comb += chosen[BF16].eq(1)
            with m.Default():
                for fmt in self.config.floats:
                    number = NUMBER_FORMATS.index(fmt)
                    m.d.comb += chosen[fmt].eq(self.mode.number_format == number)
        return list(chosen.items())

    def elaborate(self, platform):
        m = Module()
        results = self._results(m)
        most, narrower = self._scale(m, results)
        passes = (self.mode.number_format == 0) | (self.out_format == OutFormat.RAW)
        magnitude, flags = self._take_apart(m)
        head, tail, zeros = self._normalise(m, magnitude)
        places = Signal(signed(_EXPONENT))
        m.d.comb += places.eq(zeros + 1 - most)  # from the lowest place of normal numbers
        placed = self._place(m, head, tail, places, narrower, passes)
        self._round(m, results, placed, flags, passes)
        return m

    def _scale(self, m, results):
        """Return what only depends on the job, in registers.

        The exponent field of a sum whose highest bit leads, and what else there is to shift by so
        that the result's last place becomes that of float32.
        """
        width = self.config.acc_width

        def select(values):
            """Return the value that goes with the result's format."""
            bits = max(Const(value).shape().width for value in values)
            chosen = [
                Mux(is_one, Const(v, bits), 0)
                for (_, is_one), v in zip(results, values, strict=True)
            ]
            return _any(chosen)

        most = Signal(signed(_EXPONENT), reset_less=True)
        narrower = Signal(range(_SIGNIFICAND), reset_less=True)
        scale = Signal(signed(_EXPONENT))
        with m.Switch(self.mode.number_format):
            for fmt in self.config.floats:
                with m.Case(NUMBER_FORMATS.index(fmt)):
                    m.d.comb += scale.eq(lsb_exponent(0, fmt, width) + width - 1)
        m.d.sync += [
            most.eq(self.mode.window + scale + select([f.bias for f, _ in results])),
            narrower.eq(
                select([FLOAT32.mantissa_width - fmt.mantissa_width for fmt, _ in results])
            ),
        ]
        return most, narrower

    def _take_apart(self, m):
        """First cycle: return the magnitude; special bits and sign, in step with the rounding."""
        flags = [Signal(SPECIAL + 1, name=f"flags{n}", reset_less=True) for n in range(3)]
        magnitude = Signal(self.config.acc_width, reset_less=True)
        with m.If(self.en):
            m.d.sync += [
                magnitude.eq(Mux(self.i[-1], -self.i, self.i)),
                flags[0].eq(Cat(self.i_special, self.i[-1])),
                *(later.eq(flag) for flag, later in itertools.pairwise(flags)),
            ]
        return magnitude, flags[-1]

    def _normalise(self, m, magnitude):
        """Second cycle: move the leading one to the top, the widest step first.

        Return the highest bits, whether any below is 1 (what float32 does not keep only matters as
        far as it is not zero), and the zeros that there were above the leading one.
        """
        normal, moves = magnitude, []
        for step in (1 << n for n in reversed(range((len(magnitude) - 1).bit_length()))):
            normal = self._move(m, normal, step, moves)
        padded = Cat(Const(0, _HEAD), normal)
        head = Signal(_HEAD, reset_less=True)
        tail = Signal(reset_less=True)
        zeros = Signal(len(moves), reset_less=True)
        with m.If(self.en):
            m.d.sync += [
                head.eq(padded[-_HEAD:]),
                tail.eq(padded[:-_HEAD].any()),
                zeros.eq(Cat(reversed(moves))),
            ]
        return head, tail, zeros

    def _place(self, m, head, tail, places, narrower, passes):
        """Third cycle: shift the last place of the result to its own.

        A subnormal number goes further, and none more than leaves nothing but the half. Results of
        the `Rounder` take the same registers.
        """
        shift = Signal(range(_HEAD + 1))
        subnormal = Signal()
        m.d.comb += [subnormal.eq(~places[-1] & places.any()), shift.eq(narrower)]
        with m.If(subnormal):
            further = (places + narrower).as_unsigned()
            m.d.comb += shift.eq(Mux(further > _HEAD, _HEAD, further))
        shifted, sticky = shift_right(m, head, shift, tail)
        significand, half = shifted[1:], shifted[0]
        carried = max(self.config.acc_width, 32)
        kept = Signal(carried, reset_less=True)
        field = Signal(_EXPONENT - 1, reset_less=True)
        up, saturates = Signal(reset_less=True), Signal(reset_less=True)
        with m.If(self.en):
            m.d.sync += [
                kept.eq(Mux(passes, self.integer[:carried], significand)),
                field.eq(Mux(subnormal | ~head[-1], 0, -places)),  # without a leading one zero
                up.eq(half & (sticky | significand[0])),
                saturates.eq(self.integer_saturated),
            ]
        return _Placed(kept=kept, field=field, up=up, saturates=saturates)

    def _round(self, m, results, placed, flags, passes):
        """Last cycle: the hidden bit, and a carry out of the fraction, count up the exponent."""
        rounded = Signal(_SIGNIFICAND + 1)
        m.d.comb += rounded.eq(placed.kept[:_SIGNIFICAND] + placed.up)
        special, negative = flags[:SPECIAL], flags[SPECIAL]
        nonfinite = special.any()
        code, beyond = Signal(FLOAT32.width), Signal()
        for fmt, is_one in results:
            with m.If(is_one):
                self._encode(m, fmt, rounded, placed.field, special, negative, code, beyond)
        result = Signal(64, reset_less=True)
        raw = Signal(64)
        m.d.comb += raw.eq(placed.kept.as_signed())
        with m.If(self.mode.number_format != 0):
            m.d.comb += raw[-SPECIAL:].eq(special)
        with m.If(self.en):
            m.d.sync += [
                result.eq(Mux(passes, raw, code)),
                self.saturated.eq(Mux(passes, placed.saturates, beyond & ~nonfinite)),
                self.nonfinite.eq(nonfinite & ~passes),
            ]
        m.d.comb += self.o.eq(result)

    def _move(self, m, value, step, moves):
        """Return the value moved up by `step` if its highest `step` bits are 0; note whether."""
        empty = Signal(name=f"empty{step}")
        moved = Signal(len(value), name=f"moved{step}")
        m.d.comb += [
            empty.eq(~value[-step:].any()),
            moved.eq(Mux(empty, value << step, value)),
        ]
        moves.append(empty)
        return moved

    def _encode(self, m, fmt, rounded, field, special, negative, code, beyond):
        """Put a code of the format together."""
        magnitude = Signal(len(field) + 1 + fmt.mantissa_width, name=f"magnitude_{fmt.name}")
        m.d.comb += [
            magnitude.eq(rounded + (field << fmt.mantissa_width)),
            beyond.eq(magnitude >= fmt.infinity),
            code.eq(Cat(magnitude[: fmt.width - 1], negative)),
        ]
        signed_infinity = fmt.infinity != fmt.nan
        with m.If(beyond):
            m.d.comb += code.eq(Cat(Const(fmt.infinity, fmt.width - 1), negative))
        with m.If(special == 0b01):
            m.d.comb += code.eq(fmt.infinity)
        with m.Elif(special == 0b10):
            m.d.comb += code.eq(fmt.infinity | signed_infinity << (fmt.width - 1))
        with m.Elif(special == 0b11):
            m.d.comb += code.eq(fmt.nan)


def _any(values):
    """Return the values ORed together."""
    total = values[0]
    for value in values[1:]:
        total |= value
    return total
