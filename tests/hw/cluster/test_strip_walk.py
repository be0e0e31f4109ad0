# amaranth: UnusedElaboratable=no
"""Strips of jobs and what is said of them."""

from __future__ import annotations

import dataclasses
import random

import pytest

from gscn.array import ARRAYS
from gscn.hw.cluster.strip_walk import StripWalker
from gscn.passes import Mode
from tests.hw.cluster.stream_model import strips_of
from tests.hw.memory import Memory
from tests.hw.passes import random_correlate, random_kernel, show_pass
from tests.hw.streams import collect, never, randomly, reused, simulate

CONFIG = dataclasses.replace(ARRAYS["tiny"], acc_depth=2304, directory_depth=1024)
MAKERS = {Mode.KERNEL: random_kernel, Mode.CORRELATE: random_correlate}


def walk(made, job, chunk, base, strip_pauses, context_pauses):
    """Return the strips and contexts of a job."""
    dut, strips, contexts = reused(StripWalker, config=CONFIG), [], []
    expected = strips_of(made, job, chunk, base) if job["streams"] else []

    async def begin(ctx):
        ctx.set(dut.job, job)
        ctx.set(dut.tile, {"chunk": chunk, "base": base})
        d = made.fields
        ctx.set(dut.sample_keys, d["s_chunks"] * d["s_keys"] % CONFIG.directory_depth)
        if job["streams"]:
            # the pass shows a cycle before the job
            ctx.set(dut.job.strip, 0x5A5A)
            await ctx.tick()
            ctx.set(dut.job, job)
            await ctx.tick().repeat(StripWalker.AHEAD)
        ctx.set(dut.start, 1)
        await ctx.tick()
        ctx.set(dut.start, 0)

    simulate(
        dut,
        show_pass(dut.d, **made.fields),
        begin,
        collect(dut.strips, strips, len(expected), strip_pauses),
        collect(dut.contexts, contexts, max(1, len(expected)), context_pauses),
        cycles=200 + 20 * len(expected),
    )
    return expected, strips, contexts


@pytest.mark.parametrize("mode", Mode)
def test_strips_and_contexts_are_those_of_the_job(mode):
    seen = 0
    for seed in range(8):
        rng = random.Random(repr((seed, mode)))
        made = MAKERS[mode](rng, CONFIG, Memory(CONFIG))
        for job in rng.sample(made.jobs, min(3, len(made.jobs))):
            chunk, base = rng.randrange(1 << 16), rng.randrange(CONFIG.directory_depth)
            # both go together: each is valid only while the other one is ready
            pauses = [randomly(seed) if seed % 2 else never() for _ in range(2)]
            expected, strips, contexts = walk(made, job, chunk, base, *pauses)
            assert strips == [
                {"rows": one.rows, "ends_piece": int(one.ends_piece)} for one in expected
            ]
            if not job["streams"]:
                assert contexts[0]["empty"]
                assert contexts[0]["ends_job"]
                continue
            names = ("need", "finished", "base", "sample_offset", "ends_sample", "ends_job")
            groups = made.fields["t_groups"] if mode == Mode.KERNEL else 1
            for got, one in zip(contexts, expected, strict=True):
                wanted = {name: int(getattr(one, name)) for name in names}
                assert {name: got[name] for name in names} == wanted
                assert got["marks"] == one.marks
                assert got["last_group"] == (mode == Mode.CORRELATE or one.group == groups - 1)
                assert not got["empty"]
                seen += 1
    assert seen > 20
