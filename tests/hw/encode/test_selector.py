# amaranth: UnusedElaboratable=no
"""Selections of both formats, pass by pass, and one that is given up."""

from __future__ import annotations

import random

from gscn.hw.encode.selector import Selector
from tests.hw.encode.selected import Bits, choice, histogram, magnitudes
from tests.hw.streams import plain, reused, simulate

LANES, COUNT = 2, 40


def test_the_choice_is_that_of_the_law_and_nothing_is_left_of_a_pass_that_is_given_up():
    source = random.Random(1)
    # Of each pass: its bits, the share of those counted that it is to find, whether it is given up.
    passes = [
        (Bits(shift=8, width=7, prefix=0, wide=False), 0.4, False),
        (Bits(shift=0, width=8, prefix=0x5A, wide=False), 0.7, True),
        (Bits(shift=15, width=8, prefix=0x5A, wide=True), 0.7, False),
        (Bits(shift=0, width=3, prefix=0xABC, wide=False), 0.0, False),
        (Bits(shift=0, width=3, prefix=0x1ABC, wide=False), 1.0, False),
        (Bits(shift=23, width=8, prefix=0, wide=True), 1.5, False),
        (Bits(shift=23, width=8, prefix=1, wide=True), 0.5, False),
    ]
    dut = reused(Selector, count=LANES, width=12)

    async def testbench(ctx):
        for bits, share, given_up in passes:
            vectors = magnitudes(source, bits, COUNT, LANES)
            counts = histogram(vectors, bits)
            rank = int(share * sum(counts))
            for name, value in (
                ("wide", bits.wide), ("bin_shift", bits.shift), ("bin_bits", bits.width),
                ("prefix", bits.prefix), ("rank", rank), ("start", 1),
            ):  # fmt: skip
                ctx.set(getattr(dut, name), value)
            await ctx.tick()
            ctx.set(dut.start, 0)
            for vector in vectors:
                while source.random() < 0.2:
                    await ctx.tick()
                ctx.set(dut.i.valid, 1)
                ctx.set(dut.i.p, vector)
                await ctx.tick().until(dut.i.ready)
                ctx.set(dut.i.valid, 0)
            if given_up:
                continue
            ctx.set(dut.through, 1)
            await ctx.tick().until(dut.chosen)
            ctx.set(dut.through, 0)
            assert plain(ctx.get(dut.choice)) == choice(counts, rank), bits
            assert ctx.get(dut.chosen)

    simulate(dut, testbench, cycles=10000)
