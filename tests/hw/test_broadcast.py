# amaranth: UnusedElaboratable=no
"""The broadcast: which PE gets which word, when a segment may start, why PEs wait."""

from __future__ import annotations

import dataclasses
import random

import pytest

from gscn.config import PRESETS
from hw.broadcast import Broadcaster, FeedState
from hw.layouts import WordKind
from tests.hw.streams import collect, drive, in_runs, never, randomly, simulate, with_pauses

TINY = PRESETS["tiny"]
CONFIGS = {pes: dataclasses.replace(TINY, pes_per_cluster=pes, mem_width=512) for pes in (1, 2, 4)}

# (ADD, words), segments of each job
JOBS = [
    [(0, 5), (1, 11), (0, 0)],
    [(1, 0)],
    [(0, 1)],
    [(1, 3), (0, 17), (1, 8), (0, 2), (0, 3)],
    [(0, 0)],
    [(0, 9)],
]


def contexts(jobs):
    return [
        {
            "stream_count": words,
            "add": add,
            "bank": words % 2,
            "first": int(n == 0),
            "last": int(n == len(job) - 1),
        }
        for job in jobs
        for n, (add, words) in enumerate(job)
    ]


def expected(jobs, pes, chunks):
    """Return what each PE receives, as (kind, chunk, or whether the job ends)."""
    chunks = iter(chunks)
    received = [[] for _ in range(pes)]
    for context in contexts(jobs):
        for number in range(context["stream_count"]):
            chunk = next(chunks)
            for pe in range(pes):
                if not context["add"]:
                    received[pe].append((WordKind.MAC, chunk, context["bank"]))
                elif number % pes == pe:
                    received[pe].append((WordKind.ADD, chunk))
        for pe in range(pes):
            received[pe].append((WordKind.END, context["last"]))
    return received


def meanings(words):
    found = []
    for word in words:
        if word["kind"] == WordKind.END:
            found.append((word["kind"], word["job_end"]))
        elif word["kind"] == WordKind.ADD:
            found.append((word["kind"], word["chunk"]))
        else:
            found.append((word["kind"], word["chunk"], word["bank"]))
    return found


@pytest.mark.parametrize("pes", CONFIGS)
@with_pauses
def test_every_pe_gets_its_words(pes, source_pauses, sink_pauses):
    config = CONFIGS[pes]
    rng = random.Random(2)
    segments = contexts(JOBS)
    count = sum(segment["stream_count"] for segment in segments)
    chunks = [rng.getrandbits(64) for _ in range(count)]
    wanted = expected(JOBS, pes, chunks)
    dut = Broadcaster(config=config)
    received = [[] for _ in range(pes)]
    ends = [0, 0]  # segments and jobs that PE 0 has ended

    async def banks(ctx):
        """Report tiles and accumulators free, at most two ahead, some cycles late."""
        loaded = cleared = 0
        while True:
            seen = meanings(received[0])
            ends[0] = sum(meaning[0] == WordKind.END for meaning in seen)
            ends[1] = sum(meaning == (WordKind.END, 1) for meaning in seen)
            loads = loaded < len(segments) and loaded - ends[0] < 2 and rng.random() < 0.2
            clears = cleared - ends[1] < 2 and rng.random() < 0.1
            ctx.set(dut.loaded, loads)
            ctx.set(dut.bank_cleared, clears)
            await ctx.tick()
            loaded += loads
            cleared += clears
            assert ends[0] <= loaded
            assert ends[1] <= cleared

    pauses = [sink_pauses() if pe == 0 else randomly(pe, 0.2) for pe in range(pes)]
    if sink_pauses is never:
        pauses = [never() for _ in range(pes)]
    simulate(
        dut,
        drive(dut.segment, segments),
        drive(dut.chunks, chunks, source_pauses()),
        *(collect(dut.o[pe], received[pe], len(wanted[pe]), pauses[pe]) for pe in range(pes)),
        background=[banks],
        cycles=3000,
    )
    assert [meanings(words) for words in received] == wanted


class Steps:
    """Set inputs and require outputs, cycle by cycle."""

    def __init__(self, ctx, dut):
        self.ctx, self.dut = ctx, dut

    async def cycle(self, *, segment=None, chunk=None, loaded=0, cleared=0, ready=0b11):
        """Return (state, near_end, kind of PE 0's word, kind of PE 1's word) of one cycle."""
        ctx, dut = self.ctx, self.dut
        ctx.set(dut.segment.valid, segment is not None)
        if segment is not None:
            ctx.set(dut.segment.p, segment)
        ctx.set(dut.chunks.valid, chunk is not None)
        ctx.set(dut.chunks.p, chunk or 0)
        ctx.set(dut.loaded, loaded)
        ctx.set(dut.bank_cleared, cleared)
        for pe in range(2):
            ctx.set(dut.o[pe].ready, ready >> pe & 1)
        _, _, state, near_end, *words = await ctx.tick().sample(
            dut.state, dut.near_end, dut.o[0].valid, dut.o[0].p, dut.o[1].valid, dut.o[1].p
        )
        kinds = [words[n + 1].kind if words[n] else None for n in (0, 2)]
        return state, bool(near_end), *kinds


def segment(words, *, first=1, last=1, add=0):
    return {"stream_count": words, "add": add, "bank": 0, "first": first, "last": last}


def test_states_tell_why_pes_wait():
    dut = Broadcaster(config=TINY)
    mac, add, end = WordKind.MAC, WordKind.ADD, WordKind.END
    empty, load, drain = FeedState.EMPTY, FeedState.LOAD, FeedState.DRAIN
    moving, stream, sibling = FeedState.MOVING, FeedState.STREAM, FeedState.SIBLING

    async def testbench(ctx):
        cycle = Steps(ctx, dut).cycle
        assert await cycle() == (empty, True, None, None)
        assert await cycle(segment=segment(2, last=0)) == (empty, True, None, None)
        assert await cycle(segment=segment(1, first=0, add=1), loaded=1) == (
            load,
            False,
            None,
            None,
        )
        assert await cycle() == (drain, False, None, None)
        assert await cycle(cleared=1) == (drain, False, None, None)
        assert await cycle() == (moving, False, None, None)
        assert await cycle() == (stream, False, None, None)
        assert await cycle(chunk=1, ready=0b01) == (sibling, False, None, None)
        assert await cycle(chunk=1, ready=0b10) == (sibling, False, None, None)
        assert await cycle(chunk=1) == (moving, False, mac, mac)
        assert await cycle(chunk=2) == (moving, False, mac, mac)
        assert await cycle(chunk=3, ready=0b01) == (sibling, False, None, None)
        assert await cycle(chunk=3) == (moving, False, end, end)
        # the second segment of the job needs a tile, no accumulators
        assert await cycle(chunk=3, loaded=1) == (load, False, None, None)
        assert await cycle(chunk=3) == (moving, False, None, None)
        assert await cycle(chunk=3, ready=0b10) == (sibling, True, None, None)
        assert await cycle(chunk=3, ready=0b01) == (moving, True, add, None)
        assert await cycle(ready=0b01) == (sibling, True, None, None)
        assert await cycle() == (moving, True, end, end)
        assert await cycle() == (empty, True, None, None)

    simulate(dut, testbench, cycles=60)


def test_two_cycles_between_the_words_of_two_segments():
    """The END word and a cycle of choice; within a segment one word per cycle."""
    dut = Broadcaster(config=TINY)
    kinds = []

    async def testbench(ctx):
        cycle = Steps(ctx, dut).cycle
        await cycle(segment=segment(3, last=0), loaded=1, cleared=1)
        await cycle(segment=segment(2, first=0), loaded=1, chunk=0)
        for _ in range(9):
            kinds.append((await cycle(chunk=0))[2])

    simulate(dut, testbench, cycles=40)
    mac, end = WordKind.MAC, WordKind.END
    assert kinds == [mac, mac, mac, end, None, mac, mac, end, None]


def test_near_end_counts_the_words_left():
    config = dataclasses.replace(TINY, prefetch_words=2)
    dut = Broadcaster(config=config)
    seen = []

    async def testbench(ctx):
        cycle = Steps(ctx, dut).cycle
        await cycle(segment=segment(5), loaded=1, cleared=1)
        await cycle(chunk=0)
        for _ in range(5):
            seen.append((await cycle(chunk=0))[1])

    simulate(dut, testbench, cycles=40)
    # words left: 5, 4, 3, 2, 1
    assert seen == [False, False, False, True, True]


def test_stalled_and_idle_pes_in_runs():
    """Long stalls of one PE hold the other back, and lose nothing."""
    config = CONFIGS[2]
    jobs = [[(0, 40)]]
    chunks = list(range(40))
    wanted = expected(jobs, 2, chunks)
    dut, received = Broadcaster(config=config), [[], []]

    async def free(ctx):
        ctx.set(dut.loaded, 1)
        ctx.set(dut.bank_cleared, 1)
        await ctx.tick()
        ctx.set(dut.loaded, 0)
        ctx.set(dut.bank_cleared, 0)

    simulate(
        dut,
        free,
        drive(dut.segment, contexts(jobs)),
        drive(dut.chunks, chunks),
        *(collect(dut.o[pe], received[pe], 41, in_runs(pe)) for pe in range(2)),
        cycles=1000,
    )
    assert [meanings(words) for words in received] == wanted
