# amaranth: UnusedElaboratable=no
"""The packer and the drain: what is written, what is cleared, when a bank is free."""

from __future__ import annotations

import dataclasses
import random

import pytest

from gscn.config import PRESETS
from gscn.hw.cluster.drain import Drainer
from gscn.hw.cluster.packer import Packer
from gscn.hw.layouts import OutFormat
from gscn.hw.pe.pe import PE
from tests.hw.memory import RESULT_BITS, Job
from tests.hw.parts import put_together
from tests.hw.streams import collect, in_runs, never, plain, randomly, simulate, with_pauses

TINY = dataclasses.replace(PRESETS["tiny"], acc_depth=64)
CONFIGS = {
    "tiny": TINY,
    "one PE, narrow": dataclasses.replace(TINY, pes_per_cluster=1, mem_width=64),
    "four PEs, wide": dataclasses.replace(TINY, pes_per_cluster=4, mem_width=512),
}


def packed(sets, out_format, config):
    """Return the beats of these sets of results, the last one with its strobes."""
    width = RESULT_BITS[out_format.value] // 8
    written = b"".join(
        (result % (1 << 8 * width)).to_bytes(width, "little")
        for results in sets
        for result in results
    )
    beats = []
    for start in range(0, len(written), config.mem_bytes):
        part = written[start : start + config.mem_bytes]
        strobe = (1 << len(part)) - 1
        beats.append((int.from_bytes(part, "little"), strobe))
    return beats


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
@pytest.mark.parametrize("out_format", [OutFormat(code) for code in RESULT_BITS])
@with_pauses
def test_results_are_packed_and_flushed(config, out_format, source_pauses, sink_pauses):
    rng = random.Random(1)
    per_set = config.pes_per_cluster
    groups = [
        [[rng.randint(-(1 << 63), (1 << 63) - 1) for _ in range(per_set)] for _ in range(count)]
        for count in (1, 16, 7, 0, 32, 3)
    ]
    expected = [beat for sets in groups for beat in packed(sets, out_format, config)]
    # a set is one part; a beat that the last set of a group leaves unfinished is ended by one more
    sets_per_beat = 8 * config.mem_bytes // (RESULT_BITS[out_format.value] * per_set)
    part_count = sum(len(sets) + (len(sets) % sets_per_beat != 0) for sets in groups)
    dut, parts, pauses = Packer(config=config), [], source_pauses()

    async def testbench(ctx):
        ctx.set(dut.out_format, out_format)
        for sets in groups:
            for results in sets:
                while next(pauses):
                    await ctx.tick()
                for port, result in zip(dut.i, results, strict=True):
                    ctx.set(port, result % (1 << 64))
                ctx.set(dut.i_valid, 1)
                taken = False
                while not taken:
                    _, _, taken = await ctx.tick().sample(dut.i_ready)
                ctx.set(dut.i_valid, 0)
            ctx.set(dut.flush, 1)
            while not ctx.get(dut.flushed):
                await ctx.tick()
            ctx.set(dut.flush, 0)

    simulate(dut, testbench, collect(dut.o, parts, part_count, sink_pauses()), cycles=2000)
    assert put_together(parts, config) == expected


class Bench:
    """A drain with PEs and a writer in plain Python."""

    def __init__(self, jobs, *, config=TINY, sink_pauses=None, writer_delay=3):
        self.config, self.jobs = config, jobs
        self.dut = Drainer(config=config)
        self.sink_pauses = sink_pauses or never()
        self.writer_delay = writer_delay
        self.reads, self.read_cycles = [], []
        self.starts, self.parts = [], []
        self.cleared_cycles, self.done_cycles, self.end_cycles = [], [], []
        self.initialized_cycle = None
        self.saturated = 0
        self.cycle = 0
        self.formats = set()

    def result(self, pe, addr):
        """Return what PE `pe` holds: different for every PE, walk and accumulator."""
        return (self.walk() * 1009 + addr * 17 + pe * 5 + 1) << 2

    def walk(self):
        """Return the number of the walk under way, from 1."""
        return sum(addr == 0 for _, addr in self.reads)

    async def pes(self, ctx):
        dut, pes = self.dut, self.config.pes_per_cluster
        pipeline = [None] * PE.DRAIN_CYCLES
        while True:
            front = pipeline[-1]
            for pe in range(pes):
                ctx.set(dut.result[pe], front[0][pe] if front else 0xDEAD)
            ctx.set(dut.saturated, front[1] if front else 0)
            names = (
                "en", "advance", "addr", "bank", "cleared", "done", "writer_start", "writer_addr",
                "initialized", "any_saturated", "job_end",
            )  # fmt: skip
            (
                _,
                _,
                en,
                advance,
                addr,
                bank,
                cleared,
                done,
                start,
                start_addr,
                *others,
            ) = await ctx.tick().sample(*(getattr(dut, name) for name in names))
            initialized, saturated, ends = others
            if advance:
                entry = None
                if en:
                    self.reads.append((bank, addr))
                    self.read_cycles.append(self.cycle)
                    results = [self.result(pe, addr) for pe in range(pes)]
                    entry = (results, int(addr % 5 == 0))
                    self.formats.add((ctx.get(dut.shift), ctx.get(dut.out_format)))
                pipeline = [entry, *pipeline[:-1]]
            if cleared:
                self.cleared_cycles.append(self.cycle)
            if done:
                self.done_cycles.append(self.cycle)
            if start:
                self.starts.append(start_addr)
            if initialized and self.initialized_cycle is None:
                self.initialized_cycle = self.cycle
            if ends:
                self.end_cycles.append(self.cycle)
            self.saturated += saturated
            self.cycle += 1

    async def writer(self, ctx):
        """Take parts; become empty some cycles after the flush."""
        dut = self.dut
        ctx.set(dut.writer_empty, 1)
        waited = 0
        for pause in self.sink_pauses:
            ctx.set(dut.parts.ready, not pause)
            _, _, valid, part, flush = await ctx.tick().sample(
                dut.parts.valid, dut.parts.p, dut.writer_flush
            )
            if valid and not pause:
                self.parts.append(plain(part))
                ctx.set(dut.writer_empty, 0)
                waited = 0
            elif flush:
                waited += 1
                if waited >= self.writer_delay:
                    ctx.set(dut.writer_empty, 1)

    async def control(self, ctx):
        dut, pes = self.dut, self.config.pes_per_cluster
        for number, job in enumerate(self.jobs):
            fields = {
                name: getattr(job, name)
                for name in (
                    "shift", "pitch", "guard_cols", "plane_rows", "guard_rows", "planes",
                    "walk_count",
                )
            }  # fmt: skip
            ctx.set(
                dut.context.p,
                {"out_addr": 64 * number, "out_format": OutFormat(job.out_format), **fields},
            )
            ctx.set(dut.context.valid, 1)
            await ctx.tick()
            ctx.set(dut.context.valid, 0)
            # the first drain is announced while the banks are being cleared
            while not ctx.get(dut.initialized):
                await ctx.tick()
            for pe in reversed(range(pes)):  # one after the other
                ctx.set(dut.job_end, 1 << pe)
                await ctx.tick()
                ctx.set(dut.job_end, 0)
                if pe:
                    await ctx.tick().repeat(2)
            while len(self.cleared_cycles) < 2 + number:  # at most one job waits for its drain
                await ctx.tick()
        while len(self.done_cycles) < len(self.jobs):
            await ctx.tick()
        for _ in range(8):
            assert not ctx.get(dut.busy)
            assert not ctx.get(dut.en)
            assert not ctx.get(dut.parts.valid)
            await ctx.tick()

    def run(self):
        walks = 2 * self.config.acc_depth + sum(job.walk_count for job in self.jobs)
        simulate(self.dut, self.control, background=[self.pes, self.writer], cycles=500 + 8 * walks)
        return self


JOBS = [
    Job(segments=[], out_format=0, pitch=5, guard_cols=2, plane_rows=4, guard_rows=1, planes=2,
        walk_count=60),
    Job(segments=[], out_format=1, shift=3, pitch=1, plane_rows=1, planes=1, walk_count=1),
    Job(segments=[], out_format=2, pitch=64, walk_count=64),
    Job(segments=[], out_format=1, pitch=3, guard_cols=1, plane_rows=3, planes=7, walk_count=63),
    Job(segments=[], out_format=0, pitch=4, guard_cols=4, planes=2, walk_count=8),
]  # fmt: skip


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
@pytest.mark.parametrize("stalls", [never, lambda: randomly(1, 0.7), lambda: in_runs(2)])
def test_walks_write_cells_and_clear_everything(config, stalls):
    bench = Bench(JOBS, config=config, sink_pauses=stalls()).run()
    walk_counts = [config.acc_depth, config.acc_depth, *(job.walk_count for job in JOBS)]
    assert bench.reads == [
        (walk % 2, addr) for walk, count in enumerate(walk_counts) for addr in range(count)
    ]
    pes = range(config.pes_per_cluster)
    expected, saturated = [], 0
    for number, job in enumerate(JOBS):
        walk = number + 3
        cells = [
            [(walk * 1009 + addr * 17 + pe * 5 + 1) << 2 for pe in pes] for addr in job.cells()
        ]
        expected += packed(cells, OutFormat(job.out_format), config)
        saturated += sum(addr % 5 == 0 for addr in job.cells())
    assert put_together(bench.parts, config) == expected
    assert bench.saturated == saturated
    assert bench.starts == [64 * number for number in range(len(JOBS))]
    assert len(bench.cleared_cycles) == 2 + len(JOBS)
    assert {(job.shift, OutFormat(job.out_format)) for job in JOBS} <= bench.formats


def test_a_job_waits_for_its_writer():
    quick = Bench(JOBS[:1]).run()
    slow = Bench(JOBS[:1], writer_delay=50).run()
    assert slow.done_cycles[0] - quick.done_cycles[0] == 47


def test_walk_and_bank_release_times():
    bench = Bench(JOBS[:1]).run()
    depth, walk = TINY.acc_depth, JOBS[0].walk_count
    first = bench.read_cycles[2 * depth]
    assert first == bench.end_cycles[-1] + 2
    assert bench.read_cycles[2 * depth :] == list(range(first, first + walk))
    # the pulse is counted one cycle later
    lasts = [bench.read_cycles[n - 1] for n in (depth, 2 * depth, 2 * depth + walk)]
    assert bench.cleared_cycles == [last + PE.DRAIN_CYCLES for last in lasts]
    assert bench.initialized_cycle > lasts[1] + PE.DRAIN_CYCLES
