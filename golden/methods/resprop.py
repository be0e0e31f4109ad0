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
from dataclasses import dataclass, field
from fractions import Fraction

import torch
from torch import Tensor

from gscn.errors import InputError
from gscn.golden.methods.attached import GradientSparsifier
from gscn.golden.methods.options import is_share, plain_number
from gscn.golden.methods.selection import count_nonzeros, keep_larger, magnitude_threshold
from gscn.golden.methods.state import CarriedState, is_numbered, numbered
from gscn.golden.methods.targets import reuse_density

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
    sparsity = plain_number(sparsity)
    if not is_share(sparsity):
        raise InputError(f"sparsity must be at least 0 and less than 1, not {sparsity!r}")
    target = reuse_density(sparsity)
    if not warm_up or epoch >= WARM_UP_EPOCHS:
        return target
    if epoch < WARM_UP_DENSE_EPOCHS:
        return Fraction(1)
    return max(target, 1 - Fraction(epoch, 10))


@dataclass(slots=True)
class _Reused:
    """What one of the calls of an iteration has from the iteration before."""

    threshold: Tensor = field(
        default_factory=lambda: torch.tensor(INITIAL_THRESHOLD, dtype=torch.float64)
    )
    # (K, P, Q) from the first iteration on, empty before.
    grad: Tensor = field(default_factory=lambda: torch.empty(0))
    batch_size: int | None = None


class GradientReuse(GradientSparsifier, CarriedState):
    """Splits output gradients into a sparse difference and a reused gradient.

    A layer that is called several times before its gradients are asked for has a gradient to reuse,
    and a threshold, for each of the calls.

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
    lacks_schedule : bool
        With `warm_up`, whether nobody has told the epoch so far.
    exact : bool
        Whether an iteration begins with the threshold that keeps the share aimed at, as many
        iterations of training would find it.
    """

    def __init__(
        self, sparsity: float, generator: torch.Generator, *, warm_up: bool = False
    ) -> None:
        super().__init__()
        self.sparsity = plain_number(sparsity)
        self.warm_up = warm_up
        self.target = target_density(sparsity, warm_up=warm_up)
        self.generator = generator
        self.dense = False
        self.nonzeros: Tensor | None = None
        self.lacks_schedule = warm_up
        self.exact = False
        self._calls: dict[int, _Reused] = {0: _Reused()}

    @property
    def threshold(self) -> Tensor:
        """Of the first call of an iteration: a scalar, which may be changed in place."""
        return self._calls[0].threshold

    @property
    def reused_grad(self) -> Tensor:
        """Of the first call of an iteration; empty before the first."""
        return self._calls[0].grad

    def start_iteration(self, *, epoch: int, dense: bool) -> None:
        """Prepare for an iteration of an epoch, from 0, which may be dense."""
        self.dense = dense
        self.target = target_density(self.sparsity, epoch=epoch, warm_up=self.warm_up)
        self.lacks_schedule = False

    def forget(self) -> None:
        """Forget the gradient to reuse: the next iteration is dense, and shapes may change."""
        for one in self._calls.values():
            one.grad = torch.empty(0)
            one.batch_size = None

    def forward(self, output_grad: Tensor, call: int = 0) -> tuple[Tensor, Tensor | None]:
        """Return (S, g) for (N, K, P, Q), or (`output_grad`, None) in a dense iteration.

        The first iteration of all is dense: there is no gradient to reuse.

        Raises
        ------
        InputError
            The mini-batch, or the shape of a sample, differs from the iteration before.
        """
        kept = self._calls.setdefault(call, _Reused())
        reused = kept.grad
        _check_shape(kept, output_grad.shape)
        sparse, shared, self.nonzeros = output_grad, None, None
        if not self.dense and self.target < 1 and reused.numel():
            shared = reused = reused.to(output_grad)
            differences = output_grad - reused
            if self.exact:
                most = math.floor(self.target * differences.numel())
                kept.threshold = magnitude_threshold(differences, most + 1).double()
            sparse = keep_larger(differences, kept.threshold, in_place=True)
            self.nonzeros = count_nonzeros(sparse)
            kept.threshold = self._adapted(kept.threshold, sparse, self.nonzeros)
        index = torch.randint(output_grad.shape[0], (), generator=self.generator)
        kept.grad = output_grad[index].detach().clone()
        kept.batch_size = len(output_grad)
        return sparse, shared

    def _adapted(self, threshold: Tensor, sparse: Tensor, count: Tensor) -> Tensor:
        # Without reading the count, for which a device would have to be waited for.
        allowed = self.target * sparse.numel()
        threshold = threshold.to(sparse.device)
        halved = (threshold * 0.5).clamp(min=torch.finfo(sparse.dtype).tiny)
        lowered = torch.where(count < math.ceil(allowed), halved, threshold)
        return torch.where(count > math.floor(allowed), threshold * 2, lowered)

    def extra_repr(self) -> str:
        """Say what the module was made with."""
        return f"sparsity={self.sparsity:g}, warm_up={self.warm_up}"

    def export_state(self) -> dict[str, Tensor]:
        """Return threshold and gradient to reuse of each call, and the generator's state."""
        state = {}
        for call, one in sorted(self._calls.items()):
            ending = f"_{call}" if call else ""
            state[f"threshold{ending}"] = one.threshold
            state[f"reused_grad{ending}"] = one.grad
        # The name that checkpoints have had from the first.
        return {**state, "_extra_state": self.generator.get_state()}

    def accepts(self, name: str) -> bool:
        """Whether a name that `export_state` does not have now may be in a saved state."""
        return is_numbered(name, "threshold") or is_numbered(name, "reused_grad")

    def import_state(self, state: dict[str, Tensor]) -> None:
        """Take over what `export_state` returned; the size of the mini-batch may then change."""
        self._calls = {0: _Reused(threshold=state["threshold"], grad=state["reused_grad"])}
        grads = numbered(state, "reused_grad")
        for call, threshold in numbered(state, "threshold").items():
            grad = grads.get(call, torch.empty(0))
            self._calls[call] = _Reused(threshold=threshold, grad=grad)
        self.generator.set_state(state["_extra_state"].cpu())


def _check_shape(kept: _Reused, shape: torch.Size) -> None:
    mend = "(`golden.forget_gradients` starts afresh)"
    if kept.batch_size not in (None, shape[0]):
        raise InputError(
            f"mini-batches must keep their {kept.batch_size} samples, not change to "
            f"{shape[0]} {mend}"
        )
    if kept.grad.numel() and kept.grad.shape != shape[1:]:
        raise InputError(
            f"output gradients of a sample must keep the shape {tuple(kept.grad.shape)}, not "
            f"{tuple(shape[1:])} {mend}"
        )
