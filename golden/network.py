"""The networks that are trained, and the conversion of any network to sparse training."""

from __future__ import annotations

import torch
from torch import nn

from golden.arithmetic import Arithmetic
from golden.layer import TrainingConv2d
from golden.recipe import FIRST_CONV_RULES, METHODS, NETWORKS
from golden.resnet import DigitsNetwork, ResNet18
from golden.resprop import ReSpropConv2d
from golden.swat import SWATConv2d, SWATLinear
from golden.swat_resprop import SWATReSpropConv2d
from gscn.errors import InputError


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
    network: str = "digits",
    width: int = 64,
    sparsity: float = 0.8,
    seed: int = 0,
    refresh_period: int = 10,
    first_conv: str = "paper",
) -> nn.Module:
    """Return a network converted to `method`, with parameters drawn from `seed`.

    Networks of equal seeds start with equal parameters whatever the method.

    Parameters
    ----------
    method, sparsity, seed, refresh_period, first_conv
        As of `convert`.
    network
        One of `golden.recipe.NETWORKS`: a `DigitsNetwork` or a `ResNet18`.
    width
        Channels of the first stage of a `ResNet18`, at least 1.

    Raises
    ------
    InputError
        As by `convert`, and for an unknown network or a width out of range.
    """
    if network not in NETWORKS:
        raise InputError(f"network must be one of {', '.join(NETWORKS)}, not {network!r}")
    # Layers draw their parameters from torch's global generator, which is put back afterwards.
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        made = DigitsNetwork() if network == "digits" else ResNet18(width)
    return convert(
        made,
        method,
        sparsity=sparsity,
        seed=seed,
        refresh_period=refresh_period,
        first_conv=first_conv,
    )


def set_arithmetic(network: nn.Module, arithmetic: Arithmetic) -> None:
    """Let every convolution of a converted network calculate its passes so."""
    for layer in conv_layers(network).values():
        layer.arithmetic = arithmetic


def conv_layers(network: nn.Module) -> dict[str, TrainingConv2d]:
    """Return the convolutions of a converted network by name, in order of definition."""
    return {
        name: module
        for name, module in network.named_modules()
        if isinstance(module, TrainingConv2d)
    }
