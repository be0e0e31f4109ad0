# amaranth: UnusedElaboratable=no
"""Reports of marks leave when all PEs have passed them."""

from __future__ import annotations

import dataclasses
import random

import pytest

from gscn.array import ARRAYS
from gscn.hw.cluster.marks import MarkJoiner
from tests.hw.streams import plain, reused, simulate

TINY = ARRAYS["tiny"]


@pytest.mark.parametrize("pes", [1, 2, 4])
def test_a_report_leaves_when_every_pe_has_passed_its_mark(pes):
    config = dataclasses.replace(TINY, pes=pes)
    rng = random.Random(pes)
    dut = reused(MarkJoiner, config=config)
    sent, left, passed = [], [], [0] * pes
    most = [0]

    async def bench(ctx):
        for cycle in range(800):
            report = {
                "finished": rng.randrange(1 << 16),
                "uses": rng.randrange(2),
                "ends_job": rng.randrange(2),
            }
            offers = cycle < 700 and rng.random() < 0.5
            ctx.set(dut.reports.p, report)
            ctx.set(dut.reports.valid, offers)
            marks = 0
            for number in range(pes):
                # the PEs are given a mark with its report
                if passed[number] < len(sent) and rng.random() < 0.4:
                    marks |= 1 << number
            ctx.set(dut.marks, marks)
            assert ctx.get(dut.idle) == (len(sent) == len(left))
            # what has been passed by all in the cycles before leaves now, one by one
            assert ctx.get(dut.o_valid) == (min(passed) > len(left))
            _, _, ready, valid, out = await ctx.tick().sample(dut.reports.ready, dut.o_valid, dut.o)
            if valid:
                left.append(plain(out))
            if offers and ready:
                sent.append(report)
            for number in range(pes):
                passed[number] += marks >> number & 1
            most[0] = max(most[0], len(sent) - len(left))

    simulate(dut, bench, cycles=900)
    assert left == sent
    assert most[0] == MarkJoiner.DEPTH
