"""Plans are made of shapes and classes of densities."""

from __future__ import annotations

import dataclasses

import pytest

from gscn.array import ARRAYS
from gscn.conv import ConvShape, Pass
from gscn.errors import InputError
from gscn.lowering.plan import density_class, forget_plans, plan_pass
from tests.lowering.layers import PADDED

LARGE = ARRAYS["large"]


def test_classes_are_eighths_of_a_decade():
    assert [density_class(one) for one in (1, 0.1, 0.01, 0, 1e-9)] == [0, -8, -16, -32, -32]
    assert density_class(0.95) == 0
    assert density_class(0.75) == -1


@pytest.mark.parametrize("which", Pass)
def test_densities_of_one_class_have_one_plan(which):
    plan = plan_pass(LARGE, PADDED, which, (0.1, 0.5))
    assert plan_pass(LARGE, PADDED, which, (0.105, 0.51)) is plan
    forget_plans()
    again = plan_pass(LARGE, PADDED, which, (0.1, 0.5))
    assert again is not plan
    assert again == plan


def test_a_plan_says_its_sizes_and_its_cycles():
    kernel = plan_pass(LARGE, PADDED, "forward", (0.1, 0.5))
    assert "weights held, 16 stationary channels x 1 samples x 3 rows x 8 columns" in str(kernel)
    grad = plan_pass(LARGE, PADDED, "weight-grad", (0.1, 0.5))
    assert "held, 16 stationary channels" in str(grad)
    assert kernel.cycles == kernel.parts[0].choice.cycles
    assert grad.cycles == grad.parts[0].choice.cycles


def test_few_accumulators_cut_the_taps_of_a_weight_gradient():
    shape = ConvShape(n=1, c=16, k=16, h=12, w=12, r=7, s=7, padding=(3, 3))
    (part,) = plan_pass(ARRAYS["tiny"], shape, Pass.WEIGHT_GRAD, (0.1, 0.1)).parts
    assert len(part.runs) > 1
    assert sum(len(y.taps) * len(x.taps) for y, x in part.runs) == 49
    fewer = dataclasses.replace(LARGE, acc_depth=2304)
    (part,) = plan_pass(fewer, shape, Pass.WEIGHT_GRAD, (0.1, 0.1)).parts
    assert len(part.runs) == 2  # of 4 and 3 rows: with 7, a tile has 2 streamed channels only


def test_dilated_taps_of_a_weight_gradient_are_passes_of_their_own():
    shape = ConvShape(n=1, c=16, k=16, h=12, w=12, r=3, s=2, padding=(2, 2), dilation=(2, 3))
    (part,) = plan_pass(LARGE, shape, Pass.WEIGHT_GRAD, (0.1, 0.1)).parts
    assert [(y.taps, x.taps) for y, x in part.runs] == [
        ((y,), (x,)) for y in range(3) for x in range(2)
    ]


def test_what_does_not_fit_is_refused_by_name():
    shape = ConvShape(n=1, c=1, k=1, h=3, w=5000, r=3, s=3)
    with pytest.raises(InputError, match=r"must hold a tile of the weight-grad .* 4096, 4096 and"):
        plan_pass(LARGE, shape, Pass.WEIGHT_GRAD, (0.1, 0.1))


def test_strided_layers_are_planned_by_phases_where_that_is_cheaper():
    shape = ConvShape(n=32, c=256, k=512, h=8, w=8, r=3, s=3, stride=(2, 2), padding=(1, 1))
    sparse = plan_pass(LARGE, shape, Pass.INPUT_GRAD, (0.1, 0.02))
    assert len(sparse.parts) == 4  # each phase's weights fit the window, all of them do not
    small = dataclasses.replace(shape, c=16, k=16)
    assert len(plan_pass(LARGE, small, Pass.INPUT_GRAD, (0.1, 0.02)).parts) == 1
    shape = dataclasses.replace(shape, c=128, k=256, h=16, w=16)
    steps = [
        [part.step for part in plan_pass(LARGE, shape, Pass.WEIGHT_GRAD, (density, 0.1)).parts]
        for density in (0.02, 0.3)
    ]
    assert steps == [[1, 1, 1, 1], [2]]
