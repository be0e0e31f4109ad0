"""What the methods left of each tensor in the last training step: for logs and FLOP accounting."""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn

from gscn.golden.methods.layers import attached_to
from gscn.golden.methods.watching import sparse_layers

TENSOR_KINDS = ("weights", "activations", "output_grads")


@dataclass(frozen=True, kw_only=True, slots=True)
class MadeDensities:
    """Shares of nonzeros of a layer's tensors; 1 where the method makes no zeros."""

    weights: float
    activations: float
    """Saved for the weight gradient."""
    output_grads: float
    """Of their differences to a reused gradient."""
    reuses: bool
    """Whether the terms of a reused gradient were computed."""


def made_densities(network: nn.Module) -> dict[str, MadeDensities]:
    """Return by layer which zeros the method made; those of ReLU are not credited.

    An iteration that ReSprop's schedule makes dense has dense output gradients.

    Raises
    ------
    InputError
        The network is not sparsified.
    """
    found = {}
    for name, layer in sparse_layers(network).items():
        attached = attached_to(layer)
        shares = {what: int(count) / size for what, (count, size) in attached.nonzeros.items()}
        pruned = attached.operand_sparsifier is not None
        masked = pruned or attached.weight_mask is not None
        reuse = attached.gradient_sparsifier
        reused = reuse is not None and reuse.nonzeros is not None
        found[name] = MadeDensities(
            weights=shares.get("weights", 1.0) if masked else 1.0,
            activations=shares.get("activations", 1.0) if pruned else 1.0,
            output_grads=shares.get("output_grads", 1.0) if reused else 1.0,
            reuses=reused,
        )
    return found


def tensor_sparsities(network: nn.Module) -> dict[str, float]:
    """Return the share of zeros by tensor kind, of all layers together, whoever made the zeros.

    Before the first training step there is none.

    Raises
    ------
    InputError
        The network is not sparsified.
    """
    zeros = dict.fromkeys(TENSOR_KINDS, 0)
    sizes = dict.fromkeys(TENSOR_KINDS, 0)
    for layer in sparse_layers(network).values():
        for what, (count, size) in attached_to(layer).nonzeros.items():
            zeros[what] += size - int(count)
            sizes[what] += size
    return {what: zeros[what] / size for what, size in sizes.items() if size}
