"""Operands that are a whole map are written by the pass that makes it."""

from __future__ import annotations

import dataclasses
from fractions import Fraction

import pytest

from gscn.array import array
from gscn.errors import InputError
from gscn.lowering.step.layers import IMAGES, Conv, Norm, Pool, Training
from gscn.lowering.step.lists import listings
from gscn.lowering.step.merging import merged, operand_of
from gscn.lowering.step.network import step_of
from gscn.step import Convolve, Encode, Operand, Role, Top, Walk
from tests.step_networks import small

CONFIG = array("small").with_overrides(["float_formats=bf16"])
SIZE = (3, 3, 8, 8)
KEEP = Training(density=Fraction(1, 4))
SELECT = Training(density=Fraction(1, 4), refresh=True)


def passes(step):
    return {op.name: op for op in step.operations if isinstance(op, Encode)}


def strips(op):
    return {part: name for part, name in op.results.items() if part in "ab"}


def test_a_map_is_written_with_both_operands_of_the_convolution_behind_it():
    found = passes(step_of(small(), SIZE, KEEP))
    made = found["z.n2"]
    assert strips(made) == {"a": "x2.c3", "b": "x1.c3"}
    # Those of A are by the threshold of the state, which is that of the weight gradient's inputs.
    assert (made.state, made.fields["thresholds"]) == ("sk.c3", 1)
    assert not {"x1.c3", "x2.c3"} & found.keys()
    # The convolution behind the pooling has a stride; images are the host's.
    assert {"x1.c2", "x2.c2", "x1.c1", "x2.c1"} <= found.keys()
    assert not strips(found["z.largest"])


def test_what_a_threshold_is_selected_for_is_made_behind_the_selection():
    step = step_of(small(), SIZE, SELECT)
    found = passes(step)
    assert strips(found["z.n2"]) == {"a": "x1.c3"}
    assert "thresholds" not in found["z.n2"].fields
    names = [op.name for op in step.operations]
    assert names.index("z.n2") < names.index("select.x.c3.0") < names.index("x2.c3")


@pytest.mark.parametrize("how", [Training(), KEEP, SELECT])
def test_every_operand_is_made_once_and_every_state_is_written(how):
    step = step_of(small(), SIZE, how)
    made = [name for op in passes(step).values() for name in strips(op).values()]
    used = [
        name for op in step.operations if isinstance(op, Convolve) for name in (op.first, op.second)
    ]
    assert len(made) == len(set(made))
    assert set(made) == set(used)
    named = {name for op in step.operations if isinstance(op, Top) for name in op.states}
    assert named <= step.states.keys()
    assert {op.state for op in passes(step).values()} <= step.states.keys()


def test_strips_are_an_operand_of_the_convolution_that_reads_them():
    step = step_of(small(), SIZE, KEEP)
    operand, user = operand_of(step, "x2.c3")
    assert (operand, user.name) == (Operand(user.shape, user.which, Role.SECOND), "dw.c3")
    with pytest.raises(InputError, match="strips x9 must be an operand of a convolution"):
        operand_of(step, "x9")


def test_two_convolutions_on_a_map_have_a_pass_less_each():
    layers = [
        Conv("c1", IMAGES, 16, 3, 1, 1), Norm("n1", "c1"),
        Conv("c2", "n1", 16, 3, 1, 1), Norm("n2", "c2"),
        Conv("s", "n1", 16), Norm("ns", "s", folded=True),
        Conv("c3", "n2", 16, 3, 1, 1), Norm("n3", "c3", added="ns"),
        Pool("mean", "n3", False, 8, 8), Conv("fc", "mean", 10, linear=True),
    ]  # fmt: skip
    found = passes(step_of(layers, SIZE, KEEP))
    whole = set(strips(found["z.n1"]).values())
    assert len(whole) == 2
    assert {"x1.c2", "x2.c2", "x1.s", "x2.s"} - whole <= found.keys()


def test_a_merged_step_has_nothing_left_to_merge():
    step = step_of(small(), SIZE, KEEP)
    assert merged(step) == step


def test_strips_that_are_no_whole_map_are_refused():
    step = step_of(small(), SIZE, KEEP)
    operations = tuple(
        dataclasses.replace(op, results=op.results | {"a": "x1.c2"}) if op.name == "z.n2" else op
        for op in step.operations
    )
    with pytest.raises(InputError, match="second operand of forward of"):
        listings([dataclasses.replace(step, operations=operations)], CONFIG)


def test_walks_of_windows_make_no_strips():
    found = passes(step_of(small(), SIZE, KEEP))
    assert all(op.walk is Walk.MAP for op in found.values() if strips(op) and not op.operand)
