# amaranth: UnusedElaboratable=no
"""The dispatcher: every job once, to the right cluster, busy until all is written."""

from __future__ import annotations

import dataclasses
import random

import pytest

from gscn.config import PRESETS
from gscn.hw.core.dispatcher import Dispatcher
from gscn.records import IN_TURN
from tests.hw.streams import simulate

CONFIGS = {
    clusters: dataclasses.replace(PRESETS["tiny"], clusters=clusters, ports=ports)
    for clusters, ports in ((1, 1), (2, 1), (4, 1), (5, 4))
}


class Clusters:
    """Clusters that are ready, done and writing at random, and a memory that acknowledges."""

    def __init__(self, dut, seed, *, readiness=0.3):
        self.dut, self.rng, self.readiness = dut, random.Random(seed), readiness
        self.given = []
        """(address, cluster, readies, cycle)."""
        self.active = [0] * len(dut.jobs)
        self.bursts = 0
        self.cycle = 0

    async def testbench(self, ctx):
        dut, rng = self.dut, self.rng
        while True:
            readies = []
            for cluster, port in enumerate(dut.jobs):
                ready = self.active[cluster] < 3 and rng.random() < self.readiness
                ctx.set(port.ready, ready)
                readies.append(ready)
            # the last burst of a job is issued, at the latest, when the job is done
            done = [active > 0 and rng.random() < 0.1 for active in self.active]
            issues = [
                any(self.active) and ((port == 0 and any(done)) or rng.random() < 0.3)
                for port in range(dut.config.ports)
            ]
            # not more, of all ports together, than are under way
            acknowledged = [
                self.bursts > port and rng.random() < 0.2 for port in range(dut.config.ports)
            ]
            for port, signals in ((dut.done, done), (dut.write_issued, issues),
                                  (dut.write_done, acknowledged)):  # fmt: skip
                ctx.set(port, sum(flag << n for n, flag in enumerate(signals)))
            under_way = sum(self.active) + self.bursts
            _, _, busy, *ports = await ctx.tick().sample(
                dut.busy, *(value for port in dut.jobs for value in (port.valid, port.p))
            )
            assert busy or not under_way
            for cluster, (valid, addr) in enumerate(zip(ports[::2], ports[1::2], strict=True)):
                if valid and readies[cluster]:
                    self.given.append((addr, cluster, readies, self.cycle))
                    self.active[cluster] += 1
            for cluster, flag in enumerate(done):
                self.active[cluster] -= flag
            self.bursts += sum(issues) - sum(acknowledged)
            self.cycle += 1


async def start(ctx, dut, queue_addr, job_count):
    ctx.set(dut.start.p, {"queue_addr": queue_addr, "job_count": job_count})
    ctx.set(dut.start.valid, 1)
    taken = False
    while not taken:
        _, _, taken = await ctx.tick().sample(dut.start.ready)
    ctx.set(dut.start.valid, 0)


@pytest.mark.parametrize("clusters", CONFIGS)
@pytest.mark.parametrize("seed", range(2))
def test_every_job_goes_once_to_the_first_ready_cluster(clusters, seed):
    dut = Dispatcher(config=CONFIGS[clusters])
    workers = Clusters(dut, seed)
    phases = [(0x1000, 17), (0x8000, 0), (0x2000, 1), (0x4000, 30)]
    given_at_start = []

    async def testbench(ctx):
        ctx.set(dut.allowed, 1)
        for queue_addr, job_count in phases:
            await start(ctx, dut, queue_addr, job_count)
            given_at_start.append(len(workers.given))
            assert not any(workers.active)
            assert workers.bursts == 0
        while ctx.get(dut.busy):
            await ctx.tick()
        await ctx.tick().repeat(20)
        assert not ctx.get(dut.busy)

    simulate(dut, testbench, background=[workers.testbench], cycles=6000)
    assert [addr for addr, *_ in workers.given] == [
        queue_addr + 128 * n for queue_addr, count in phases for n in range(count)
    ]
    assert given_at_start == [0, 17, 17, 18]
    for _, cluster, readies, _ in workers.given:
        assert cluster == readies.index(True)


def expected_in_turn(clusters, count, readies):
    """Return (job, cluster) that are to be given, by cycle; None: no job. From the contract."""
    taken = [0] * clusters
    expected = []
    for ready in readies:
        may = [
            number
            for number in range(clusters)
            if ready[number]
            and taken[number] * clusters + number < count
            and taken[number] <= min(taken) + 1
        ]
        expected.append((taken[may[0]] * clusters + may[0], may[0]) if may else None)
        if may:
            taken[may[0]] += 1
    return expected


@pytest.mark.parametrize("clusters", CONFIGS)
@pytest.mark.parametrize("slow", [None, 0, -1])
@pytest.mark.parametrize("seed", range(2))
def test_in_turn_every_cluster_gets_its_own_jobs(clusters, slow, seed):
    """Whole rounds, rounds that are not full, fewer jobs than clusters, none; one cluster slow."""
    dut = Dispatcher(config=CONFIGS[clusters])
    rng = random.Random(seed)
    counts = (0, 1, clusters - 1, clusters, 2 * clusters, 3 * clusters + 1, 4 * clusters + 3)
    phases = []

    async def testbench(ctx):
        ctx.set(dut.allowed, 1)
        for number, count in enumerate(counts):
            addr = 0x1_0000 * (1 + number)
            await start(ctx, dut, addr, IN_TURN | count)
            readies, given, finished = [], [], []
            while ctx.get(dut.busy):
                ready = [rng.random() < 0.5 for _ in dut.jobs]
                if slow is not None:
                    ready[slow] = rng.random() < 0.05
                for port, value in zip(dut.jobs, ready, strict=True):
                    ctx.set(port.ready, value)
                # a job takes one cycle, and the last ones end a few later
                ctx.set(dut.done, sum(1 << cluster for cluster in finished))
                _, _, *ports = await ctx.tick().sample(
                    *(value for port in dut.jobs for value in (port.valid, port.p))
                )
                offers = [
                    ((job_addr - addr) // 128, cluster)
                    for cluster, (valid, job_addr) in enumerate(
                        zip(ports[::2], ports[1::2], strict=True)
                    )
                    if valid
                ]
                assert len(offers) <= 1
                finished = [cluster for _, cluster in offers]
                readies.append(ready)
                given.append(offers[0] if offers else None)
            ctx.set(dut.done, 0)
            phases.append((count, readies, given))

    simulate(dut, testbench, cycles=8000)
    assert len(phases) == len(counts)
    for count, readies, given in phases:
        assert given == expected_in_turn(clusters, count, readies)
        made = [pair for pair in given if pair is not None]
        assert sorted(made) == [(job, job % clusters) for job in range(count)]
    # the flag is the phase's: the jobs of these are in another order than that of the queue
    if clusters > 2:
        assert any(
            made != sorted(made) for *_, given in phases if (made := [g for g in given if g])
        )


def test_phases_in_turn_and_not_follow_each_other():
    dut = Dispatcher(config=CONFIGS[5])
    workers = Clusters(dut, 3)
    # the masks of a round that is not full do not outlast the phase
    phases = [(0x1000, 7, True), (0x4000, 13, False), (0x8000, 8, True), (0xC000, 6, True)]

    async def testbench(ctx):
        ctx.set(dut.allowed, 1)
        for queue_addr, job_count, in_turn in phases:
            await start(ctx, dut, queue_addr, job_count | in_turn << 31)
        while ctx.get(dut.busy):
            await ctx.tick()

    simulate(dut, testbench, background=[workers.testbench], cycles=6000)
    assert len(workers.given) == sum(count for _, count, _ in phases)
    position = 0
    for queue_addr, count, in_turn in phases:
        given = workers.given[position : position + count]
        position += count
        jobs = [(addr - queue_addr) // 128 for addr, *_ in given]
        assert sorted(jobs) == list(range(count))
        if in_turn:
            assert [cluster for _, cluster, *_ in given] == [job % 5 for job in jobs]
        else:
            assert jobs == list(range(count))
            assert [c for _, c, *_ in given] == [readies.index(True) for *_, readies, _ in given]


@pytest.mark.parametrize("flag", [0, IN_TURN], ids=["first free", "in turn"])
def test_one_job_per_cycle(flag):
    dut = Dispatcher(config=CONFIGS[5])
    workers = Clusters(dut, 0, readiness=1)

    async def testbench(ctx):
        ctx.set(dut.allowed, 1)
        await start(ctx, dut, 0, flag | 12)
        await ctx.tick().repeat(14)

    simulate(dut, testbench, background=[workers.testbench], cycles=100)
    cycles = [cycle for *_, cycle in workers.given]
    assert cycles == list(range(cycles[0], cycles[0] + 12))


def test_a_phase_is_taken_only_when_allowed_and_idle():
    dut = Dispatcher(config=CONFIGS[2])
    seen = []

    async def testbench(ctx):
        for cycle in range(12):
            ctx.set(dut.start.valid, 1)
            ctx.set(dut.start.p, {"queue_addr": 64, "job_count": 1})
            ctx.set(dut.allowed, cycle >= 2)
            ctx.set(dut.jobs[1].ready, cycle == 4)
            ctx.set(dut.write_issued, cycle == 6)
            ctx.set(dut.done, 0b10 if cycle == 7 else 0)
            ctx.set(dut.write_done, cycle == 9)
            _, _, *sample = await ctx.tick().sample(dut.start.ready, dut.busy, dut.forget)
            seen.append(sample)

    simulate(dut, testbench, cycles=30)
    busy = range(3, 10)
    # a phase is always offered here: what the banks hold is forgotten whenever one is taken
    assert seen[:11] == [
        [int(n >= 2 and n not in busy), int(n in busy), int(n >= 2 and n not in busy)]
        for n in range(11)
    ]
