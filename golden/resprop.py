"""ReSprop: backward passes from the difference to a reused output gradient.

Implements: Goli and Aamodt, "ReSprop: Reuse Sparsified Backpropagation", CVPR 2020. With g the
output gradient of one random sample of the previous mini-batch and S the differences `G_n - g`
whose magnitude exceeds a threshold,

    dX_n = convT(W, S_n) + convT(W, g)
    dW   = sum_n X_n * S_n + (sum_n X_n) * g

and the terms in g cost as much as one sample. The threshold halves or doubles after each iteration.
Differs: the sample is drawn uniformly from the mini-batch by a generator of the caller's; the
threshold stops halving at the smallest normal number, below which it could never grow again; an
iteration whose target density is 100 % is dense and leaves the threshold alone.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import torch
from torch import Tensor, nn

from golden.layer import OutputGradientSparsifier, TrainingConv2d
from golden.swat import check_sparsity
from gscn.errors import InputError

INITIAL_THRESHOLD = 1e-7
DENSITY_MARGIN = Fraction(5, 100)
"""Nonzeros allowed above 1 - sparsity."""
WARM_UP_DENSE_EPOCHS = 2
WARM_UP_EPOCHS = 9
"""Epochs from which W-ReSprop uses the target density."""


def target_density(sparsity: float, *, epoch: int = 0, warm_up: bool = False) -> Fraction:
    """Return the share of nonzeros aimed at in S.

    Parameters
    ----------
    sparsity
        Reuse sparsity, at least 0 and less than 1.
    epoch
        Epoch, from 0; used by the warm-up alone.
    warm_up
        W-ReSprop: 1 in epochs 0 and 1, then 1 - epoch/10 in epochs 2 to 8, never below the target.

    Raises
    ------
    InputError
        Sparsity out of range.
    """
    target = min(Fraction(1), 1 - Fraction(str(check_sparsity(sparsity))) + DENSITY_MARGIN)
    if not warm_up or epoch >= WARM_UP_EPOCHS:
        return target
    if epoch < WARM_UP_DENSE_EPOCHS:
        return Fraction(1)
    return max(target, 1 - Fraction(epoch, 10))


class GradientReuse(OutputGradientSparsifier):
    """Splits output gradients into a sparse difference and a reused gradient.

    Parameters
    ----------
    sparsity
        Reuse sparsity, at least 0 and less than 1.
    generator
        Draws the sample whose gradient is reused. Its state is saved with the layer's.

    Attributes
    ----------
    dense : bool
        Whether gradients pass unchanged; the gradient to reuse is stored all the same.
    target : Fraction
        Share of nonzeros aimed at.
    """

    def __init__(self, sparsity: float, generator: torch.Generator) -> None:
        super().__init__()
        self.sparsity = sparsity
        self.target = target_density(sparsity)
        self.generator = generator
        self.dense = False
        self.register_buffer("threshold", torch.tensor(INITIAL_THRESHOLD, dtype=torch.float64))
        # (K, P, Q) from the first iteration on, empty before.
        self.register_buffer("reused_grad", torch.empty(0))

    def forward(self, output_grad: Tensor) -> tuple[Tensor, Tensor | None]:
        """Return (S, g) for (N, K, P, Q), or (`output_grad`, None) in a dense iteration.

        The first iteration of all is dense: there is no gradient to reuse.

        Raises
        ------
        InputError
            The shape of a sample differs from that of the stored gradient.
        """
        reused = self.reused_grad
        sparse, shared = output_grad, None
        if reused.numel() and reused.shape != output_grad.shape[1:]:
            raise InputError(
                f"output gradients of a sample must keep the shape {tuple(reused.shape)}, "
                f"not {tuple(output_grad.shape[1:])}"
            )
        if not self.dense and self.target < 1 and reused.numel():
            shared = reused
            difference = output_grad - reused
            sparse = torch.where(difference.abs() > self.threshold, difference, 0)
            self._adapt(int(sparse.count_nonzero()), sparse)
        index = torch.randint(output_grad.shape[0], (), generator=self.generator)
        self.reused_grad = output_grad[index].detach().clone()
        return sparse, shared

    def _adapt(self, nonzero_count: int, sparse: Tensor) -> None:
        density = Fraction(nonzero_count, sparse.numel())
        if density > self.target:
            self.threshold *= 2
        elif density < self.target:
            self.threshold *= 0.5
            self.threshold.clamp_(min=torch.finfo(sparse.dtype).tiny)

    def get_extra_state(self) -> Tensor:
        """Return the generator's state, for `state_dict`."""
        return self.generator.get_state()

    def set_extra_state(self, state: Tensor) -> None:
        """Restore the generator's state, for `load_state_dict`."""
        self.generator.set_state(state)

    def _load_from_state_dict(self, state_dict: dict, prefix: str, *args: Any) -> None:
        # The stored gradient's shape depends on the inputs seen, so take it from the state.
        stored = state_dict.get(prefix + "reused_grad")
        if stored is not None:
            self.reused_grad = torch.empty_like(stored, device=self.reused_grad.device)
        super()._load_from_state_dict(state_dict, prefix, *args)


class ReSpropConv2d(TrainingConv2d):
    """Convolution trained by ReSprop.

    Parameters
    ----------
    *args, **kwargs
        As of `TrainingConv2d`.
    sparsity, generator
        As of `GradientReuse`.
    """

    def __init__(
        self, *args: Any, sparsity: float, generator: torch.Generator, **kwargs: Any
    ) -> None:
        super().__init__(*args, gradient_sparsifier=GradientReuse(sparsity, generator), **kwargs)


def set_schedule(
    network: nn.Module,
    *,
    epoch: int,
    iteration: int,
    iterations_per_epoch: int,
    warm_up: bool = False,
) -> bool:
    """Prepare every `GradientReuse` of a network for a training iteration.

    The first and the last iteration of an epoch are dense.

    Parameters
    ----------
    network
        Any module.
    epoch, iteration
        Epoch, and iteration within it, from 0.
    iterations_per_epoch
        Iterations in an epoch.
    warm_up
        W-ReSprop's schedule of densities.

    Returns
    -------
    bool
        Whether the iteration is dense because of its place in the epoch.
    """
    dense = iteration in (0, iterations_per_epoch - 1)
    for module in network.modules():
        if isinstance(module, GradientReuse):
            module.dense = dense
            module.target = target_density(module.sparsity, epoch=epoch, warm_up=warm_up)
    return dense
