"""Which layers of a model take part in a method, and what each gets of it."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import nn

from gscn.errors import raise_problems
from gscn.golden.methods.budgets import erk_densities
from gscn.golden.methods.dst import ThresholdMask
from gscn.golden.methods.layers import weight_geometry
from gscn.golden.methods.options import DST, SWAT, Method, ReSprop, SWATReSprop
from gscn.golden.methods.resprop import GradientReuse
from gscn.golden.methods.swat import TopK
from gscn.golden.methods.targets import density_of
from gscn.golden.methods.weights import is_linear, weight_name, weight_of


def method_parts(
    layers: Mapping[str, nn.Module], method: Method, seed: int
) -> dict[str, dict[str, nn.Module]]:
    """Return the parts of the method for each layer, as keyword arguments of `Attached`.

    Parameters
    ----------
    layers
        By name, in order of definition: the first and the last have rules of their own.
    method
        The method and its options.
    seed
        Of ReSprop's draws.

    Raises
    ------
    InputError
        Weights that are computed have no momentum, by which the method shares the budget out.
    """
    parts: dict[str, dict[str, nn.Module]] = {name: {} for name in layers}
    if isinstance(method, SWAT | SWATReSprop):
        for name, sparsifier in _operand_sparsifiers(layers, method).items():
            parts[name]["operand_sparsifier"] = sparsifier
    if isinstance(method, ReSprop | SWATReSprop):
        for name, generator in _generators(layers, seed).items():
            if _takes_part(name, layers, method, reuse=True):
                sparsity = getattr(method, "reuse_sparsity", None)
                parts[name]["gradient_sparsifier"] = GradientReuse(
                    method.sparsity if sparsity is None else sparsity,
                    generator,
                    warm_up=method.warm_up,
                )
    if isinstance(method, DST):
        for name, layer in layers.items():
            if _takes_part(name, layers, method):
                by_filter = weight_geometry(layer).to_filters(weight_of(layer))
                parts[name]["weight_mask"] = ThresholdMask(by_filter)
    return parts


def _operand_sparsifiers(
    layers: Mapping[str, nn.Module], method: SWAT | SWATReSprop
) -> dict[str, TopK]:
    chosen = {name: layer for name, layer in layers.items() if _takes_part(name, layers, method)}
    density = density_of(method.sparsity)
    densities = [density] * len(chosen)
    if method.budget == "erk":
        shapes = [weight_geometry(m).to_filters(weight_of(m)).shape for m in chosen.values()]
        densities = erk_densities([tuple(shape) for shape in shapes], density)
    redistributed = method.budget == "momentum"
    if redistributed:
        raise_problems(
            "sparsify",
            [
                f"layer {name}: weight must be a parameter, whose momentum the optimiser has, not "
                "computed from others"
                for name, layer in chosen.items()
                if weight_name(layer) not in layer._parameters
            ],
        )
    return {
        name: TopK(
            layer_density,
            1 if is_linear(layer) else method.refresh_period,
            structure=method.structure,
            redistributed=redistributed,
        )
        for (name, layer), layer_density in zip(chosen.items(), densities, strict=True)
    }


def _takes_part(
    name: str, layers: Mapping[str, nn.Module], method: Method, *, reuse: bool = False
) -> bool:
    """Whether a layer is sparse by the rules; `reuse` asks for the gradients' part."""
    names = list(layers)
    rules = [
        rule
        for rule, at in ((method.first_layer, names[0]), (method.last_layer, names[-1]))
        if name == at
    ]
    linear = is_linear(layers[name])
    linear_rule = getattr(method, "linear_layers", "paper")
    if "dense" in rules or (linear and linear_rule == "dense"):
        return False
    if "sparse" in rules or (linear and linear_rule == "sparse"):
        return True
    if reuse:
        return not linear
    uniform = getattr(method, "budget", None) == "uniform"
    return not (uniform and name == names[0])


def _generators(layers: Mapping[str, nn.Module], seed: int) -> dict[str, torch.Generator]:
    """Return a generator for each layer; those of convolutions do not depend on linear layers."""
    found = {}
    for linear in (False, True):
        names = [n for n, layer in layers.items() if is_linear(layer) == linear]
        for index, name in enumerate(names):
            own = (linear << 40) + seed * len(names) + index
            found[name] = torch.Generator().manual_seed(own)
    return found
