# amaranth: UnusedElaboratable=no
"""Rows of two segments: one is added to while the other one is read, against plain Python."""

from __future__ import annotations

import random

import pytest

from gscn.hw.encode.segment_rows import TOGETHER, SegmentRows
from tests.hw.streams import reused, simulate

WIDTH = 8
LANES = TOGETHER + 2


@pytest.mark.parametrize("vectors", [1, 2, 5, 16])
def test_a_segment_is_read_as_it_was_added_up(vectors):
    source = random.Random(vectors)
    dut = reused(SegmentRows, shape=WIDTH, count=LANES)
    read, wanted = [], []

    async def fill(ctx):
        # Positions of segments, with pauses; waits while its bank is full.
        for segment in range(12):
            bank = segment % 2
            while ctx.get(dut.full) >> bank & 1:
                await ctx.tick()
            rows = {}
            for position in range(source.randint(1, 3)):
                for vector in range(vectors):
                    while source.random() < 0.3:
                        ctx.set(dut.vector, source.randrange(16))
                        await ctx.tick()
                    ctx.set(dut.en, 1)
                    ctx.set(dut.bank, bank)
                    ctx.set(dut.vector, vector)
                    ctx.set(dut.begins, position == 0)
                    await ctx.tick()
                    ctx.set(dut.en, 0)
                    adding.append([source.getrandbits(WIDTH) for _ in range(LANES)])
                    before = rows.get(vector, [0] * LANES)
                    rows[vector] = [
                        (a + b) % (1 << WIDTH) for a, b in zip(before, adding[-1], strict=True)
                    ]
            wanted.extend(rows[vector] for vector in range(vectors))
            ctx.set(dut.full, ctx.get(dut.full) | 1 << bank)

    adding = []

    async def add(ctx):
        # In the cycle after a vector is taken: to what its row held.
        async for _, _, taken in ctx.tick().sample(dut.en):
            if taken:
                for lane in range(LANES):
                    total = ctx.get(dut.before[lane]) + adding[-1][lane]
                    ctx.set(dut.after[lane], total % (1 << WIDTH))

    async def drain(ctx):
        out = 0
        for _ in range(12):
            while not ctx.get(dut.full) >> out & 1:
                await ctx.tick()
            await ctx.tick()
            for vector in range(vectors):
                for _ in range(source.randint(0, 3)):
                    ctx.set(dut.drained, vector)
                    await ctx.tick()
                last = vector == vectors - 1
                ctx.set(dut.drained, 0 if last else vector + 1)
                read.append([ctx.get(dut.o[lane]) for lane in range(LANES)])
                await ctx.tick()
            ctx.set(dut.full, ctx.get(dut.full) & ~(1 << out))
            out = 1 - out
            ctx.set(dut.out, out)

    simulate(dut, fill, drain, cycles=4000, background=[add])
    assert read == wanted
    assert len(read) == 12 * vectors
