"""A lane of combinations of integers: products in turns, one sum, one rounding."""

from __future__ import annotations

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from gscn.encode import COEFFICIENT_BITS, TENSORS
from gscn.hw.encode.layouts import CODE
from gscn.records import MOST_SHIFT

NUMBER = CODE + 1
"""Bits of a value with its sign: the magnitude of a number of 32 bits has as many as it."""
FACTOR = COEFFICIENT_BITS + 1
"""Bits of what is multiplied with it in a turn: a coefficient, or a digit without a sign."""
PRODUCT = NUMBER + FACTOR
SUM = NUMBER + COEFFICIENT_BITS + (TENSORS - 1).bit_length()
"""Bits of a bias and products, one for each tensor."""
SIZE_BITS = 2
"""log2 of the bytes of a value: 0 to 2."""


def number_of(code: Value, unsigned: Value) -> Value:
    """Return an integer of 32 bits, or a magnitude of as many, as a signed number."""
    return Cat(code, code[-1] & ~unsigned).as_signed()


def saturated_to(m: Module, name: str, value: Value, size: Value) -> tuple[Signal, Signal]:
    """Return the nearest number of 8, 16 or 32 bits, in 32, and whether it is another one."""
    found, beyond = Signal(CODE, name=f"{name}_code"), Signal(name=f"{name}_beyond")
    sign = value[-1]
    with m.Switch(size):
        for number in range(3):
            width = 8 << number
            with m.Case(number) if number < 2 else m.Default():
                other = value[width - 1 : -1] ^ sign.replicate(len(value) - width)
                edge = Cat((~sign).replicate(width - 1), sign.replicate(CODE - width + 1))
                m.d.comb += [
                    beyond.eq(other.any()),
                    found.eq(Mux(beyond, edge, value[:CODE])),
                ]
    return found, beyond


class IntegerLane(wiring.Component):
    """Multiply in a turn, add what turns have made, and round a sum.

    Implements: "Numbers", integers, ReLU and mask of `docs/contract/encode.md`.
    Golden: `emulator.encode_arithmetic.combine`.

    Timing
    ------
    - Latency: `LATENCY` from `code`, `factor`, `starts`, `bias` to `o`; `LAST_LATENCY` from
      `there`, `kept`, `relu` to `o`; `PRODUCT_LATENCY` from `code`, `factor` to `product`. No stage
      can be held.
    - Throughput: one product per cycle.
    - Combinational: none.
    - Reset: none, the pipeline goes on; outputs `o`, `product`, `saturated` undefined.

    Attributes
    ----------
    code : In(signed(NUMBER))
        A value.
    factor : In(signed(FACTOR))
        Its coefficient.
    adds : In(1)
        The product counts.
    starts : In(1)
        It is the first one, and the bias is added.
    bias : In(signed(CODE))
        It.
    shift : In(6)
        Bits that the sum is divided by. Held while there are sums.
    size : In(SIZE_BITS)
        log2 of the bytes of a result. Held likewise.
    there : In(1)
        There is a value: otherwise the result is 0, and nothing is reported.
    kept : In(1)
        The mask keeps it: otherwise the result is 0.
    relu : In(1)
        ReLU.
    product : Out(signed(PRODUCT))
        The last product.
    o : Out(CODE)
        The result, in two's complement.
    saturated : Out(1)
        It was beyond the numbers of its format.
    """

    PRODUCT_LATENCY = 1
    LATENCY = 4
    LAST_LATENCY = 1

    def __init__(self):
        super().__init__(
            {
                "code": In(signed(NUMBER)),
                "factor": In(signed(FACTOR)),
                "adds": In(1),
                "starts": In(1),
                "bias": In(signed(CODE)),
                "shift": In(MOST_SHIFT.bit_length()),
                "size": In(SIZE_BITS),
                "there": In(1),
                "kept": In(1),
                "relu": In(1),
                "product": Out(signed(PRODUCT)),
                "o": Out(CODE),
                "saturated": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        product = Signal(signed(PRODUCT), reset_less=True)
        adds, starts = Signal(), Signal()
        bias = Signal(signed(CODE), reset_less=True)
        total = Signal(signed(SUM), reset_less=True)
        m.d.sync += [
            product.eq(self.code * self.factor),
            adds.eq(self.adds),
            starts.eq(self.starts),
        ]
        with m.If(self.starts):
            m.d.sync += bias.eq(self.bias)
        with m.If(adds):
            m.d.sync += total.eq(Mux(starts, bias, total) + product)

        # -- divide: the bit below the quotient, and whether any is below that
        doubled = Cat(Const(0, 1), total).as_signed()
        moved = Signal(signed(SUM + 1))
        below = Signal(MOST_SHIFT + 1)
        rounded = Signal(signed(SUM + 1), reset_less=True)
        m.d.comb += [
            moved.eq(doubled >> self.shift),
            below.eq(doubled & ~(Const(-1, signed(MOST_SHIFT + 1)) << self.shift)),
        ]
        m.d.sync += rounded.eq((moved >> 1) + (moved[0] & (below.any() | moved[1])))

        code, beyond = saturated_to(m, "result", rounded, self.size)
        zero = ~self.there | ~self.kept | (self.relu & rounded[-1])
        o, saturated = Signal(CODE, reset_less=True), Signal(reset_less=True)
        m.d.sync += [o.eq(Mux(zero, 0, code)), saturated.eq(beyond & self.there)]
        m.d.comb += [self.product.eq(product), self.o.eq(o), self.saturated.eq(saturated)]
        return m
