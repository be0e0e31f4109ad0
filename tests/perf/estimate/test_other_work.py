"""Passes over tensors, counted by hand."""

from __future__ import annotations

import pytest

from gscn.array import array
from gscn.conv import ConvShape, Pass
from gscn.perf.estimate.memory import Dram
from gscn.perf.estimate.other_work import (
    NORMALISATION,
    SPARSIFICATION,
    UPDATE,
    other_work,
    whole_step,
)
from gscn.perf.estimate.training_step import BACKWARD, Mode, estimate
from gscn.perf.workload.layers import Layer, Network
from gscn.perf.workload.networks import network
from gscn.perf.workload.sparsification import Method, Sparsification

SHAPE = ConvShape(n=2, c=4, h=6, w=6, k=16, r=3, s=3, padding=(1, 1))
INPUTS, OUTPUTS, WEIGHTS = 2 * 4 * 36, 2 * 16 * 36, 16 * 4 * 9


def works(method, **layer):
    net = Network(name="vgg16", layers=(Layer(name="a", shape=SHAPE, **layer),))
    sparsification = Sparsification(
        method=Method(method), sparsity=0.75, activation_density=0.5, gradient_density=0.25
    )
    return {(w.kind, w.backward, w.elements): w for w in other_work(net, sparsification)}


def strips(elements, density):
    """Return bytes of nonzeros, of masks of those vectors of 16 that have any, and of blocks."""
    occupied = 1 - (1 - density) ** 16
    return pytest.approx(2 * (elements * density + elements / 16 * (occupied + 1 / 16)))


def test_normalisation_and_update_by_hand():
    found = works("dense", first=True)
    forward = found[NORMALISATION, False, 2 * OUTPUTS]
    assert (forward.read_bytes, forward.write_bytes) == (2 * 2 * OUTPUTS, 2 * OUTPUTS)
    backward = found[NORMALISATION, True, 4 * OUTPUTS]
    assert (backward.read_bytes, backward.write_bytes) == (4 * 2 * OUTPUTS, 2 * OUTPUTS)
    update = found[UPDATE, True, WEIGHTS]
    assert (update.read_bytes, update.write_bytes) == (10 * WEIGHTS, 10 * WEIGHTS)
    assert len(found) == 3


def test_without_normalisation_relu_is_left():
    found = works("dense", normalised=False, first=True)
    assert (NORMALISATION, False, OUTPUTS) in found
    assert (NORMALISATION, True, 2 * OUTPUTS) in found


def test_normalisation_is_what_the_layer_says_whatever_the_network_is_called():
    pointwise = ConvShape(n=2, c=4, h=1, w=1, k=16, r=1, s=1)
    for shape, fields, normalised in (
        (SHAPE, {}, True),
        (SHAPE, {"normalised": True}, True),
        (SHAPE, {"normalised": False}, False),
        (pointwise, {"linear": True}, False),
        (pointwise, {"linear": True, "normalised": True}, True),
    ):
        layer = Layer(name="a", shape=shape, **fields)
        for name in ("vgg16", "mine"):
            net = Network(name=name, layers=(layer,))
            dense = Sparsification(method="dense", sparsity=0)
            (forward, *_) = other_work(net, dense)
            assert forward.elements == (1 + normalised) * 2 * 16 * shape.p * shape.q


def test_weights_that_are_shared_are_updated_and_pruned_once():
    first = Layer(name="a", shape=SHAPE)
    again = Layer(name="a#2", shape=SHAPE, shares="a")
    swat = Sparsification(method="swat", sparsity=0.75)
    once, twice = (
        other_work(Network(name="net", layers=layers), swat)
        for layers in ((first,), (first, again))
    )
    of_weights = [[w for w in found if w.elements == WEIGHTS] for found in (once, twice)]
    assert of_weights[0] == of_weights[1]
    assert len(of_weights[0]) == 2
    assert len(twice) == 2 * len(once) - 2


def test_sparsification_by_hand():
    found = works("swat+resprop")
    weights = found[SPARSIFICATION, False, WEIGHTS]
    assert (weights.read_bytes, weights.write_bytes) == (2 * WEIGHTS, strips(WEIGHTS, 0.25))
    differences = found[SPARSIFICATION, True, OUTPUTS]
    # the stored gradient is of one sample of two
    assert differences.read_bytes == 2 * OUTPUTS * 1.5
    assert differences.write_bytes == strips(OUTPUTS, 0.25)


def test_inputs_are_written_as_relu_left_them_and_as_they_are_saved():
    net = Network(name="net", layers=(Layer(name="a", shape=SHAPE),))
    sparsification = Sparsification(method=Method.SWAT, sparsity=0.75, activation_density=0.5)
    written = sorted(
        w.write_bytes
        for w in other_work(net, sparsification)
        if w.kind == SPARSIFICATION and w.elements == INPUTS
    )
    assert written == [strips(INPUTS, 0.25), strips(INPUTS, 0.5)]


def test_cycles_are_those_of_lanes_or_port():
    work = works("dense", first=True)[NORMALISATION, False, 2 * OUTPUTS]
    assert work.cycles(1, 1e9) == 2 * OUTPUTS
    assert work.cycles(10**6, 4.0) == 2 * 2 * OUTPUTS / 4
    slow = Dram(bytes_per_cycle=0.5)
    assert work.cycles(10**6, 4.0, slow) == (2 * 2 + 2) * OUTPUTS / 0.5


def test_the_whole_step_adds_up_and_obeys_amdahl():
    net = network("resnet18", image_size=64, batch=4)
    result = estimate(
        net,
        array("large"),
        Sparsification(method=Method.SWAT_RESPROP, sparsity=0.9),
        mode=Mode.ANALYTIC,
    )
    step = whole_step(result)
    shared = sum(step.shared.values())
    assert step.convolutions == pytest.approx(result.cycles())
    assert step.speedup == pytest.approx(
        (step.dense_convolutions + shared) / (step.convolutions + step.sparsification + shared)
    )
    assert step.speedup < min(step.limit, step.speedup_with_sparsification, result.speedup())
    parts = [whole_step(result, (Pass.FORWARD,)), whole_step(result, BACKWARD)]
    assert sum(part.sparsification for part in parts) == pytest.approx(step.sparsification)
    assert sum(sum(part.shared.values()) for part in parts) == pytest.approx(shared)
