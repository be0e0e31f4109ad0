# amaranth: UnusedElaboratable=no
"""The PE: whole segments and jobs, against the law by brute force."""

from __future__ import annotations

import random
from fractions import Fraction

import pytest

from gscn.config import PRESETS
from hw.layouts import OutFormat
from hw.pe import PE
from tests.hw.loading import BankedLoad, load
from tests.hw.segments import (
    Segment,
    Tile,
    accumulators,
    pe_words,
    random_partials,
    random_segment,
)
from tests.hw.streams import in_runs, never, randomly, simulate

CONFIG = PRESETS["tiny"]
PES = CONFIG.pes_per_cluster


def rounded(value, shift, out_format):
    """Return (result, saturated)."""
    if out_format == OutFormat.RAW:
        return value, 0
    exact = round(Fraction(value, 1 << shift))
    limit = 1 << (15 if out_format == OutFormat.INT16 else 31)
    result = min(max(exact, -limit), limit - 1)
    return result, int(result != exact)


class Bench:
    """Run jobs through a PE; drain each bank when its job ends, as the cluster's drain does."""

    def __init__(self, jobs, *, pe, source_pauses, drain_pauses, shift, out_format):
        self.dut = PE(config=CONFIG)
        self.jobs, self.pe = jobs, pe
        self.source_pauses, self.drain_pauses = source_pauses, drain_pauses
        self.shift, self.out_format = shift, out_format
        self.counts = dict.fromkeys(
            ("segment_end", "job_end", "busy", "adds", "address_error", "overflow"), 0
        )
        self.drained = []
        self.overlaps = 0

    def run(self):
        segments = [segment for job in self.jobs for segment in job]
        job_of = [number for number, job in enumerate(self.jobs) for _ in job]
        loader = BankedLoad(self.dut, segments, lambda: self.counts["segment_end"], pe=self.pe)
        words = [
            pe_words(segment, self.pe, PES, job_end=last, bank=number % 2)
            for number, (segment, last) in enumerate(
                (segment, segment is job[-1]) for job in self.jobs for segment in job
            )
        ]
        feed = loader.feed(
            self.dut.i,
            words,
            self.source_pauses,
            # the accumulators are those of the last job but one
            gate=lambda number: len(self.drained) >= job_of[number] - 1,
        )
        simulate(
            self.dut,
            loader.testbench,
            feed,
            self.drain,
            background=[self.watch],
            cycles=4000 * len(segments),
        )

    async def watch(self, ctx):
        ports = [getattr(self.dut, name) for name in self.counts]
        while True:
            _, _, load_en, *pulses = await ctx.tick().sample(self.dut.load_en, *ports)
            for name, pulse in zip(self.counts, pulses, strict=True):
                self.counts[name] += pulse
            self.overlaps += load_en and pulses[list(self.counts).index("busy")]

    async def drain(self, ctx):
        dut = self.dut
        ctx.set(dut.shift, self.shift)
        ctx.set(dut.out_format, self.out_format)
        for number in range(len(self.jobs)):
            while self.counts["job_end"] <= number:
                await ctx.tick()
            results, step = [], 0
            ctx.set(dut.drain_bank, number % 2)
            while step < CONFIG.acc_depth + PE.DRAIN_CYCLES:
                advances = not next(self.drain_pauses)
                ctx.set(dut.drain_advance, advances)
                ctx.set(dut.drain_en, step < CONFIG.acc_depth)
                ctx.set(dut.drain_addr, step % CONFIG.acc_depth)
                _, _, *sample = await ctx.tick().sample(dut.result, dut.saturated)
                if advances:
                    if step >= PE.DRAIN_CYCLES:
                        results.append(tuple(sample))
                    step += 1
            self.drained.append(results)
        ctx.set(dut.drain_en, 0)
        await ctx.tick().repeat(8)
        assert not ctx.get(dut.pending)


def law(jobs, pe, shift, out_format):
    return [
        [
            (result % (1 << 64), saturated)
            for result, saturated in (
                rounded(value, shift, out_format) for value in accumulators(job, CONFIG, pe)
            )
        ]
        for job in jobs
    ]


def check(jobs, *, pe=1, source_pauses=None, drain_pauses=None, shift=0, out_format=OutFormat.RAW):
    bench = Bench(
        jobs,
        pe=pe,
        source_pauses=source_pauses or never(),
        drain_pauses=drain_pauses or never(),
        shift=shift,
        out_format=out_format,
    )
    bench.run()
    assert bench.drained == law(jobs, pe, shift, out_format)
    segments = [segment for job in jobs for segment in job]
    addends = {id(s): list(s.addends(pe, PES)) for s in segments}
    macs = [addends[id(s)] for s in segments if s.partials is None]
    adds = [addends[id(s)] for s in segments if s.partials is not None]
    assert bench.counts == {
        "segment_end": len(segments),
        "job_end": len(jobs),
        "busy": sum(map(len, macs)),
        "adds": sum(map(len, adds)),
        "address_error": sum(
            not 0 <= index < CONFIG.acc_depth for found in macs for index, _ in found
        ),
        "overflow": 0,
    }
    return bench


@pytest.mark.parametrize("source", ["no pause", "idle source"])
@pytest.mark.parametrize("drain", ["no pause", "stalled drain"])
@pytest.mark.parametrize("seed", range(2))
def test_jobs_of_several_segments_back_to_back(seed, source, drain):
    rng = random.Random(seed)
    jobs = [
        [
            random_segment(rng, CONFIG, words=30),
            random_partials(rng, CONFIG, 2 * CONFIG.acc_depth - 3),
            random_segment(rng, CONFIG, words=20, longest=7),
        ],
        [random_segment(rng, CONFIG, words=60)],
        [random_segment(rng, CONFIG, words=0)],
        [random_partials(rng, CONFIG, 9)],
        [random_segment(rng, CONFIG) for _ in range(3)],
    ]
    check(
        jobs,
        pe=seed,
        source_pauses=in_runs(7) if source == "idle source" else None,
        drain_pauses=randomly(8) if drain == "stalled drain" else None,
    )


@pytest.mark.parametrize(
    ("out_format", "shift"), [(OutFormat.INT16, 16), (OutFormat.INT32, 1), (OutFormat.RAW, 0)]
)
def test_results_are_rounded_at_the_drain(out_format, shift):
    rng = random.Random(3)
    check([[random_segment(rng, CONFIG, words=80)]], shift=shift, out_format=out_format)


def test_tiles_load_while_products_are_issued():
    rng = random.Random(4)
    bench = check([[random_segment(rng, CONFIG, words=60) for _ in range(4)]])
    assert bench.overlaps > 10


def test_word_to_sum_and_drain_latencies():
    dut = PE(config=CONFIG)
    tile = Tile(directory=[(0, 1)], entries=[(6, 5)])
    segment = Segment(taps=[(0, 0, 1)], tiles=[tile] * PES, words=[(7, 4, 0, 0)])
    (mac, end) = pe_words(segment, 0, PES, job_end=True)

    async def testbench(ctx):
        await load(ctx, dut, segment, 0, 0)
        ctx.set(dut.i.valid, 1)
        ctx.set(dut.i.p, mac)
        await ctx.tick()  # cycle 0
        ctx.set(dut.i.p, end)
        await ctx.tick()
        ctx.set(dut.i.valid, 0)
        pulses = []
        for cycle in range(2, PE.WORD_TO_SUM_CYCLES + 2):
            # in this cycle the word's sum, and in the next the END's report, is complete
            _, _, job_end, pending = await ctx.tick().sample(dut.job_end, dut.pending)
            pulses.append(job_end)
            assert pending == (cycle <= PE.WORD_TO_SUM_CYCLES)
        assert pulses == [*([0] * (PE.WORD_TO_SUM_CYCLES - 1)), 1]

    simulate(dut, testbench, cycles=60)


@pytest.mark.parametrize(
    ("early", "sum_read"), [(0, 42), (1, 0)], ids=["in time", "one cycle early"]
)
def test_a_sum_can_be_read_after_the_latency_and_not_before(early, sum_read):
    dut = PE(config=CONFIG)
    tile = Tile(directory=[(0, 1)], entries=[(6, 5)])
    segment = Segment(taps=[(0, 0, 1)], tiles=[tile] * PES, words=[(7, 4, 0, 0)])
    results = []

    async def testbench(ctx):
        await load(ctx, dut, segment, 0, 0)
        ctx.set(dut.out_format, OutFormat.RAW)
        ctx.set(dut.drain_advance, 1)
        ctx.set(dut.drain_addr, 9)
        ctx.set(dut.i.valid, 1)
        ctx.set(dut.i.p, pe_words(segment, 0, PES, job_end=True)[0])
        for cycle in range(PE.WORD_TO_SUM_CYCLES + PE.DRAIN_CYCLES + 2):
            ctx.set(dut.drain_en, cycle == PE.WORD_TO_SUM_CYCLES - early)
            _, _, result = await ctx.tick().sample(dut.result)
            results.append(result)
            ctx.set(dut.i.valid, 0)

    simulate(dut, testbench, cycles=60)
    assert results[PE.WORD_TO_SUM_CYCLES - early + PE.DRAIN_CYCLES] == sum_read
