"""ReSprop: backward passes from the difference to a reused output gradient.

Implements: Goli and Aamodt, "ReSprop: Reuse Sparsified Backpropagation", CVPR 2020. With g the
output gradient of one random sample of the previous mini-batch and S the differences `G_n - g`
whose magnitude exceeds a threshold,

    dX_n = convT(W, S_n) + convT(W, g)
    dW   = sum_n X_n * S_n + (sum_n X_n) * g

and the terms in g cost as much as one sample. The threshold halves or doubles after each iteration.
With SWAT besides, W is topk(W) and X is topk(X) in these.
Differs: the sample is drawn uniformly from the mini-batch by a generator of the caller's; the
threshold stops halving at the smallest normal number, below which it could never grow again; an
iteration whose target density is 100 % is dense and leaves the threshold alone.
"""

from __future__ import annotations

import math
from fractions import Fraction

import torch
from torch import Tensor

from golden.methods.layers import GradientSparsifier
from golden.methods.options import is_share
from golden.methods.selection import count_nonzeros, keep_larger
from golden.methods.state import CarriedState
from golden.methods.targets import reuse_density
from gscn.errors import InputError

INITIAL_THRESHOLD = 1e-7
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
    if not is_share(sparsity):
        raise InputError(f"sparsity must be at least 0 and less than 1, not {sparsity!r}")
    target = reuse_density(sparsity)
    if not warm_up or epoch >= WARM_UP_EPOCHS:
        return target
    if epoch < WARM_UP_DENSE_EPOCHS:
        return Fraction(1)
    return max(target, 1 - Fraction(epoch, 10))


class GradientReuse(GradientSparsifier, CarriedState):
    """Splits output gradients into a sparse difference and a reused gradient.

    Parameters
    ----------
    sparsity
        Reuse sparsity, at least 0 and less than 1.
    generator
        Draws the sample whose gradient is reused. Its state is saved with the layer's.
    warm_up
        Whether to approach the sparsity over the first epochs, as told by `start_iteration`.

    Attributes
    ----------
    dense : bool
        Whether gradients pass unchanged; the gradient to reuse is stored all the same.
    target : Fraction
        Share of nonzeros aimed at.
    nonzeros : Tensor or None
        Nonzeros of the last S, where it was computed.
    """

    def __init__(
        self, sparsity: float, generator: torch.Generator, *, warm_up: bool = False
    ) -> None:
        super().__init__()
        self.sparsity = sparsity
        self.warm_up = warm_up
        self.target = target_density(sparsity, warm_up=warm_up)
        self.generator = generator
        self.dense = False
        self.threshold = torch.tensor(INITIAL_THRESHOLD, dtype=torch.float64)
        # (K, P, Q) from the first iteration on, empty before.
        self.reused_grad = torch.empty(0)
        self.nonzeros: Tensor | None = None
        self._batch_size: int | None = None

    def start_iteration(self, *, epoch: int, dense: bool) -> None:
        """Prepare for an iteration of an epoch, from 0, which may be dense."""
        self.dense = dense
        self.target = target_density(self.sparsity, epoch=epoch, warm_up=self.warm_up)

    def forget(self) -> None:
        """Forget the gradient to reuse: the next iteration is dense, and shapes may change."""
        self.reused_grad = torch.empty(0)
        self._batch_size = None

    def forward(self, output_grad: Tensor) -> tuple[Tensor, Tensor | None]:
        """Return (S, g) for (N, K, P, Q), or (`output_grad`, None) in a dense iteration.

        The first iteration of all is dense: there is no gradient to reuse.

        Raises
        ------
        InputError
            The mini-batch, or the shape of a sample, differs from the iteration before.
        """
        reused = self.reused_grad
        self._check_shape(output_grad.shape)
        sparse, shared, self.nonzeros = output_grad, None, None
        if not self.dense and self.target < 1 and reused.numel():
            shared = reused = reused.to(output_grad)
            sparse = keep_larger(output_grad - reused, self.threshold, in_place=True)
            self.nonzeros = count_nonzeros(sparse)
            self._adapt(sparse, self.nonzeros)
        index = torch.randint(output_grad.shape[0], (), generator=self.generator)
        self.reused_grad = output_grad[index].detach().clone()
        self._batch_size = len(output_grad)
        return sparse, shared

    def _check_shape(self, shape: torch.Size) -> None:
        mend = "(`golden.forget_gradients` starts afresh)"
        if self._batch_size not in (None, shape[0]):
            raise InputError(
                f"mini-batches must keep their {self._batch_size} samples, not change to "
                f"{shape[0]} {mend}"
            )
        if self.reused_grad.numel() and self.reused_grad.shape != shape[1:]:
            raise InputError(
                f"output gradients of a sample must keep the shape "
                f"{tuple(self.reused_grad.shape)}, not {tuple(shape[1:])} {mend}"
            )

    def _adapt(self, sparse: Tensor, count: Tensor) -> None:
        # Without reading the count, for which a device would have to be waited for.
        allowed = self.target * sparse.numel()
        threshold = self.threshold.to(sparse.device)
        halved = (threshold * 0.5).clamp(min=torch.finfo(sparse.dtype).tiny)
        lowered = torch.where(count < math.ceil(allowed), halved, threshold)
        self.threshold = torch.where(count > math.floor(allowed), threshold * 2, lowered)

    def extra_repr(self) -> str:
        """Say what the module was made with."""
        return f"sparsity={self.sparsity:g}, warm_up={self.warm_up}"

    def export_state(self) -> dict[str, Tensor]:
        """Return threshold, gradient to reuse, and the generator's state."""
        return {
            "threshold": self.threshold,
            "reused_grad": self.reused_grad,
            # The name that checkpoints have had from the first.
            "_extra_state": self.generator.get_state(),
        }

    def import_state(self, state: dict[str, Tensor]) -> None:
        """Take over what `export_state` returned; the size of the mini-batch may then change."""
        self.threshold = state["threshold"]
        self.reused_grad = state["reused_grad"]
        self.generator.set_state(state["_extra_state"].cpu())
        self._batch_size = None
