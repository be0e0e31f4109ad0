# amaranth: UnusedElaboratable=no
"""Whole passes of lanes against the emulator: every output of random modes, and turns of each."""

from __future__ import annotations

import itertools
import os
import random

import pytest
from amaranth.sim import Simulator

from gscn.array import ARRAYS
from gscn.hw.encode.lanes import Lanes
from tests.hw.encode.lane_passes import Case
from tests.hw.streams import PERIOD, in_runs, never, plain, randomly

CONFIG = ARRAYS["tiny"].with_overrides(["float_formats=bf16"])
OUTPUTS = ("dense", "second", "bits", "verdicts", "sums", "selected")
LIMIT = 4000


def run(cases, pauses):
    """Return, for each case, words of each output, the tally, and cycles from first to last."""
    dut = Lanes(config=CONFIG)
    results = []

    async def testbench(ctx):
        for case in cases:
            ctx.set(dut.settings, case.settings)
            ctx.set(dut.state, {name: int(case.state[name]) for name in case.state.dtype.names})
            ctx.set(dut.start, 1)
            await ctx.tick()
            ctx.set(dut.start, 0)
            source = pauses()
            sinks = {name: pauses() for name in OUTPUTS}
            found = {name: [] for name in OUTPUTS}
            left, offered, taken_in = iter(case.vectors), False, []
            cycle = 0
            while True:
                assert cycle < LIMIT, {name: len(one) for name, one in found.items()}
                if not offered and not next(source):
                    vector = next(left, None)
                    offered = vector is not None
                    if offered:
                        ctx.set(dut.i.p, vector)
                ctx.set(dut.i.valid, offered)
                takes = {}
                for name in OUTPUTS:
                    takes[name] = not next(sinks[name])
                    ctx.set(getattr(dut, f"o_{name}").ready, takes[name])
                if offered and ctx.get(dut.i.ready):
                    offered = False
                    taken_in.append(cycle)
                for name in OUTPUTS:
                    port = getattr(dut, f"o_{name}")
                    if ctx.get(port.valid) and takes[name]:
                        found[name].append(plain(ctx.get(port.p)))
                if ctx.get(dut.done):
                    break
                await ctx.tick()
                cycle += 1
            results.append((found, plain(ctx.get(dut.tally)), taken_in, cycle))

    simulator = Simulator(dut)
    simulator.add_clock(PERIOD)
    simulator.add_testbench(testbench)
    simulator.run()
    return results


def check(case, found, tally):
    """Compare what came out with what the emulator has."""
    assert found["dense"] == case.dense("dense")
    assert found["second"] == case.dense("second")
    assert found["bits"] == case.bits()
    assert found["sums"] == case.sums()
    assert found["selected"] == case.selected()
    wanted = case.verdicts()
    assert len(found["verdicts"]) == len(wanted)
    for one, other in zip(found["verdicts"], wanted, strict=True):
        assert one["marks"]["ends"] == other.pop("ends")
        for name, content in other.items():
            assert content is None or one[name] == content, name
    assert tally == case.tally()


PATTERNS = (never, lambda: randomly(1), lambda: in_runs(3), lambda: randomly(5, 0.8))


@pytest.mark.parametrize("seed", range(int(os.environ.get("SEEDS", "2"))))
def test_every_output_of_random_passes_is_the_emulators(seed):
    source = random.Random(seed)
    cases = [Case(source, CONFIG) for _ in range(12)]
    pauses = PATTERNS[seed % len(PATTERNS)]
    seeds = itertools.count()
    del seeds
    for number, (case, (found, tally, _, _)) in enumerate(
        zip(cases, run(cases, pauses), strict=True)
    ):
        try:
            check(case, found, tally)
        except AssertionError as failed:
            changed = {name: one for name, one in case.settings.items() if one}
            raise AssertionError(f"seed {seed}, pass {number}: {changed}") from failed
