# amaranth: UnusedElaboratable=no
"""The PE: whole segments and jobs, against the law by brute force."""

from __future__ import annotations

import random
from fractions import Fraction

import pytest

from gscn.config import PRESETS
from gscn.formats import NUMBER_FORMATS
from gscn.hw.layouts import OutFormat
from gscn.hw.pe.pe import PE
from tests import floats
from tests.hw.loading import BankedLoad, load
from tests.hw.segments import Segment, Tile, accumulators, pe_words, random_partials, random_segment
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

    def __init__(
        self, jobs, *, pe, source_pauses, drain_pauses, shift=0, out_format=OutFormat.RAW,
        config=CONFIG,
    ):  # fmt: skip
        self.dut = PE(config=config)
        self.drain_cycles = PE.drain_cycles(config)
        self.jobs, self.pe = jobs, pe
        self.source_pauses, self.drain_pauses = source_pauses, drain_pauses
        self.shift, self.out_format = shift, out_format
        self.counts = dict.fromkeys(
            ("segment_end", "job_end", "busy", "adds", "address_error", "overflow"), 0
        )
        self.drained = []
        self.overlaps = 0
        self.background = []
        self.outputs = [self.dut.result, self.dut.saturated]

    def prepare(self, ctx, number):
        """Set what is particular to the drain of a job."""

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
            background=[self.watch, *self.background],
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
            self.prepare(ctx, number)
            results, step = [], 0
            ctx.set(dut.drain_bank, number % 2)
            while step < CONFIG.acc_depth + self.drain_cycles:
                advances = not next(self.drain_pauses)
                ctx.set(dut.drain_advance, advances)
                ctx.set(dut.drain_en, step < CONFIG.acc_depth)
                ctx.set(dut.drain_addr, step % CONFIG.acc_depth)
                _, _, *sample = await ctx.tick().sample(*self.outputs)
                if advances:
                    if step >= self.drain_cycles:
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


FLOATS = CONFIG.with_overrides(["float_formats=bf16,fp16,fp8_e4m3,fp8_e5m2"])
BITS = {OutFormat.INT16: 16, OutFormat.INT32: 32, OutFormat.RAW: 64, OutFormat.BF16: 16}


class FloatBench(Bench):
    """The same in a core with float formats: each job has a mode and a format of results."""

    def __init__(self, jobs, modes, formats, **options):
        super().__init__(jobs, config=FLOATS, **options)
        self.modes, self.formats = modes, formats
        self.background = [self.set_modes]
        self.outputs.append(self.dut.nonfinite)

    def fields(self, number):
        mode = self.modes[number]
        if mode is None:
            return {"number_format": 0, "window": 1023}
        return {"number_format": NUMBER_FORMATS.index(mode.fmt), "window": mode.top}

    async def set_modes(self, ctx):
        for number in range(len(self.jobs)):
            while len(self.drained) < number - 1:  # its bank still belongs to the last but one
                await ctx.tick()
            ctx.set(self.dut.modes[number % 2], self.fields(number))

    def prepare(self, ctx, number):
        ctx.set(self.dut.mode, self.fields(number))
        ctx.set(self.dut.out_format, self.formats[number])


def float_accumulators(job, mode, pe):
    """Return the sums of a PE, and the special bits beside them, after a job."""
    sums, specials = [0] * FLOATS.acc_depth, [0] * FLOATS.acc_depth
    half = 1 << (FLOATS.acc_width - 1)

    def add(index, addend, special):
        if 0 <= index < FLOATS.acc_depth:
            sums[index] = (sums[index] + addend + half) % (2 * half) - half
            specials[index] |= special

    for segment in job:
        if segment.partials is not None:
            for index, partial in segment.addends(pe, PES):
                add(index, floats.signed(partial % (1 << 62), 62), partial >> 62 & 3)
            continue
        for start, length, operand, offset in segment.fibers(pe):
            for value, entry_offset in segment.tiles[pe].entries[start : start + length]:
                addend, special, _ = floats.product(value, operand, mode, FLOATS.acc_width)
                add(offset + entry_offset, addend, special)
    return sums, specials


def float_results(job, mode, out_format, pe):
    """Return (result, saturated, nonfinite) of each accumulator after a job."""
    bits = BITS[out_format]
    if mode is None:
        sums = accumulators(job, FLOATS, pe)
        results = [rounded(value, 0, out_format) for value in sums]
        return [(result % (1 << bits), saturated, 0) for result, saturated in results]
    found = []
    for value, special in zip(*float_accumulators(job, mode, pe), strict=True):
        if out_format == OutFormat.RAW:
            found.append((value % (1 << 62) | special << 62, 0, 0))
            continue
        result = floats.result_format(mode.fmt, out_format.value)
        code, *flags = floats.rounded(value, special, mode, result, FLOATS.acc_width)
        found.append((code, *map(int, flags)))
    return found


@pytest.mark.parametrize("source", ["no pause", "idle source"])
@pytest.mark.parametrize("drain", ["no pause", "stalled drain"])
def test_jobs_of_all_formats_back_to_back(source, drain):
    """The words of each job come while those of the job before are still in flight."""
    rng = random.Random(7)
    numbers = [1, 0, 2, 3, 0, 4, 1, 2]
    modes = [
        floats.Mode(NUMBER_FORMATS[n], 2 * NUMBER_FORMATS[n].bias + rng.randint(4, 24))
        if n
        else None
        for n in numbers
    ]
    formats = [rng.choice(list(BITS) if mode else list(BITS)[:3]) for mode in modes]
    jobs = []
    for mode in modes:
        job = [random_segment(rng, FLOATS, words=rng.choice((1, 12, 30)), longest=4)]
        if rng.random() < 0.5:
            partials = random_partials(rng, FLOATS, 40)
            if mode:
                partials = Segment(
                    partials=[
                        floats.signed(value % (1 << 62) | rng.choice((0, 0, 0, 1, 2, 3)) << 62, 64)
                        for value in partials.partials
                    ]
                )
            job.append(partials)
        jobs.append(job)
    bench = FloatBench(
        jobs,
        modes,
        formats,
        pe=1,
        source_pauses=in_runs(7) if source == "idle source" else never(),
        drain_pauses=randomly(8) if drain == "stalled drain" else never(),
    )
    bench.run()
    for number, (job, mode, out_format) in enumerate(zip(jobs, modes, formats, strict=True)):
        bits = BITS[out_format]
        found = [(result % (1 << bits), *flags) for result, *flags in bench.drained[number]]
        assert found == float_results(job, mode, out_format, 1), f"job {number}"


def test_latencies_in_a_core_with_float_formats():
    """An integer job: latencies are those of the core, not of the format."""
    dut = PE(config=FLOATS)
    tile = Tile(directory=[(0, 1)], entries=[(6, 5)])
    segment = Segment(taps=[(0, 0, 1)], tiles=[tile] * PES, words=[(7, 4, 0, 0)])
    (mac, end) = pe_words(segment, 0, PES, job_end=True)
    to_sum, to_result = PE.word_to_sum_cycles(FLOATS), PE.drain_cycles(FLOATS)
    assert to_sum == PE.WORD_TO_SUM_CYCLES + PE.FLOAT_PRODUCT_CYCLES
    assert to_result == PE.DRAIN_CYCLES + PE.FLOAT_DRAIN_CYCLES

    async def testbench(ctx):
        await load(ctx, dut, segment, 0, 0)
        ctx.set(dut.drain_advance, 1)
        ctx.set(dut.out_format, OutFormat.RAW)
        ctx.set(dut.drain_addr, 9)
        ctx.set(dut.i.valid, 1)
        for cycle in range(to_sum + to_result + 4):
            ctx.set(dut.i.p, mac if cycle == 0 else end)
            ctx.set(dut.i.valid, cycle < 2)
            # the END is reported one cycle after the sum is complete
            ctx.set(dut.drain_en, cycle == to_sum)
            _, _, job_end, result = await ctx.tick().sample(dut.job_end, dut.result)
            assert job_end == (cycle == to_sum + 1)
            if cycle == to_sum + to_result:
                assert result == 42

    simulate(dut, testbench, cycles=200)
