# amaranth: UnusedElaboratable=no
"""A memory that is read a cycle ahead, against a list."""

from __future__ import annotations

import random

import pytest

from gscn.hw.forwarding_memory import PIECE, ForwardingMemory
from tests.hw.streams import reused, simulate


@pytest.mark.parametrize("width", [5, PIECE + 3])
@pytest.mark.parametrize("depth", [2, 3, 8])
def test_a_row_is_what_was_written_last_even_in_the_cycle_of_its_read(width, depth):
    source = random.Random(width * depth)
    dut = reused(ForwardingMemory, width=width, depth=depth)
    rows = [0] * depth
    together = 0

    async def testbench(ctx):
        nonlocal together
        for _ in range(300):
            addr, place = source.randrange(depth), source.randrange(depth)
            en, word = source.random() < 0.6, source.getrandbits(width)
            ctx.set(dut.addr, addr)
            ctx.set(dut.en, en)
            ctx.set(dut.write_addr, place)
            ctx.set(dut.write_data, word)
            await ctx.tick()
            if en:
                rows[place] = word
            together += en and addr == place
            # what is written now is not seen before the next cycle
            ctx.set(dut.write_data, source.getrandbits(width))
            assert ctx.get(dut.data) == rows[addr]

    simulate(dut, testbench, cycles=400)
    assert together
