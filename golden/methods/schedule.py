"""What training tells the methods: where an epoch begins and ends, and the optimiser's momentum."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import torch
from torch import nn

from golden.methods.budgets import momentum_budgets
from golden.methods.conversion import sparse_layers
from golden.methods.layers import TrainingLayer
from golden.methods.resprop import GradientReuse
from golden.methods.selection import kept_count
from golden.methods.swat import TopK
from gscn.errors import InputError, raise_problems


def begin_iteration(
    model: nn.Module, *, epoch: int, iteration: int, iterations_per_epoch: int
) -> bool:
    """Prepare a model for a training iteration; ReSprop's first and last of an epoch are dense.

    Parameters
    ----------
    model
        Sparsified by any method, or not at all.
    epoch, iteration
        Epoch, and iteration within it, from 0.
    iterations_per_epoch
        Iterations in an epoch, at least 1.

    Returns
    -------
    bool
        Whether the iteration is dense because of its place in the epoch.

    Raises
    ------
    InputError
        Epoch or iteration out of range.
    """
    problems = []
    if epoch < 0:
        problems.append(f"epoch must be at least 0, not {epoch}")
    if not 0 <= iteration < iterations_per_epoch:
        problems.append(
            f"iteration must be at least 0 and less than iterations_per_epoch, not {iteration} of "
            f"{iterations_per_epoch}"
        )
    raise_problems("schedule", problems)
    dense = iteration in (0, iterations_per_epoch - 1)
    for module in model.modules():
        if isinstance(module, GradientReuse):
            module.start_iteration(epoch=epoch, dense=dense)
    return dense


def update_budgets(model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
    """Share the weights kept out among the layers by their momentum (SWAT-M), after a step.

    A layer uses its new share from the next refresh of its thresholds on. Models without layers of
    the momentum budget, and of layers whose momentum is zero, are left as they are.

    Parameters
    ----------
    model
        Sparsified.
    optimizer
        Has taken its step. Its state must have a `momentum_buffer` (SGD) or `exp_avg` (Adam and its
        kind) of every weight that takes part.

    Raises
    ------
    InputError
        Naming every layer without momentum, or whose momentum is not finite; or the model is not
        sparsified.
    """
    layers = _redistributed(model)
    if not layers:
        return
    problems, momenta = [], []
    for name, layer in layers.items():
        state = optimizer.state.get(layer.weight, {})
        momentum = state.get("momentum_buffer", state.get("exp_avg"))
        active = layer.operand_sparsifier.active
        if momentum is None:
            problems.append(
                f"layer {name}: the optimiser must keep momentum_buffer or exp_avg of its weight "
                f"for the momentum budget, not {', '.join(state) or 'nothing'}"
            )
        elif active is None:
            problems.append(f"layer {name}: must have been trained in the step")
        else:
            size = momentum.abs().mul(active).sum(dtype=torch.float64)
            momenta.append((size / torch.count_nonzero(active).clamp(min=1)).item())
            if not math.isfinite(momenta[-1]):
                problems.append(f"layer {name}: momentum must be finite, not {momenta[-1]}")
    raise_problems("momentum budget", problems)
    sizes = [layer.weight.numel() for layer in layers.values()]
    sparsifiers = [layer.operand_sparsifier for layer in layers.values()]
    total = max(len(layers), kept_count(sparsifiers[0].target, sum(sizes)))
    budgets = momentum_budgets(sizes, momenta, total)
    for index, sparsifier in enumerate(sparsifiers):
        sparsifier.momentum = momenta[index]
        if budgets is not None:
            sparsifier.density = Fraction(budgets[index], sizes[index])


def _redistributed(model: nn.Module) -> dict[str, TrainingLayer]:
    return {
        name: layer
        for name, layer in sparse_layers(model).items()
        if isinstance(layer.operand_sparsifier, TopK) and layer.operand_sparsifier.redistributed
    }


class Schedule:
    """Keeps the methods of a model in step with its training.

    With an optimiser every step of it ends an iteration, however many mini-batches its gradients
    were accumulated over; without one, `advance` does.

    Parameters
    ----------
    model
        Sparsified.
    optimizer
        Trains the model. Needed for the momentum budget; if None, call `advance` after each step.
    iterations_per_epoch
        Steps of the optimiser in an epoch, at least 1.
    iteration
        Steps done before.

    Attributes
    ----------
    iteration : int
        Steps done.
    dense : bool
        Whether ReSprop leaves the present iteration dense for its place in the epoch.

    Raises
    ------
    InputError
        A number out of range, the model is not sparsified, or it needs the optimiser.
    """

    def __init__(
        self,
        model: nn.Module,
        optimizer: torch.optim.Optimizer | None = None,
        *,
        iterations_per_epoch: int,
        iteration: int = 0,
    ) -> None:
        problems = []
        if iterations_per_epoch < 1:
            problems.append(f"iterations_per_epoch must be at least 1, not {iterations_per_epoch}")
        if iteration < 0:
            problems.append(f"iteration must be at least 0, not {iteration}")
        if optimizer is None and _redistributed(model):
            problems.append("optimizer must be given, whose momentum the budget follows, not None")
        raise_problems("schedule", problems)
        self.model = model
        self.iterations_per_epoch = iterations_per_epoch
        self._optimizer = optimizer
        self._hook = None
        if optimizer is not None:
            self._hook = optimizer.register_step_post_hook(lambda *_: self.advance())
        self._begin(iteration)

    @property
    def epoch(self) -> int:
        """Epoch of the present iteration, from 0."""
        return self.iteration // self.iterations_per_epoch

    def advance(self) -> None:
        """End an iteration and prepare the next."""
        if self._optimizer is not None:
            update_budgets(self.model, self._optimizer)
        self._begin(self.iteration + 1)

    def close(self) -> None:
        """Leave the optimiser; the schedule then stands still."""
        if self._hook is not None:
            self._hook.remove()

    def state_dict(self) -> dict[str, Any]:
        """Return what a checkpoint needs."""
        return {"iteration": self.iteration, "iterations_per_epoch": self.iterations_per_epoch}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a checkpoint.

        Raises
        ------
        InputError
            The checkpoint's epochs have another length.
        """
        if state["iterations_per_epoch"] != self.iterations_per_epoch:
            raise InputError(
                "schedule: iterations_per_epoch must be the checkpoint's "
                f"{state['iterations_per_epoch']}, not {self.iterations_per_epoch}"
            )
        self._begin(state["iteration"])

    def _begin(self, iteration: int) -> None:
        self.iteration = iteration
        epoch, position = divmod(iteration, self.iterations_per_epoch)
        self.dense = begin_iteration(
            self.model,
            epoch=epoch,
            iteration=position,
            iterations_per_epoch=self.iterations_per_epoch,
        )
