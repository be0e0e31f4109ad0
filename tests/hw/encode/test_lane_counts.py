# amaranth: UnusedElaboratable=no
"""Counts of a lane in rows, against plain Python."""

from __future__ import annotations

import random

from gscn.hw.encode.lane_counts import LaneCounts
from tests.hw.streams import plain, simulate

DEPTH = 4


def test_rows_count_since_they_began():
    source = random.Random(1)
    dut = LaneCounts(depth=DEPTH)
    rows = [None] * DEPTH

    async def testbench(ctx):
        for _ in range(400):
            row = source.randrange(DEPTH)
            begins = rows[row] is None or source.random() < 0.05
            en = source.random() < 0.8
            nonzero, kept = source.getrandbits(1), source.getrandbits(1)
            exponent = source.choice((0, 1, 254, source.getrandbits(8)))
            ctx.set(dut.en, en)
            ctx.set(dut.row, row)
            ctx.set(dut.begins, begins)
            ctx.set(dut.nonzero, nonzero)
            ctx.set(dut.kept, kept)
            ctx.set(dut.exponent, exponent)
            await ctx.tick()
            if en:
                before = (0, 0, 0) if begins else rows[row]
                rows[row] = (before[0] + nonzero, before[1] + kept, max(before[2], exponent))
            ctx.set(dut.drained, row)
            if rows[row] is not None:
                assert tuple(plain(ctx.get(dut.o)).values()) == rows[row]

    simulate(dut, testbench, cycles=1000)
