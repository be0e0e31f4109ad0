# amaranth: UnusedElaboratable=no
"""The whole core with a memory: phases of jobs, counters, sticky flags."""

from __future__ import annotations

import dataclasses
import random

import pytest

from gscn.config import PRESETS
from gscn.counters import CLUSTER_COUNTER_NAMES
from gscn.error_codes import NO_JOB, NO_PHASE, ErrorCode
from gscn.hw.core.accelerator import Accelerator
from gscn.port import port_names
from tests.hw.memory import Job, Memory
from tests.hw.segments import Segment, Tile, random_partials, random_segment
from tests.hw.streams import randomly, simulate

TINY = dataclasses.replace(PRESETS["tiny"], acc_depth=32, a_depth=16, directory_depth=16)
PES = TINY.pes_per_cluster


class Bench:
    """Run phases on the core and read every counter."""

    def __init__(self, phases, *, config=TINY, latency=8, pauses=None):
        self.phases = phases
        self.memory = Memory(config, latency=latency, pauses=pauses)
        self.starts, self.outs = [], []
        for jobs in phases:
            queue_addr, outs = self.memory.add_jobs(jobs)
            first = min(outs, default=queue_addr)  # the queue is stored behind the results
            self.starts.append(
                {
                    "queue_addr": queue_addr,
                    "job_count": len(jobs),
                    "out_addr": first,
                    "out_end": queue_addr,
                }
            )
            self.outs += outs
        self.dut = Accelerator(config=config)
        self.counters = []
        self.flags = {}
        self.written_after = []
        self.busy_cycles = self.cycles_to_first_start = 0

    def run(self):
        dut, memory = self.dut, self.memory
        servers = []
        for name in port_names("mem", dut.config.ports):
            read_cmd, read_data, write_cmd, write_data, write_done = (
                getattr(dut, f"{name}_{member}")
                for member in ("read_cmd", "read_data", "write_cmd", "write_data", "write_done")
            )
            servers += [
                memory.serve_reads([read_cmd], read_data.payload, read_data.valid),
                memory.serve_writes(write_cmd, write_data, write_done),
            ]
        simulate(
            dut,
            self.control,
            background=servers,
            cycles=4000,
        )
        self.check_results()
        return self

    def check_results(self):
        jobs = [job for jobs in self.phases for job in jobs]
        for job, out in zip(jobs, self.outs, strict=True):
            expected, _ = job.results(TINY)
            assert self.memory.results(out, len(expected)) == expected

    async def control(self, ctx):
        dut = self.dut
        for start in self.starts:
            ctx.set(dut.start.p, start)
            ctx.set(dut.start.valid, 1)
            taken = False
            while not taken:
                _, _, taken = await ctx.tick().sample(dut.start.ready)
                self.cycles_to_first_start += not self.written_after
            ctx.set(dut.start.valid, 0)
            while ctx.get(dut.busy) and not ctx.get(dut.error_code):
                self.busy_cycles += 1
                await ctx.tick()
            self.written_after.append(len(self.memory.written))
        for addr in range(dut.config.clusters * len(CLUSTER_COUNTER_NAMES) + 1):
            ctx.set(dut.counter_addr, addr)
            for _ in range(Accelerator.COUNTER_LATENCY):
                await ctx.tick()
            self.counters.append(ctx.get(dut.counter_data))
        for name in ("saturated", "accumulator_overflow", "address_error"):
            self.flags[name] = ctx.get(getattr(dut, name))


def whole(segments, **changes):
    return Job(segments=segments, pitch=TINY.acc_depth, walk_count=TINY.acc_depth, **changes)


def single(value, *, offset=0):
    tile = Tile(directory=[(0, 1)], entries=[(value, 0)])
    return Segment(taps=[(0, 0, 1)], tiles=[tile] * PES, words=[(1, offset, 0, 0)])


@pytest.mark.parametrize("pace", ["fast memory", "slow memory"])
def test_phases_of_jobs_equal_the_law(pace):
    rng = random.Random(8)

    def job(**changes):
        partials = random_partials(rng, TINY, 5)
        return whole([random_segment(rng, TINY, words=12, inside=True), partials], **changes)

    phases = [[job(), job(out_format=1), job(out_format=0, shift=9), job(), job()], [], [job()]]
    slow = pace == "slow memory"
    bench = Bench(
        phases, latency=30 if slow else 3, pauses=randomly(9, 0.5) if slow else None
    ).run()
    # a phase is over when its results, and no others, are in memory
    lengths = [sum(len(job.results(TINY)[0]) for job in jobs) for jobs in phases]
    assert bench.written_after == [sum(lengths[: n + 1]) for n in range(len(phases))]
    cycles = bench.counters.pop()
    assert cycles == bench.busy_cycles
    # both banks of accumulators are cleared first
    assert bench.cycles_to_first_start > 2 * TINY.acc_depth
    names = len(CLUSTER_COUNTER_NAMES)
    clusters = [bench.counters[n : n + names] for n in range(0, len(bench.counters), names)]
    assert [sum(counters) for counters in clusters] == [cycles * PES] * TINY.clusters
    busy = CLUSTER_COUNTER_NAMES.index("busy")
    assert all(counters[busy] > 0 for counters in clusters)
    assert sum(counters[busy] for counters in clusters) == sum(
        len(list(segment.addends(pe, PES)))
        for jobs in phases
        for job in jobs
        for segment in job.segments
        for pe in range(PES)
        if segment.partials is None
    )


def test_clusters_behind_two_ports_equal_the_law():
    config = dataclasses.replace(TINY, clusters=3, ports=2)
    rng = random.Random(11)
    jobs = [
        whole([random_segment(rng, TINY, words=12, inside=True)], out_format=1) for _ in range(7)
    ]
    bench = Bench([jobs], config=config, latency=5, pauses=randomly(2, 0.3)).run()
    cycles = bench.counters.pop()
    names = len(CLUSTER_COUNTER_NAMES)
    clusters = [bench.counters[n : n + names] for n in range(0, len(bench.counters), names)]
    assert [sum(counters) for counters in clusters] == [cycles * PES] * 3
    busy = CLUSTER_COUNTER_NAMES.index("busy")
    assert all(counters[busy] > 0 for counters in clusters)


class ListBench(Bench):
    """Run all phases by one start; wait for its end, or its error."""

    async def control(self, ctx):
        dut = self.dut
        phases_addr = self.memory.add_list(self.starts)
        ctx.set(dut.start_list.p, {"phases_addr": phases_addr, "phase_count": len(self.starts)})
        ctx.set(dut.start_list.valid, 1)
        taken = False
        while not taken:
            _, _, taken = await ctx.tick().sample(dut.start_list.ready)
        ctx.set(dut.start_list.valid, 0)
        self.seen = []
        while ctx.get(dut.busy) and not ctx.get(dut.error_code):
            self.busy_cycles += 1
            self.seen.append(ctx.get(dut.phase))
            await ctx.tick()
        self.written_after.append(len(self.memory.written))
        self.error = tuple(map(ctx.get, (dut.error_code, dut.error_job, dut.error_phase)))
        self.stays_busy = ctx.get(dut.busy)
        await ctx.tick().repeat(300)
        assert ctx.get(dut.busy) == self.stays_busy
        assert len(self.memory.written) == self.written_after[0] or self.error[0]


@pytest.mark.parametrize("ports", [1, 2])
def test_a_list_of_phases_equals_the_law(ports):
    config = dataclasses.replace(TINY, clusters=3, ports=ports)
    rng = random.Random(12)
    phases = [
        [
            whole([random_segment(rng, TINY, words=12, inside=True)], out_format=1)
            for _ in range(1 + number)
        ]
        for number in range(4)
    ]
    bench = ListBench(phases, config=config, latency=5, pauses=randomly(2, 0.3)).run()
    lengths = [sum(len(job.results(TINY)[0]) for job in jobs) for jobs in phases]
    assert bench.written_after == [sum(lengths)]
    assert bench.error[0] == ErrorCode.NONE
    assert not bench.stays_busy
    # the phases follow each other, and each is under way for a while
    assert bench.seen == sorted(bench.seen)
    assert all(bench.seen.count(number) > 20 for number in range(4))


HALF = 1 << (TINY.acc_width - 2)
JOB_OF_FLAG = {
    None: whole([single(3)]),
    "saturated": whole([Segment(partials=[40000])], out_format=0),
    # 0 + HALF + HALF leaves the accumulator: its largest value is 2 * HALF - 1
    "accumulator_overflow": whole([Segment(partials=[HALF]), Segment(partials=[HALF])]),
}


@pytest.mark.parametrize("flag", JOB_OF_FLAG)
def test_flags_are_sticky_and_exclusive(flag):
    bench = Bench([[JOB_OF_FLAG[flag]], [JOB_OF_FLAG[None]]])
    if flag == "accumulator_overflow":
        # what must be found in memory: the sum wrapped
        bench.phases[0] = [whole([Segment(partials=[-2 * HALF])])]
    bench.run()
    names = ("saturated", "accumulator_overflow", "address_error")
    assert bench.flags == {name: int(name == flag) for name in names}


def good_job():
    return whole([single(3)])


BAD_JOBS = {
    ErrorCode.JOB_SHIFT: dataclasses.replace(good_job(), out_format=2, shift=1),
    ErrorCode.ACCUMULATOR: whole([single(3, offset=TINY.acc_depth)]),
    # a job's accumulators end with its walk
    ErrorCode.SEGMENT_STREAM: dataclasses.replace(
        whole([Segment(partials=[1] * (5 * PES))]), walk_count=4
    ),
    ErrorCode.LOAD_TAPS: whole([dataclasses.replace(single(3), taps=[(0, 0, 1), (0, 0, 0)])]),
}


class ErrorBench(Bench):
    """Start one phase and wait for its error."""

    async def control(self, ctx):
        dut = self.dut
        ctx.set(dut.start.p, self.starts[0])
        ctx.set(dut.start.valid, 1)
        taken = False
        while not taken:
            _, _, taken = await ctx.tick().sample(dut.start.ready)
        ctx.set(dut.start.valid, 0)
        while not ctx.get(dut.error_code):
            await ctx.tick()
        self.error = ctx.get(dut.error_code), ctx.get(dut.error_job)
        assert ctx.get(dut.error_phase) == NO_PHASE
        await ctx.tick().repeat(400)
        # the first error is kept, and the core waits for its reset
        assert (ctx.get(dut.error_code), ctx.get(dut.error_job)) == self.error
        assert ctx.get(dut.busy)

    def check_results(self):
        """Nothing: the job did not end."""


@pytest.mark.parametrize("code", BAD_JOBS)
@pytest.mark.parametrize(
    "place", [1, *(pytest.param(place, marks=pytest.mark.slow) for place in (0, 2))]
)
def test_the_first_error_names_its_job(code, place):
    jobs = [good_job() for _ in range(4)]
    jobs[place] = BAD_JOBS[code]
    bench = ErrorBench([jobs])
    bench.run()
    assert bench.error == (code, place)


def test_results_outside_the_output_range_are_not_written():
    bench = ErrorBench([[good_job() for _ in range(3)]])
    bench.starts[0]["out_end"] = bench.outs[2]
    bench.run()
    assert bench.error == (ErrorCode.OUTPUT_RANGE, 2)
    assert max(bench.memory.written) < bench.outs[2]


class ListErrorBench(ListBench):
    """Run a list that ends with an error."""

    def check_results(self):
        """Nothing: some jobs did not end."""


@pytest.mark.parametrize("number", range(3))
def test_an_error_in_a_list_names_job_and_phase(number):
    phases = [[good_job() for _ in range(2)] for _ in range(3)]
    phases[number][1] = BAD_JOBS[ErrorCode.JOB_SHIFT]
    bench = ListErrorBench(phases)
    bench.run()
    assert bench.error == (ErrorCode.JOB_SHIFT, 1, number)
    assert bench.stays_busy
    # no later phase has begun
    assert max(bench.memory.written, default=0) < bench.starts[number]["out_end"]


@pytest.mark.parametrize("number", range(3))
def test_a_bad_phase_of_a_list_is_named_when_its_turn_comes(number):
    bench = ListErrorBench([[good_job()] for _ in range(3)])
    bench.starts[number]["job_count"] = 0
    bench.run()
    assert bench.error == (ErrorCode.START_JOBS, NO_JOB, number)
    assert bench.stays_busy
    size = len(good_job().results(TINY)[0])
    assert len(bench.memory.written) == number * size
