"""What layers and operators of a network are as convolutions of two dimensions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd

from gscn.conv import ConvShape
from gscn.errors import InputError
from gscn.golden.methods.geometry import ConvGeometry, LinearGeometry


def is_layer(module: nn.Module) -> bool:
    """Whether a module has a weight that a survey knows."""
    return isinstance(module, _ConvNd | nn.Linear | nn.MultiheadAttention)


def own_weight(module: nn.Module) -> Tensor | None:
    """Return the weight of a layer; None if it is computed, which may change a state.

    That of attention is of the queries, keys and values together.
    """
    attends = isinstance(module, nn.MultiheadAttention)
    return module._parameters.get("in_proj_weight" if attends else "weight")


def samples_of(module: nn.Module, shape: Sequence[int]) -> int:
    """Return how many samples a module is given, by the shape of its first tensor."""
    if isinstance(module, nn.MultiheadAttention):
        return shape[0 if module.batch_first else 1] if len(shape) == 3 else 1
    return shape[0] if len(shape) > 1 else 1


def conv_shape(arguments: Sequence[Any]) -> ConvShape | None:
    """Return the shape of a convolution of one or two dimensions, None of another."""
    inputs, weights, _, stride, padding, dilation, transposed, output_padding, groups, *_ = (
        arguments
    )
    stride, padding, dilation, output_padding = (
        tuple(values) * ((weights.ndim - 2) // len(values))
        for values in (stride, padding, dilation, output_padding)
    )
    geometry = ConvGeometry(
        stride=stride,
        padding=padding,
        dilation=dilation,
        groups=groups,
        transposed=transposed,
        output_padding=output_padding if transposed else (),
    )
    try:
        return geometry.conv_shape(inputs.shape, weights.shape)
    except InputError:
        return None


def linear_shape(weights: Sequence[int], macs: int | None, samples: int) -> ConvShape | None:
    """Return what a product with weights (K, C) is, if it is of whole vectors."""
    if not macs or macs % math.prod(weights):
        return None
    vectors = macs // math.prod(weights)
    if vectors % samples:
        samples = vectors
    return LinearGeometry().conv_shape((samples, vectors // samples, weights[1]), weights)
