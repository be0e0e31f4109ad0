"""What of a model a method reaches: which weights stay dense, and their share of weights and MACs.

Weights are parameters of two dimensions or more: those of convolutions and linear layers, and those
that a method cannot reach, because their module is another kind (recurrent, an embedding, the
`Conv1D` of some transformers), or multiplies with a parameter of its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.utils.rnn import PackedSequence
from torch.utils.flop_counter import FlopCounterMode

from gscn.golden.methods.layers import ByWeight, TrainingLayer, attached_to
from gscn.golden.methods.watching import class_name, sparse_layers
from gscn.golden.methods.weights import weight_name, weight_of, weight_sources

NEGLIGIBLE_SHARE = 0.01
"""Of a model's weights: what a method does not reach is warned of if it is more."""
_NAMED = 8
"""Modules that a warning names."""


@dataclass(frozen=True, kw_only=True, slots=True)
class DensePart:
    """A module of which weights, or products, stay dense."""

    name: str
    """In the model; "" is the model itself."""
    kind: str
    """Its class."""
    reason: str
    weight_count: int
    weight_share: float
    """Of all weights of the model."""
    mac_share: float | None
    """Of the multiplications of a forward pass, its own modules' apart; None without inputs."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Coverage:
    """What of a model stays dense, the largest share of weights first."""

    dense: tuple[DensePart, ...]
    weight_count: int
    """Of the whole model."""
    weight_share: float
    """Of the weights that stay dense."""
    mac_count: int | None
    """Multiplications of a forward pass; None without inputs."""
    mac_share: float | None
    """Of those that stay dense in both operands; None without inputs."""

    def __str__(self) -> str:
        """Say it in a line for each part."""
        macs = "" if self.mac_share is None else f", {100 * self.mac_share:.1f} % of the MACs"
        lines = [f"dense: {100 * self.weight_share:.1f} % of {self.weight_count} weights{macs}"]
        for part in self.dense:
            macs = "" if part.mac_share is None else f", {100 * part.mac_share:.1f} % of the MACs"
            lines.append(
                f"  {part.name or 'model'} ({part.kind}): {100 * part.weight_share:.1f} % of the "
                f"weights{macs}; {part.reason}"
            )
        return "\n".join(lines)


def coverage(model: nn.Module, *args: Any, **kwargs: Any) -> Coverage:
    """Return what of a sparsified model stays dense.

    Parameters
    ----------
    model
        Sparsified. Its state is left alone.
    *args, **kwargs
        Inputs of a forward pass, which is then run in evaluation mode to count multiplications and
        to see which layers are called; by default shares of weights alone are returned, and layers
        count as dense if the model has run and has not called them.

    Raises
    ------
    InputError
        The model is not sparsified.
    """
    layers = sparse_layers(model)
    by_layer = {id(layer): name for name, layer in layers.items()}
    calls = {name: attached_to(layer).calls for name, layer in layers.items()}
    done = {name: attached_to(layer).macs for name, layer in layers.items()}
    macs = _macs(model, args, kwargs) if args or kwargs else None
    all_macs = None if macs is None else sum(macs.values())
    called = {name for name, layer in layers.items() if attached_to(layer).calls > calls[name]}
    if macs is None:
        called = {name for name, count in calls.items() if count} or set(layers)
    else:
        done = {name: attached_to(one).macs - done[name] for name, one in layers.items()}
        macs = _outside(macs, dict(model.named_modules()), by_layer, done)
    weights = _weights(model)
    total = sum(weights.values())
    parts = []
    for name, module in model.named_modules():
        count = weights.get(name, 0)
        own = 0 if macs is None else macs.get(name, 0)
        reason = _reason(module, by_layer.get(id(module)), called)
        if reason is None:
            count = 0
        if not (count or own):
            continue
        parts.append(
            DensePart(
                name=name,
                kind=class_name(module),
                reason=reason if reason and count else "multiplies outside of its layers",
                weight_count=count,
                weight_share=count / total,
                mac_share=None if all_macs is None else own / max(1, all_macs),
            )
        )
    parts.sort(key=lambda part: (-part.weight_count, -(part.mac_share or 0)))
    return Coverage(
        dense=tuple(parts),
        weight_count=total,
        weight_share=sum(part.weight_count for part in parts) / total,
        mac_count=all_macs,
        mac_share=None if all_macs is None else sum(part.mac_share for part in parts),
    )


def unreached(model: nn.Module, left_alone: set[int]) -> str | None:
    """Return what to warn of: weights of modules that were neither converted nor left alone.

    Parameters
    ----------
    model
        Just sparsified.
    left_alone
        Identities of the modules that the user excluded.

    Returns
    -------
    str or None
        None if their share is negligible.
    """
    weights = _weights(model)
    total = sum(weights.values())
    missed = {
        name: (module, weights[name])
        for name, module in model.named_modules()
        if weights.get(name)
        and not isinstance(module, TrainingLayer)
        and id(module) not in left_alone
    }
    share = sum(count for _, count in missed.values()) / total
    if share <= NEGLIGIBLE_SHARE:
        return None
    largest = sorted(missed.items(), key=lambda item: -item[1][1])
    named = [
        f"{name or 'model'} ({class_name(module)}, {100 * count / total:.1f} %)"
        for name, (module, count) in largest[:_NAMED]
    ]
    more = f" and {len(largest) - _NAMED} more" if len(largest) > _NAMED else ""
    return (
        f"{100 * share:.1f} % of the weights are no convolution's or linear layer's and stay "
        f"dense: {', '.join(named)}{more} (golden.coverage lists all; exclude what is meant to be)"
    )


def _reason(module: nn.Module, layer: str | None, called: set[str]) -> str | None:
    """Return why a module's weights stay dense, None if they do not."""
    if layer is None:
        return "is no convolution or linear layer, or was excluded"
    attached = attached_to(module)
    if not attached.is_sparse:
        return "dense by the method's rules"
    if attached.bypassed:
        return "used by the model without calling the layer"
    return None if layer in called else "not called"


def _weights(model: nn.Module) -> dict[str, int]:
    """Return the number of weights of each module that has any, each counted once."""
    seen: set[int] = set()
    found: dict[str, int] = {}

    def add(name: str, tensors: Iterator[Tensor | None]) -> None:
        for tensor in tensors:
            if tensor is not None and tensor.ndim > 1 and id(tensor) not in seen:
                seen.add(id(tensor))
                found[name] = found.get(name, 0) + tensor.numel()

    modules = dict(model.named_modules())
    for name, module in modules.items():
        if isinstance(module, TrainingLayer):
            # A weight may be computed from parameters of modules in the layer.
            seen.update(id(one) for one in weight_sources(module))
            found[name] = found.get(name, 0) + weight_of(module).numel()
    shared: dict[int, str] = {}
    for name, module in modules.items():
        if isinstance(module, TrainingLayer) and weight_name(module) in module._parameters:
            first = shared.setdefault(id(weight_of(module)), name)
            if first != name:
                del found[name]
    for name, module in modules.items():
        add(name, iter(module._parameters.values()))
    return found


def _outside(
    macs: dict[str, int],
    modules: dict[str, nn.Module],
    by_layer: dict[int, str],
    done: dict[str, int],
) -> dict[str, int]:
    """Return the multiplications of each module that are none of a sparse layer's.

    Those of a layer whose weight is used without calling it are counted where it is used: in the
    nearest module around it that may do so.

    Parameters
    ----------
    macs
        Of each module.
    modules
        By name.
    by_layer
        Names of layers by their identities.
    done
        What each layer has multiplied.
    """
    found = dict(macs)
    for name, module in modules.items():
        layer = by_layer.get(id(module))
        if layer is None or not attached_to(module).is_sparse:
            continue
        elsewhere = max(0, done[layer] - macs.get(name, 0))
        found[name] = macs.get(name, 0) - (done[layer] - elsewhere)
        user = name
        while elsewhere and user:
            user = user.rpartition(".")[0]
            if isinstance(modules[user], ByWeight | nn.MultiheadAttention):
                found[user] -= elsewhere
                break
    return found


def _macs(model: nn.Module, args: Any, kwargs: Any) -> dict[str, int]:
    """Return the multiplications of each module in a forward pass, those in its modules apart."""
    modes = [(module, module.training) for module in model.modules()]
    recurrent: dict[str, int] = {}
    names = {id(module): name for name, module in model.named_modules()}

    def count_recurrent(module: nn.RNNBase, inputs: tuple[Any, ...], _: Any) -> None:
        values = inputs[0]
        steps = len(values.data) if isinstance(values, PackedSequence) else values[..., 0].numel()
        per_step = sum(one.numel() for one in module._parameters.values() if one.ndim > 1)
        name = names[id(module)]
        recurrent[name] = recurrent.get(name, 0) + steps * per_step

    hooks = [
        module.register_forward_hook(count_recurrent)
        for module in model.modules()
        if isinstance(module, nn.RNNBase)
    ]
    try:
        model.eval()
        # Attention by operators that are counted.
        plain = sdpa_kernel(SDPBackend.MATH)
        with torch.no_grad(), plain, FlopCounterMode(display=False) as counter:
            model(*args, **kwargs)
    finally:
        for hook in hooks:
            hook.remove()
        for module, training in modes:
            module.training = training
    root = type(model).__name__
    counts = counter.get_flop_counts()
    inclusive = {
        name: sum(counts[label].values()) // 2
        for name in names.values()
        if (label := f"{root}.{name}" if name else root) in counts
    }
    inclusive[""] = counter.get_total_flops() // 2
    own = dict.fromkeys(names.values(), 0) | inclusive
    for name, count in inclusive.items():
        around = name
        while around:
            around = around.rpartition(".")[0]
            if around in inclusive:  # others, as lists of modules, are not called
                own[around] -= count
                break
    for name, count in recurrent.items():
        # Their operations are counted or not, as the device has them.
        own[name] = count
    return own
