"""Passes for devices: tilings that are kept from one to the next, without a simulator."""

from dataclasses import replace

import numpy as np
import pytest

from gscn.config import PRESETS
from gscn.conv import ConvShape, Pass
from gscn.cosim.devices.jobs import MOST_RATIO, PassJob, PlanMemory, lower_job
from gscn.emulator.functional import execute
from gscn.errors import InputError
from gscn.formats import BF16, FLOAT32
from gscn.golden.oracle.float_conv import conv_windowed, round_sums
from gscn.golden.oracle.synthetic import random_codes
from gscn.program import FloatOutput

CONFIG = replace(PRESETS["tiny"], float_formats="bf16")
SHAPE = ConvShape(n=4, c=8, h=8, w=8, k=8, r=3, s=3, padding=(1, 1))
OUT = FloatOutput(operands=BF16)


def job(which=Pass.FORWARD, *, first=0.3, second=0.3, seed=1, **changes):
    operands = random_codes(SHAPE, which, first, second, BF16, seed)
    return PassJob(
        label=f"layer a, {which}",
        shape=SHAPE,
        which=which,
        first=operands[0],
        second=operands[1],
        out=changes.get("out", OUT),
        plan=changes.get("plan"),
    )


def kept(*jobs):
    """Return the memory after these passes, and their tilings."""
    memory, plans = PlanMemory(), []
    for one in jobs:
        plans.append(lower_job(CONFIG, one)[1])
        memory.remember(one, plans[-1])
    return memory, plans


def test_a_pass_like_one_before_has_its_tiling_and_others_have_none():
    memory, (plan,) = kept(job())
    assert memory.planned(job(seed=2)).plan is plan
    assert memory.planned(job(first=0.6, second=0.15)).plan is plan
    for factor in (MOST_RATIO * 0.9, 0.9 / MOST_RATIO, MOST_RATIO * 1.1, 1.1 / MOST_RATIO):
        similar = 1 / MOST_RATIO < factor < MOST_RATIO
        memory, (plan,) = kept(job(first=0.2, second=0.2))
        for densities in ({"first": 0.2 * factor}, {"second": 0.2 * factor}):
            other = job(**{"first": 0.2, "second": 0.2, **densities}, seed=2)
            assert memory.planned(other).plan is (plan if similar else None), densities
    for other in (
        job(Pass.INPUT_GRAD),
        job(out=replace(OUT, result=BF16)),
        replace(job(), shape=replace(SHAPE, stride=(2, 2))),
    ):
        assert memory.planned(other).plan is None


def test_the_tiling_of_the_most_similar_pass_is_taken():
    memory, plans = kept(job(first=0.1), job(first=0.4))
    for density, plan in ((0.08, 0), (0.15, 0), (0.3, 1), (0.9, 1)):
        assert memory.planned(job(first=density, seed=3)).plan is plans[plan], density


def test_operands_without_nonzeros_are_as_those_with_few():
    memory, (plan,) = kept(job(first=0.0))
    assert memory.planned(job(first=0.0, seed=2)).plan is plan
    assert memory.planned(job(first=0.1)).plan is None


def test_a_tiling_that_is_given_is_kept_and_one_that_was_used_again_is_not_remembered():
    memory, (plan,) = kept(job())
    own = lower_job(CONFIG, job(first=0.9))[1]
    assert memory.planned(job(plan=own)).plan is own
    again = memory.planned(job(second=0.1, seed=2))
    program, found = lower_job(CONFIG, again)
    assert found is None
    assert program.plan == plan.text
    memory.remember(again, found)
    assert memory.planned(job(second=0.05)).plan is None, "the first is not as similar to this one"


@pytest.mark.parametrize("which", list(Pass))
def test_a_tiling_that_does_not_fit_is_replaced_by_another(which):
    # Of results of 16 bits, for results of 32.
    plan = lower_job(CONFIG, job(which, out=replace(OUT, result=BF16)))[1]
    one = job(which, plan=plan)
    program, found = lower_job(CONFIG, one)
    assert found is not None
    assert found.out_width == 32
    sums = conv_windowed(SHAPE, which, one.first, one.second, BF16)
    assert np.array_equal(program.result(execute(program).memory), round_sums(sums, FLOAT32)[0])


def test_operands_that_no_tiling_fits_are_refused_with_a_tiling_and_without():
    plan = lower_job(CONFIG, job())[1]
    for given in (None, plan):
        one = job(plan=given)
        with pytest.raises(InputError, match="must have shape"):
            lower_job(CONFIG, replace(one, first=one.first[:-1]))
