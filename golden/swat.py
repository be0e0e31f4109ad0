"""SWAT: training with the largest weights in both passes and the largest activations in backward.

Implements: Raihan and Aamodt, "Sparse Weight Activation Training", NeurIPS 2020 (SWAT-U).
Forward `Y = conv(X, topk(W))` with dense X; backward `dX` from topk(W) and `dW` from topk(X), both
with the dense output gradient. Weight gradients are dense, so the topology is chosen afresh.
Differs: in evaluation mode the largest weights are chosen exactly, whatever the refresh period.
"""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional

from golden.layer import TrainingConv2d, WeightActivationSparsifier
from gscn.errors import InputError


def check_sparsity(sparsity: float) -> float:
    """Return `sparsity`; raise `InputError` unless it lies in [0, 1)."""
    if not 0 <= sparsity < 1:
        raise InputError(f"sparsity must be at least 0 and less than 1, not {sparsity!r}")
    return sparsity


def kept_count(sparsity: float, element_count: int) -> int:
    """Return ceil((1 - sparsity) * element_count), with the sparsity read as a decimal number.

    In binary floating point 1 - 0.7 is a little more than 0.3 and would keep one element too many.
    """
    return math.ceil((1 - Fraction(str(sparsity))) * element_count)


def magnitude_threshold(values: Tensor, count: int) -> Tensor:
    """Return the magnitude (a scalar) of the `count`-th largest element of `values`."""
    return torch.topk(values.detach().abs().flatten(), count, sorted=False).values.min()


def keep_largest(values: Tensor, threshold: Tensor) -> Tensor:
    """Return `values` with zeros where the magnitude is under the threshold; ties are kept."""
    return torch.where(values.abs() >= threshold, values, 0)


class TopK(WeightActivationSparsifier):
    """Keeps the largest weights and, over the whole mini-batch, the largest activations.

    Parameters
    ----------
    sparsity
        Share of elements dropped from each tensor, at least 0 and less than 1.
    refresh_period
        Training iterations between exact selections of the thresholds, which are reused between.

    Raises
    ------
    InputError
        Naming the parameter out of range.
    """

    def __init__(self, sparsity: float, refresh_period: int = 10) -> None:
        super().__init__()
        if refresh_period < 1:
            raise InputError(f"refresh_period must be at least 1, not {refresh_period}")
        self.sparsity = check_sparsity(sparsity)
        self.refresh_period = refresh_period
        # Double precision holds a threshold of any narrower tensor exactly.
        self.register_buffer("weight_threshold", torch.zeros((), dtype=torch.float64))
        self.register_buffer("activation_threshold", torch.zeros((), dtype=torch.float64))
        self.register_buffer("iteration", torch.zeros((), dtype=torch.int64))

    def forward(self, inputs: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
        """Return (topk(inputs), topk(weights)); in evaluation mode (inputs, topk(weights)).

        An iteration is a call in training mode.
        """
        if self.sparsity == 0:
            return inputs, weights  # A reused threshold would drop small values.
        if not self.training:
            return inputs, keep_largest(weights, self._exact(weights))
        if self.iteration % self.refresh_period == 0:
            self.weight_threshold.copy_(self._exact(weights))
            self.activation_threshold.copy_(self._exact(inputs))
        self.iteration += 1
        return (
            keep_largest(inputs, self.activation_threshold),
            keep_largest(weights, self.weight_threshold),
        )

    def _exact(self, values: Tensor) -> Tensor:
        return magnitude_threshold(values, kept_count(self.sparsity, values.numel()))


class SWATConv2d(TrainingConv2d):
    """Convolution trained by SWAT.

    Parameters
    ----------
    *args, **kwargs
        As of `TrainingConv2d`.
    sparsity, refresh_period
        As of `TopK`.
    """

    def __init__(
        self, *args: Any, sparsity: float, refresh_period: int = 10, **kwargs: Any
    ) -> None:
        super().__init__(*args, operand_sparsifier=TopK(sparsity, refresh_period), **kwargs)


class _TwoPassLinear(torch.autograd.Function):
    """`Y = X used^T + b`, with `dX` from `used` and `dW` from the saved activations."""

    @staticmethod
    def forward(
        ctx: Any,
        inputs: Tensor,
        weights: Tensor,
        bias: Tensor | None,
        sparsifier: WeightActivationSparsifier,
    ) -> Tensor:
        saved, used = sparsifier(inputs, weights)
        ctx.save_for_backward(saved, used)
        return functional.linear(inputs, used, bias)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, output_grad: Tensor) -> tuple[Tensor | None, ...]:
        saved, used = ctx.saved_tensors
        needs_inputs, needs_weights, needs_bias, _ = ctx.needs_input_grad
        rows = output_grad.flatten(0, -2)
        return (
            output_grad @ used if needs_inputs else None,
            rows.T @ saved.flatten(0, -2) if needs_weights else None,
            rows.sum(0) if needs_bias else None,
            None,
        )


class SWATLinear(nn.Linear):
    """Fully connected layer trained by SWAT; its thresholds are exact in every iteration.

    Parameters
    ----------
    in_features, out_features, bias, device, dtype
        As of `nn.Linear`.
    sparsity
        As of `TopK`.
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        *,
        sparsity: float,
        bias: bool = True,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__(in_features, out_features, bias=bias, device=device, dtype=dtype)
        self.operand_sparsifier = TopK(sparsity, refresh_period=1)

    def forward(self, inputs: Tensor) -> Tensor:
        """Return (..., out_features) for inputs (..., in_features), of at least two dimensions."""
        if inputs.ndim < 2 or inputs.shape[-1] != self.in_features:
            raise InputError(
                f"inputs must have the shape (N, ..., {self.in_features}), "
                f"not {tuple(inputs.shape)}"
            )
        return _TwoPassLinear.apply(inputs, self.weight, self.bias, self.operand_sparsifier)

    @classmethod
    def from_linear(cls, linear: nn.Linear, *, sparsity: float) -> SWATLinear:
        """Return a layer that takes over the parameters of `linear`."""
        # On the meta device no parameters are drawn: they would advance the global generator.
        layer = cls(
            linear.in_features,
            linear.out_features,
            sparsity=sparsity,
            bias=linear.bias is not None,
            device="meta",
        )
        layer.weight = linear.weight
        layer.bias = linear.bias
        layer.to(linear.weight.device)
        layer.train(linear.training)
        return layer
