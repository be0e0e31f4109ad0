"""Methods and their densities: those that training aims at, others by name, bad ones refused."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from gscn.errors import InputError
from gscn.golden.methods.resprop import GradientReuse
from gscn.perf.workload.networks import network
from gscn.perf.workload.sparsification import (
    LayerDensities,
    Method,
    Sparsification,
    target_densities,
)

RESNET50 = network("resnet50", image_size=224, batch=32)


@pytest.mark.parametrize("sparsity", [0.0, 0.03, 0.5, 0.7, 0.9, 0.99])
def test_gradient_differences_are_as_dense_as_training_aims_at(sparsity):
    trained = GradientReuse(sparsity, generator=torch.Generator()).target
    for method in (Method.RESPROP, Method.SWAT_RESPROP):
        sparsification = Sparsification(method=method, sparsity=sparsity)
        densities = target_densities(RESNET50.layers[5], sparsification)
        assert densities.output_grads == float(trained)
        # Training whose target is 100 % reuses nothing.
        assert densities.reuses == (trained < 1)


def test_other_densities_of_gradient_differences_are_asked_for_by_name():
    nominal = Sparsification(method="resprop", sparsity=0.7, gradients="nominal")
    assert nominal.difference_density == 0.3
    given = Sparsification(method="swat+resprop", sparsity=0.7, gradient_density=0.125)
    assert given.difference_density == 0.125
    assert Sparsification(method="swat", sparsity=0.7).difference_density == 1
    assert dataclasses.replace(nominal, method=Method.DENSE).difference_density == 1
    with pytest.raises(InputError, match="gradients must be one of target, nominal, not 'none'"):
        Sparsification(method="resprop", sparsity=0.7, gradients="none")
    with pytest.raises(InputError, match="gradients must be target where their density is given"):
        dataclasses.replace(given, gradients="nominal")


def test_all_bad_densities_are_named_at_once():
    with pytest.raises(InputError, match=r"sparsity .*1\.0.*activation density .*0.*gradient .*2"):
        Sparsification(method="swat", sparsity=1.0, activation_density=0, gradient_density=2)
    with pytest.raises(InputError, match=r"weights must be from 0 to 1, not 2; inputs .* -1"):
        LayerDensities(weights=2, inputs=-1)
