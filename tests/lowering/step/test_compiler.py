"""Networks of torch.nn to steps: one of ResNet-18 equals the golden one; errors, word by word."""

from __future__ import annotations

import copy
from collections import Counter

import numpy as np
import pytest
import torch
from torch import nn

from gscn.array import array
from gscn.errors import InputError
from gscn.golden.networks.catalogue import make_network
from gscn.golden.networks.parameters import taken
from gscn.golden.networks.residual import ResidualBlock, ResNet
from gscn.golden.networks.tracing import traced
from gscn.golden.networks.wide import PreactivatedBlock
from gscn.lowering.step.compiler import compile_step
from gscn.lowering.step.layers import Training
from gscn.lowering.step.lists import listings
from gscn.lowering.step.parameters import put
from gscn.step import Walk
from tests.step_runs import Runs

CONFIG = array("small").with_overrides(["float_formats=bf16"])


def run_of(model, size):
    """Return a step of a model on the emulators and the golden one, both with its parameters."""
    graph = traced(model, torch.zeros(size))
    layers = compile_step(graph, Training(), CONFIG).layers
    runs = Runs(list(layers), size, {"plain": Training()}, config=CONFIG)
    own = taken(model, graph)
    put(own, runs.host, runs.lists["plain"].memory, runs.memory)
    for name, value in own.weights.items():
        runs.golden.tensors[f"w.{name}"] = value.view(np.uint32)
    runs.golden_host.bias = own.bias.copy()
    runs.golden_host.betas = {name: value.copy() for name, value in own.betas.items()}
    return runs


@pytest.mark.parametrize(
    ("blocks", "bottleneck", "size"),
    [((2, 2, 2, 2), False, (2, 3, 8, 8)), ((1, 1, 1, 1), True, (2, 3, 8, 8))],
)
def test_a_step_of_a_residual_network_equals_the_golden_one(blocks, bottleneck, size):
    torch.manual_seed(1)
    model = ResNet(blocks, bottleneck=bottleneck, width=16, small=True, classes=10)
    runs = run_of(model, size)
    images = torch.randn(size, generator=torch.Generator().manual_seed(2))
    labels = torch.tensor([3, 7])
    runs.run("plain", images.numpy(), labels.numpy(), 0)
    # The same loss as torch's in float32, but for results of 8 bits.
    wanted = nn.functional.cross_entropy(model(images), labels).item()
    assert runs.host.losses[0] == pytest.approx(wanted, rel=0.1)


def head(channels, classes=10):
    """Return what follows the last map."""
    return nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, classes)


LARGE = (
    nn.Conv2d(3, 16, 7, 2, 3, bias=False), nn.BatchNorm2d(16), nn.ReLU(), nn.MaxPool2d(3, 2, 1),
    ResidualBlock(16, 32, 2), *head(32),
)  # fmt: skip
WIDE = (
    nn.Conv2d(3, 16, 3, 1, 1, bias=False), PreactivatedBlock(16, 16, 1),
    PreactivatedBlock(16, 32, 2), nn.BatchNorm2d(32), nn.ReLU(), *head(32),
)  # fmt: skip
BIASED = (
    nn.Conv2d(3, 20, 3, padding=1), nn.BatchNorm2d(20), nn.ReLU(), nn.MaxPool2d(2), *head(20),
)  # fmt: skip
PLAIN = (
    nn.Conv2d(3, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(16, 20, 3, padding=1),
    nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(20, 24), nn.ReLU(),
    nn.Linear(24, 10),
)  # fmt: skip


@pytest.mark.parametrize(
    ("modules", "side"),
    [(LARGE, 20), (WIDE, 8), (BIASED, 8), (PLAIN, 8)],
    ids=["large", "wide", "biased", "plain"],
)
def test_steps_of_networks_of_users_equal_the_golden_ones_and_are_near_torchs(modules, side):
    torch.manual_seed(3)
    size = (2, 3, side, side)
    model = copy.deepcopy(nn.Sequential(*modules))
    for one in model.modules():
        if hasattr(one, "reset_parameters"):
            one.reset_parameters()
    runs = run_of(model, size)
    before = runs.weights("w.0").copy()
    optimizer = torch.optim.SGD(model.parameters(), lr=runs.host.rate, momentum=0.9)
    losses = []
    for seed in range(2):
        images = torch.randn(size, generator=torch.Generator().manual_seed(seed))
        labels = torch.tensor([3, 7])
        runs.run("plain", images.numpy(), labels.numpy(), 0)
        loss = nn.functional.cross_entropy(model(images), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert runs.host.losses == pytest.approx(losses, rel=0.1)
    after = model[0].weight.detach().numpy()
    for name, bias in runs.host.betas.items():
        assert np.array_equal(bias, runs.golden_host.betas[name])
    # Of what two steps change most is as torch has it: gradients went where they belong.
    assert np.linalg.norm(runs.weights("w.0") - after) < 0.3 * np.linalg.norm(after - before)


def test_an_error_names_every_node_and_what_stays_in_torch():
    model = nn.Sequential(
        nn.Conv2d(3, 16, 3, bias=False), nn.BatchNorm2d(16), nn.ReLU(), nn.Dropout(0.5),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 10, bias=False),
    )  # fmt: skip
    graph = traced(model, torch.zeros(2, 3, 8, 8))
    with pytest.raises(InputError) as error:
        compile_step(graph, Training())
    assert str(error.value) == (
        "a whole training step has no place for 2 of the network's 8 operations:\n"
        "  3 (torch.nn.Dropout): nothing draws at random in a step; p must be 0, not 0.5\n"
        "  6 (torch.nn.Linear): it must have a bias, which the host adds\n"
        "so the whole step stays in torch, but for the passes of its convolutions and linear "
        "layers, 2 of them, which golden.sparsify with a backend puts on the array"
    )


def test_layers_that_an_array_cannot_do_are_named():
    model = nn.Sequential(
        nn.Conv2d(3, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16), nn.ReLU(),
        nn.Conv2d(16, 16, 5, padding=2, bias=False), nn.BatchNorm2d(16), nn.ReLU(), *head(16),
    )  # fmt: skip
    graph = traced(model, torch.zeros(2, 3, 8, 8))
    assert len(compile_step(graph, Training()).layers) == 6
    with pytest.raises(
        InputError,
        match=r"1 of .*\n  3 \(torch.nn.Conv2d\): stationary_depth and directory_depth must be "
        r"above 6400 and 400, .* not 4096 and 4096",
    ):
        compile_step(graph, Training(), CONFIG)
    # Zeros between dilated taps need no place.
    model[3] = nn.Conv2d(16, 16, 3, padding=2, dilation=2, bias=False)
    compile_step(traced(model, torch.zeros(2, 3, 8, 8)), Training(), CONFIG)


@pytest.mark.parametrize("name", ["resnet18", "resnet50"])
def test_residual_networks_for_large_images_have_a_list_for_the_large_array(name):
    size, config = (8, 3, 224, 224), array("large")
    graph = traced(make_network(name, image_size=224, classes=1000), torch.zeros(size))
    step = compile_step(graph, Training(), config).step
    _, (listing,) = listings([step], config, together=True)
    # The gradient of the first layer's weights is two passes.
    assert "dw.stem/1" in listing.records
    held = [op.held for op in step.operations if getattr(op, "walk", None) is Walk.HOLDING]
    # Of the padded map every second row, and every second column, is held by one window.
    assert Counter(one.phase for one in held if one.window) == {
        (0, 0): 4, (0, 1): 2, (1, 0): 2, (1, 1): 1,
    }  # fmt: skip
