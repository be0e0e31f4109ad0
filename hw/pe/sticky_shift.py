"""Right shift that remembers whether anything was lost: the first half of a rounding."""

from __future__ import annotations

from amaranth.hdl import Module, Mux, Signal, Value


def shift_right(
    m: Module, value: Value, amount: Value, sticky: Value | int, *, first_bit: int = 0
) -> tuple[Value, Value | int]:
    """Return a value shifted right, and whether `sticky` or any bit that fell off was 1.

    The widest step comes first, so that what is left to a later cycle is the cheapest.

    Parameters
    ----------
    m
        Module to which the logic is added, combinationally.
    value
        Keeps its width, and its sign if it has one.
    amount
        Places to shift by, of which only the bits from `first_bit` on count.
    sticky
        Whether anything was lost before.
    first_bit
        Lowest bit of `amount` for which there is a step.
    """
    for bit in reversed(range(first_bit, len(amount))):
        stage = Signal(value.shape(), name=f"shifted{bit}")
        m.d.comb += stage.eq(Mux(amount[bit], value >> (1 << bit), value))
        sticky |= amount[bit] & value[: 1 << bit].any()
        value = stage
    return value, sticky
