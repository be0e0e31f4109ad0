"""Watches whether a sparsified model calls its layers, or uses their weights past them.

Nothing keeps a model from reading the weight of a layer and computing with it: the layer is then
not called, or not for this, and what its method chose is not applied. The graph that autograd keeps
of a forward pass tells for certain: a weight may only go into the passes of its layer.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

from gscn.errors import InputError
from gscn.golden.methods.dst import MaskedWeights
from gscn.golden.methods.layers import TrainingLayer, attached_to, ordinary_class
from gscn.golden.methods.passes import ThreePasses
from gscn.golden.methods.weights import weight_name, weight_sources

_OURS = (ThreePasses, MaskedWeights)


class SparsityWarning(UserWarning):
    """Weights that a method was asked to make sparse stay dense."""


def sparse_layers(model: nn.Module) -> dict[str, TrainingLayer]:
    """Return the converted layers of a model by name, in order of definition.

    Raises
    ------
    InputError
        There is none.
    """
    # Not by `layer_name`: parts of a model may have been sparsified one by one.
    found = {
        name or class_name(module): module
        for name, module in model.named_modules()
        if isinstance(module, TrainingLayer)
    }
    if not found:
        raise InputError(f"model {type(model).__name__} must have been sparsified")
    return found


def class_name(module: nn.Module) -> str:
    """Return the name of a module's class, of a converted layer that of its ordinary class."""
    return (ordinary_class(type(module)) or type(module)).__name__


def watch(model: nn.Module) -> None:
    """Look at forward passes of a sparsified model, the first and ever fewer of those after it."""
    model.register_forward_hook(_Watch())


def unwatch(model: nn.Module) -> None:
    """Undo `watch`, of the model and all that is in it."""
    for module in model.modules():
        for key, hook in list(module._forward_hooks.items()):
            if isinstance(hook, _Watch):
                del module._forward_hooks[key]


class _Watch:
    """A forward hook; warns of each layer once."""

    def __init__(self) -> None:
        self.forwards = 0
        self.named: set[str] = set()

    @torch.compiler.disable(reason="the graph of a forward pass is looked at")
    def __call__(self, model: nn.Module, args: Any, output: Any) -> None:  # noqa: ARG002
        self.forwards += 1
        if self.forwards & (self.forwards - 1) or torch._C._are_functorch_transforms_active():
            return
        if getattr(model, "_is_replica", False):
            return
        layers = sparse_layers(model)
        sparse = {name: layer for name, layer in layers.items() if attached_to(layer).is_sparse}
        # In operations of torch's own the layer's use of its weight looks like any other.
        told = {name: layer for name, layer in sparse.items() if not attached_to(layer).was_plain}
        past = _used_past(told, output)
        for name in past:
            attached_to(sparse[name]).bypassed = True
        uncalled = [name for name, layer in sparse.items() if not attached_to(layer).calls]
        called = [name for name in past if attached_to(sparse[name]).calls]
        self._warn(
            "the model uses the weights of layers without calling them, so dense: ",
            [name for name in past if name not in called],
        )
        self._warn(
            "the model uses the weights of layers that it calls also without calling them, so "
            "dense: ",
            called,
        )
        self._warn(
            "layers were not called in a forward pass of the model, and their weights, if it "
            "uses them, are dense: ",
            uncalled,
        )

    def _warn(self, text: str, names: list[str]) -> None:
        new = [name for name in names if name not in self.named]
        self.named.update(new)
        if new:
            warnings.warn(text + ", ".join(new), SparsityWarning, stacklevel=4)


def _used_past(layers: Mapping[str, TrainingLayer], output: Any) -> list[str]:
    """Return the layers whose weights the outputs depend on otherwise than through the layer."""
    owners: dict[int, list[str]] = {}
    for name, layer in layers.items():
        for source in weight_sources(layer):
            owners.setdefault(id(source), []).append(name)
    found: set[str] = set()
    for node, variable in _uses(output):
        for name in owners.get(id(variable), ()):
            attached = attached_to(layers[name])
            # What a parametrization or a forward of its own does with a weight may be the layer's.
            own = attached.intercepts or weight_name(layers[name]) not in layers[name]._parameters
            if not attached.calls if own else getattr(node, "_forward_cls", None) not in _OURS:
                found.add(name)
    return [name for name in layers if name in found]


def _uses(output: Any) -> Iterator[tuple[Any, Tensor]]:
    """Yield the nodes of the graph of a model's outputs that use leaves, each with such a leaf."""
    leaves = tree_leaves(output)
    # Outputs may be objects that torch does not know.
    held = [vars(leaf) for leaf in leaves if hasattr(leaf, "__dict__")]
    waiting = [
        leaf.grad_fn
        for leaf in (*leaves, *tree_leaves(held))
        if isinstance(leaf, Tensor) and leaf.grad_fn is not None
    ]
    seen = set(waiting)
    while waiting:
        node = waiting.pop()
        for following, _ in node.next_functions:
            if following is None:
                continue
            if hasattr(following, "variable"):
                yield node, following.variable
            elif following not in seen:
                seen.add(following)
                waiting.append(following)
