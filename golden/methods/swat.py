"""SWAT: training with the largest weights in both passes and the largest activations in backward.

Implements: Raihan and Aamodt, "Sparse Weight Activation Training", NeurIPS 2020.
Forward `Y = conv(X, topk(W))` with dense X; backward `dX` from topk(W) and `dW` from topk(X), both
with the dense output gradient. Weight gradients are dense, so the topology is chosen afresh.
Differs: in evaluation mode the largest weights are chosen exactly, whatever the refresh period;
ties with the smallest element kept are kept; a layer that is called several times before its
gradients are asked for has one threshold of weights, and one of activations for each of the calls.
"""

from __future__ import annotations

from fractions import Fraction
from functools import partial

import torch
from torch import Tensor

from gscn.errors import InputError
from gscn.golden.methods.attached import NO_ITERATION, OperandSparsifier
from gscn.golden.methods.passes import Choice, everything
from gscn.golden.methods.selection import keep_largest, kept_count, magnitude_threshold
from gscn.golden.methods.state import CarriedState, is_numbered, numbered


class TopK(OperandSparsifier, CarriedState):
    """Keeps the largest weights and, over the whole mini-batch, the largest activations.

    Parameters
    ----------
    density
        Share of elements kept of each tensor, more than 0 and at most 1.
    refresh_period
        Training iterations between exact selections of the thresholds, which are reused between.
    structure
        One of `golden.methods.options.STRUCTURES`. Kernels and filters are ranked by the sum of
        their magnitudes, exactly in every iteration.
    redistributed
        Whether `density` changes in training (SWAT-M), and is hence part of the state.

    Attributes
    ----------
    target : Fraction
        The density at first; of all layers together with `redistributed`.
    active : Tensor or None
        With `redistributed`, which weights the last training iteration used.
    lacks_schedule : bool
        With `redistributed`, whether nobody has said so far that budgets will be updated.
    momentum : float
        With `redistributed`, the mean magnitude of their momentum when last looked at.

    Raises
    ------
    InputError
        Naming the parameter out of range.
    """

    def __init__(
        self,
        density: Fraction,
        refresh_period: int = 10,
        *,
        structure: str = "unstructured",
        redistributed: bool = False,
    ) -> None:
        super().__init__()
        if not 0 < density <= 1:
            raise InputError(f"density must be more than 0 and at most 1, not {density}")
        if refresh_period < 1:
            raise InputError(f"refresh_period must be at least 1, not {refresh_period}")
        self.density = self.target = density
        self.refresh_period = refresh_period
        self.structure = structure
        self.redistributed = redistributed
        self.iteration = 0
        # Double precision holds a threshold of any narrower tensor exactly.
        self.weight_threshold = torch.zeros((), dtype=torch.float64)
        self.activation_threshold = torch.zeros((), dtype=torch.float64)
        self.active: Tensor | None = None
        self.momentum = 0.0
        self.lacks_schedule = redistributed
        self._call_thresholds: dict[int, Tensor] = {}

    def forward(self, inputs: Tensor, weights: Tensor, call: int = 0) -> tuple[Choice, Choice]:
        """Return topk of the inputs and of the weights; in evaluation mode of the weights alone.

        An iteration begins with a call of index 0 in training mode; calls of higher indices are of
        the same iteration, and one of `NO_ITERATION` is of none.
        """
        if self.density == 1 and not self.redistributed:
            return everything, everything  # A reused threshold would drop small values.
        if not self.training:
            return everything, self._weights_kept(weights, self._exact(weights))
        refreshed = (self.iteration - (call > 0)) % self.refresh_period == 0
        if call <= 0:
            if refreshed and self.structure == "unstructured":
                self.weight_threshold = self._exact(weights).double()
            self.iteration += call != NO_ITERATION
        threshold = self._activation_threshold(inputs, call, refreshed=refreshed)
        kept = self._weights_kept(weights, self.weight_threshold)
        if self.redistributed:
            self.active = kept(weights) != 0
        return partial(keep_largest, threshold=threshold), kept

    def evaluated(self, weights: Tensor) -> Tensor:
        """Return the weights that evaluation uses: exactly the largest."""
        if self.density == 1:
            return weights
        return self._weights_kept(weights, self._exact(weights))(weights)

    def _activation_threshold(self, inputs: Tensor, call: int, *, refreshed: bool) -> Tensor:
        if call <= 0:
            if refreshed:
                self.activation_threshold = self._exact(inputs).double()
            return self.activation_threshold
        if refreshed or call not in self._call_thresholds:
            self._call_thresholds[call] = self._exact(inputs).double()
        return self._call_thresholds[call]

    def _exact(self, values: Tensor) -> Tensor:
        # At density 1 the smallest magnitude now may be more than a smaller one later.
        if self.density == 1:
            return values.new_zeros(())
        return magnitude_threshold(values, kept_count(self.density, int(values.numel())))

    def _weights_kept(self, weights: Tensor, threshold: Tensor) -> Choice:
        if self.structure == "unstructured":
            return partial(keep_largest, threshold=threshold)
        first = 2 if self.structure == "kernel" else 1
        scores = weights.abs().flatten(first).sum(-1) if weights.ndim > first else weights.abs()
        mask = scores >= magnitude_threshold(scores, kept_count(self.density, int(scores.numel())))
        mask = mask.reshape(*mask.shape, *[1] * (weights.ndim - first))
        return lambda values: torch.where(mask, values, 0)

    def extra_repr(self) -> str:
        """Say what the module was made with."""
        return (
            f"density={float(self.density):g}, refresh_period={self.refresh_period}, "
            f"structure={self.structure}"
        )

    def export_state(self) -> dict[str, Tensor]:
        """Return thresholds and iteration, and with `redistributed` density and momentum."""
        state = {
            "weight_threshold": self.weight_threshold,
            "activation_threshold": self.activation_threshold,
            "iteration": torch.tensor(self.iteration),
        }
        state |= {
            f"activation_threshold_{call}": threshold
            for call, threshold in self._call_thresholds.items()
        }
        if self.redistributed:
            state["density"] = torch.tensor(self.density.as_integer_ratio())
            state["momentum"] = torch.tensor(self.momentum, dtype=torch.float64)
        return state

    def accepts(self, name: str) -> bool:
        """Whether a name that `export_state` does not have now may be in a saved state."""
        return is_numbered(name, "activation_threshold")

    def import_state(self, state: dict[str, Tensor]) -> None:
        """Take over what `export_state` returned."""
        self.weight_threshold = state["weight_threshold"]
        self.activation_threshold = state["activation_threshold"]
        self.iteration = int(state["iteration"])
        self._call_thresholds = numbered(state, "activation_threshold")
        if self.redistributed:
            self.density = Fraction(*state["density"].tolist())
            self.momentum = float(state["momentum"])
