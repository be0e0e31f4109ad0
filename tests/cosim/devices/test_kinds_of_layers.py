"""A training step of blocks of today's networks on the generated Verilog: all layers, every bit."""

from __future__ import annotations

import copy
from dataclasses import replace

import pytest
import torch
from torch import nn

from gscn import golden
from gscn.array import ARRAYS
from gscn.cosim.devices.backends import CycleModelBackend, RtlBackend
from gscn.golden.methods.backends import place
from gscn.golden.methods.watching import sparse_layers

CONFIG = replace(ARRAYS["tiny"], float_formats="bf16")
PASSES = ("forward", "input-grad", "weight-grad")


class Residual(nn.Module):
    """Adds what its layers compute to what they are given."""

    def __init__(self, *layers: nn.Module) -> None:
        super().__init__()
        self.layers = nn.Sequential(*layers)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return inputs + self.layers(inputs)


def resnext() -> nn.Module:
    """Groups of 3 channels between two 1x1 convolutions."""
    inner = nn.Conv2d(12, 12, 3, padding=1, groups=4, bias=False)
    return Residual(
        nn.Conv2d(8, 12, 1, bias=False), nn.BatchNorm2d(12), nn.ReLU(), inner, nn.BatchNorm2d(12),
        nn.ReLU(), nn.Conv2d(12, 8, 1, bias=False), nn.BatchNorm2d(8),
    )  # fmt: skip


def mobilenet() -> nn.Module:
    """An inverted residual with a depthwise convolution, and one of stride 2 and multiplier 2."""
    return nn.Sequential(
        Residual(
            nn.Conv2d(8, 24, 1, bias=False), nn.BatchNorm2d(24), nn.ReLU6(),
            nn.Conv2d(24, 24, 3, padding=1, groups=24, bias=False), nn.BatchNorm2d(24), nn.ReLU6(),
            nn.Conv2d(24, 8, 1, bias=False), nn.BatchNorm2d(8),
        ),
        nn.Conv2d(8, 16, 3, stride=2, padding=1, groups=8),
    )  # fmt: skip


BLOCKS = {
    "vit": (
        lambda: nn.TransformerEncoderLayer(8, 2, 16, dropout=0.0, batch_first=True),
        (2, 5, 8),
    ),
    "up": (
        lambda: nn.Sequential(
            nn.ConvTranspose2d(6, 4, 4, stride=2, padding=1), nn.ReLU(), nn.Conv2d(4, 2, 3),
            nn.Flatten(2), nn.Conv1d(2, 3, 5, stride=2), nn.ConvTranspose1d(3, 2, 3),
        ),
        (2, 6, 4, 3),
    ),
    "resnext": (resnext, (2, 8, 5, 4)),
    "mobilenet": (mobilenet, (2, 8, 5, 4)),
}  # fmt: skip


def steps(model: nn.Module, size: tuple[int, ...]) -> list[torch.Tensor]:
    """Return outputs, gradients and weights of two steps, the second with reused gradients."""
    found = []
    for seed in range(2):
        generator = torch.Generator().manual_seed(seed)
        inputs = torch.randn(size, generator=generator).requires_grad_()
        golden.begin_iteration(model, epoch=0, iteration=1 + seed, iterations_per_epoch=9)
        model.zero_grad()
        outputs = model(inputs)
        outputs.square().mean().backward()
        found += [outputs.detach(), inputs.grad, *(one.grad for one in model.parameters())]
        with torch.no_grad():
            for one in model.parameters():
                one -= 0.1 * one.grad
    return [one.clone() for one in found]


def check(name: str, backend: RtlBackend | CycleModelBackend, labels: list[str]) -> None:
    make, size = BLOCKS[name]
    torch.manual_seed(3)
    model = golden.sparsify(
        make(), "swat+resprop", sparsity=0.6, first_layer="sparse", linear_layers="sparse",
        backend="golden",
    )  # fmt: skip
    other = copy.deepcopy(model)
    place(other, backend)
    right, found = steps(model, size), steps(other, size)
    for one, two in zip(found, right, strict=True):
        assert torch.equal(one, two)
    assert any(one.abs().sum() > 0 for one in right)
    for layer in sparse_layers(model):
        # forward passes twice; gradients, and in the second step the reused one's terms
        counts = sorted(labels.count(f"layer {layer}, {which}") for which in PASSES)
        assert counts == [2, 3, 3], layer


@pytest.mark.parametrize("name", BLOCKS)
def test_the_cycle_model_computes_every_kind_of_layer_as_the_golden_model(name):
    runs: list[str] = []
    with CycleModelBackend(CONFIG, observer=lambda run: runs.append(run.label)) as backend:
        check(name, backend, runs)


@pytest.mark.cosim
@pytest.mark.parametrize("name", BLOCKS)
def test_a_step_of_every_kind_of_layer_on_the_generated_verilog_is_exact(name):
    runs: list[str] = []
    with RtlBackend(CONFIG, devices=1, observer=lambda run: runs.append(run.label)) as backend:
        check(name, backend, runs)
