"""The estimate with an injected utilisation: sums, ratios and samples worked out independently."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from gscn.config import preset
from gscn.conv import ConvShape, Pass
from gscn.errors import InputError
from gscn.golden.networks.survey import survey
from gscn.perf.dense_array import dense_cost
from gscn.perf.estimate.sampling import SAMPLE_PRODUCTS, Measurement, Sampling, choose_sample
from gscn.perf.estimate.training_step import BACKWARD, Mode, assumptions, estimate, to_json
from gscn.perf.workload.layers import network_of
from gscn.perf.workload.networks import network
from gscn.perf.workload.sparsification import Method, Sparsification
from gscn.perf.workload.work import Work, inner_macs

LARGE = preset("large")


def constant(utilization):
    """Return a measure that finds the same utilisation on every sample."""

    def measure(config, samples):
        assert len(set(samples)) == len(samples), "a sample is measured twice"
        return [
            Measurement(
                useful_products=round(utilization * 1_000_000 * config.multipliers),
                cycles=1_000_000,
                multipliers=config.multipliers,
            )
            for _ in samples
        ]

    return measure


def by_pass(config, samples):
    """Forward half as well used as the other passes."""
    return [constant(0.4 if s.which is Pass.FORWARD else 0.8)(config, [s])[0] for s in samples]


def estimated(method, sparsity, *, measure, name="resnet18", image_size=64, batch=4):
    return estimate(
        network(name, image_size=image_size, batch=batch),
        LARGE,
        Sparsification(method=Method(method), sparsity=sparsity),
        mode=Mode.UNIFORM,
        sampling=Sampling(measure=measure),
    )


def test_dense_training_at_full_utilisation_gains_only_the_padding():
    result = estimated("dense", 0.0, measure=constant(1.0))
    dense = sum(
        dense_cost(LARGE, layer.shape, which).cycles
        for layer in result.network.layers
        for which in Pass
        if not (layer.first and which is Pass.INPUT_GRAD)
    )
    inner = sum((3 - layer.first) * inner_macs(layer.shape) for layer in result.network.layers)
    assert result.cycles() == pytest.approx(inner / 64)
    assert result.speedup() == pytest.approx(dense / (inner / 64))


def test_half_the_utilisation_takes_twice_the_cycles():
    full = estimated("swat", 0.9, measure=constant(1.0))
    half = estimated("swat", 0.9, measure=constant(0.5))
    assert half.cycles() == pytest.approx(2 * full.cycles())
    assert half.speedup() == pytest.approx(full.speedup() / 2)


def test_utilisation_is_applied_to_the_pass_that_it_was_found_for():
    full = estimated("swat", 0.9, measure=constant(1.0))
    mixed = estimated("swat", 0.9, measure=by_pass)
    assert mixed.cycles((Pass.FORWARD,)) == pytest.approx(full.cycles((Pass.FORWARD,)) / 0.4)
    assert mixed.cycles(BACKWARD) == pytest.approx(full.cycles(BACKWARD) / 0.8)


def test_training_time_is_the_sum_of_forward_and_backward():
    result = estimated("swat+resprop", 0.9, measure=by_pass)
    assert result.cycles() == pytest.approx(
        result.cycles((Pass.FORWARD,)) + result.cycles(BACKWARD)
    )
    speedups = sorted([result.speedup((Pass.FORWARD,)), result.speedup(BACKWARD)])
    assert speedups[0] < result.speedup() < speedups[1]


def test_resprop_leaves_forward_as_it_is_and_costs_one_sample_more():
    dense = estimated("dense", 0.0, measure=constant(1.0))
    resprop = estimated("resprop", 0.5, measure=constant(1.0))
    assert resprop.cycles((Pass.FORWARD,)) == dense.cycles((Pass.FORWARD,))
    last = dense.passes[-1].layer
    assert last.linear
    backward = sum(
        (2 - layer.first) * inner_macs(layer.shape)
        for layer in dense.network.layers
        if not layer.linear
    )
    # Differences are 55 % dense, and the stored sample is one of four.
    less = backward * (0.45 - 1 / 4)
    assert dense.cycles() - resprop.cycles() == pytest.approx(less / 64)
    # A target of 100 % is dense training.
    assert estimated("resprop", 0.05, measure=constant(1.0)).cycles() == dense.cycles()


@pytest.mark.parametrize(
    ("name", "method", "target", "nominal"),
    [
        ("resnet34", "resprop", 5.9, 8.2),
        ("vgg16", "resprop", 5.5, 7.4),
        ("resnet18", "swat+resprop", 28.0, 33.8),
    ],
)
def test_backward_speedups_are_those_at_the_density_that_training_aims_at(
    name, method, target, nominal
):
    net = network(name, image_size=224, batch=32)
    for gradients, expected in (("target", target), ("nominal", nominal)):
        sparsification = Sparsification(method=method, sparsity=0.9, gradients=gradients)
        result = estimate(net, LARGE, sparsification, mode=Mode.ANALYTIC)
        assert result.speedup(BACKWARD) == pytest.approx(expected, abs=0.06)


def test_the_json_is_complete_and_agrees_with_the_result():
    result = estimated("swat+resprop", 0.8, measure=constant(0.5))
    data = json.loads(json.dumps(to_json(result), allow_nan=False))
    assert data["training_speedup_vs_dense"] == result.speedup()
    assert data["config_digest"] == LARGE.digest()
    assert [layer["name"] for layer in data["layers"]] == [
        layer.name for layer in result.network.layers
    ]
    cycles = sum(p["cycles"] for layer in data["layers"] for p in layer["passes"])
    dense = sum(p["dense_cycles"] for layer in data["layers"] for p in layer["passes"])
    assert data["training_cycles"] == pytest.approx(cycles)
    assert data["training_speedup_vs_dense"] == pytest.approx(dense / cycles)
    assert [p["pass"] for p in data["layers"][0]["passes"]] == ["forward", "weight-grad"]
    for key in ("forward_speedup_vs_dense", "backward_speedup_vs_dense", "training_flop_reduction"):
        assert all(isinstance(layer[key], float) for layer in data["layers"])


@pytest.mark.parametrize(
    ("method", "words"),
    [
        ("dense", []),
        ("swat", ["SWAT: weights 0.1 dense", "output gradients are dense"]),
        (
            "resprop",
            [
                (
                    "differences of output gradients 0.15 dense in every convolution (what "
                    "training aims at, 5 points above 1 - sparsity)"
                ),
                "1/N of the batch",
            ],
        ),
        ("swat+resprop", ["SWAT: weights 0.1 dense", "differences of output gradients 0.15 dense"]),
    ],
)
def test_assumptions_name_the_densities_of_the_method(method, words):
    text = "\n".join(assumptions(estimated(method, 0.9, measure=constant(0.5))))
    assert "uniform random" in text
    assert all(word in text for word in words)
    assert ("SWAT" in text) == method.startswith("swat")
    assert ("ReSprop" in text) == method.endswith("resprop")


def test_an_estimate_of_a_module_names_what_is_in_none_of_its_layers():
    class Head(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.deep = nn.Conv2d(3, 8, 3), nn.ConvTranspose2d(8, 4, 2)

        def forward(self, x):
            y = self.deep(self.conv(x))
            return y @ y.transpose(-1, -2)

    found = survey(Head(), (2, 3, 8, 8))
    net = network_of("head", found)
    swat = Sparsification(method="swat", sparsity=0.5)
    result = estimate(net, LARGE, swat, mode=Mode.ANALYTIC)
    data = to_json(result)
    macs = {"conv": 2 * 36 * 8 * 27, "deep": 2 * 36 * 8 * 16, "Head": 2 * 4 * 7 * 7 * 7}
    assert {one["name"]: one["macs"] for one in data["omitted"]} == {
        name: count for name, count in macs.items() if name != "conv"
    }
    assert data["covered_share"] == pytest.approx(macs["conv"] / sum(macs.values()))
    text = "\n".join(assumptions(result))
    assert "Not among them: deep (ConvTranspose2d): " in text
    assert "Head (bmm in Head): " in text
    with pytest.raises(InputError, match=r"network mm must compute at least one layer, not Flat"):
        network_of("mm", survey(Flat(), (2, 3)))


class Flat(nn.Module):
    def forward(self, x):
        return x @ x.T


def test_a_sample_without_room_is_refused():
    with pytest.raises(InputError, match="sample products must be at least 1, not 0"):
        Sampling(products=0)


densities = st.floats(0.01, 1.0)


@given(
    shape=st.builds(
        ConvShape,
        n=st.integers(1, 64),
        c=st.integers(1, 512),
        h=st.integers(7, 224),
        w=st.integers(7, 224),
        k=st.integers(1, 512),
        r=st.sampled_from([1, 3, 7]),
        s=st.sampled_from([1, 3, 7]),
        stride=st.sampled_from([(1, 1), (2, 2), (3, 1)]),
        padding=st.sampled_from([(0, 0), (1, 1), (3, 3)]),
    ),
    which=st.sampled_from(list(Pass)),
    first=densities,
    second=densities,
)
def test_a_sample_fits_and_keeps_what_matters(shape, which, first, second):
    work = Work(shape=shape, which=which, first_density=first, second_density=second)
    sample = choose_sample(work, products=100_000)
    cut = sample.shape
    assert inner_macs(cut) * first * second <= 100_000
    assert (cut.r, cut.s, cut.stride, cut.padding, cut.dilation) == (
        shape.r,
        shape.s,
        shape.stride,
        shape.padding,
        shape.dilation,
    )
    assert all(getattr(cut, name) <= getattr(shape, name) for name in "nchwk")
    assert (sample.which, sample.first_density, sample.second_density) == (which, first, second)
    if work.useful_products <= 100_000:
        assert cut == shape


def test_a_sample_of_a_large_layer_fills_the_array():
    for layer in network("resnet50", image_size=224, batch=32).layers:
        work = Work(shape=layer.shape, which=Pass.FORWARD, first_density=0.1, second_density=1.0)
        sample = choose_sample(work)
        products = inner_macs(sample.shape) * 0.1
        assert products > SAMPLE_PRODUCTS / 4 or sample.shape == layer.shape
