"""The networks that are trained, and their conversion to the methods that can be traced."""

from __future__ import annotations

import torch
from torch import nn

from gscn.errors import raise_problems
from gscn.golden.methods.conversion import sparsify
from gscn.golden.methods.geometry import Arithmetic
from gscn.golden.methods.layers import TrainingConv2d, attached_to, conv_shape_problems
from gscn.golden.networks.catalogue import make_network
from gscn.golden.recipe import FIRST_CONV_RULES, METHOD_OPTIONS, METHODS, option_problems


def convert(
    network: nn.Module,
    method: str,
    *,
    sparsity: float | None = None,
    seed: int = 0,
    refresh_period: int | None = None,
    first_conv: str | None = None,
    warm_up: bool | None = None,
    budget: str | None = None,
    structure: str | None = None,
) -> nn.Module:
    """Convert the layers of a network, in place, to a sparse-training method.

    As `golden.sparsify`, for convolutions that the accelerator computes: each becomes a
    `TrainingConv2d`, whatever the method, so that it can be traced. Options that the method does
    not have (`golden.recipe.METHOD_OPTIONS`) must not be given; the others have the defaults there.

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
    warm_up
        ReSprop: approach the sparsity over the first epochs (W-ReSprop).
    budget, structure
        SWAT: as of `golden.SWAT`.

    Returns
    -------
    torch.nn.Module
        The same network.

    Raises
    ------
    InputError
        Unknown method or rule, option that the method does not have, sparsity out of range, or
        convolutions that are not supported, named.
    """
    problems = []
    given = {
        "sparsity": sparsity,
        "refresh_period": refresh_period,
        "first_conv": first_conv,
        "warm_up": warm_up,
        "budget": budget,
        "structure": structure,
    }
    if not isinstance(method, str) or method not in METHODS:
        problems.append(f"method must be one of {', '.join(METHODS)}, not {method!r}")
    else:
        problems += option_problems(method, given)
    if first_conv is not None and first_conv not in FIRST_CONV_RULES:
        problems.append(
            f"first_conv must be one of {', '.join(FIRST_CONV_RULES)}, not {first_conv!r}"
        )
    problems += [
        f"layer {name}: {problem}"
        for name, module in network.named_modules()
        if isinstance(module, nn.Conv2d)
        for problem in conv_shape_problems(module)
    ]
    raise_problems("network", problems)
    options = {
        "first_layer" if name == "first_conv" else name: default
        if given[name] is None
        else given[name]
        for name, default in METHOD_OPTIONS[method].items()
        if name in given
    }
    return sparsify(network, method, seed=seed, **options)


def build_network(
    method: str,
    *,
    network: str = "digits",
    width: int = 64,
    image_size: int = 32,
    classes: int = 10,
    in_channels: int | None = None,
    sparsity: float | None = None,
    seed: int = 0,
    refresh_period: int | None = None,
    first_conv: str | None = None,
    warm_up: bool | None = None,
    budget: str | None = None,
    structure: str | None = None,
) -> nn.Module:
    """Return a network converted to `method`, with parameters drawn from `seed`.

    Networks of equal seeds start with equal parameters whatever the method.

    Parameters
    ----------
    method, sparsity, seed, refresh_period, first_conv, warm_up, budget, structure
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
    return convert(
        made,
        method,
        sparsity=sparsity,
        seed=seed,
        refresh_period=refresh_period,
        first_conv=first_conv,
        warm_up=warm_up,
        budget=budget,
        structure=structure,
    )


def set_arithmetic(network: nn.Module, arithmetic: Arithmetic | None) -> None:
    """Let every convolution of a converted network calculate its passes so."""
    for layer in conv_layers(network).values():
        attached_to(layer).arithmetic = arithmetic


def conv_layers(network: nn.Module) -> dict[str, TrainingConv2d]:
    """Return the convolutions of a converted network by name, in order of definition."""
    return {
        name: module
        for name, module in network.named_modules()
        if isinstance(module, TrainingConv2d)
    }
