# amaranth: UnusedElaboratable=no
"""Counts of a lane, against plain Python."""

from __future__ import annotations

import random

from gscn.hw.encode.lane_counts import LaneCounts
from tests.hw.streams import plain, reused, simulate


def test_results_are_counted():
    source = random.Random(1)
    dut = reused(LaneCounts)
    found, wanted = [], []

    async def testbench(ctx):
        for number in range(400):
            nonzero, kept = source.getrandbits(1), source.getrandbits(1)
            exponent = source.choice((0, 1, 254, source.getrandbits(8)))
            ctx.set(dut.nonzero, nonzero)
            ctx.set(dut.kept, kept)
            ctx.set(dut.exponent, exponent)
            await ctx.tick()
            fresh = source.random() < 0.05 or number == 0
            before = (0, 0, 0) if fresh else wanted[-1]
            ctx.set(dut.before, dict(zip(("nonzeros", "kept", "largest"), before, strict=True)))
            found.append(tuple(plain(ctx.get(dut.after)).values()))
            wanted.append((before[0] + nonzero, before[1] + kept, max(before[2], exponent)))

    simulate(dut, testbench, cycles=1000)
    assert found == wanted
