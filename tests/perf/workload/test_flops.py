"""FLOP accounting against the published table and against counting."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from torch import nn

from gscn import golden
from gscn.errors import InputError
from gscn.golden.methods.layers import attached_to
from gscn.golden.networks.survey import survey
from gscn.perf.workload.flops import (
    erk_layer_densities,
    flop_reduction,
    inference_reduction,
    training_reduction,
)
from gscn.perf.workload.layers import network_of
from gscn.perf.workload.networks import network
from gscn.perf.workload.sparsification import (
    Gradients,
    LayerDensities,
    Method,
    Sparsification,
)

RESNET50 = network("resnet50", image_size=224, batch=32)


PUBLISHED = {0.8: (0.777, 0.761), 0.9: (0.874, 0.856)}


"""SWAT-U, ResNet-50, ImageNet: (inference, training) FLOP reduction by sparsity."""


def swat(sparsity, **densities):
    return Sparsification(method=Method.SWAT, sparsity=sparsity, **densities)


@pytest.mark.parametrize("sparsity", PUBLISHED)
def test_inference_reduction_is_the_published_one(sparsity):
    assert inference_reduction(RESNET50, swat(sparsity)) == pytest.approx(
        PUBLISHED[sparsity][0], abs=1e-3
    )


@pytest.mark.parametrize("sparsity", PUBLISHED)
def test_inference_reduction_is_sparsity_times_the_share_after_the_first_layer(sparsity):
    share = 118_013_952 / 4_089_184_256
    assert inference_reduction(RESNET50, swat(sparsity)) == pytest.approx(sparsity * (1 - share))


@pytest.mark.parametrize(("sparsity", "ours"), [(0.8, 0.7845), (0.9, 0.8825)])
def test_training_reduction_exceeds_the_published_one_by_a_constant_factor(sparsity, ours):
    reduction = training_reduction(RESNET50, swat(sparsity))
    assert reduction == pytest.approx(ours, abs=5e-5)
    # The stated difference: published / s is 0.951 at both sparsities, ours 0.981.
    assert reduction / sparsity == pytest.approx(0.981, abs=5e-4)
    assert PUBLISHED[sparsity][1] / sparsity == pytest.approx(0.951, abs=5e-4)


@pytest.mark.parametrize("name", ["resnet18", "resnet50", "vgg16"])
def test_swat_training_reduction_equals_its_closed_form(name):
    net = network(name, image_size=224, batch=4)
    share = net.layers[0].shape.dense_macs / net.dense_macs
    # Three passes of everything but the first layer, two of the first, which stays dense.
    expected = 0.9 * 3 * (1 - share) / (3 - share)
    assert training_reduction(net, swat(0.9)) == pytest.approx(expected)


def test_resprop_reduces_only_the_backward_pass_and_pays_for_the_stored_sample():
    net = network("resnet18", image_size=224, batch=8)
    resprop = Sparsification(method=Method.RESPROP, sparsity=0.9)
    nominal = dataclasses.replace(resprop, gradients=Gradients.NOMINAL)
    assert inference_reduction(net, resprop) == 0
    first, last = net.layers[0].shape.dense_macs, net.layers[-1].shape.dense_macs
    total = net.dense_macs
    backward = 2 * (total - last) - first
    for sparsification, saved in ((resprop, 0.85), (nominal, 0.9)):
        expected = backward * (saved - 1 / 8) / (3 * total - first)
        assert training_reduction(net, sparsification) == pytest.approx(expected)


def test_dense_training_reduces_nothing():
    dense = Sparsification(method=Method.DENSE, sparsity=0.9)
    assert training_reduction(RESNET50, dense) == 0


def test_erk_densities_are_in_proportion_and_keep_the_weights_asked_for():
    densities = erk_layer_densities(RESNET50, 0.8)
    sizes = {layer.name: np.prod(layer.shape.w_shape) for layer in RESNET50.layers}
    kept = sum(densities[name] * size for name, size in sizes.items())
    assert kept / sum(sizes.values()) == pytest.approx(0.2)
    scales = {True: [], False: []}
    for layer in RESNET50.layers:
        shape = layer.shape.w_shape[:2] if layer.linear else layer.shape.w_shape
        density = densities[layer.name]
        scales[density == 1].append(density * np.prod(shape) / sum(shape))
    np.testing.assert_allclose(scales[False], scales[False][0])
    # In proportion, the dense layers would have a density above 1.
    assert 0 < len(scales[True]) < 10
    assert max(scales[True]) < scales[False][0]


def test_erk_densities_are_those_of_the_layers_that_train():
    model = nn.Sequential(
        nn.Conv2d(4, 8, 3, groups=4), nn.ConvTranspose2d(8, 12, 3, groups=4), nn.Conv2d(12, 6, 1),
        nn.Flatten(), nn.Linear(6 * 64, 5),
    )  # fmt: skip
    found = erk_layer_densities(network_of("own", survey(model, (2, 4, 8, 8))), 0.8)
    golden.sparsify(model, "swat", sparsity=0.8, budget="erk")
    ours = {name: float(attached_to(model[int(name)]).operand_sparsifier.density) for name in found}
    assert found == pytest.approx(ours)
    assert len(set(found.values())) > 2


def test_erk_removes_what_is_published_within_a_third_of_a_point():
    # 58.9 % is published; 1x1 kernels and the first layer are not described to the last detail.
    ours = inference_reduction(RESNET50, swat(0.8), budget="erk")
    assert ours == pytest.approx(0.589, abs=0.0034)
    densities = erk_layer_densities(RESNET50, 0.8)
    left = sum(layer.shape.dense_macs * densities[layer.name] for layer in RESNET50.layers)
    assert ours == pytest.approx(1 - left / RESNET50.dense_macs)
    # A training step saves the same share in all three passes, but the first layer has only two.
    first = RESNET50.layers[0].shape.dense_macs
    left = 3 * left - first * densities["conv1"]
    expected = 1 - left / (3 * RESNET50.dense_macs - first)
    assert training_reduction(RESNET50, swat(0.8), budget="erk") == pytest.approx(expected)


def test_measured_densities_are_accounted_for_layer_by_layer():
    layer = RESNET50.layers[5]
    measured = {layer.name: LayerDensities(weights=0.5, activations=0.25, output_grads=0.125)}
    saved = layer.shape.dense_macs * (0.5 + (1 - 0.5 * 0.125) + (1 - 0.25 * 0.125))
    total = 3 * RESNET50.dense_macs - RESNET50.layers[0].shape.dense_macs
    assert flop_reduction(RESNET50, measured) == pytest.approx(saved / total)
    assert flop_reduction(RESNET50, measured, forward_only=True) == pytest.approx(
        0.5 * layer.shape.dense_macs / RESNET50.dense_macs
    )
    with pytest.raises(InputError, match="network resnet50: there is no layer 'conv9'"):
        flop_reduction(RESNET50, {"conv9": LayerDensities()})
    with pytest.raises(InputError, match="budget must be uniform or erk, not 'momentum'"):
        training_reduction(RESNET50, swat(0.8), budget="momentum")
