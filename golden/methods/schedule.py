"""What training tells the methods: where an epoch begins and ends, and the optimiser's momentum."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import torch
from torch import nn

from gscn.errors import InputError, raise_problems
from gscn.golden.methods.budgets import momentum_budgets
from gscn.golden.methods.layers import TrainingLayer, attached_to, weight_geometry
from gscn.golden.methods.options import plain_number
from gscn.golden.methods.resprop import GradientReuse
from gscn.golden.methods.selection import kept_count
from gscn.golden.methods.swat import TopK
from gscn.golden.methods.watching import sparse_layers
from gscn.golden.methods.weights import weight_of, weight_sources

SECOND_MOMENT_EPSILON = 1e-8
"""Added by SWAT-M's authors to the root of Adam's second moment."""


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
    epoch, iteration, iterations_per_epoch = _whole(
        "schedule", epoch=epoch, iteration=iteration, iterations_per_epoch=iterations_per_epoch
    )
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
        elif isinstance(module, TopK):
            module.lacks_schedule = False
    return dense


def follow_scaler(model: nn.Module, scaler: torch.amp.GradScaler | None) -> None:
    """Tell the layers of a model what scales its loss.

    Gradients that are not finite are then no error, as the scaler leaves the step out, and what
    methods remember is neither scaled nor of such an iteration. Copies of the model, and files, do
    not have the scaler.

    Parameters
    ----------
    model
        Sparsified.
    scaler
        Whose `scale(loss).backward()` computes the gradients of every iteration; None: nobody's.

    Raises
    ------
    InputError
        The model is not sparsified, or there is another scaler.
    """
    if scaler is not None and not isinstance(scaler, torch.amp.GradScaler):
        raise InputError(
            f"scaler must be a torch.amp.GradScaler or None, not {type(scaler).__name__}"
        )
    for layer in sparse_layers(model).values():
        attached_to(layer).scaler = scaler


def _whole(what: str, **values: Any) -> list[int]:
    """Return whole numbers, which may be numpy's or torch's; raise `InputError` for others."""
    found = {name: plain_number(value) for name, value in values.items()}
    problems = [
        f"{name} must be a whole number, not {value!r}"
        for name, value in found.items()
        if not isinstance(value, int) or isinstance(value, bool)
    ]
    raise_problems(what, problems)
    return list(found.values())


def update_budgets(model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
    """Share the weights kept out among the layers by their momentum (SWAT-M), after a step.

    A layer uses its new share from the next refresh of its thresholds on. Models without layers of
    the momentum budget, and of layers whose momentum is zero, are left as they are. Layers that are
    frozen, or had no part in the step, keep their weights as many as they were; the others share
    the rest.

    Parameters
    ----------
    model
        Sparsified.
    optimizer
        Has taken its step. Its state must have, of every weight that takes part, a
        `momentum_buffer` (SGD) or an `exp_avg` (Adam and its kind), which is divided by the root of
        `exp_avg_sq` where there is one.

    Raises
    ------
    InputError
        Naming every layer without momentum, or whose momentum is not finite; or the model is not
        sparsified.
    """
    layers = _redistributed(model)
    problems, momenta, kept = [], {}, {}
    for name, layer in layers.items():
        top = attached_to(layer).operand_sparsifier
        top.lacks_schedule = False
        weight = weight_sources(layer)[0]
        unused = weight.grad is None and weight not in optimizer.state
        if not weight.requires_grad or unused or weight.shape != weight_of(layer).shape:
            kept[name] = kept_count(top.density, weight_of(layer).numel())
            continue
        state = optimizer.state.get(weight, {})
        momentum = _momentum(state)
        by_filter = weight_geometry(layer).to_filters
        if momentum is None:
            problems.append(
                f"layer {name}: the optimiser must keep momentum_buffer or exp_avg of its weight "
                f"for the momentum budget, not {', '.join(state) or 'nothing'}"
            )
        elif top.active is None:
            problems.append(f"layer {name}: must have been trained in the step")
        else:
            size = by_filter(momentum).abs().mul(top.active).sum(dtype=torch.float64)
            momenta[name] = (size / torch.count_nonzero(top.active).clamp(min=1)).item()
            if not math.isfinite(momenta[name]):
                problems.append(f"layer {name}: momentum must be finite, not {momenta[name]}")
    raise_problems("momentum budget", problems)
    if not momenta:
        return
    sizes = {name: weight_of(layer).numel() for name, layer in layers.items()}
    moving = [sizes[name] for name in momenta]
    first = attached_to(next(iter(layers.values()))).operand_sparsifier
    rest = kept_count(first.target, sum(sizes.values())) - sum(kept.values())
    total = min(max(len(momenta), rest), sum(moving))
    budgets = momentum_budgets(moving, list(momenta.values()), total)
    for index, (name, momentum) in enumerate(momenta.items()):
        top = attached_to(layers[name]).operand_sparsifier
        top.momentum = momentum
        if budgets is not None:
            top.density = Fraction(budgets[index], sizes[name])


def _momentum(state: dict[str, Any]) -> torch.Tensor | None:
    """Return the momentum of a weight, of Adam in proportion to the root of its second moment."""
    if state.get("momentum_buffer") is not None:
        return state["momentum_buffer"]
    mean, square = state.get("exp_avg"), state.get("exp_avg_sq")
    if mean is None or square is None:
        return mean
    return mean / (square.sqrt() + SECOND_MOMENT_EPSILON)


def _redistributed(model: nn.Module) -> dict[str, TrainingLayer]:
    return {
        name: layer
        for name, layer in sparse_layers(model).items()
        if isinstance(top := attached_to(layer).operand_sparsifier, TopK) and top.redistributed
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
        iterations_per_epoch, iteration = _whole(
            "schedule", iterations_per_epoch=iterations_per_epoch, iteration=iteration
        )
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
