"""Weights lie as their gradients are made, where every pass over them allows it."""

from __future__ import annotations

import dataclasses
from fractions import Fraction

import pytest

from gscn.array import array
from gscn.conv import Pass
from gscn.lowering.step.arranging import arranged
from gscn.lowering.step.layers import Training
from gscn.lowering.step.lists import listings
from gscn.lowering.step.network import step_of
from gscn.lowering.step.plans import plan_like
from gscn.step import Convolve, Encode, Walk
from tests.step_networks import large, small

CONFIG = array("small").with_overrides(["float_formats=bf16"])
SIZE = (3, 3, 8, 8)
DENSE = Training(density=Fraction(1, 4), reuse=(0.1, 0.2))
BOTH = dataclasses.replace(DENSE, reuses=True)


def by_input(step):
    return {name for name, one in step.tensors.items() if one.weights and not one.by_output}


@pytest.mark.parametrize("how", [Training(), DENSE, BOTH])
def test_weights_lie_as_their_gradients_are_made(how):
    step = step_of(small(), SIZE, how)
    (made,) = arranged([step], CONFIG)
    for op in step.operations:
        if isinstance(op, Convolve) and op.which is Pass.WEIGHT_GRAD:
            name = op.name.partition(".")[2]
            held = plan_like(CONFIG, op.shape, op.which, 4, op.like).holds_input
            own = {op.result, f"w.{name}", f"m.{name}"} | ({f"dws.{name}"} & set(step.tensors))
            assert own & by_input(made) == (own if held else set())
    assert by_input(made)
    _, (listing,) = listings([step], CONFIG)
    assert not any(".turn" in name for name in listing.records)


def test_passes_over_them_have_rows_for_their_lanes():
    step = step_of(small(), SIZE, BOTH)
    (made,) = arranged([step], CONFIG)
    passes = [one for one in made.operations if isinstance(one, Encode)]
    for op in passes:
        if op.walk is Walk.WEIGHTS:
            first, second, _, _ = op.shape
            assert made.rows[op.rows].channels == (first if op.by_output else second)
            assert {op.by_output} == {made.tensors[name].by_output for name in op.results.values()}
    assert {op.rows for op in passes} == set(made.rows)


def test_tensors_of_several_steps_lie_alike():
    steps = [step_of(small(), SIZE, how) for how in (DENSE, BOTH)]
    one, other = arranged(steps, CONFIG)
    assert all(
        other.tensors[name].by_output == tensor.by_output for name, tensor in one.tensors.items()
    )


def test_what_is_masked_by_output_channels_stays():
    step = step_of(small(), SIZE, Training(masks=True))
    assert not by_input(arranged([step], CONFIG)[0])


def test_gradients_of_several_passes_are_put_in_order():
    config = array("small").with_overrides(["float_formats=bf16", "acc_depth=256"])
    step = step_of(large(), (2, 3, 16, 16), Training())
    (made,) = arranged([step], config)
    runs = {
        op.result: len(plan_like(config, op.shape, op.which, 4, op.like).runs)
        for op in step.operations
        if isinstance(op, Convolve) and op.which is Pass.WEIGHT_GRAD
    }
    assert max(runs.values()) > 1
    assert not by_input(made) & {name for name, count in runs.items() if count > 1}


def test_an_output_gradient_is_made_once_where_both_gradients_cut_it_alike():
    step = step_of(small(), SIZE, BOTH)
    (made,) = arranged([step], CONFIG)
    names = [op.name for op in made.operations]
    gone = [op for op in step.operations if op.name not in names]
    assert gone
    assert {op.name.rpartition(".")[0] for op in gone} == {"s2.dw"}
    users = {op.name: op for op in made.operations if isinstance(op, Convolve)}
    for op in gone:
        layer = op.name.rpartition(".")[2]
        assert users[f"dw.{layer}"].first == users[f"dx.{layer}"].second == f"s1.dx.{layer}"
        # What adapted the threshold does it still.
        (first,) = (one for one in made.operations if one.name == f"s1.dx.{layer}")
        assert first.fields == op.fields
        assert "adapt" in op.fields
    _, (listing,) = listings([step], CONFIG)
    for op in gone:
        strips = listing.memory.strips
        assert strips[op.name] == strips[op.name.replace("s2.dw", "s1.dx")]


def test_strips_that_are_made_of_something_else_are_made_again():
    step = step_of(small(), SIZE, BOTH)
    names = [op.name for op in step.operations]
    at = names.index("s2.dw.c3")
    own = step.operations[at]
    changed = dataclasses.replace(own, fields=own.fields | {"strict": 0})
    operations = (*step.operations[:at], changed, *step.operations[at + 1 :])
    (made,) = arranged([dataclasses.replace(step, operations=operations)], CONFIG)
    assert "s2.dw.c3" in [op.name for op in made.operations]
