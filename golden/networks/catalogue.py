"""The networks by name, and the layers with weights of a network."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from golden.networks.dense import DenseNet121
from golden.networks.residual import DigitsNetwork, ResNet, SmallResNet
from golden.networks.vgg import VGG16
from golden.networks.wide import WideResNet
from golden.recipe import NETWORKS, SMALL_IMAGE_SIZE
from gscn.conv import ConvShape
from gscn.errors import InputError, raise_problems

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


@dataclass(frozen=True, kw_only=True, slots=True)
class WeightedLayer:
    """A layer with weights, and what it computes."""

    name: str
    shape: ConvShape
    """A linear layer is a 1x1 convolution on 1x1 maps, of as many samples as it has vectors."""
    linear: bool


def weighted_layers(network: nn.Module, inputs_shape: tuple[int, ...]) -> list[WeightedLayer]:
    """Return the convolutions and linear layers of an ordinary network, in order of definition.

    The network computes once; on the meta device (`with torch.device("meta")`) this is free.

    Parameters
    ----------
    network
        On one device; left in the mode that it was in.
    inputs_shape
        Of the images (N, C, H, W), or of what else the network takes.

    Raises
    ------
    InputError
        A convolution is none of `ConvShape`: grouped, or padded otherwise than by numbers of zeros.
    """
    found: dict[str, WeightedLayer] = {}
    hooks = []

    def note(name: str, module: nn.Module) -> None:
        def hook(_: nn.Module, inputs: tuple[Tensor, ...]) -> None:
            found[name] = _layer(name, module, tuple(inputs[0].shape))

        hooks.append(module.register_forward_pre_hook(hook))

    for name, module in network.named_modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            note(name, module)
    device = next(network.parameters()).device
    was_training = network.training
    network.eval()
    try:
        with torch.no_grad():
            network(torch.empty(inputs_shape, device=device))
    finally:
        network.train(was_training)
        for hook in hooks:
            hook.remove()
    return [found[name] for name, _ in network.named_modules() if name in found]


def _layer(name: str, module: nn.Module, inputs_shape: tuple[int, ...]) -> WeightedLayer:
    if isinstance(module, nn.Linear):
        vectors = torch.Size(inputs_shape[:-1]).numel()
        shape = ConvShape(
            n=vectors, c=module.in_features, h=1, w=1, k=module.out_features, r=1, s=1
        )
        return WeightedLayer(name=name, shape=shape, linear=True)
    if module.groups != 1 or module.padding_mode != "zeros" or isinstance(module.padding, str):
        raise InputError(f"layer {name}: must have one group and a padding by numbers of zeros")
    n, c, h, w = inputs_shape
    shape = ConvShape(
        n=n,
        c=c,
        h=h,
        w=w,
        k=module.out_channels,
        r=module.kernel_size[0],
        s=module.kernel_size[1],
        stride=tuple(module.stride),
        padding=tuple(module.padding),
        dilation=tuple(module.dilation),
    )
    return WeightedLayer(name=name, shape=shape, linear=False)
