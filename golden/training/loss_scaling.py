"""Steps of an optimiser whose loss is scaled, by `torch.amp.GradScaler`."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from gscn.errors import InputError
from gscn.golden.methods.schedule import follow_scaler

LEAST_SCALE = float(torch.finfo(torch.float32).tiny)
"""Below it gradients cannot be divided by the scale any more."""


class LossScaling:
    """Scales the loss of a training.

    Parameters
    ----------
    loss_scale
        "none"; "dynamic", with the defaults of `torch.amp.GradScaler`; or a scale that stays.
    network
        Sparsified; its methods are told of the scale.
    """

    def __init__(self, loss_scale: str | float, network: nn.Module) -> None:
        self._fixed = None if isinstance(loss_scale, str) else float(loss_scale)
        options = {} if self._fixed is None else {"init_scale": self._fixed}
        self._scaler = torch.amp.GradScaler("cpu", enabled=loss_scale != "none", **options)
        follow_scaler(network, self._scaler)

    @property
    def scale(self) -> float:
        """Of the next loss; 1 without scaling."""
        return self._scaler.get_scale()

    def step(self, loss: Tensor, optimizer: torch.optim.Optimizer) -> bool:
        """Compute gradients anew, and let the optimiser take its step.

        Returns
        -------
        bool
            Whether it was taken: it is not if a gradient of a parameter is infinite or NaN.

        Raises
        ------
        InputError
            As by the layers; or the scale has become so small that no step will be taken any more.
        """
        optimizer.zero_grad()
        self._scaler.scale(loss).backward()
        taken: list[bool] = []
        hook = optimizer.register_step_post_hook(lambda *_: taken.append(True))
        try:
            self._scaler.step(optimizer)
        finally:
            hook.remove()
        self._scaler.update(self._fixed)
        if self.scale < LEAST_SCALE:
            raise InputError(
                f"the loss scale must stay at least {LEAST_SCALE:g}, not become {self.scale:g}, as "
                "gradients are never finite"
            )
        return bool(taken)

    def state_dict(self) -> dict[str, Any]:
        """Return what a checkpoint needs; nothing without scaling."""
        return self._scaler.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a state without problems."""
        self._scaler.load_state_dict(state)

    def problems(self, state: object) -> list[str]:
        """Return why a state of a checkpoint, that may be anything, is none of this scaling."""
        own = self.state_dict()
        if not isinstance(state, dict) or state.keys() != own.keys():
            return ["the state of the loss scale must be of the recipe's"]
        if not own:
            return []
        moving = ("scale", "_growth_tracker")
        problems = [
            f"{name} of the loss scale must be {own[name]}"
            for name in own
            if name not in moving and state[name] != own[name]
        ]
        scale, steps = (state[name] for name in moving)
        if type(scale) is not float or not LEAST_SCALE <= scale < math.inf:
            problems.append(f"the loss scale must be at least {LEAST_SCALE:g} and finite")
        if type(steps) is not int or not 0 <= steps < own["growth_interval"]:
            problems.append("steps since the loss scale changed must be fewer than until it grows")
        return problems
