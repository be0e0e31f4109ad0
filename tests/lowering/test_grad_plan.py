"""Plans of weight gradients: taps to a pass, units, phases of a stride."""

from __future__ import annotations

import dataclasses

import pytest

from gscn.array import ARRAYS
from gscn.conv import ConvShape, Pass
from gscn.lowering.plan import plan_pass
from tests.lowering.layers import STRIDED, strided

LARGE = ARRAYS["large"]


@pytest.mark.parametrize(
    ("density", "unit"), [(0.02, "units of 1 samples"), (1.0, "units of 5 rows of a sample")]
)
def test_a_plan_says_whether_units_are_samples_or_rows_of_one(density, unit):
    shape = dataclasses.replace(STRIDED, n=32, stride=(1, 1))
    assert str(plan_pass(LARGE, shape, Pass.WEIGHT_GRAD, (density, 0.1))).endswith(unit)


def test_few_accumulators_cut_the_taps_of_a_weight_gradient():
    shape = ConvShape(n=1, c=16, k=16, h=12, w=12, r=7, s=7, padding=(3, 3))
    (part,) = plan_pass(ARRAYS["tiny"], shape, Pass.WEIGHT_GRAD, (0.1, 0.1)).parts
    assert len(part.runs) > 1
    assert sum(len(y.taps) * len(x.taps) for y, x in part.runs) == 49
    (part,) = plan_pass(LARGE, shape, Pass.WEIGHT_GRAD, (0.1, 0.1)).parts
    assert len(part.runs) == 2  # of 4 and 3 rows: with 7, a tile has 2 streamed channels only


def test_dilated_taps_of_a_weight_gradient_are_passes_of_their_own():
    shape = ConvShape(n=1, c=16, k=16, h=12, w=12, r=3, s=2, padding=(2, 2), dilation=(2, 3))
    (part,) = plan_pass(LARGE, shape, Pass.WEIGHT_GRAD, (0.1, 0.1)).parts
    assert [(y.taps, x.taps) for y, x in part.runs] == [
        ((y,), (x,)) for y in range(3) for x in range(2)
    ]


@pytest.mark.parametrize("grads", [0.08, 0.05, 0.035])
@pytest.mark.parametrize("channels", [64, 128])
def test_phases_of_a_strided_weight_gradient_have_the_gradient_in_one_grouping(channels, grads):
    parts = plan_pass(LARGE, strided(channels), Pass.WEIGHT_GRAD, (grads, 0.1)).parts
    assert len(parts) == 4
    assert len({part.stream if part.holds_input else part.stationary for part in parts}) == 1


def test_a_gradient_that_is_small_may_have_a_grouping_for_each_phase():
    parts = plan_pass(LARGE, strided(128), Pass.WEIGHT_GRAD, (0.002, 0.1)).parts
    assert len({part.stream for part in parts}) > 1
