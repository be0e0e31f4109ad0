"""Models whose layers run on the generated Verilog learn as with the golden model."""

import itertools
import os
import signal
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from gscn import golden
from gscn.array import ARRAYS
from gscn.cosim.chrome_trace import trace_events
from gscn.cosim.devices.backends import CycleModelBackend, RtlBackend
from gscn.cosim.errors import DeviceLost
from gscn.cosim.progress import RunTotals
from gscn.counters import CLUSTER_COUNTER_NAMES
from gscn.errors import InputError
from gscn.formats import FLOAT_OPERAND_FORMATS, FP8_E4M3
from gscn.golden.methods.backends import BACKENDS, GoldenBackend, place
from gscn.golden.methods.operand_formats import formats_of
from gscn.golden.recipe import Recipe
from gscn.golden.training.training import Trainer

CONFIG = replace(ARRAYS["tiny"], float_formats="bf16")


class Residual(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(1, 4, 3, padding=1, bias=False)
        self.inner = nn.Conv2d(4, 4, 3, padding=1)
        self.head = nn.Conv2d(4, 8, 1, stride=2)
        self.classifier = nn.Linear(8, 3)

    def forward(self, images):
        hidden = functional.relu(self.stem(images))
        hidden = functional.relu(self.inner(hidden) + hidden)
        return self.classifier(self.head(hidden).mean((2, 3)))


def train(backend, steps=3):
    """Return losses and final weights; the same data and draws every time."""
    torch.manual_seed(5)
    model = golden.sparsify(
        Residual(), "swat+resprop", sparsity=0.6, first_layer="sparse", backend=backend
    )
    optimiser = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    losses = []
    for step in range(steps):
        generator = torch.Generator().manual_seed(step)
        images = torch.randn(4, 1, 6, 6, generator=generator)
        golden.begin_iteration(model, epoch=0, iteration=step, iterations_per_epoch=100)
        loss = functional.cross_entropy(model(images), torch.tensor([0, 1, 2, 0]))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    return losses, {name: value.detach().clone() for name, value in model.named_parameters()}


def assert_same(one, other):
    assert one[0] == other[0]
    assert one[1].keys() == other[1].keys()
    assert all(torch.equal(value, other[1][name]) for name, value in one[1].items())


@pytest.fixture(scope="module")
def right():
    return train("golden")


@pytest.mark.cosim
def test_training_on_the_generated_verilog_equals_the_golden_model_bit_for_bit(right):
    runs = []
    with RtlBackend(CONFIG, devices=2, observer=runs.append) as backend:
        assert_same(train(backend), right)
    labels = [run.label.removeprefix("layer ") for run in runs]
    for layer in ("stem", "inner", "head", "classifier"):
        for which in ("forward", "input-grad", "weight-grad"):
            # with the terms of the reused gradient, in all steps but the first; linear layers
            # have none
            count = 3 if which == "forward" or layer == "classifier" else 5
            count = 0 if (layer, which) == ("stem", "input-grad") else count
            assert labels.count(f"{layer}, {which}") == count, (layer, which)
    assert right[0] != train(None)[0], "float32 is another arithmetic"


@pytest.mark.cosim
@pytest.mark.parametrize(
    ("name", "scales"),
    [("fp16", None), ("fp8", None), ("fp8_e4m3", None), ("fp8_e5m2", "none"), ("fp8_e4m3", "mx")],
)
def test_formats_and_scales_are_the_golden_models_on_the_generated_verilog(name, scales):
    formats = formats_of(name, scales)
    right = train(GoldenBackend(formats), steps=2)
    # One array has them all, so that one simulator is built.
    config = CONFIG.with_floats(FLOAT_OPERAND_FORMATS.values())
    with RtlBackend(config, formats=formats, devices=1) as backend:
        assert_same(train(backend, steps=2), right)
    with CycleModelBackend(formats=formats) as backend:
        assert_same(train(backend, steps=2), right)
    assert right[0] != train("golden", steps=2)[0], "bf16 is another arithmetic"


def test_the_cycle_model_changes_no_result_and_takes_the_cycles_of_the_verilog(right):
    runs = []
    with CycleModelBackend(CONFIG, observer=runs.append) as backend:
        assert_same(train(backend), right)
    assert all(run.cycles > 0 for run in runs)
    assert all(
        sum(map(sum, run.counters.values())) == run.cycles * CONFIG.multipliers for run in runs
    )


@pytest.mark.cosim
def test_both_count_the_same_cycles():
    # One device, so that passes come in one order; a reset before each, as in the model.
    found = []
    for kind, settings in ((RtlBackend, {"devices": 1}), (CycleModelBackend, {})):
        runs = []
        with kind(CONFIG, observer=runs.append, **settings) as backend:
            train(backend, steps=2)
        found.append([(run.label, run.cycles, run.counters) for run in runs])
    assert found[0] == found[1]
    assert len(found[0]) == 11 + 11 + 5


@pytest.mark.cosim
def test_one_layer_can_be_on_the_accelerator_and_the_rest_in_torch():
    runs = []
    with RtlBackend(CONFIG, devices=1, observer=runs.append) as backend:
        mixed = train({"inner": backend})
    assert {run.label.split(",")[0] for run in runs} == {"layer inner"}
    assert_same(mixed, train({"inner": "golden"}))


@pytest.mark.cosim
def test_a_simulator_killed_in_a_step_is_named_and_the_next_step_works(right):
    with RtlBackend(CONFIG, devices=1) as backend:
        device = backend.pool.devices[0]
        device.start()
        killed = itertools.count()

        def kill(_):
            if next(killed) == 4:
                os.kill(device.process_id, signal.SIGKILL)

        backend.observer = kill
        with pytest.raises(DeviceLost, match=r"was ended by SIGKILL, during layer \w+, \w+"):
            train(backend)
        assert_same(train(backend), right)
        assert device.starts == 2


def test_names_of_backends_work_and_the_rest_are_refused():
    model = golden.sparsify(Residual(), "swat", backend="cycle-model")
    config = model.inner.gscn.arithmetic.executor.config
    assert (config.multipliers, config.float_formats) == (16, "bf16")
    assert CycleModelBackend(formats="fp8").config.float_formats == "fp16,fp8_e4m3"
    placed = place(model, {"head": "golden"})
    assert isinstance(placed["head"], GoldenBackend)
    assert model.inner.gscn.arithmetic is None
    assert "rtl" in BACKENDS
    with pytest.raises(InputError, match="backend must be one of golden, rtl, cycle-model, not 'r"):
        golden.sparsify(Residual(), "swat", backend="rt")
    with pytest.raises(InputError, match=r"for layers \(stem, .*, classifier\), not 'classes'"):
        golden.sparsify(Residual(), "swat", backend={"classes": "golden"})
    with pytest.raises(InputError, match="layer Conv3d: kernel must have one or two dimensions"):
        golden.sparsify(nn.Conv3d(2, 2, 3), "dense", backend="golden")
    with pytest.raises(InputError, match="float_formats must contain bf16, not be ''"):
        CycleModelBackend(ARRAYS["tiny"])
    with pytest.raises(InputError, match="float_formats must contain fp16, not be 'bf16,fp8_e4m3'"):
        CycleModelBackend(CONFIG.with_floats([FP8_E4M3]), formats="fp8")
    with pytest.raises(InputError, match=r"formats must be one of bf16, fp16, fp8, .*, not 'fp4'"):
        CycleModelBackend(CONFIG, formats="fp4")


@pytest.fixture(scope="module")
def timeline():
    """Return runs of an iteration, and the events of their timeline."""
    runs = []
    with CycleModelBackend(CONFIG, observer=runs.append) as backend:
        train(backend, steps=1)
    return runs, list(trace_events(CONFIG, runs))


def test_a_timeline_has_every_pass_in_every_cluster_and_ends_with_the_last(timeline):
    runs, events = timeline
    names = [event["args"]["name"] for event in events if event["ph"] == "M"]
    assert names == ["passes", *(f"cluster {number}" for number in range(CONFIG.clusters))]
    total = sum(run.cycles for run in runs)
    for process in range(CONFIG.clusters + 1):
        spans = [e for e in events if (e["ph"], e["pid"]) == ("X", process)]
        assert [span["name"] for span in spans] == [run.label for run in runs]
        ends = [span["ts"] + span["dur"] for span in spans]
        assert [0, *ends] == [*(span["ts"] for span in spans), total], "one after the other"
        for span, run in zip(spans, runs, strict=True):
            share = CONFIG.clusters if process == 0 else 1
            counted = span["args"]["pe_cycles"]
            assert sum(counted.values()) == run.cycles * CONFIG.pes * share
            assert set(counted) == set(CLUSTER_COUNTER_NAMES)
    with pytest.raises(InputError, match="runs must be at least 1"):
        list(trace_events(CONFIG, []))


def test_a_timeline_counts_busy_and_stalled_pes_over_time(timeline):
    runs, events = timeline
    total = sum(run.cycles for run in runs)
    for process in range(CONFIG.clusters + 1):
        points = [
            (event["ts"], event["args"]["busy"])
            for event in events
            if (event["ph"], event["name"], event["pid"]) == ("C", "busy PEs, %", process)
        ]
        assert points[-1] == (total, 0)
        spans = itertools.pairwise(points)
        area = sum(share / 100 * (later - now) for (now, share), (later, _) in spans)
        busy = [sum(run.counters["busy"][c] for run in runs) for c in range(CONFIG.clusters)]
        right = sum(busy) / CONFIG.clusters if process == 0 else busy[process - 1]
        # Shares are rounded to a tenth of a percent.
        assert area == pytest.approx(right / CONFIG.pes, abs=5e-4 * total)
    stalls = [e["args"] for e in events if (e["ph"], e["name"]) == ("C", "stalled PEs, %")]
    busy = [
        e["args"]["busy"]
        for e in events
        if (e["ph"], e["name"], e["pid"]) == ("C", "busy PEs, %", 0)
    ]
    assert all(set(one) == set(CLUSTER_COUNTER_NAMES) - {"busy"} for one in stalls)
    for share, one in zip(busy[:-1], stalls, strict=True):
        assert share + sum(one.values()) == pytest.approx(100, abs=0.5)


def test_totals_are_sums_over_runs():
    totals = RunTotals(config=CONFIG, clock_mhz=200.0)
    runs = []
    with CycleModelBackend(CONFIG, observer=runs.append) as backend:
        train(backend, steps=1)
    for run in runs:
        totals.add(run)
    assert totals.cycles == sum(run.cycles for run in runs)
    assert totals.simulated_seconds == pytest.approx(totals.cycles / 200e6)
    useful = sum(run.useful_products for run in runs)
    assert totals.utilization == pytest.approx(useful / (4 * totals.cycles))
    busy = sum(sum(run.counters["busy"]) for run in runs) / (4 * totals.cycles)
    assert sum(totals.stalls().values()) == pytest.approx(1 - busy)
    assert set(totals.stalls()) == set(CLUSTER_COUNTER_NAMES) - {"busy"}
    assert totals.last in totals.text()


@pytest.mark.cosim
@pytest.mark.slow
def test_ten_iterations_of_the_digits_network_on_64_multipliers_equal_the_golden_model():
    config = replace(ARRAYS["large"], float_formats="bf16")
    recipe = Recipe(method="swat+resprop", sparsity=0.9, arithmetic="bf16", batch_size=16)
    trainers = [Trainer(recipe) for _ in range(2)]
    with RtlBackend(config, devices=2) as backend:
        place(trainers[0].network, backend)
        losses = [[done.loss for done in trainer.run(10)] for trainer in trainers]
    assert losses[0] == losses[1]
    states = [trainer.network.state_dict() for trainer in trainers]
    for name, value in states[0].items():
        if torch.is_tensor(value):
            assert np.array_equal(value.numpy(), states[1][name].numpy()), name
