"""A choice taken from the driver is taken, and given back."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from benchmarks import forced
from gscn.array import array
from gscn.conv import ConvShape, Pass
from gscn.cosim.layer import PassInput
from gscn.lowering.estimates import gang_size

SMALL = dataclasses.replace(array("small"), acc_depth=1152)
SHAPE = ConvShape(n=4, c=96, h=8, w=8, k=96, r=3, s=3, padding=(1, 1))


def drawn(shape, *densities):
    rng = np.random.default_rng(1)
    first, second = (
        (rng.random(size) < density).astype(np.int16)
        for size, density in zip(shape.operand_shapes(Pass.WEIGHT_GRAD), densities, strict=True)
    )
    return PassInput(layer="a", shape=shape, which=Pass.WEIGHT_GRAD, first=first, second=second)


@pytest.fixture
def one():
    return drawn(SHAPE, 0.1, 0.4)


@pytest.mark.parametrize("inputs", [True, False])
def test_the_operand_that_is_named_is_held(one, inputs):
    free = forced.planned_for(SMALL, one)
    with forced.holding(inputs=inputs):
        assert {part.holds_input for part in forced.planned_for(SMALL, one).parts} == {inputs}
    assert forced.planned_for(SMALL, one) == free


def test_with_a_step_inputs_are_held_all_the_same(one):
    strided = dataclasses.replace(SHAPE, stride=(2, 2))
    first = one.first[:, :, ::2, ::2]
    one = dataclasses.replace(one, shape=strided, first=np.ascontiguousarray(first))
    with forced.holding(inputs=False):
        planned = forced.planned_for(SMALL, one)
    assert all(not part.holds_input for part in planned.parts if part.step == 1)


@pytest.mark.parametrize(("rows", "cols", "taps"), [(1, None, (1, 3)), (1, 1, (1, 1))])
def test_passes_have_so_many_taps(one, rows, cols, taps):
    free = forced.planned_for(SMALL, one)
    with forced.tap_passes(rows, cols):
        planned = forced.planned_for(SMALL, one)
    runs = [run for part in planned.parts for run in part.runs]
    assert {tuple(len(axis.taps) for axis in run) for run in runs} == {taps}
    assert len(runs) == 9 // (taps[0] * taps[1])
    assert forced.planned_for(SMALL, one) == free


def test_tiles_without_teams_have_all_samples_and_come_in_sizes(one):
    plans = forced.without_teams(SMALL, one)
    assert len(plans) > 1
    for planned in plans:
        assert planned.config == SMALL
        for part in planned.parts:
            assert (part.choice.team, part.choice.tile_samples) == (1, SHAPE.n)


def test_gangs_without_teams_are_not_those_of_the_teams():
    one = drawn(ConvShape(n=32, c=16, k=16, h=16, w=16, r=3, s=3, padding=(1, 1)), 0.05, 0.1)
    (teamed,) = forced.planned_for(SMALL, one).parts
    assert 1 < teamed.choice.team < SMALL.clusters
    for planned in forced.without_teams(SMALL, one):
        for part in planned.parts:
            assert (part.choice.team, part.choice.unit_rows) == (1, 0)
            assert part.choice.gang == gang_size(SMALL.clusters, part.stationary.groups)
            assert part.choice.gang != teamed.choice.gang


def test_cycles_are_of_the_plan_that_is_given(one):
    own = forced.planned_for(SMALL, one)
    assert forced.cycles_of(SMALL, one) == forced.cycles_of(SMALL, one, own)
    cycles = {forced.cycles_of(SMALL, one, other) for other in forced.without_teams(SMALL, one)}
    assert len(cycles) > 1
