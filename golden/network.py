"""A small residual network for 8x8 digits, and the conversion of networks to sparse training."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from golden.dataset import CLASS_COUNT
from golden.layer import TrainingConv2d
from golden.recipe import FIRST_CONV_RULES, METHODS
from golden.resprop import ReSpropConv2d
from golden.swat import SWATConv2d, SWATLinear
from golden.swat_resprop import SWATReSpropConv2d
from gscn.errors import InputError


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions with batch normalisation and a shortcut, 1x1 where shapes change."""

    def __init__(self, in_channels: int, out_channels: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, out_channels, 3, stride, 1, bias=False)
        self.norm1 = nn.BatchNorm2d(out_channels)
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, 1, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(out_channels)
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or in_channels != out_channels:
            self.shortcut = nn.Sequential(
                nn.Conv2d(in_channels, out_channels, 1, stride, bias=False),
                nn.BatchNorm2d(out_channels),
            )

    def forward(self, inputs: Tensor) -> Tensor:
        """Return (N, out_channels, H/stride, W/stride) for (N, in_channels, H, W)."""
        hidden = functional.relu(self.norm1(self.conv1(inputs)))
        return functional.relu(self.norm2(self.conv2(hidden)) + self.shortcut(inputs))


class DigitsNetwork(nn.Module):
    """Residual network of 16, 32 and 64 channels, with a 1x1 convolution before the classifier."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(1, 16, 3, 1, 1, bias=False)
        self.stem_norm = nn.BatchNorm2d(16)
        self.block1 = ResidualBlock(16, 16, 1)
        self.block2 = ResidualBlock(16, 32, 2)
        self.block3 = ResidualBlock(32, 64, 2)
        self.head = nn.Conv2d(64, 64, 1, bias=False)
        self.head_norm = nn.BatchNorm2d(64)
        self.classifier = nn.Linear(64, CLASS_COUNT)

    def forward(self, images: Tensor) -> Tensor:
        """Return scores (N, 10) for images (N, 1, 8, 8)."""
        hidden = functional.relu(self.stem_norm(self.stem(images)))
        hidden = self.block3(self.block2(self.block1(hidden)))
        hidden = functional.relu(self.head_norm(self.head(hidden)))
        return self.classifier(hidden.mean((2, 3)))


def convert(
    network: nn.Module,
    method: str,
    *,
    sparsity: float = 0.8,
    seed: int = 0,
    refresh_period: int = 10,
    first_conv: str = "paper",
) -> nn.Module:
    """Replace the layers of a network, in place, by those of a sparse-training method.

    Every `nn.Conv2d` becomes a `TrainingConv2d`, whatever the method, so that it can be traced;
    with SWAT every `nn.Linear` becomes a `SWATLinear`. Parameters are kept.

    Parameters
    ----------
    network
        Any module of ordinary layers.
    method
        One of `golden.recipe.METHODS`.
    sparsity
        Target of every sparse tensor, at least 0 and less than 1.
    seed
        Seed of ReSprop's draws; each layer has a generator of its own.
    refresh_period
        SWAT: iterations between exact thresholds.
    first_conv
        One of `golden.recipe.FIRST_CONV_RULES`.

    Returns
    -------
    torch.nn.Module
        The same network.

    Raises
    ------
    InputError
        Unknown method or rule, sparsity out of range, or a convolution that is not supported,
        named.
    """
    if method not in METHODS:
        raise InputError(f"method must be one of {', '.join(METHODS)}, not {method!r}")
    if first_conv not in FIRST_CONV_RULES:
        raise InputError(
            f"first_conv must be one of {', '.join(FIRST_CONV_RULES)}, not {first_conv!r}"
        )
    convs = [name for name, m in network.named_modules() if isinstance(m, nn.Conv2d)]
    linears = [name for name, m in network.named_modules() if isinstance(m, nn.Linear)]
    for index, name in enumerate(convs):
        layer_method = method
        if index == 0 and first_conv == "dense":
            layer_method = "dense"
        elif index == 0 and first_conv == "paper":
            layer_method = {"swat": "dense", "swat+resprop": "resprop"}.get(method, method)
        generator = torch.Generator().manual_seed(seed * len(convs) + index)
        try:
            layer = _convert_conv(
                network.get_submodule(name), layer_method, sparsity, refresh_period, generator
            )
        except InputError as error:
            raise InputError(f"layer {name}: {error}") from error
        network.set_submodule(name, layer)
    if method in ("swat", "swat+resprop"):
        for name in linears:
            linear = network.get_submodule(name)
            network.set_submodule(name, SWATLinear.from_linear(linear, sparsity=sparsity))
    return network


def _convert_conv(
    conv: nn.Conv2d,
    method: str,
    sparsity: float,
    refresh_period: int,
    generator: torch.Generator,
) -> TrainingConv2d:
    if method == "dense":
        return TrainingConv2d.from_conv(conv)
    if method == "swat":
        return SWATConv2d.from_conv(conv, sparsity=sparsity, refresh_period=refresh_period)
    if method == "resprop":
        return ReSpropConv2d.from_conv(conv, sparsity=sparsity, generator=generator)
    return SWATReSpropConv2d.from_conv(
        conv, sparsity=sparsity, refresh_period=refresh_period, generator=generator
    )


def build_network(
    method: str,
    *,
    sparsity: float = 0.8,
    seed: int = 0,
    refresh_period: int = 10,
    first_conv: str = "paper",
) -> nn.Module:
    """Return a `DigitsNetwork` converted to `method`, with parameters drawn from `seed`.

    Parameters and errors are those of `convert`. Networks of equal seeds start with equal
    parameters whatever the method.
    """
    # Layers draw their parameters from torch's global generator, which is put back afterwards.
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = DigitsNetwork()
    return convert(
        network,
        method,
        sparsity=sparsity,
        seed=seed,
        refresh_period=refresh_period,
        first_conv=first_conv,
    )


def conv_layers(network: nn.Module) -> dict[str, TrainingConv2d]:
    """Return the convolutions of a converted network by name, in order of definition."""
    return {
        name: module
        for name, module in network.named_modules()
        if isinstance(module, TrainingConv2d)
    }
