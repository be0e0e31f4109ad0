# amaranth: UnusedElaboratable=no
"""Selections on the chip find the threshold of torch, bits at a time, ties and zeros counted."""

from __future__ import annotations

import random

import pytest
import torch

from gscn.hw.encode.selection import BINS, MAGNITUDE, Selection
from tests.hw.encode import values
from tests.hw.streams import reused, simulate

LANES = 4
PASSES = {
    # Of bits from the highest: those that each pass finds. bf16 has 16 zeros below its 15.
    "bf16": (8, 7),
    "float32": (8, 8, 8, 7),
    "few bits": (3, 1, 8, 8, 8, 3),
}


def select(magnitudes, keep, widths):
    """Return the keep-th largest of 31 bits, as far as passes of such widths find it."""
    dut = reused(Selection, count=LANES, width=12)
    found = []

    async def testbench(ctx):
        prefix, rank, shift = 0, keep, MAGNITUDE
        for width in widths:
            while not ctx.get(dut.ready):
                await ctx.tick()
            ctx.set(dut.mask, ~((1 << shift) - 1) & ((1 << MAGNITUDE) - 1))
            shift -= width
            ctx.set(dut.prefix, prefix)
            ctx.set(dut.shift, shift)
            ctx.set(dut.bin_mask, (1 << width) - 1)
            ctx.set(dut.rank, rank)
            for start in range(0, len(magnitudes), LANES):
                part = magnitudes[start : start + LANES]
                there = (1 << len(part)) - 1
                part = [*part, *[0] * (LANES - len(part))]
                ctx.set(dut.i, {"magnitudes": part, "there": there})
                ctx.set(dut.en, 1)
                await ctx.tick()
            ctx.set(dut.en, 0)
            # What is shown without a vector does not count.
            ctx.set(dut.i, {"magnitudes": [prefix] * LANES, "there": (1 << LANES) - 1})
            ctx.set(dut.choose, 1)
            await ctx.tick()
            ctx.set(dut.choose, 0)
            for _ in range(BINS * LANES):
                if ctx.get(dut.o.valid):
                    choice = ctx.get(dut.o.p)
                    prefix |= choice.bin << shift
                    rank = choice.rank
                    break
                await ctx.tick()
            else:
                pytest.fail("no choice")
            await ctx.tick()
        found.append((prefix, rank))

    simulate(dut, testbench, cycles=len(widths) * (3 * BINS * LANES + len(magnitudes)))
    return found[0]


@pytest.mark.parametrize("name", PASSES)
@pytest.mark.parametrize("keep", [1, 37, 150, 300])
def test_the_threshold_is_that_of_torch(name, keep):
    source = random.Random(keep)
    some = [values.code(source, bf16=name == "bf16") & 0x7FFFFFFF for _ in range(90)]
    magnitudes = [source.choice((*some, 0)) for _ in range(300)]
    numbers = torch.tensor(magnitudes, dtype=torch.int64)
    wanted = int(torch.kthvalue(numbers, len(magnitudes) - keep + 1).values)
    found, rank = select(magnitudes, keep, PASSES[name])
    assert found == wanted
    assert rank == keep - int((numbers > wanted).sum())


def test_a_rank_that_nothing_reaches_is_in_bin_0():
    assert select([5, 9], 3, (8, 8, 8, 7)) == (0, 3 - 2)
