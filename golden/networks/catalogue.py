"""The networks by name, and the layers with weights of a network."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from gscn.errors import InputError, raise_problems
from gscn.golden.networks.dense import DenseNet121
from gscn.golden.networks.residual import DigitsNetwork, ResNet, SmallResNet
from gscn.golden.networks.survey import WeightedLayer, survey
from gscn.golden.networks.tracing import traced
from gscn.golden.networks.vgg import VGG16
from gscn.golden.networks.wide import WideResNet
from gscn.golden.omitted import covered_share
from gscn.golden.recipe import NETWORKS, SMALL_IMAGE_SIZE
from gscn.graph import Graph

logger = logging.getLogger(__name__)

_RESNETS = {
    "resnet18": {"counts": (2, 2, 2, 2)},
    "resnet34": {"counts": (3, 4, 6, 3)},
    "resnet50": {"counts": (3, 4, 6, 3), "bottleneck": True},
    "wrn50-2": {"counts": (3, 4, 6, 3), "bottleneck": True, "inner_factor": 2},
}
_WIDE = {"wrn16-1": (16, 1), "wrn16-8": (16, 8), "wrn28-10": (28, 10)}
"""Depth and widening factor; the first is for machines that would take days for the others."""
_LEAST_IMAGE_SIZES = dict.fromkeys(("digits", "resnet20", *_WIDE), 8)
"""Pixels; the other networks halve their maps up to five times."""

_CLASSES = 1000
"""Of networks for large images."""


def make_network(
    name: str, *, image_size: int, classes: int, in_channels: int = 3, width: int = 64
) -> nn.Module:
    """Return an ordinary network; its parameters are drawn from torch's global generator.

    Images smaller than `golden.recipe.SMALL_IMAGE_SIZE` get the small form of a network that has
    two. ResNet-20, WRN-16-1, WRN-16-8 and WRN-28-10 have one form, for small images.

    Parameters
    ----------
    name
        One of `golden.recipe.NETWORKS`.
    image_size
        Height and width of the images, pixels.
    classes, in_channels
        Scores, and channels of the images; at least 1. "digits" has 10 and 1.
    width
        Channels of the first stage of a ResNet or WRN-50-2, at least 1.

    Raises
    ------
    InputError
        Unknown network, or values that it cannot have.
    """
    if name not in NETWORKS:
        raise InputError(f"network must be one of {', '.join(NETWORKS)}, not {name!r}")
    problems = [
        f"{what} must be at least {least}, not {value}"
        for what, value, least in (
            ("image_size", image_size, _LEAST_IMAGE_SIZES.get(name, 32)),
            ("classes", classes, 1),
            ("in_channels", in_channels, 1),
        )
        if value < least
    ]
    if name == "digits" and (classes, in_channels) != (10, 1):
        problems.append(
            "network digits must have 10 classes and images of 1 channel, "
            f"not {classes} and {in_channels}"
        )
    raise_problems("network", problems)
    if name == "digits":
        return DigitsNetwork()
    common = {"classes": classes, "in_channels": in_channels}
    if name == "resnet20":
        return SmallResNet(3, **common)
    if name in _WIDE:
        return WideResNet(*_WIDE[name], **common)
    common["small"] = image_size < SMALL_IMAGE_SIZE
    if name == "vgg16":
        return VGG16(**common)
    if name == "densenet121":
        return DenseNet121(**common)
    return ResNet(**_RESNETS[name], **common, width=width)


def network_graph(name: str, *, image_size: int, batch: int) -> Graph:
    """Return all that a network computes in training; no parameter is drawn.

    Parameters
    ----------
    name
        One of `golden.recipe.NETWORKS`, or the name of a small form: with `-small` behind it.
    image_size
        Height and width of the images, pixels.
    batch
        Images.

    Raises
    ------
    InputError
        Unknown network, or a size that it cannot have.
    """
    plain = name.removesuffix("-small")
    with torch.device("meta"):
        channels = 1 if plain == "digits" else 3
        made = make_network(
            plain,
            image_size=image_size,
            classes=10 if image_size < SMALL_IMAGE_SIZE else _CLASSES,
            in_channels=channels,
        )
        return traced(made, torch.zeros(batch, channels, image_size, image_size))


def weighted_layers(
    network: nn.Module, inputs: Sequence[int] | Tensor | tuple[Tensor, ...]
) -> list[WeightedLayer]:
    """Return the convolutions and linear layers of an ordinary network, as often as they run.

    In order of definition. What the network computes besides is named in a warning, with its share;
    `golden.networks.survey.survey` returns both.

    Parameters
    ----------
    network, inputs
        As of `golden.networks.survey.survey`.
    """
    found = survey(network, inputs)
    if found.omitted:
        logger.warning(
            "%s: %.2f %% of the multiply-accumulates of a forward pass are in no layer listed: %s",
            type(network).__name__,
            100 * (1 - covered_share(found.omitted)),
            "; ".join(str(one) for one in found.omitted),
        )
    return list(found.layers)
