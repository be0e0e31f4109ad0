"""Dynamic sparse training: weights masked by thresholds that are trained with them.

Implements: Liu, Xu, Shi, Cheung and So, "Dynamic Sparse Training: Find Efficient Sparse Network
From Scratch With Trainable Masked Layers", ICLR 2020. A layer uses `W * M` with
`M = 1 where |W| - t > 0`, one threshold t per filter or neuron, computed afresh in every step. In
differentiation the step has the slope of `step_slope`, so that thresholds have gradients and masked
weights keep being updated. The loss has the term `alpha * dst_penalty(model)`, which raises t.
Differs: thresholds go back to 0 in training mode alone.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from golden.methods.layers import WeightMask
from gscn.errors import InputError

LEAST_PERCENT = 1
"""Thresholds go back to 0 where at most this share of a layer's weights stays."""


def step_slope(excess: Tensor) -> Tensor:
    """Return the slope that stands for the step's: 2 - 4|x| to 0.4, then 0.4 to 1, then 0."""
    size = excess.abs()
    # Not by two numbers in `where`, which would be rounded to the default type.
    return torch.where(size <= 0.4, 2 - 4 * size, 0.4 * (size <= 1).to(size.dtype))


class _MaskedWeights(torch.autograd.Function):
    """`W * step(|W| - t)`."""

    @staticmethod
    def forward(ctx: Any, weights: Tensor, threshold: Tensor) -> Tensor:
        ctx.save_for_backward(weights, threshold)
        return torch.where(_excess(weights, threshold) > 0, weights, 0)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor]:
        weights, threshold = ctx.saved_tensors
        excess = _excess(weights, threshold)
        through_mask = grad * weights * step_slope(excess)
        weight_grad = torch.where(excess > 0, grad, 0) + through_mask * weights.sign()
        return weight_grad, -through_mask.flatten(1).sum(1)


def _excess(weights: Tensor, threshold: Tensor) -> Tensor:
    return weights.abs() - threshold.reshape(-1, *[1] * (weights.ndim - 1))


class ThresholdMask(WeightMask):
    """Masks the weights of a layer.

    Parameters
    ----------
    weights
        The layer's, (K, ...).

    Attributes
    ----------
    threshold : torch.nn.Parameter
        (K,), 0 at first.
    """

    def __init__(self, weights: Tensor) -> None:
        super().__init__()
        self.threshold = nn.Parameter(weights.detach().new_zeros(len(weights)))

    def forward(self, weights: Tensor) -> Tensor:
        """Return the weights that pass their thresholds, after these went back to 0 if need be."""
        if self.training:
            with torch.no_grad():
                left = torch.count_nonzero(_excess(weights, self.threshold) > 0)
                # Without reading the count, for which a device would have to be waited for.
                too_few = left * 100 <= LEAST_PERCENT * weights.numel()
                self.threshold.masked_fill_(too_few, 0)
        return _MaskedWeights.apply(weights, self.threshold)


def dst_penalty(model: nn.Module) -> Tensor:
    """Return the sum of exp(-t) over all thresholds of a model, to be added to its loss.

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
    terms = [
        torch.exp(-module.threshold).sum()
        for module in model.modules()
        if isinstance(module, ThresholdMask)
    ]
    if not terms:
        raise InputError("model must be sparsified with the method 'dst' to have a penalty")
    return torch.stack(terms).sum()
