# amaranth: UnusedElaboratable=no
"""The loader of the window against a stream that looks at what is there when it needs it."""

from __future__ import annotations

import dataclasses
import itertools
import random

import pytest

from gscn.array import ARRAYS
from gscn.hw.cluster.window import WindowLoader
from gscn.passes import VECTOR, Mode
from tests.hw.passes import show_pass
from tests.hw.streams import drive, never, plain, reused, simulate

CONFIG = dataclasses.replace(
    ARRAYS["tiny"], directory_depth=64, stationary_depth=64, chunks_depth=8
)


class Operand:
    """A stationary operand: the fibers of its chunks, of each tile and sample."""

    def __init__(self, rng, mode, *, chunks, outer, mid, inner, fill, chained=None, unit=0):
        # Wide: what varies from test to test, by name
        self.mode, self.chunks = mode, chunks
        self.chained = mode == Mode.CORRELATE if chained is None else chained
        self.samples = 1 if mode == Mode.KERNEL else 4
        last = rng.randint(1, outer)
        self.fields = {
            "mode": mode, "s_chunks": chunks, "s_outer": outer, "s_outer_last": last, "s_mid": mid,
            "s_inner": inner, "s_keys": outer * mid * inner, "s_offset_mid": rng.randrange(500),
            "s_offset_inner": rng.randrange(500), "chained": self.chained,
            "t_strips": chunks, "unit_strips": unit, "behind": bool(unit), "ahead": bool(unit),
        }  # fmt: skip
        self.fibers = {}
        for tile in range(3):
            for sample in range(self.samples):
                for chunk in range(chunks):
                    size = (last if chunk == chunks - 1 else outer) * mid * inner
                    self.fibers[tile, sample, chunk] = [
                        [
                            (rng.randint(-99, 99), channel)
                            for channel in sorted(rng.sample(range(32), rng.randint(0, fill)))
                        ]
                        for _ in range(size)
                    ]

    def numbers(self, job):
        """Return the chunks of a job in order."""
        samples = [0]
        if self.mode == Mode.CORRELATE:
            samples = range(job["first_sample"], job["first_sample"] + job["samples"])
        if self.fields["unit_strips"]:
            # a chunk before those of its own strips, and one behind them
            end = min(self.chunks, job["strip"] + self.fields["unit_strips"] + 1)
            some = range(max(0, job["strip"] - 1), end)
            return [(job["s_tile"], job["first_sample"], chunk) for chunk in some]
        return [(job["s_tile"], n, chunk) for n in samples for chunk in range(self.chunks)]

    def items(self, number):
        """Return a chunk's items: positions of two vectors, up to two values of one each."""
        fibers, inner = self.fibers[number], self.fields["s_inner"]
        found = []
        for place, fiber in enumerate(fibers):
            own = []
            for vector in range(2):
                values = [entry for entry in fiber if entry[1] // VECTOR == vector]
                for first in range(0, len(values), 2):
                    pair = values[first : first + 2]
                    own.append(
                        {
                            "count": len(pair), "vector": vector,
                            "lanes": [c % VECTOR for _, c in pair] + [0] * (2 - len(pair)),
                            "values": [v for v, _ in pair] + [0] * (2 - len(pair)),
                        }
                    )  # fmt: skip
            own = own or [{"count": 0}]
            own[-1] |= {
                "ends_position": 1,
                "ends_row": int((place + 1) % inner == 0),
                "ends_strip": int(place == len(fibers) - 1),
            }
            found += own
        return found

    def entries(self, number):
        """Return the entries of each key of a chunk, with their offsets."""
        d, width = self.fields, 1 << CONFIG.index_width
        found = []
        for place, fiber in enumerate(self.fibers[number]):
            i, m = place % d["s_inner"], place // d["s_inner"] % d["s_mid"]
            step = m * d["s_offset_mid"] + i * d["s_offset_inner"]
            found.append([(value, (step + channel) % width) for value, channel in fiber])
        return found


def loading(jobs, chained):
    """Return jobs as the window takes them."""
    tiles = [None, *(job["s_tile"] for job in jobs)]
    return [
        job | {"again": int(not chained and job["s_tile"] == tile)}
        for job, tile in zip(jobs, tiles, strict=False)
    ]


class Bench:
    """An expander, PEs' memories, and a stream that uses the chunks of each job in order."""

    def __init__(self, dut, operand, jobs, rng, *, window=1, dull=False):
        self.dut, self.operand, self.jobs, self.rng = dut, operand, jobs, rng
        self.window = window
        """Chunks that are needed at a time."""
        self.entries = [None] * CONFIG.stationary_depth
        self.starts = [None] * CONFIG.directory_depth
        self.chunks = self.strips = 0
        self.verdicts, self.loads, self.waits = [], 0, 0
        self.reports = []
        self.pace = 0 if dull else 0.3

    async def expand(self, ctx):
        """Answer strips with their items; what is asked for must be what is not held."""
        dut = self.dut
        jobs = iter(self.jobs)
        tile, at = None, 0
        while True:
            job = next(jobs, None)
            if job is None:
                break
            if not self.operand.chained and job["s_tile"] == tile:
                while len(self.verdicts) <= at:
                    await ctx.tick()
                at += 1
                if self.verdicts[at - 1]:
                    continue
            tile = job["s_tile"]
            self.loads += 1
            numbers = self.operand.numbers(job)
            for place, number in enumerate(numbers):
                ctx.set(dut.strips.ready, 1)
                valid = False
                while not valid:
                    _, _, valid, strip = await ctx.tick().sample(dut.strips.valid, dut.strips.p)
                ctx.set(dut.strips.ready, 0)
                d = self.operand.fields
                last = number[2] == self.operand.chunks - 1
                assert strip.rows == d["s_outer_last" if last else "s_outer"]
                assert strip.ends_piece == (place == len(numbers) - 1)
                pauses = (self.rng.random() < self.pace for _ in iter(int, 1))
                await drive(dut.items, self.operand.items(number), pauses)(ctx)

    async def keep(self, ctx):
        """Keep what is loaded, and the verdicts."""
        dut = self.dut
        ctx.set(dut.verdicts.ready, 1)
        async for _, _, load, chunks, valid, held in ctx.tick().sample(
            dut.load, dut.chunks, dut.verdicts.valid, dut.verdicts.p
        ):
            word = plain(load)
            for lane in range(2):
                if word["entry_en"] >> lane & 1:
                    place = (word["entry_addr"] + lane) % CONFIG.stationary_depth
                    entry = word["entries"][lane]
                    self.entries[place] = entry["value"], entry["offset"]
            if word["key_en"]:
                self.starts[word["key"]] = word["start"]
            self.chunks = int(chunks)
            if valid:
                self.verdicts.append(int(held))

    def look(self, base, number):
        """Require a chunk's entries at its keys."""
        for place, fiber in enumerate(self.operand.entries(number)):
            low, high = (self.starts[(base + place + n) % CONFIG.directory_depth] for n in (0, 1))
            count = (high - low) % CONFIG.stationary_depth
            found = [self.entries[(low + n) % CONFIG.stationary_depth] for n in range(count)]
            assert found == fiber

    async def use(self, ctx):
        """Use the chunks of all jobs, and report which are finished."""
        dut = self.dut
        ctx.set(dut.marks_idle, 1)
        for job in self.jobs:
            ctx.set(dut.tiles.ready, 1)
            valid = False
            while not valid:
                _, _, valid, tile = await ctx.tick().sample(dut.tiles.valid, dut.tiles.p)
            ctx.set(dut.tiles.ready, 0)
            tile = plain(tile)
            numbers = self.operand.numbers(job)
            keys = self.operand.fields["s_keys"]
            for place, number in enumerate(numbers):
                if self.operand.mode == Mode.CORRELATE:
                    needed = min(place + self.window, place - number[2] + self.operand.chunks)
                else:
                    needed = place + 1
                while (self.chunks - tile["chunk"] - needed) % (1 << 16) >= 1 << 15:
                    ctx.set(dut.waits, 1)
                    self.waits += 1
                    await ctx.tick()
                ctx.set(dut.waits, 0)
                for _ in range(self.rng.randrange(30)):
                    await ctx.tick()
                for n in range(place, needed):
                    self.look(tile["base"] + n * keys, numbers[n])
                ctx.set(dut.marks_idle, 0)
                for _ in range(self.rng.randrange(10)):
                    await ctx.tick()
                report = {
                    "finished": (tile["chunk"] + place + 1) % (1 << 16), "uses": 1,
                    "ends_job": int(place == len(numbers) - 1),
                }  # fmt: skip
                ctx.set(dut.report, report)
                ctx.set(dut.report_valid, 1)
                await ctx.tick()
                ctx.set(dut.report_valid, 0)
                ctx.set(dut.marks_idle, 1)

    async def complain(self, ctx):
        async for _, _, error in ctx.tick().sample(self.dut.error):
            assert not error


def later():
    """Return pauses of jobs: the pass shows a cycle before the first one."""
    return itertools.chain([True], never())


def run(operand, jobs, rng, **kinds):
    dut = reused(WindowLoader, config=CONFIG)
    bench = Bench(dut, operand, jobs, rng, **kinds)
    simulate(
        dut,
        show_pass(dut.d, **operand.fields),
        drive(dut.jobs, loading(jobs, operand.chained), later()),
        bench.expand,
        bench.use,
        background=[bench.keep, bench.complain],
        cycles=20000,
    )
    return bench


def kernel_jobs(rng, count):
    return [
        {"s_tile": rng.choice([0, 0, 1, 2]), "first_sample": 0, "samples": 1} for _ in range(count)
    ]


@pytest.mark.parametrize("chunks", [1, 2, 3, 6])
def test_kernel_jobs_find_the_chunks_of_their_tiles(chunks):
    verdicts = []
    for seed in range(3):
        rng = random.Random(repr((seed, chunks)))
        operand = Operand(
            rng, Mode.KERNEL, chunks=chunks, outer=5, mid=2, inner=rng.randint(1, 2), fill=2
        )
        bench = run(operand, kernel_jobs(rng, 14), rng)
        verdicts += bench.verdicts
    # three chunks of 20 keys fit, not six
    assert verdicts
    if chunks <= 2:
        assert all(verdicts)
    if chunks == 6:
        assert not all(verdicts)


@pytest.mark.parametrize(("chunks", "window"), [(1, 1), (2, 2), (5, 2), (7, 3)])
def test_correlate_jobs_slide_over_their_samples(chunks, window):
    rng = random.Random(repr((chunks, window)))
    operand = Operand(rng, Mode.CORRELATE, chunks=chunks, outer=2, mid=1, inner=7, fill=1)
    jobs = [
        {"s_tile": rng.randrange(3), "first_sample": first, "samples": rng.randint(1, 4 - first)}
        for first in (0, 2, 3, 1)
    ]
    bench = run(operand, jobs, rng, window=window)
    assert bench.loads == len(jobs)
    assert bench.verdicts == []


@pytest.mark.parametrize(("chunks", "unit"), [(3, 1), (5, 2), (6, 4)])
def test_parts_of_a_sample_load_what_lies_around_their_own_strips(chunks, unit):
    rng = random.Random(repr((chunks, unit)))
    operand = Operand(
        rng, Mode.CORRELATE, chunks=chunks, outer=2, mid=1, inner=7, fill=1, unit=unit
    )
    jobs = [
        {"s_tile": rng.randrange(3), "first_sample": sample, "samples": 1, "strip": strip}
        for sample in (0, 3)
        for strip in range(0, chunks, unit)
    ]
    assert run(operand, jobs, rng, window=1).loads == len(jobs)


@pytest.mark.parametrize(("chunks", "window"), [(1, 1), (2, 2), (5, 2)])
def test_jobs_of_a_gang_hold_all_samples_of_a_map_that_fits(chunks, window):
    for seed in range(3):
        rng = random.Random(repr((seed, chunks, window)))
        operand = Operand(
            rng, Mode.CORRELATE, chunks=chunks, outer=2, mid=1, inner=7, fill=1, chained=0
        )
        jobs = [
            {"s_tile": tile, "first_sample": 0, "samples": 4} for tile in (0, 0, 0, 1, 1, 2, 0, 0)
        ]
        bench = run(operand, jobs, rng, window=window, dull=seed == 0)
        # four chunks of 14 keys fit, not eight
        assert bench.verdicts == [int(chunks == 1)] * 4
        assert bench.loads == len(jobs) - sum(bench.verdicts)


def test_a_tile_stays_although_the_job_before_has_reported_it_finished():
    rng = random.Random(7)
    operand = Operand(rng, Mode.KERNEL, chunks=2, outer=4, mid=1, inner=3, fill=2)
    jobs = [
        {"s_tile": tile, "first_sample": 0, "samples": 1} for tile in (0, 0, 0, 1, 1, 2, 2, 0, 1)
    ]
    bench = run(operand, jobs, rng, dull=True)
    assert bench.verdicts == [1] * 4
    assert bench.loads == 5


@pytest.mark.parametrize(("outer", "fill", "window"), [(2, 1, 4), (1, 12, 2), (8, 0, 1)])
def test_chunks_that_do_not_fit_are_an_error(outer, fill, window):
    rng = random.Random(3)
    operand = Operand(rng, Mode.CORRELATE, chunks=4, outer=outer, mid=1, inner=8, fill=fill)
    if fill == 12:
        for fibers in operand.fibers.values():
            fibers[:] = [[(1, channel) for channel in range(12)] for _ in fibers]
    dut, errors = reused(WindowLoader, config=CONFIG), []
    job = {"s_tile": 0, "first_sample": 0, "samples": 1}
    bench = Bench(dut, operand, [job], rng, window=window)

    async def watch(ctx):
        for _ in range(400):
            errors.append((await ctx.tick().sample(dut.error))[2])

    simulate(
        dut,
        show_pass(dut.d, **operand.fields),
        drive(dut.jobs, [job], later()),
        watch,
        background=[bench.expand, bench.use, bench.keep],
        cycles=500,
    )
    assert errors[-1]
    assert bench.waits


def test_a_job_asks_for_its_first_strip_when_its_chunks_are_counted():
    rng = random.Random(9)
    operand = Operand(rng, Mode.KERNEL, chunks=3, outer=2, mid=1, inner=2, fill=1)
    dut, asked = reused(WindowLoader, config=CONFIG), []

    async def watch(ctx):
        await ctx.tick()
        ctx.set(dut.jobs.valid, 1)
        assert ctx.get(dut.jobs.ready)
        for _ in range(WindowLoader.ASK_CYCLES):
            await ctx.tick()
            asked.append(ctx.get(dut.strips.valid))

    simulate(dut, show_pass(dut.d, **operand.fields), watch, cycles=20)
    assert asked == [0] * (WindowLoader.ASK_CYCLES - 1) + [1]
