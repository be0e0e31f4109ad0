# amaranth: UnusedElaboratable=no
"""The broadcast: which PE gets which word, when a segment may start, why PEs wait."""

from __future__ import annotations

import dataclasses
import random

import pytest

from gscn.config import PRESETS
from gscn.hw.cluster.broadcast import Broadcaster, FeedState
from gscn.hw.layouts import WordKind
from tests import stream_items
from tests.hw.streams import collect, drive, in_runs, never, randomly, simulate, with_pauses

TINY = PRESETS["tiny"]
CONFIGS = {pes: dataclasses.replace(TINY, pes_per_cluster=pes, mem_width=512) for pes in (1, 2, 4)}

# (ADD, items), segments of each job
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
            "stream_count": count,
            "offset_bits": 16,
            "add": add,
            "bank": count % 2,
            "first": int(n == 0),
            "last": int(n == len(job) - 1),
        }
        for job in jobs
        for n, (add, count) in enumerate(job)
    ]


def streams(jobs, rng):
    """Return the chunks of each segment, and of each segment the chunks that PEs receive.

    A MAC stream holds words of key 0; some in every third place are rebases of two items to another
    first tap, of which the PEs see only the effect.
    """
    streamed, handed = [], []
    for context in contexts(jobs):
        if context["add"]:
            chunks = [rng.getrandbits(64) for _ in range(context["stream_count"])]
            streamed.append(chunks)
            handed.append(chunks)
            continue
        items, words, tap = [], [], 0
        while len(items) < context["stream_count"]:
            if len(items) + 3 <= context["stream_count"] and rng.random() < 0.3:
                tap = rng.randrange(256)
                items += [tap << 16, 0]
            value, offset = rng.randint(1, 0xFFFF), rng.getrandbits(16)
            items.append(value | offset << 16)
            words.append(value | offset << 16 | tap << 48)
        streamed.append(stream_items.chunks(items))
        handed.append(words)
    return streamed, handed


def expected(jobs, pes, handed):
    """Return what each PE receives, as (kind, chunk, or whether the job ends)."""
    received = [[] for _ in range(pes)]
    for context, chunks in zip(contexts(jobs), handed, strict=True):
        for number, chunk in enumerate(chunks):
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
    streamed, handed = streams(JOBS, rng)
    wanted = expected(JOBS, pes, handed)
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
        drive(dut.chunks, [chunk for chunks in streamed for chunk in chunks], source_pauses()),
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


def segment(items, *, first=1, last=1, add=0):
    return {
        "stream_count": items,
        "offset_bits": 0,
        "add": add,
        "bank": 0,
        "first": first,
        "last": last,
    }


def pair(low, high=0):
    """Return a chunk of two items."""
    return low | high << 32


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
        assert await cycle(chunk=pair(1, 2), ready=0b01) == (sibling, False, None, None)
        assert await cycle(chunk=pair(1, 2), ready=0b10) == (sibling, False, None, None)
        assert await cycle(chunk=pair(1, 2)) == (moving, False, mac, mac)
        assert await cycle(chunk=pair(1, 2)) == (moving, False, mac, mac)
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


def test_a_rebase_takes_two_cycles_and_needs_no_room():
    dut = Broadcaster(config=TINY)
    mac, end, moving = WordKind.MAC, WordKind.END, FeedState.MOVING

    async def testbench(ctx):
        cycle = Steps(ctx, dut).cycle
        await cycle(segment=segment(7), loaded=1, cleared=1)
        await cycle()
        assert await cycle(chunk=pair(1, 0x0005_0000)) == (moving, True, mac, mac)
        assert await cycle(chunk=pair(1, 0x0005_0000), ready=0) == (moving, True, None, None)
        assert await cycle(ready=0) == (FeedState.STREAM, True, None, None)
        # bases, of value 0 as well, and a word; then a rebase in one chunk and a word
        assert await cycle(chunk=pair(0, 2), ready=0) == (moving, True, None, None)
        assert await cycle(chunk=pair(0, 2)) == (moving, True, mac, mac)
        assert await cycle(chunk=pair(0, 7), ready=0b01) == (moving, True, None, None)
        assert await cycle(chunk=pair(0, 7), ready=0b10) == (moving, True, None, None)
        assert await cycle(chunk=pair(3)) == (moving, True, mac, mac)
        assert await cycle() == (moving, True, end, end)

    simulate(dut, testbench, cycles=40)


def test_two_cycles_between_the_words_of_two_segments():
    """The END word and a cycle of choice; within a segment one word per cycle."""
    dut = Broadcaster(config=TINY)
    kinds = []

    async def testbench(ctx):
        cycle = Steps(ctx, dut).cycle
        await cycle(segment=segment(3, last=0), loaded=1, cleared=1)
        await cycle(segment=segment(2, first=0), loaded=1, chunk=pair(1, 1))
        for _ in range(9):
            kinds.append((await cycle(chunk=pair(1, 1)))[2])

    simulate(dut, testbench, cycles=40)
    mac, end = WordKind.MAC, WordKind.END
    assert kinds == [mac, mac, mac, end, None, mac, mac, end, None]


def test_near_end_counts_the_items_left():
    config = dataclasses.replace(TINY, prefetch_words=2)
    dut = Broadcaster(config=config)
    seen = []

    async def testbench(ctx):
        cycle = Steps(ctx, dut).cycle
        await cycle(segment=segment(5), loaded=1, cleared=1)
        await cycle(chunk=pair(1, 1))
        for _ in range(5):
            seen.append((await cycle(chunk=pair(1, 1)))[1])

    simulate(dut, testbench, cycles=40)
    # items left: 5, 4, 3, 2, 1
    assert seen == [False, False, False, True, True]


def test_stalled_and_idle_pes_in_runs():
    """Long stalls of one PE hold the other back, and lose nothing."""
    config = CONFIGS[2]
    jobs = [[(0, 40)]]
    (chunks,), handed = streams(jobs, random.Random(5))
    wanted = expected(jobs, 2, handed)
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
        *(collect(dut.o[pe], received[pe], len(wanted[pe]), in_runs(pe)) for pe in range(2)),
        cycles=1000,
    )
    assert [meanings(words) for words in received] == wanted
