"""The estimate with an injected utilisation: sums, ratios and samples worked out independently."""

from __future__ import annotations

import pytest

from gscn.array import array
from gscn.conv import Pass
from gscn.perf.dense_array import dense_cost
from gscn.perf.estimate.sampling import Measurement, Sampling
from gscn.perf.estimate.training_step import BACKWARD, Mode, estimate
from gscn.perf.workload.networks import network
from gscn.perf.workload.sparsification import Method, Sparsification
from gscn.perf.workload.work import inner_macs

LARGE = array("large")


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
    ("name", "method"),
    [("resnet34", "resprop"), ("vgg16", "resprop"), ("resnet18", "swat+resprop")],
)
def test_backward_speedups_are_those_at_the_density_that_training_aims_at(name, method):
    net = network(name, image_size=224, batch=32)

    def backward(**densities):
        sparsification = Sparsification(method=method, sparsity=0.9, **densities)
        return estimate(net, LARGE, sparsification, mode=Mode.ANALYTIC).speedup(BACKWARD)

    target, nominal = backward(gradients="target"), backward(gradients="nominal")
    assert (target, nominal) == (backward(gradient_density=0.15), backward(gradient_density=0.1))
    assert 1.1 * target < nominal < 1.5 * target
