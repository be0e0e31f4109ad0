"""Multiplier for integers and floating point: products as addends in a window."""

from __future__ import annotations

from dataclasses import dataclass

from amaranth.hdl import Cat, Module, Mux, Signal, Value, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from gscn import latencies
from gscn.array import ArrayConfig
from gscn.formats import NUMBER_FORMATS, FloatFormat
from gscn.hw.arguments import need_floats
from gscn.hw.layouts import NUMBER_MODE, SPECIAL


@dataclass(frozen=True, kw_only=True, slots=True)
class Decoded:
    """A floating-point operand taken apart; signals."""

    significand: Signal
    """Its highest bit is the hidden one, in every format."""
    exponent: Signal
    """The field, subnormals counted as 1."""
    negative: Signal
    infinite: Signal
    nan: Signal


def decode(
    m: Module, code: Value, number_format: Value, formats: tuple[FloatFormat, ...], name: str
) -> Decoded:
    """Take a code apart, combinationally.

    Parameters
    ----------
    m
        Module to which the logic is added.
    code
        At least as wide as the widest format.
    number_format
        Number of its format (`gscn.formats.NUMBER_FORMATS`).
    formats
        Those that it may have.
    name
        For the signals.
    """
    width = max(fmt.significand_width for fmt in formats)
    decoded = Decoded(
        significand=Signal(width, name=f"{name}_significand"),
        exponent=Signal(max(fmt.exponent_width for fmt in formats), name=f"{name}_exponent"),
        negative=Signal(name=f"{name}_negative"),
        infinite=Signal(name=f"{name}_infinite"),
        nan=Signal(name=f"{name}_nan"),
    )
    with m.Switch(number_format):
        for fmt in formats:
            fraction = code[: fmt.mantissa_width]
            field = code[fmt.mantissa_width : fmt.width - 1]
            subnormal = ~field.any()
            if fmt.has_infinity:
                special = field.all()
                infinite, nan = special & ~fraction.any(), special & fraction.any()
            else:
                infinite, nan = 0, code[: fmt.width - 1].all()
            with m.Case(NUMBER_FORMATS.index(fmt)):
                m.d.comb += [
                    decoded.significand.eq(
                        Cat(fraction, ~subnormal) << (width - fmt.significand_width)
                    ),
                    decoded.exponent.eq(Cat(field[0] | subnormal, field[1:])),
                    decoded.negative.eq(code[fmt.width - 1]),
                    decoded.infinite.eq(infinite),
                    decoded.nan.eq(nan),
                ]
    return decoded


class FloatProduct(wiring.Component):
    """Make an addend of two operands, or of a partial sum, in the number format of its job.

    All formats share one multiplier, which significands enter as numbers that are not negative. A
    floating-point product is shifted to its place in the window; what falls off below is cut off.
    Its addend is `value`, or `-value` if `negative`. Zeros, specials and what leaves the window
    make addends of 0.

    Implements: the products of `docs/contract/floating-point.md`.
    Golden: `emulator.arithmetic.pe_products`.

    Timing
    ------
    - Latency: `LATENCY` from `first` to `value`: taken apart, multiplied, shifted. No stage can be
      held.
    - Throughput: one addend per cycle.
    - Combinational: none.
    - Reset: none, the pipeline goes on; outputs `value`, `negative`, `special`, `overflow`
      undefined.

    Parameters
    ----------
    config
        Operand formats, at least one of floating point; width of the accumulators.

    Attributes
    ----------
    multiplies : In(1)
        The addend is a product of `first` and `second`, otherwise a partial sum.
    first, second : In(config.value_width)
        Operands as they are stored.
    partial : In(signed(config.acc_width))
        Partial sum.
    partial_special : In(SPECIAL)
        Its special bits, which count in floating point.
    mode : In(NUMBER_MODE)
        Number format and window.
    value : Out(signed(config.acc_width))
        Of the addend.
    negative : Out(1)
        `value` is to be subtracted.
    special : Out(SPECIAL)
        Special bits of the addend.
    overflow : Out(1)
        The product is finite, but beyond the window.
    """

    LATENCY = latencies.FLOAT_PRODUCT_LATENCY

    def __init__(self, *, config: ArrayConfig):
        need_floats(self, config)
        self.config = config
        super().__init__(
            {
                "multiplies": In(1),
                "first": In(config.value_width),
                "second": In(config.value_width),
                "partial": In(signed(config.acc_width)),
                "partial_special": In(SPECIAL),
                "mode": In(NUMBER_MODE),
                "value": Out(signed(config.acc_width)),
                "negative": Out(1),
                "special": Out(SPECIAL),
                "overflow": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        config, mode = self.config, self.mode
        significand_width = max(fmt.significand_width for fmt in config.floats)
        factor_shape = signed(max(config.format.width, significand_width + 1))
        operands = [
            decode(m, code, mode.number_format, config.floats, name)
            for code, name in ((self.first, "first"), (self.second, "second"))
        ]

        # -- take apart; what makes no addend of its own is multiplied by 0
        floating = mode.number_format != 0
        nonzero = operands[0].significand.any() & operands[1].significand.any()
        nan = operands[0].nan | operands[1].nan
        infinite = operands[0].infinite | operands[1].infinite
        negative = operands[0].negative ^ operands[1].negative
        distance = Signal(signed(len(mode.window) + 1))
        m.d.comb += distance.eq(mode.window - operands[0].exponent - operands[1].exponent)
        beyond = distance < 0
        shift = Signal(range(config.acc_width), reset_less=True)
        inside = ~distance[len(shift) :].any()  # not beyond, and not all bits cut off
        factors = [Signal(factor_shape, name=f"factor{n}", reset_less=True) for n in range(2)]
        partial = Signal.like(self.partial, reset_less=True)
        multiplies, aligns = Signal(reset_less=True), Signal(reset_less=True)
        held = [Signal(SPECIAL + 2, name=f"held{n}", reset_less=True) for n in range(2)]
        special = Mux(nan, (1 << SPECIAL) - 1, Mux(infinite, Cat(~negative, negative), 0))
        product_special = Mux(nonzero, special, 0)
        significand = Mux(inside & ~nan & ~infinite, operands[0].significand, 0)
        m.d.sync += [
            factors[0].eq(Mux(floating, significand, self._integer(self.first))),
            factors[1].eq(Mux(floating, operands[1].significand, self._integer(self.second))),
            partial.eq(self.partial),
            multiplies.eq(self.multiplies),
            aligns.eq(floating & self.multiplies),
            shift.eq(distance),
            held[0].eq(0),
        ]
        with m.If(floating):
            with m.If(self.multiplies):
                overflow = beyond & nonzero & ~nan & ~infinite
                m.d.sync += held[0].eq(Cat(product_special, negative, overflow))
            with m.Else():
                m.d.sync += held[0].eq(self.partial_special)

        # -- multiply
        multiplied = Signal.like(self.partial, reset_less=True)
        shift_held, aligns_held = Signal.like(shift), Signal(reset_less=True)
        m.d.sync += [
            multiplied.eq(Mux(multiplies, factors[0] * factors[1], partial)),
            shift_held.eq(shift),
            aligns_held.eq(aligns),
            held[1].eq(held[0]),
        ]

        # -- shift: the highest product of significands just fits below the sign
        top = config.acc_width - 1 - 2 * significand_width
        aligned = (multiplied[: 2 * significand_width] << top) >> shift_held
        value, rest = Signal.like(self.value, reset_less=True), Signal.like(held[1])
        m.d.sync += [value.eq(Mux(aligns_held, aligned, multiplied)), rest.eq(held[1])]
        m.d.comb += [
            self.value.eq(value),
            Cat(self.special, self.negative, self.overflow).eq(rest),
        ]
        return m

    def _integer(self, stored: Value) -> Value:
        """Return an operand in the core's integer format."""
        return stored[: self.config.format.width].as_signed()
