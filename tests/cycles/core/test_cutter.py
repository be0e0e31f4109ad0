# amaranth: UnusedElaboratable=no
"""The model of the cutter gives each job to the cluster of the hardware, in the same cycle.

Also the tests of `cycles.core.tiles`.
"""

from __future__ import annotations

import random

import numpy as np
import pytest

from gscn.cycles.core import cutter as model
from gscn.cycles.descriptors import JOB, PASS, filled
from gscn.cycles.passes import new_core
from gscn.hw.core.cutter import Cutter
from gscn.system.compiled import compiled
from tests.hw.core.test_cutter import CONFIG, some_pass
from tests.hw.streams import plain, reused, simulate


def recorded(d, seed):
    """Return what clusters of random speed say in each cycle, and (cycle, cluster, job)."""
    cutter, generator = reused(Cutter, config=CONFIG), random.Random(seed)
    count = CONFIG.clusters
    speeds = [generator.choice((0.02, 0.1, 0.5)) for _ in range(count)]
    said, given = [], []

    async def clusters(ctx):
        ctx.set(cutter.d, d)
        queues = [[] for _ in range(count)]
        ctx.set(cutter.start, 1)
        while not said or ctx.get(cutter.busy):
            done = 0
            for number, queue in enumerate(queues):
                if queue and generator.random() < speeds[number]:
                    done |= queue.pop(0)["drains"] << number
            ready = [len(queue) < 2 for queue in queues]
            hungry = [not queue for queue in queues]
            empty = generator.random() < 0.9
            ctx.set(cutter.done, done)
            ctx.set(cutter.hungry, sum(one << number for number, one in enumerate(hungry)))
            ctx.set(cutter.empty, -1 if empty else 5)
            for number in range(count):
                ctx.set(cutter.jobs[number].ready, ready[number])
            for number in range(count):
                if ctx.get(cutter.jobs[number].valid):
                    queues[number].append(plain(ctx.get(cutter.jobs[number].p)))
                    given.append((len(said), number, queues[number][-1]))
            said.append((done.bit_count(), empty, ready, hungry))
            await ctx.tick()
            ctx.set(cutter.start, 0)

    simulate(cutter, clusters, cycles=60000)
    return said, given


@compiled
def follow(parts, d, said, ready, hungry, given, jobs):
    """Step the model through what clusters say; keep what it gives to whom, and return how many."""
    count = 0
    cutter, members = parts.cutters[0], parts.members
    for cycle in range(said.shape[0]):
        if cutter.state == model.GIVE:
            given[count, 0] = cycle
            given[count, 1] = cutter.given
            jobs[count] = parts.jobs[0]
            count += 1
        for c in range(members.shape[0]):
            members[c].ready = ready[cycle, c]
            members[c].hungry = hungry[cycle, c]
        if cycle == 0:
            model.begin_cut(parts, d[0])
        model.step_cutter(parts, said[cycle, 1], said[cycle, 0], 0, d[0])
    return count


@pytest.mark.parametrize("seed", range(16))
def test_jobs_are_given_in_the_cycles_of_the_hardware(seed):
    d = some_pass(seed)
    said, expected = recorded(d, seed)
    parts = new_core(CONFIG, 1)
    given, jobs = np.zeros((len(expected) + 9, 2), np.int64), np.zeros(len(expected) + 9, JOB)
    done, empty, ready, hungry = (np.array(column, np.int64) for column in zip(*said, strict=True))
    number = follow(
        parts, filled(PASS, d), np.stack([done, empty], axis=1), ready, hungry, given, jobs
    )
    assert [(cycle, cluster) for cycle, cluster, _ in expected] == [
        tuple(one) for one in given[:number].tolist()
    ]
    for (_, _, job), modelled in zip(expected, jobs, strict=False):
        # what a job that only drains says of words means nothing
        names = JOB.names if job["streams"] else ("out_addr", "drains", "head", "last", "streams")
        assert {name: int(modelled[name]) for name in names} == {name: job[name] for name in names}
    assert parts.cutters["state"][0] == model.IDLE
