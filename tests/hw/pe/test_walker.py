# amaranth: UnusedElaboratable=no
"""The walker: one product per entry and cycle, in order, from the right bank."""

from __future__ import annotations

import dataclasses
import random

import pytest

from gscn.config import PRESETS
from gscn.hw.layouts import WordKind
from gscn.hw.pe.walker import Walker
from tests.hw.loading import BankedLoad, load
from tests.hw.segments import Segment, Tile, random_partials, random_segment
from tests.hw.streams import plain, randomly, simulate

CONFIG = PRESETS["tiny"]
PES = CONFIG.pes_per_cluster


def fiber(kind, *, start=0, length=0, operand=0, offset=0, job_end=0, bank=0):
    return {
        "kind": kind, "job_end": job_end, "bank": bank, "start": start, "length": length,
        "operand": operand, "offset": offset,
    }  # fmt: skip


def fibers_of(segment, *, job_end, bank=0):
    if segment.partials is None:
        found = [
            fiber(WordKind.MAC, start=s, length=n, operand=v, offset=o, bank=bank)
            for s, n, v, o in segment.fibers(0)
        ]
    else:
        found = [
            fiber(WordKind.ADD, operand=partial, offset=index)
            for index, partial in segment.addends(0, PES)
        ]
    return [*found, fiber(WordKind.END, job_end=int(job_end))]


class Watch:
    """Record every addend, and check `issues`, `adds` and `active` against the addends."""

    def __init__(self, dut):
        self.dut = dut
        self.addends = []
        self.ends = 0
        self.issued = {"issues": [], "adds": []}
        self.cycles = []

    async def testbench(self, ctx):
        dut = self.dut
        cycle = 0
        while True:
            _, _, valid, addend, issues, adds, active = await ctx.tick().sample(
                dut.o_valid, dut.o, dut.issues, dut.adds, dut.active
            )
            if valid:
                assert active
                addend = plain(addend)
                self.ends += addend["end"]
                if addend["end"]:
                    self.addends.append(("end", addend["job_end"]))
                else:
                    self.addends.append((addend["index"], addend["value"]))
                self.cycles.append(cycle)
            if issues:
                self.issued["issues"].append(cycle)
            if adds:
                self.issued["adds"].append(cycle)
            cycle += 1


def walk(segments, pauses, config=CONFIG):
    dut = Walker(config=config)
    watch = Watch(dut)
    loader = BankedLoad(dut, segments, lambda: watch.ends)
    last = len(segments) - 1
    fibers = [
        fibers_of(segment, job_end=n == last, bank=n % 2) for n, segment in enumerate(segments)
    ]

    async def settle(ctx):
        while watch.ends < len(segments):
            await ctx.tick()
        await ctx.tick().repeat(8)
        assert not ctx.get(dut.active)

    simulate(
        dut,
        loader.testbench,
        loader.feed(dut.i, fibers, pauses),
        settle,
        background=[watch.testbench],
        cycles=3000 * len(segments),
    )
    expected = []
    for number, segment in enumerate(segments):
        expected += [*segment.addends(0, PES), ("end", int(number == last))]
    assert watch.addends == expected
    macs = [segment for segment in segments if segment.partials is None]
    adds = [segment for segment in segments if segment.partials is not None]
    assert len(watch.issued["issues"]) == sum(len(list(s.addends(0, PES))) for s in macs)
    assert len(watch.issued["adds"]) == sum(len(list(s.addends(0, PES))) for s in adds)


@pytest.mark.parametrize("share", [0.0, 0.5], ids=["no pause", "idle source"])
def test_random_segments_in_both_banks(share):
    rng = random.Random(5)
    segments = [
        random_segment(rng, CONFIG),
        random_segment(rng, CONFIG, words=0),
        random_partials(rng, CONFIG, 12),
        random_segment(rng, CONFIG, words=30, longest=9),
        random_segment(rng, CONFIG),
    ]
    walk(segments, randomly(6, share))


def segment_of(entries, fibers, value=3, offset=0):
    """Return a segment whose words meet exactly these fibers, one each."""
    return Segment(
        taps=[(0, 0, 1)],
        tiles=[Tile(directory=fibers, entries=entries)] * PES,
        words=[(value, offset, key, 0) for key in range(len(fibers))],
    )


def test_fibers_start_and_end_in_either_lane():
    entries = [(10 + n, n) for n in range(CONFIG.a_depth)]
    fibers = [(start, length) for start in (0, 1, 60, 61) for length in (1, 2, 3)]
    walk([segment_of(entries, fibers)], randomly(6, 0))


def test_a_fiber_may_fill_the_memory():
    entries = [(n - 32, n) for n in range(CONFIG.a_depth)]
    walk([segment_of(entries, [(0, CONFIG.a_depth)]), segment_of(entries, [(0, 64)])], randomly(6))


@pytest.mark.parametrize("low", [True, False])
@pytest.mark.parametrize("operand_format", ["int8", "int16"])
def test_products_of_extremes_are_exact(operand_format, low):
    config = dataclasses.replace(CONFIG, operand_format=operand_format)
    extremes = (config.format.minimum, config.format.maximum)
    entries = [(value, 0) for value in extremes]
    walk([segment_of(entries, [(0, 2)], value=extremes[low])], randomly(6), config)


@pytest.mark.parametrize("extreme", [-(1 << 15), (1 << 15) - 1])
def test_indices_are_summed_without_overflow(extreme):
    segment = segment_of([(2, extreme)], [(0, 1)], offset=extreme)
    segment.taps[0] = (0, extreme, 1)
    assert list(segment.addends(0, PES)) == [(3 * extreme, 6)]
    walk([segment], randomly(6))


def test_latency_and_one_product_per_cycle_across_fibers():
    dut = Walker(config=CONFIG)
    watch = Watch(dut)
    segment = segment_of([(1, 0)] * 8, [(0, 3), (3, 1), (1, 4), (2, 1)])

    async def testbench(ctx):
        await load(ctx, dut, segment, 0, 0)
        for word in fibers_of(segment, job_end=True):
            ctx.set(dut.i.p, word)
            ctx.set(dut.i.valid, 1)
            taken = False
            while not taken:
                _, _, taken = await ctx.tick().sample(dut.i.ready)
        ctx.set(dut.i.valid, 0)
        await ctx.tick().repeat(6)

    simulate(dut, testbench, background=[watch.testbench], cycles=100)
    first = watch.issued["issues"][0]
    assert watch.issued["issues"] == list(range(first, first + 9))
    assert watch.cycles == [cycle + Walker.LATENCY for cycle in range(first, first + 10)]
