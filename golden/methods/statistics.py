"""What the methods achieved: densities of weights, saved activations and output gradients."""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn

from gscn.golden.methods.layers import attached_to
from gscn.golden.methods.watching import sparse_layers
from gscn.golden.methods.weights import weight_of


@dataclass(frozen=True, kw_only=True, slots=True)
class LayerSparsity:
    """Shares of nonzeros of a layer in its last training step; None for what was not computed."""

    name: str
    weight_count: int
    """Weights of the layer, zeros included."""
    weights: float | None
    """Of the weights used."""
    activations: float | None
    """Of the activations saved for the weight gradient."""
    output_grads: float | None
    """Of the output gradients, or with ReSprop of their differences to the reused one."""


def sparsity_report(model: nn.Module) -> dict[str, LayerSparsity]:
    """Return the densities of the last training step by layer, in order of definition.

    Of a layer that is called several times before its gradients are asked for, all these calls
    count together. Every layer that `sparsify` converted is there, dense ones included.

    Raises
    ------
    InputError
        The model is not sparsified.
    """
    report = {}
    for name, layer in sparse_layers(model).items():
        counts = attached_to(layer).nonzeros
        shares = {what: int(count) / size for what, (count, size) in counts.items()}
        report[name] = LayerSparsity(
            name=name,
            weight_count=weight_of(layer).numel(),
            weights=shares.get("weights"),
            activations=shares.get("activations"),
            output_grads=shares.get("output_grads"),
        )
    return report
