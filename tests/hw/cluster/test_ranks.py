# amaranth: UnusedElaboratable=no
"""Which bits come first, second and so on, and their numbers."""

from __future__ import annotations

import random

import pytest
from amaranth.hdl import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from gscn.hw.cluster.ranks import NIBBLE, Ranks, count_up_to, first_numbers
from tests.hw.streams import simulate


class Ranked(wiring.Component):
    """Shows all that `Ranks` says."""

    def __init__(self, width, most):
        self._most = most
        super().__init__(
            {
                "bits": In(width),
                "left": Out(width).array(most + 1),
                "there": Out(1).array(min(width, most)),
                "numbers": Out(range(width)).array(most),
                "count": Out(range(most + 1)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        m.d.sync += Signal().eq(0)
        ranks = Ranks(self.bits, self._most)
        assert len(ranks.there) == len(self.there)
        for number, left in enumerate(ranks.left):
            m.d.comb += self.left[number].eq(left)
        for number, there in enumerate(ranks.there):
            m.d.comb += self.there[number].eq(there)
        if len(self.bits) >= NIBBLE:
            m.d.comb += self.count.eq(count_up_to(self.bits, self._most))
            for number, one in enumerate(first_numbers(m, self.bits, self._most)):
                m.d.comb += self.numbers[number].eq(one)
        return m


@pytest.mark.parametrize(("width", "most"), [(1, 2), (4, 5), (8, 1), (8, 3), (16, 4), (16, 7)])
def test_bits_that_have_so_many_below_them(width, most):
    dut = Ranked(width, most)
    rng = random.Random(1)
    words = range(1 << width) if width <= 8 else [rng.getrandbits(width) for _ in range(400)]

    async def testbench(ctx):
        for bits in words:
            ctx.set(dut.bits, bits)
            places = [place for place in range(width) if bits >> place & 1]
            for number in range(most + 1):
                assert ctx.get(dut.left[number]) == sum(1 << place for place in places[number:])
            if width >= NIBBLE:
                assert ctx.get(dut.count) == min(len(places), most)
                for number, place in enumerate(places[:most]):
                    assert ctx.get(dut.numbers[number]) == place
            for number in range(min(width, most)):
                assert ctx.get(dut.there[number]) == (len(places) > number)
        await ctx.tick()

    simulate(dut, testbench, cycles=10)
