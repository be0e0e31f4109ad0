# amaranth: UnusedElaboratable=no
"""Contexts pass in order, and are loaded when their chunks are."""

from __future__ import annotations

import itertools
import random

from gscn.array import ARRAYS
from gscn.hw.cluster.contexts import ContextQueue
from tests.hw.streams import collect, drive, plain, reused, simulate, with_pauses

CONFIG = ARRAYS["tiny"]
AROUND = 1 << 16


def contexts(rng, count, first):
    """Return contexts of strips that need ever more chunks, some of them without a strip."""
    need, made = first, []
    for number in range(count):
        need += rng.randrange(3)
        made.append({"need": need % AROUND, "base": number, "empty": rng.randrange(4) == 0})
    return made


@with_pauses
def test_contexts_pass_in_order(source_pauses, sink_pauses):
    rng, got = random.Random(1), []
    words = contexts(rng, 40, 5)
    dut = reused(ContextQueue, config=CONFIG)
    simulate(
        dut,
        drive(dut.i, words, source_pauses()),
        collect(dut.o, got, len(words), sink_pauses()),
        cycles=400,
    )
    assert [{name: one[name] for name in words[0]} for one in got] == words


def ready(context, chunks):
    return not context["empty"] and (chunks - context["need"]) % AROUND < AROUND // 2


def test_the_oldest_is_loaded_a_cycle_after_its_chunks():
    """Around the end of the numbers of chunks; contexts are taken some time after that is said."""
    rng = random.Random(2)
    words, cycles = contexts(rng, 60, AROUND - 30), []
    dut = reused(ContextQueue, config=CONFIG)

    async def bench(ctx):
        chunks = AROUND - 32
        for _ in range(600):
            chunks += rng.randrange(5) == 0
            ctx.set(dut.chunks, chunks % AROUND)
            valid, said = ctx.get(dut.o.valid), ctx.get(dut.loaded)
            context = plain(ctx.get(dut.o.p)) if valid else None
            takes = valid and (said or context["empty"]) and rng.randrange(2)
            ctx.set(dut.o.ready, takes)
            cycles.append((context, chunks, said, takes))
            await ctx.tick()

    simulate(dut, bench, drive(dut.i, words), cycles=700)
    assert sum(takes for *_, takes in cycles) == len(words)
    for (before, chunks, *_), (context, _, said, _) in itertools.pairwise(cycles):
        assert not said or ready(context, chunks)
        if context is not None and context == before:
            assert said == ready(context, chunks)


def test_that_the_second_is_loaded_is_known_when_the_first_leaves():
    words = [{"need": need, "empty": 0} for need in (3, 4, 5)]
    dut, said = reused(ContextQueue, config=CONFIG), []

    async def bench(ctx):
        ctx.set(dut.chunks, 4)
        await ctx.tick().repeat(5)
        ctx.set(dut.o.ready, 1)
        for _ in range(3):
            said.append((ctx.get(dut.loaded), ctx.get(dut.o.p.need)))
            await ctx.tick()

    simulate(dut, bench, drive(dut.i, words), cycles=20)
    assert said[:2] == [(1, 3), (1, 4)]
    assert said[2] == (0, 5)
