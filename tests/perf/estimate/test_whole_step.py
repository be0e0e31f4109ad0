"""A step with everything adds up, on our accelerator and on the dense array."""

from __future__ import annotations

import dataclasses
import math

import pytest
import torch

from gscn.array import array
from gscn.conv import Pass
from gscn.errors import InputError
from gscn.golden.networks.survey import survey
from gscn.golden.networks.tracing import traced
from gscn.perf.dense_array import dense_cost
from gscn.perf.estimate.memory import Dram
from gscn.perf.estimate.step_costs import KINDS, OPERANDS, ORDER, REUSE, SELECTION, UPDATE
from gscn.perf.estimate.step_schedule import Turns
from gscn.perf.estimate.training_step import Mode, estimate, to_json
from gscn.perf.estimate.whole_step import REFRESH, whole_step
from gscn.perf.workload.layers import network_of
from gscn.perf.workload.sparsification import Method, Sparsification
from tests.step_networks import Small

CONFIG = array("large")
SHAPE = (4, 3, 8, 8)


def estimated(method="swat+resprop", **options):
    model = Small()
    network = network_of("small", survey(model, SHAPE))
    result = estimate(
        network, CONFIG, Sparsification(method=Method(method), sparsity=0.9), mode=Mode.ANALYTIC,
        **options,
    )  # fmt: skip
    return dataclasses.replace(result, graph=traced(model, torch.zeros(SHAPE)))


@pytest.fixture(scope="module")
def result():
    return estimated()


@pytest.fixture(scope="module")
def step(result):
    return whole_step(result)


def test_convolutions_take_what_the_estimate_says(result, step):
    assert step.ours.array.cycles == pytest.approx(result.cycles())
    assert step.selecting.array == step.ours.array
    wanted = sum(one.dense.cycles for one in result.passes)
    # The terms of one sample are our accelerator's alone.
    assert step.dense.array.passes == len(result.passes) < step.ours.array.passes
    assert step.dense.array.cycles == wanted


def test_a_step_is_no_shorter_than_its_units_and_no_longer_than_both(step):
    for machine in (step.ours, step.selecting, step.dense):
        encode = sum(one.cycles for one in machine.kinds.values())
        assert max(machine.array.cycles, encode) <= machine.cycles <= machine.in_series
        assert sum(machine.exposed.values()) + machine.array.cycles <= machine.cycles * (1 + 1e-9)
        for kind, one in machine.kinds.items():
            assert one.exposed == machine.exposed.get(kind, 0.0)


def test_kinds_are_those_of_the_machine(step):
    ours, selecting = set(step.ours.kinds), set(step.selecting.kinds)
    assert selecting == ours | {SELECTION} == set(KINDS)
    assert set(step.dense.kinds) == ours - {REUSE, ORDER}
    assert step.dense.kinds[OPERANDS].cycles < step.ours.kinds[OPERANDS].cycles
    # Lanes are output channels there, and input channels of most layers here.
    assert step.dense.kinds[UPDATE].passes == step.ours.kinds[UPDATE].passes
    ours, dense = (one.kinds[UPDATE].cycles for one in (step.ours, step.dense))
    assert dense == pytest.approx(ours, rel=0.05)


def test_one_step_in_ten_selects(step):
    more = step.selecting.cycles - step.ours.cycles
    assert more > 0
    assert step.cycles == pytest.approx(step.ours.cycles + more / REFRESH)
    assert step.selection_share == pytest.approx(more / REFRESH / step.cycles)
    assert step.exposed_share == pytest.approx(1 - step.ours.array.cycles / step.cycles)


def test_speedups_are_over_the_dense_array_with_the_same_unit(result, step):
    assert step.speedup == pytest.approx(step.dense.cycles / step.cycles)
    assert step.ours.array.cycles < step.with_operands < step.cycles
    assert step.speedup_with_operands < result.speedup()
    assert step.speedup < step.limit


def test_training_that_zeroes_nothing_selects_nothing():
    found = whole_step(estimated("dense"))
    assert found.selecting is None
    assert found.cycles == found.ours.cycles
    assert found.selection_share == 0
    assert SELECTION not in found.ours.kinds
    assert REUSE not in found.ours.kinds


def test_a_dram_makes_both_slower(step):
    slow = whole_step(estimated(dram=Dram(bytes_per_cycle=4)))
    assert slow.ours.cycles > step.ours.cycles
    assert slow.dense.cycles > step.dense.cycles
    moved = slow.ours.array.dram_bytes + sum(one.dram_bytes for one in slow.ours.kinds.values())
    assert slow.ours.cycles >= moved / 4 * (1 - 1e-9)


def test_the_array_first_makes_it_wait_no_longer(result, step):
    first = whole_step(result, Turns.ARRAY)
    assert first.ours.in_series == step.ours.in_series
    assert first.ours.array == step.ours.array


def test_the_json_has_the_same(result, step):
    data = to_json(result)["whole_step"]
    assert data["refused"] is None
    assert data["speedup_with_everything"] == step.speedup
    assert data["ours"]["cycles"] == step.ours.cycles
    assert data["ours"]["encode_passes"][UPDATE] == step.ours.kinds[UPDATE]._asdict()
    assert data["dense"]["convolutions"]["cycles"] == step.dense.array.cycles


def test_without_a_graph_there_is_no_figure(result):
    alone = dataclasses.replace(result, graph=None, unknown="nobody kept it")
    with pytest.raises(InputError, match="of which nothing is known: nobody kept it"):
        whole_step(alone)
    assert "small must have the graph" in to_json(alone)["whole_step"]["refused"]


def test_what_the_compiler_refuses_is_named_and_has_no_figure(result):
    model = torch.nn.Sequential(Small(), torch.nn.Sigmoid())
    graph = traced(model, torch.zeros(SHAPE))
    refused = to_json(dataclasses.replace(result, graph=graph))["whole_step"]
    assert set(refused) == {"refused"}
    assert "Sigmoid" in refused["refused"]


def test_a_graph_of_another_network_is_refused(result):
    other = traced(Small(), torch.zeros(2, *SHAPE[1:]))
    with pytest.raises(InputError, match="a layer of the estimate must have the shape"):
        whole_step(dataclasses.replace(result, graph=other))


def test_a_shortcut_without_parameters_is_a_convolution_by_the_closed_form():
    from gscn.golden.networks.residual import SmallResNet

    model, shape = SmallResNet(1), (2, 3, 16, 16)
    result = estimate(
        network_of("resnet", survey(model, shape)), CONFIG,
        Sparsification(method=Method.SWAT, sparsity=0.9), mode=Mode.ANALYTIC,
    )  # fmt: skip
    step = whole_step(dataclasses.replace(result, graph=traced(model, torch.zeros(shape))))
    shortcuts = 2 * 2  # two of them, forward and input gradient
    assert step.ours.array.passes == len(result.passes) + shortcuts
    assert step.ours.array.cycles > result.cycles()
    whole = sum(one.dense.cycles for one in result.passes)
    assert step.dense.array.cycles > whole
    assert Pass.FORWARD in {one.which for one in result.passes}
    assert dense_cost(CONFIG, result.passes[0].layer.shape, Pass.FORWARD).cycles < whole


class Grouped(torch.nn.Module):
    """Depthwise and grouped convolutions, in packs."""

    def __init__(self):
        super().__init__()
        sizes = ((3, 32, 3, 1, 1), (32, 64, 3, 2, 1), (64, 64, 3, 1, 1))
        self.layers = torch.nn.Sequential(*(
            torch.nn.Sequential(
                torch.nn.Conv2d(*size, groups=groups, bias=False),
                torch.nn.BatchNorm2d(size[1]), torch.nn.ReLU(),
            )
            for size, groups in zip(sizes, (1, 8, 64), strict=True)
        ))  # fmt: skip
        self.fc = torch.nn.Linear(64, 10)

    def forward(self, images):
        """Return logits."""
        return self.fc(self.layers(images).mean((2, 3)))


def test_groups_are_passes_of_packs_and_a_dense_arrays_passes_share_its_cost():
    model = Grouped()
    network = network_of("grouped", survey(model, SHAPE))
    result = estimate(
        network, CONFIG, Sparsification(method=Method.SWAT, sparsity=0.9), mode=Mode.ANALYTIC
    )
    result = dataclasses.replace(result, graph=traced(model, torch.zeros(SHAPE)))
    made = whole_step(result)
    # Packs of 4 groups, of 16 groups; images have no input gradient.
    assert made.ours.array.passes == 2 + 3 * 2 + 3 * 4 + 3
    assert made.dense.array.passes == made.ours.array.passes
    wanted = sum(one.dense.cycles for one in result.passes)
    assert made.dense.array.cycles == pytest.approx(wanted)
    products = sum(
        one.layer.shape.dense_macs * math.prod((work.work.first_density, work.work.second_density))
        for one in result.passes
        for work in one.works
    )
    assert made.ours.array.cycles * CONFIG.multipliers > 0.9 * products
    assert made.ours.kinds[OPERANDS].passes > made.dense.kinds[OPERANDS].passes
