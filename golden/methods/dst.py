"""Dynamic sparse training: weights masked by thresholds that are trained with them.

Implements: Liu, Xu, Shi, Cheung and So, "Dynamic Sparse Training: Find Efficient Sparse Network
From Scratch With Trainable Masked Layers", ICLR 2020. A layer uses `W * M` with
`M = 1 where |W| - t > 0`, one threshold t per filter or neuron, computed afresh in every step. In
differentiation the step has the slope of `step_slope`, so that thresholds have gradients and masked
weights keep being updated. The loss has the term `alpha * dst_penalty(model)`, which raises t.
Differs: thresholds go back to 0 in training mode alone, and those of frozen weights stay.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from gscn.errors import InputError
from gscn.golden.methods.attached import NAME, WeightMask
from gscn.golden.methods.passes import Choice
from gscn.golden.methods.selection import is_traced
from gscn.golden.methods.weights import weight_sources

LEAST_PERCENT = 1
"""Thresholds go back to 0 where at most this share of a layer's weights stays."""


def step_slope(excess: Tensor) -> Tensor:
    """Return the slope that stands for the step's: 2 - 4|x| to 0.4, then 0.4 to 1, then 0."""
    size = excess.abs()
    # Not by two numbers in `where`, which would be rounded to the default type.
    return torch.where(size <= 0.4, 2 - 4 * size, 0.4 * (size <= 1).to(size.dtype))


class MaskedWeights(torch.autograd.Function):
    """`W * step(|W| - t)`, for t whose `values` are given apart.

    Thresholds go back to 0 in place, also between the calls of a layer and their gradients.
    """

    generate_vmap_rule = True

    @staticmethod
    def forward(weights: Tensor, threshold: Tensor, values: Tensor) -> Tensor:  # noqa: ARG004
        """Return the masked weights."""
        return _masked(weights, values)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, ...], output: Tensor) -> None:  # noqa: ARG004
        """Keep what the gradients need."""
        weights, _, values = inputs
        ctx.save_for_backward(weights, values)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, None]:
        """Return the gradients of weights and thresholds."""
        weights, values = ctx.saved_tensors
        excess = _excess(weights, values)
        through_mask = grad * weights * step_slope(excess)
        weight_grad = torch.where(excess > 0, grad, 0) + through_mask * weights.sign()
        return weight_grad, -through_mask.flatten(1).sum(1), None


def _excess(weights: Tensor, threshold: Tensor) -> Tensor:
    return weights.abs() - threshold.reshape(-1, *[1] * (weights.ndim - 1))


def _masked(weights: Tensor, threshold: Tensor) -> Tensor:
    return torch.where(_excess(weights, threshold) > 0, weights, 0)


class ThresholdMask(WeightMask):
    """Masks the weights of a layer.

    Parameters
    ----------
    weights
        The layer's, (K, ...).

    Attributes
    ----------
    threshold : torch.nn.Parameter
        (K,), 0 at first; frozen if the weights are.
    """

    def __init__(self, weights: Tensor) -> None:
        super().__init__()
        self.threshold = nn.Parameter(
            weights.detach().new_zeros(len(weights)), requires_grad=weights.requires_grad
        )

    def forward(self, weights: Tensor) -> Tensor:
        """Return the weights that pass their thresholds, after these went back to 0 if need be."""
        if is_traced(weights) and not torch._C._are_functorch_transforms_active():
            return _masked(weights, self.threshold)
        # Without gradients only a parameter says whether it is frozen.
        told = torch.is_grad_enabled() or isinstance(weights, nn.Parameter)
        frozen = told and not weights.requires_grad
        if self.training and not frozen:
            with torch.no_grad():
                left = torch.count_nonzero(_excess(weights, self.threshold) > 0)
                # Without reading the count, for which a device would have to be waited for.
                too_few = left * 100 <= LEAST_PERCENT * weights.numel()
                self.threshold.masked_fill_(too_few, 0)
        threshold = self.threshold.detach() if frozen else self.threshold
        return MaskedWeights.apply(weights, threshold, self.threshold.detach().clone())

    def kept(self) -> Choice:
        """Return what keeps the weights that pass the thresholds as they are now."""
        threshold = self.threshold.detach().clone()
        return lambda weights: _masked(weights, threshold)


def dst_penalty(model: nn.Module) -> Tensor:
    """Return the sum of exp(-t) over the thresholds of a model, to be added to its loss.

    Those of layers whose weights are frozen take no part.

    Parameters
    ----------
    model
        Converted to DST. The published loss has this term times a small factor, alpha: the larger,
        the sparser.

    Returns
    -------
    Tensor
        Scalar, differentiable.

    Raises
    ------
    InputError
        The model has no thresholds.
    """
    masks = [module for module in model.modules() if isinstance(module, ThresholdMask)]
    if not masks:
        raise InputError("model must be sparsified with the method 'dst' to have a penalty")
    frozen = {
        id(attached.weight_mask)
        for module in model.modules()
        if (attached := module._modules.get(NAME)) is not None
        and not any(weight.requires_grad for weight in weight_sources(module))
    }
    terms = [torch.exp(-mask.threshold).sum() for mask in masks if id(mask) not in frozen]
    return torch.stack(terms).sum() if terms else masks[0].threshold.new_zeros(())
