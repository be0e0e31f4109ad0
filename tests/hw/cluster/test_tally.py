# amaranth: UnusedElaboratable=no
"""Counters that share a memory against sums in plain Python."""

from __future__ import annotations

import random

import pytest
from amaranth.hdl import ResetInserter, Signal

from gscn.hw.cluster.tally import Tally
from tests.hw.streams import reused, simulate

SIZES = {"two": (2, 1, 8), "cluster of 2": (9, 2, 48), "narrow": (5, 8, 8), "four": (4, 3, 12)}
"""Counters, largest increment, bits."""


def counted(dut, count, increments, selects):
    """Return (value, sum of all increments before the cycle of its `select`) of each cycle."""
    pairs = []

    async def testbench(ctx):
        sums, expected = [0] * count, None
        for step, select in zip(increments, selects, strict=True):
            for port, increment in zip(dut.increments, step, strict=True):
                ctx.set(port, increment)
            ctx.set(dut.select, select)
            if expected is not None:
                pairs.append((ctx.get(dut.value), expected))
            expected = sums[select]
            sums = [total + increment for total, increment in zip(sums, step, strict=True)]
            await ctx.tick()
        for port in dut.increments:
            ctx.set(port, 0)
        for select in range(count):
            ctx.set(dut.select, select)
            for _ in range(Tally.LATENCY):
                await ctx.tick()
            pairs.append((ctx.get(dut.value), sums[select]))

    simulate(dut, testbench, cycles=len(increments) + 4 * count + 10)
    return pairs


@pytest.mark.parametrize("size", SIZES.values(), ids=SIZES)
@pytest.mark.parametrize("kind", ["random", "most", "one at a time"])
def test_values_are_sums_in_every_cycle(size, kind):
    count, most, width = size
    rng = random.Random(1)
    cycles = 600
    steps = {
        "random": [[rng.randint(0, most) for _ in range(count)] for _ in range(cycles)],
        "most": [[most] * count for _ in range(cycles)],
        "one at a time": [
            [most * (n == cycle // 50 % count) for n in range(count)] for cycle in range(cycles)
        ],
    }[kind]
    selects = [rng.randrange(count) for _ in range(cycles)]
    dut = reused(Tally, count=count, most=most, width=width)
    pairs = counted(dut, count, steps, selects)
    assert len(pairs) == cycles - 1 + count
    assert [value for value, _ in pairs] == [total % (1 << width) for _, total in pairs]
    # long enough for carries into the memory
    assert max(total for _, total in pairs) >= 1 << (count * most).bit_length()


def test_reset_makes_all_counters_zero_whatever_the_memory_holds():
    dut, reset = Tally(count=5, most=2, width=16), Signal()
    values = []

    async def testbench(ctx):
        for port in dut.increments:
            ctx.set(port, 2)
        await ctx.tick().repeat(300)
        ctx.set(reset, 1)
        await ctx.tick()
        ctx.set(reset, 0)
        for cycle in range(60):
            ctx.set(dut.select, cycle % 5)
            _, _, value = await ctx.tick().sample(dut.value)
            values.append(value)

    simulate(ResetInserter(reset)(dut), testbench, cycles=400)
    # a value is that of the cycle before; the one shown first was selected before the reset
    assert values[2:] == [2 * cycle for cycle in range(1, 59)]
