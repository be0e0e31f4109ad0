"""Parameters of models for steps, and back: torch's own step is what comes of a step."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from torch import nn

from gscn.golden.networks.parameters import give, move_statistics, taken
from gscn.golden.networks.residual import SmallResNet
from gscn.golden.networks.tracing import traced
from gscn.step import Normalised

SIZE = (2, 3, 8, 8)


def trained(seed):
    """Return a network after a step of torch, and its optimizer."""
    torch.manual_seed(seed)
    model = SmallResNet(1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    nn.functional.cross_entropy(model(torch.randn(SIZE)), torch.tensor([1, 2])).backward()
    optimizer.step()
    return model, optimizer


def test_parameters_and_momenta_come_back_as_they_were():
    model, optimizer = trained(0)
    graph = traced(model, torch.zeros(SIZE))
    own = taken(model, graph, optimizer)
    other, others = trained(1)
    give(other, graph, own, others)
    for name, value in model.named_parameters():
        theirs = other.get_parameter(name)
        assert torch.equal(theirs, value)
        moved = [
            one.state[p]["momentum_buffer"] for one, p in ((optimizer, value), (others, theirs))
        ]
        assert torch.equal(*moved), name


def test_a_fixed_shortcut_computes_what_it_does_in_torch():
    model = SmallResNet(1)
    weights = taken(model, traced(model, torch.zeros(SIZE))).weights["stage2.0.shortcut"]
    inputs = torch.randn(2, 16, 8, 8)
    found = nn.functional.conv2d(inputs, torch.from_numpy(weights), stride=2)
    assert torch.equal(found, model.stage2[0].shortcut(inputs))


@pytest.mark.parametrize("momentum", [0.1, None])
def test_running_statistics_are_those_of_torch(momentum):
    model = nn.Sequential(nn.BatchNorm2d(4, momentum=momentum))
    theirs = nn.Sequential(nn.BatchNorm2d(4, momentum=momentum))
    norms = {"0": Normalised(4, 3 * 25, False, "")}
    for seed in range(3):
        x = torch.randn(3, 4, 5, 5, generator=torch.Generator().manual_seed(seed)) * 3 + 1
        theirs(x)
        flat = x.double().transpose(0, 1).flatten(1).numpy()
        found = (flat.mean(1), 1 / np.sqrt(flat.var(1) + 1e-5))
        move_statistics(model, norms, {"0": found})
    for name, value in theirs.state_dict().items():
        assert torch.allclose(model.state_dict()[name], value, rtol=1e-4), name


def test_biases_without_normalisation_are_betas_of_the_layer_that_has_relu():
    modules = (
        nn.Conv2d(3, 4, 1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 5),
        nn.ReLU(), nn.Linear(5, 10),
    )  # fmt: skip
    model, other = nn.Sequential(*modules), copy.deepcopy(nn.Sequential(*modules))
    for value in other.parameters():
        nn.init.zeros_(value)
    graph = traced(model, torch.zeros(SIZE))
    own = taken(model, graph)
    assert {name: value.size for name, value in own.betas.items()} == {"1": 4, "5": 5}
    assert own.gammas == {}
    give(other, graph, own)
    for name, value in model.named_parameters():
        assert torch.equal(other.get_parameter(name), value), name


def test_running_means_have_the_bias_that_a_step_leaves_out():
    model = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4))
    theirs = copy.deepcopy(model)
    x = torch.randn(3, 3, 5, 5, generator=torch.Generator().manual_seed(1))
    theirs(x)
    made = nn.functional.conv2d(x, model[0].weight).detach()
    flat = made.double().transpose(0, 1).flatten(1).numpy()
    found = (flat.mean(1), 1 / np.sqrt(flat.var(1) + 1e-5))
    move_statistics(model, {"1": Normalised(4, 75, False, "", "0")}, {"1": found})
    for name, value in theirs.state_dict().items():
        assert torch.allclose(model.state_dict()[name], value, rtol=1e-4), name
