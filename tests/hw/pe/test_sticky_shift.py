"""The shift of both rounders: what is left, and whether anything fell off."""

from __future__ import annotations

import pytest
from amaranth.hdl import Module, Signal, signed, unsigned
from amaranth.sim import Simulator

from gscn.hw.pe.sticky_shift import shift_right


@pytest.mark.parametrize("first_bit", [0, 1])
@pytest.mark.parametrize("shape", [signed(6), unsigned(6)], ids=["signed", "unsigned"])
def test_every_value_and_amount(shape, first_bit):
    m = Module()
    value, amount, before = Signal(shape), Signal(3), Signal()
    shifted, sticky = shift_right(m, value, amount, before, first_bit=first_bit)
    assert shifted.shape() == shape

    async def testbench(ctx):
        for number in range(64):
            number -= 64 * (shape.signed and number >= 32)
            for places in range(8):
                for lost in (0, 1):
                    ctx.set(value, number)
                    ctx.set(amount, places)
                    ctx.set(before, lost)
                    counted = places >> first_bit << first_bit
                    assert ctx.get(shifted) == number >> counted
                    assert ctx.get(sticky) == (lost or number % (1 << counted) != 0)

    simulator = Simulator(m)
    simulator.add_testbench(testbench)
    simulator.run()


def test_without_a_step_nothing_is_shifted():
    m, value, amount = Module(), Signal(4), Signal(2)
    assert shift_right(m, value, amount, 0, first_bit=2) == (value, 0)
