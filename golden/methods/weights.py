"""Where the weight of a layer is, and what it is computed from."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn.utils import parametrize


def weight_name(layer: nn.Module) -> str:
    """Return the name of a layer's weight; attention's is of queries, keys and values together."""
    return "in_proj_weight" if isinstance(layer, nn.MultiheadAttention) else "weight"


def weight_of(layer: nn.Module) -> Tensor:
    """Return the weight of a convolution, a linear layer or attention."""
    return getattr(layer, weight_name(layer))


def is_linear(layer: nn.Module) -> bool:
    """Whether a layer is a linear one, or attention, whose weight is that of one."""
    return isinstance(layer, nn.Linear | nn.MultiheadAttention)


def weight_sources(layer: nn.Module) -> list[Tensor]:
    """Return what a layer's weight is, or is computed from: parameters, or a plain tensor.

    A weight is computed by a parametrization, or by a hook before each call: `weight_orig` is of
    `torch.nn.utils.prune`, `weight_g` and `weight_v` of its older `weight_norm`.
    """
    name = weight_name(layer)
    if parametrize.is_parametrized(layer, name):
        return list(layer.parametrizations[name].parameters())
    names = (name, f"{name}_orig", f"{name}_g", f"{name}_v")
    held = [layer._parameters[one] for one in names if one in layer._parameters]
    return held or [weight_of(layer)]
