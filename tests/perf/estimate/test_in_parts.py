"""Gradients in parts: lists by hand, what any order keeps, and bounds."""

from __future__ import annotations

import dataclasses

import pytest

from gscn.array import array
from gscn.conv import ConvShape, Pass
from gscn.dram import Dram
from gscn.errors import InputError
from gscn.perf.estimate.in_parts import Cost, Part, dense_cycles, in_parts, parts_json, run_parts
from gscn.perf.estimate.result import BACKWARD, Mode
from gscn.perf.estimate.training_step import estimate
from gscn.perf.workload.layers import Layer, Network
from gscn.perf.workload.sparsification import Method, Sparsification

DRAM = Dram(bytes_per_cycle=5.46, buffer_bytes=1 << 20)
ROOM = 512 << 10


def listed(*costs, follows=()):
    return [
        Part("layer", Pass.INPUT_GRAD, Cost(*cost), (), number in follows)
        for number, cost in enumerate(costs)
    ]


def test_parts_alone_take_the_longer_of_both():
    assert run_parts(listed((400.0, 100.0, 50.0)), 0.0) == pytest.approx(400.0)
    assert run_parts(listed((100.0, 300.0, 80.0)), 0.0) == pytest.approx(380.0)


def test_what_is_written_late_and_read_ahead_takes_no_time_by_hand():
    thin, thick = (100.0, 300.0, 80.0), (400.0, 0.0, 0.0)
    # 80 are written under the second pass, and 200 of the third one's 300 read, as many as have
    # room; of these its quarters find 75, 75 and 50, and half of its results are written by then
    assert run_parts(listed(thin, thick, thin), 200.0) == pytest.approx(300 + 400 + 150 + 40)
    # the third one's operand is made by what is before it
    assert run_parts(listed(thin, thick, thin, follows=(2,)), 200.0) == pytest.approx(1080.0)
    assert run_parts(listed(thin, thick, thin), 0.0) == pytest.approx(380 + 400 + 380)


@pytest.fixture(scope="module")
def result():
    sizes = [(64, 64, 3, 1), (256, 64, 1, 0), (64, 256, 1, 0), (64, 64, 3, 1)]
    layers = tuple(
        Layer(
            name=f"layer{number}",
            shape=ConvShape(n=8, c=c, h=28, w=28, k=k, r=r, s=r, padding=(padding, padding)),
        )
        for number, (k, c, r, padding) in enumerate(sizes)
    )
    return estimate(
        Network(name="four", layers=layers, omitted=()), array("large"),
        Sparsification(method=Method.SWAT, sparsity=0.9), mode=Mode.ANALYTIC, dram=DRAM,
    )  # fmt: skip


def test_every_gradient_is_done_once_and_after_what_it_depends_on(result):
    step = in_parts(result, ROOM)
    order = [layer.name for layer in result.network.layers][::-1]
    begun = {}
    for number, part in enumerate(step.parts):
        begun.setdefault((part.layer, part.which), number)
        if part.which is Pass.WEIGHT_GRAD:
            # the layer behind has its whole input gradient by then
            later = order[: order.index(part.layer)]
            ends = [n for n, p in enumerate(step.parts)
                    if p.layer in later and p.which is Pass.INPUT_GRAD]  # fmt: skip
            assert all(end < number for end in ends)
    chain = [p.layer for p in step.parts if p.which is Pass.INPUT_GRAD]
    assert chain == sorted(chain, key=order.index)
    for one in result.chosen(BACKWARD):
        parts = [p for p in step.parts if (p.layer, p.which) == (one.layer.name, one.which)]
        macs = sum(work.shape.dense_macs for p in parts for work in p.works)
        assert macs == one.layer.shape.dense_macs
        assert [p.follows for p in parts] == [
            one.which is Pass.INPUT_GRAD and number == 0 for number in range(len(parts))
        ]


def test_a_step_in_parts_lies_between_its_bounds(result):
    step = in_parts(result, ROOM)
    assert step.forward_cycles == result.cycles((Pass.FORWARD,))
    assert step.backward_cycles >= max(step.array_cycles, step.dram_cycles)
    whole = sum(max(part.cost.array, part.cost.dram) for part in step.parts)
    assert step.backward_cycles < whole
    assert step.dense_cycles == dense_cycles(result) <= sum(p.dense.cycles for p in result.passes)
    data = parts_json(step, ROOM)
    assert data["training_speedup_vs_dense"] == step.dense_cycles / data["training_cycles"]
    assert len(data["parts"]) == len(step.parts)


def test_without_a_buffer_that_works_ahead_there_are_no_parts(result):
    with pytest.raises(InputError, match="must be given"):
        in_parts(result, 0)
    with pytest.raises(InputError, match="must be given"):
        in_parts(dataclasses.replace(result, dram=None), ROOM)
    with pytest.raises(InputError, match="ahead_bytes must be from 0 to buffer_bytes"):
        in_parts(result, 2 << 20)
