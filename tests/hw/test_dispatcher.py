# amaranth: UnusedElaboratable=no
"""The dispatcher: every job once, to the first free cluster, busy until all is written."""

from __future__ import annotations

import dataclasses
import random

import pytest

from gscn.config import PRESETS
from hw.dispatcher import Dispatcher
from tests.hw.streams import simulate

CONFIGS = {
    clusters: dataclasses.replace(PRESETS["tiny"], clusters=clusters, ports=ports)
    for clusters, ports in ((1, 1), (2, 1), (5, 4))
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


def test_one_job_per_cycle():
    dut = Dispatcher(config=CONFIGS[5])
    workers = Clusters(dut, 0, readiness=1)

    async def testbench(ctx):
        ctx.set(dut.allowed, 1)
        await start(ctx, dut, 0, 12)
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
