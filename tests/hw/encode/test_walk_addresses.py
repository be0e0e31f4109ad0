# amaranth: UnusedElaboratable=no
"""Loops and sums of their steps, against nested loops in plain Python."""

from __future__ import annotations

import itertools
import random

import pytest
from amaranth.hdl import Module
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import Out

from gscn.encode import LOOPS
from gscn.hw.encode.loop_walk import LEVELS, LoopWalk
from gscn.hw.encode.walk_addresses import WalkAddresses
from tests.hw.streams import collect, simulate, with_pauses

STREAMS, WIDTH = 3, 32


class Both(wiring.Component):
    """A walk, and its sums."""

    def __init__(self):
        self.walk, self.sums = LoopWalk(), WalkAddresses(count=STREAMS, width=WIDTH)
        super().__init__({"o": Out(stream.Signature(self.sums.o.p.shape()))})

    def elaborate(self, platform):
        m = Module()
        m.submodules.walk, m.submodules.sums = self.walk, self.sums
        wiring.connect(m, self.walk.o, self.sums.i)
        wiring.connect(m, self.sums.o, wiring.flipped(self.o))
        return m


def expected(counts, steps, starts):
    """Return the sums of all vectors, in order."""
    found = []
    for index in itertools.product(*(range(count) for count in reversed(counts))):
        at = list(reversed(index))
        found.append(
            [
                (start + sum(i * s for i, s in zip(at, step, strict=True))) % (1 << WIDTH)
                for step, start in zip(steps, starts, strict=True)
            ]
        )
    return found


def run(walks, sink_pauses):
    dut = Both()
    wanted = [one for walk in walks for one in expected(*walk)]
    received, lasts = [], []

    async def testbench(ctx):
        for counts, steps, starts in walks:
            for number, (step, start) in enumerate(zip(steps, starts, strict=True)):
                for row, value in enumerate((*step, start)):
                    value %= 1 << WIDTH
                    ctx.set(dut.sums.field, {"number": number, "row": row, "value": value})
                    ctx.set(dut.sums.field_en, 1)
                    await ctx.tick()
            ctx.set(dut.sums.field_en, 0)
            ctx.set(
                dut.walk.counts,
                {"vectors": counts[0] - 1, "loops": [count - 1 for count in counts[1:]]},
            )
            ctx.set(dut.walk.start, 1)
            await ctx.tick()
            ctx.set(dut.walk.start, 0)
            count, last = 0, False
            while not last:
                _, _, valid, ready, ends = await ctx.tick().sample(
                    dut.walk.o.valid, dut.walk.o.ready, dut.walk.o.p.last
                )
                assert valid
                count += ready
                last = ready and ends
            lasts.append(count)

    simulate(
        dut, testbench, collect(dut.o, received, len(wanted), sink_pauses()),
        cycles=1000 + 10 * len(wanted),
    )  # fmt: skip
    assert lasts == [len(expected(*walk)) for walk in walks]
    return received, wanted


def walk(source, most):
    counts = [1] * LEVELS
    for _ in range(4):
        counts[source.randrange(LEVELS)] = source.randint(1, most)
    steps = [[source.randint(-99, 99) for _ in range(LEVELS)] for _ in range(STREAMS)]
    return counts, steps, [source.getrandbits(WIDTH) for _ in range(STREAMS)]


@with_pauses
def test_sums_are_those_of_nested_loops(source_pauses, sink_pauses):
    source = random.Random(1)
    walks = [walk(source, 5) for _ in range(8)]
    walks.append(([2] * LEVELS, *walks[0][1:]))
    received, wanted = run(walks, sink_pauses)
    assert received == wanted


@pytest.mark.parametrize("level", range(LEVELS))
def test_each_level_counts_alone(level):
    counts = [1] * LEVELS
    counts[level] = 16
    steps = [[10**n % 977 for n in range(LEVELS)]] * STREAMS
    received, wanted = run([(counts, steps, [7, 8, 9])], lambda: itertools.repeat(False))
    assert received == wanted


def test_there_is_a_level_for_vectors_and_for_each_loop():
    assert LEVELS == LOOPS + 1
