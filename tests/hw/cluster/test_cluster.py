# amaranth: UnusedElaboratable=no
"""The cluster with a memory: whole jobs against the law, and counters that add up."""

from __future__ import annotations

import dataclasses
import random

import pytest

from gscn.config import PRESETS
from gscn.counters import CLUSTER_COUNTER_NAMES
from gscn.hw.cluster.cluster import Cluster
from tests.hw.memory import Job, Memory
from tests.hw.segments import Segment, Tile, random_partials, random_segment
from tests.hw.streams import in_runs, randomly, simulate

TINY = dataclasses.replace(PRESETS["tiny"], acc_depth=64)


class Bench:
    """Give jobs to a cluster in turn and wait until all are done."""

    def __init__(self, jobs, *, config=TINY, latency=5, pauses=None, seed=0, eager=True):
        self.config, self.jobs, self.eager = config, jobs, eager
        self.memory = Memory(config, latency=latency, pauses=pauses, seed=seed)
        self.queue_addr, self.outs = self.memory.add_jobs(jobs)
        self.dut = Cluster(config=config)
        self.done = 0
        self.flags = dict.fromkeys(("saturated", "overflow", "address_error"), 0)
        self.counted_cycles = self.last_done = 0
        self.counters = {}

    def run(self):
        dut, memory = self.dut, self.memory
        words = sum(len(s.words) + len(s.partials or ()) for j in self.jobs for s in j.segments)
        simulate(
            dut,
            self.dispatch,
            background=[
                memory.serve_reads(list(dut.commands), dut.data, dut.data_valid),
                memory.serve_writes(dut.write_command, dut.write_data),
                self.watch,
            ],
            cycles=4 * self.config.acc_depth + 3000 * len(self.jobs) + 100 * words,
        )
        for job, out in zip(self.jobs, self.outs, strict=True):
            expected, _ = job.results(self.config)
            assert memory.results(out, len(expected)) == expected
        assert sum(high - low for low, high in memory.writable) == len(memory.written)
        return self

    async def watch(self, ctx):
        dut = self.dut
        while True:
            _, _, counts, done, *flags = await ctx.tick().sample(
                dut.count, dut.done, *(getattr(dut, name) for name in self.flags)
            )
            self.counted_cycles += counts
            self.done += done
            if done:
                self.last_done = self.counted_cycles
            for name, flag in zip(self.flags, flags, strict=True):
                self.flags[name] += flag

    async def dispatch(self, ctx):
        dut = self.dut
        while not ctx.get(dut.initialized):
            await ctx.tick()
        ctx.set(dut.count, 1)
        for number in range(len(self.jobs)):
            while not self.eager and self.done < number:
                await ctx.tick()
            ctx.set(dut.job.p, self.queue_addr + 128 * number)
            ctx.set(dut.job.valid, 1)
            taken = False
            while not taken:
                _, _, taken = await ctx.tick().sample(dut.job.ready)
            ctx.set(dut.job.valid, 0)
        while self.done < len(self.jobs):
            await ctx.tick()
        await ctx.tick().repeat(3)
        ctx.set(dut.count, 0)
        for number, name in enumerate(CLUSTER_COUNTER_NAMES):
            ctx.set(dut.counter, number)
            await ctx.tick()
            self.counters[name] = ctx.get(dut.counter_value)


def check_counters(bench):
    """Require what is exact: the sum, the products, the partial sums."""
    config = bench.config
    pes = config.pes_per_cluster
    segments = [segment for job in bench.jobs for segment in job.segments]
    products = additions = 0
    for segment in segments:
        for pe in range(pes):
            count = len(list(segment.addends(pe, pes)))
            if segment.partials is None:
                products += count
            else:
                additions += count
    assert sum(bench.counters.values()) == bench.counted_cycles * pes
    assert bench.counters["busy"] == products
    assert bench.counters["add"] == additions
    if bench.eager:  # a job is on offer, or under way, until the last one is done
        assert bench.counters["idle"] == (bench.counted_cycles - bench.last_done) * pes


def whole(config, segments, **changes):
    """Return a job that writes every accumulator."""
    depth = config.acc_depth
    fields = {"pitch": depth, "walk_count": depth, **changes}
    return Job(segments=segments, **fields)


def mixed_jobs(rng, config):
    pes = config.pes_per_cluster
    return [
        whole(
            config,
            [
                random_segment(rng, config, words=30),
                random_partials(rng, config, pes * config.acc_depth - 1),
                random_segment(rng, config, words=20),
            ],
        ),
        whole(config, [random_segment(rng, config, words=50)], out_format=1, shift=3),
        whole(config, [random_segment(rng, config, words=0)], out_format=0),
        Job(
            segments=[random_segment(rng, config, words=40), random_segment(rng, config)],
            out_format=0,
            shift=15,
            pitch=7,
            guard_cols=2,
            plane_rows=5,
            guard_rows=1,
            planes=3,
            walk_count=config.acc_depth,
        ),
        whole(config, [random_partials(rng, config, 9)]),
        whole(config, [random_segment(rng, config, words=25) for _ in range(4)], out_format=1),
    ]


@pytest.mark.parametrize(
    ("pace", "seed"), [("fast memory", 0), ("slow memory", 1), ("one job at a time", 2)]
)
def test_jobs_equal_the_law(pace, seed):
    rng = random.Random(seed)
    jobs = mixed_jobs(rng, TINY)
    bench = Bench(
        jobs,
        latency=3 if pace == "fast memory" else 40,
        pauses=in_runs(seed) if pace == "slow memory" else None,
        seed=seed,
        eager=pace != "one job at a time",
    ).run()
    check_counters(bench)
    assert bench.flags["overflow"] == 0
    assert (bench.flags["saturated"] > 0) == any(job.results(TINY)[1] for job in jobs)
    outside = any(
        not 0 <= index < TINY.acc_depth
        for job in jobs
        for segment in job.segments
        for pe in range(TINY.pes_per_cluster)
        for index, _ in segment.addends(pe, TINY.pes_per_cluster)
    )
    assert (bench.flags["address_error"] > 0) == outside


@pytest.mark.parametrize(
    "changes",
    [
        {"pes_per_cluster": 1, "mem_width": 64, "burst_beats": 1, "read_fifo_beats": 2},
        {"pes_per_cluster": 4, "mem_width": 512, "burst_beats": 4},
        {"taps_depth": 1, "b_fifo_depth": 2, "match_fifo_depth": 2, "prefetch_words": 0},
        {"operand_format": "int8", "acc_width": 24},
    ],
    ids=lambda changes: ",".join(changes),
)
def test_other_sizes_equal_the_law(changes):
    config = dataclasses.replace(TINY, **changes)
    rng = random.Random(1)
    segments = [random_segment(rng, config, words=30), random_segment(rng, config, words=30)]
    jobs = [whole(config, segments), whole(config, segments[:1], out_format=0, shift=4)]
    check_counters(Bench(jobs, config=config, pauses=randomly(1, 0.3)).run())


def one_word_job(config, *, words=1, tiles=None):
    tile = Tile(directory=[(0, 1)], entries=[(3, 0)])
    segment = Segment(
        taps=[(0, 0, 1)],
        tiles=tiles or [tile] * config.pes_per_cluster,
        words=[(5, n % 16, 0, 0) for n in range(words)],
    )
    return Job(segments=[segment], pitch=16, walk_count=16)


def test_causes_of_a_single_short_job():
    bench = Bench([one_word_job(TINY)], latency=10).run()
    check_counters(bench)
    counters = bench.counters
    # the queue entry and the load block: two round trips, most of it
    assert counters["load"] >= 2 * 10 * TINY.pes_per_cluster
    assert counters["tail"] >= 16 * TINY.pes_per_cluster  # the walk
    assert counters["drain"] == counters["add"] == counters["sibling"] == 0


def test_a_slow_sibling_is_the_cause_of_waiting():
    slow = Tile(directory=[(0, 40)], entries=[(1, n) for n in range(40)])
    empty = Tile(directory=[], entries=[])
    job = one_word_job(TINY, words=30, tiles=[slow, empty])
    bench = Bench([dataclasses.replace(job, pitch=64, walk_count=64)]).run()
    check_counters(bench)
    # PE 0 needs 40 cycles for each word; PE 1 waits for nearly all of them
    assert bench.counters["busy"] == 30 * 40
    assert bench.counters["sibling"] > 20 * 40


def test_tiles_and_accumulators_stay_until_the_slowest_pe_is_done():
    jobs = []
    for number in range(3):
        segments = []
        for part in range(3):
            entries = [(number * 100 + part * 10 + n, n % 8) for n in range(64)]
            slow = Tile(directory=[(0, 64)], entries=entries)
            empty = Tile(directory=[], entries=[])
            words = [(n + 1, 8 * n, 0, 0) for n in range(4)]
            segments.append(Segment(taps=[(0, 0, 1)], tiles=[slow, empty], words=words))
        jobs.append(Job(segments=segments, pitch=32, walk_count=32))
    check_counters(Bench(jobs).run())


def test_a_slow_stream_is_the_cause_of_waiting():
    bench = Bench([one_word_job(TINY, words=100)], pauses=randomly(3, 0.97)).run()
    check_counters(bench)
    assert bench.counters["stream"] > bench.counters["busy"] == 200


def test_a_slow_drain_is_the_cause_of_waiting():
    jobs = [whole(TINY, one_word_job(TINY).segments)] * 4
    bench = Bench(jobs, pauses=randomly(3, 0.6)).run()
    check_counters(bench)
    assert bench.counters["drain"] > 0


def test_drain_and_load_overlap_with_products():
    job = whole(TINY, one_word_job(TINY, words=100).segments, out_format=1)
    eager = Bench([job] * 3).run()
    one_by_one = Bench([job] * 3, eager=False).run()
    assert eager.counted_cycles < one_by_one.counted_cycles - 2 * TINY.acc_depth
