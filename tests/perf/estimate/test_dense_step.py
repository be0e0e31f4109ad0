"""The step of a dense array has the passes that compute something, and no others."""

from __future__ import annotations

import dataclasses
from collections import Counter
from fractions import Fraction

import pytest

from gscn.array import array
from gscn.control import Queue
from gscn.errors import InputError
from gscn.lowering.step.layers import Training
from gscn.lowering.step.network import step_of
from gscn.perf.estimate.dense_step import dense_records, dense_step
from gscn.perf.estimate.step_costs import listed
from gscn.step import STRIPS, Convolve, Encode, Walk
from tests.step_networks import small

CONFIG = array("large").with_overrides(["float_formats=bf16"])
SIZE = (3, 3, 8, 8)
LAYERS = 5


@pytest.fixture(scope="module")
def steps():
    ours = step_of(small(), SIZE, Training())
    return ours, dense_step(ours)


def encodes(step):
    return [op for op in step.operations if isinstance(op, Encode)]


def test_operands_are_made_once_where_something_is_computed(steps):
    _, dense = steps
    names = [op.name for op in encodes(dense)]
    made = [op for op in encodes(dense) if "dense." in op.results.get("dense", "")]
    weights = [op for op in made if op.walk is Walk.WEIGHTS]
    gradients = [op for op in made if op.walk is Walk.MAP]
    # Weights of every layer; output gradients of all but the linear layer, whose are dlogits.
    assert len(weights) == LAYERS
    assert len(gradients) == LAYERS - 1
    assert not [op for op in encodes(dense) if op.walk is Walk.OPERAND]
    assert not [name for name in names if name.startswith(("x1.", "x2.", "w2."))]
    assert len(names) == len(set(names))


def test_all_else_is_as_in_the_sparse_step(steps):
    ours, dense = steps
    # Maps are read where they lie, so that nothing is written beside them.
    left = [
        dataclasses.replace(op, results={k: v for k, v in op.results.items() if k not in STRIPS})
        for op in encodes(ours)
        if op.operand is None and op.spread is None
    ]
    assert any(STRIPS[0] in op.results for op in encodes(ours) if op.operand is None)
    made = [op for op in encodes(dense) if "dense." not in op.results.get("dense", "")]
    assert left == made
    kinds = [Counter(type(op) for op in one.operations if not isinstance(op, Encode))
             for one in steps]  # fmt: skip
    assert kinds[0] == kinds[1]


def test_convolutions_read_tensors_that_there_are(steps):
    ours, dense = steps
    assert any(op.spread is not None for op in encodes(ours))
    written = {"images", "dlogits", *(name for name in ours.tensors if name.startswith("w."))}
    for op in dense.operations:
        if isinstance(op, Encode):
            written |= set(op.results.values())
        if isinstance(op, Convolve):
            assert {op.first, op.second} <= written, op.name
            assert not dense.tensors[op.first].wide
            written.add(op.result)
    grads = {f"dx.{name}" for name in ("c2", "c3", "s", "fc")}
    assert grads <= written


def test_records_wait_for_what_they_read(steps):
    _, dense = steps
    records = listed(dense_records(dense, CONFIG))
    ops = [op for op in dense.operations if isinstance(op, Convolve | Encode)]
    named = [one.name for one in records if one.op is not None]
    assert sorted(named) == sorted(op.name for op in ops)
    waits = [one for one in records if one.name == "wait"]
    assert waits
    assert {int(Queue.ARRAY), int(Queue.ENCODE)} == {int(one.content[73]) for one in waits}


def test_an_operand_with_thresholds_is_not_taken_for_its_tensor():
    step = step_of(small(), SIZE, Training(density=Fraction(1, 2)))
    with pytest.raises(InputError, match=r"w1\.c1: .* must have operands of dense training"):
        dense_step(step)
