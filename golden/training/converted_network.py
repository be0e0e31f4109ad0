"""The networks that are trained, and their conversion to the methods that can be traced."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from gscn.errors import raise_problems
from gscn.golden.methods.conversion import sparsify
from gscn.golden.methods.geometry import Arithmetic
from gscn.golden.methods.layers import TrainingConv2d, attached_to
from gscn.golden.networks.catalogue import make_network
from gscn.golden.recipe import (
    DEFAULT_WIDTH,
    FIRST_CONV_RULES,
    METHOD_OPTIONS,
    METHODS,
    option_problems,
)

OPTIONS = ("sparsity", "refresh_period", "first_conv", "warm_up", "budget", "structure")
"""Fields of `golden.recipe.Recipe` that decide how the layers of a converted network compute."""


def convert(network: nn.Module, method: str, *, seed: int = 0, **options: Any) -> nn.Module:
    """Convert the layers of a network, in place, to a sparse-training method.

    As `golden.sparsify`, for convolutions that the accelerator computes: each becomes a
    `TrainingConv2d`, whatever the method, so that it can be traced.

    Parameters
    ----------
    network
        Any module of ordinary layers.
    method
        One of `golden.recipe.METHODS`.
    seed
        Seed of ReSprop's draws; each layer has a generator of its own.
    **options
        Those of `OPTIONS`, as of `golden.recipe.Recipe`, that the method has
        (`golden.recipe.METHOD_OPTIONS`); the others have the defaults there, as have those that
        are None.

    Returns
    -------
    torch.nn.Module
        The same network.

    Raises
    ------
    InputError
        Unknown method, option or rule, option that the method does not have, sparsity out of
        range, or convolutions that are not supported, named.
    """
    problems = [
        f"option must be one of {', '.join(OPTIONS)}, not {name}"
        for name in options
        if name not in OPTIONS
    ]
    if not isinstance(method, str) or method not in METHODS:
        problems.append(f"method must be one of {', '.join(METHODS)}, not {method!r}")
    else:
        problems += option_problems(method, {name: options.get(name) for name in OPTIONS})
    first_conv = options.get("first_conv")
    if first_conv is not None and first_conv not in FIRST_CONV_RULES:
        problems.append(
            f"first_conv must be one of {', '.join(FIRST_CONV_RULES)}, not {first_conv!r}"
        )
    problems += [
        f"layer {name}: {problem}"
        for name, module in network.named_modules()
        if isinstance(module, nn.Conv2d)
        for problem in _padding_problems(module)
    ]
    raise_problems("network", problems)
    chosen = {
        "first_layer" if name == "first_conv" else name: default
        if options.get(name) is None
        else options[name]
        for name, default in METHOD_OPTIONS[method].items()
        if name in OPTIONS
    }
    return sparsify(network, method, seed=seed, **chosen)


def build_network(
    method: str,
    *,
    network: str = "digits",
    width: int = DEFAULT_WIDTH,
    image_size: int = 32,
    classes: int = 10,
    in_channels: int | None = None,
    seed: int = 0,
    **options: Any,
) -> nn.Module:
    """Return a network converted to `method`, with parameters drawn from `seed`.

    Networks of equal seeds start with equal parameters whatever the method.

    Parameters
    ----------
    method, seed, **options
        As of `convert`.
    network, width, image_size, classes
        As of `golden.networks.catalogue.make_network`.
    in_channels
        Of the images; by default 1 for digits and 3 for the others.

    Raises
    ------
    InputError
        As by `convert`, and for an unknown network or a width out of range.
    """
    if in_channels is None:
        in_channels = 1 if network == "digits" else 3
    # Layers draw their parameters from torch's global generator, which is put back afterwards.
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        made = make_network(
            network, image_size=image_size, classes=classes, in_channels=in_channels, width=width
        )
    return convert(made, method, seed=seed, **options)


def set_arithmetic(network: nn.Module, arithmetic: Arithmetic | None) -> None:
    """Let every convolution of a converted network calculate its passes so."""
    for layer in conv_layers(network).values():
        attached_to(layer).arithmetic = arithmetic


def _padding_problems(conv: nn.Conv2d) -> list[str]:
    """Return why a convolution is no `ConvShape`, and hence not for the accelerator."""
    problems = []
    if conv.padding_mode != "zeros":
        problems.append(f"padding mode must be 'zeros', not {conv.padding_mode!r}")
    if isinstance(conv.padding, str):
        problems.append(f"padding must be a number or a pair of numbers, not {conv.padding!r}")
    return problems


def conv_layers(network: nn.Module) -> dict[str, TrainingConv2d]:
    """Return the convolutions of a converted network by name, in order of definition."""
    return {
        name: module
        for name, module in network.named_modules()
        if isinstance(module, TrainingConv2d)
    }
