"""Training whose every step a machine runs whole: it has the weights, and torch is given them back.

The trainer says what each step trains on; what machine runs it, `golden` need not know.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import torch

from gscn.errors import InputError, raise_problems
from gscn.golden.data.dataset import ImageDataset
from gscn.golden.methods.layers import attached_to
from gscn.golden.methods.watching import sparse_layers
from gscn.golden.networks.catalogue import make_network
from gscn.golden.networks.parameters import MOMENTUM, give, move_statistics, taken
from gscn.golden.networks.tracing import traced
from gscn.golden.recipe import Recipe
from gscn.golden.training.progress import Progress
from gscn.golden.training.training import REUSE_STREAM, Trainer
from gscn.graph import Graph, Parameters
from gscn.step import Normalised

MACHINE = "machine"
"""Of a checkpoint: what a machine hands on from step to step."""
_ONLY = {
    "budget": "uniform", "structure": "unstructured", "warm_up": False,
}  # fmt: skip
"""What a whole step takes of the options of methods."""
_NUMBERS = {"arithmetic": ("float32", "bf16"), "loss_scale": ("none",), "scales": ("none",)}
"""What it takes of number formats: its own is bf16, whatever the arithmetic of evaluations."""


@dataclass(frozen=True, kw_only=True, slots=True)
class StepBatch:
    """What a machine's step trains on."""

    images: np.ndarray
    """float32, (N, C, H, W)."""
    labels: np.ndarray
    sample: int
    """Whose gradients are reused by the next step."""
    rate: float
    refresh: bool
    """SWAT: thresholds are selected."""
    reuses: bool
    """ReSprop: the gradient of the step before is reused."""


@dataclass(frozen=True, kw_only=True, slots=True)
class StepOutcome:
    """What a machine's step came to."""

    loss: float
    accuracy: float
    reused: bool
    """ReSprop: a gradient was reused."""
    found: Mapping[str, tuple[np.ndarray, ...]]
    """Mean, and 1 / standard deviation, of each normalisation."""
    counts: Mapping[str, Mapping[str, tuple[int, int]]]
    """Of each convolution and linear layer: (nonzeros, elements) of "weights", "activations" and
    "output_grads"."""


@dataclass(frozen=True, kw_only=True, slots=True)
class MethodState:
    """What the method of a layer takes from one step to the next."""

    weight_threshold: float
    """SWAT's; 0 without."""
    activation_threshold: float
    grad_threshold: float
    """ReSprop's."""
    grad: np.ndarray
    """That is reused, (K, P, Q); empty without."""
    thresholds: np.ndarray | None
    """DST's, one for each filter, and their momenta."""
    velocities: np.ndarray | None


class StepMachine(Protocol):
    """Runs training steps of a network, and has its weights."""

    norms: Mapping[str, Normalised]
    warm: bool
    """Whether it has run a step."""

    def step(self, batch: StepBatch) -> StepOutcome:
        """Train for one step."""

    def parameters(self) -> Parameters:
        """Return weights, normalisations and momenta as they are now."""

    def method_states(self) -> Mapping[str, MethodState]:
        """Return what layers take to the next step."""

    def state(self) -> Mapping[str, np.ndarray]:
        """Return all that the next step needs, to go on exactly."""


def whole_step_problems(recipe: Recipe) -> list[str]:
    """Return which options of a recipe a whole step has no way for.

    Parameters
    ----------
    recipe
        Any.
    """
    problems = [
        f"{name} must be {only} for a whole step, not {value}"
        for name, only in _ONLY.items()
        if (value := getattr(recipe, name)) not in (None, only)
    ]
    # The encode unit has neither formats of 8 bits nor fp16, and no scales.
    problems += [
        f"{name} must be {' or '.join(known)} for a whole step, not {value}"
        for name, known in _NUMBERS.items()
        if (value := getattr(recipe, name)) not in known
    ]
    # SWAT leaves the first layer as it is by another rule than the others.
    if recipe.method in ("resprop", "swat+resprop", "dst") and recipe.first_conv == "dense":
        problems.append(
            f"first_conv must be paper or sparse for a whole step of {recipe.method}, not dense"
        )
    return problems


class WholeTrainer(Trainer):
    """Trains a network by the whole steps of a machine.

    Parameters
    ----------
    recipe, dataset
        As of `Trainer`.

    Attributes
    ----------
    graph : Graph
        What the network computes.
    machine : StepMachine or None
        Runs the steps; to be set before the first.
    kept : dict or None
        What the machine of a checkpoint handed on, for the next one to go on from.

    Raises
    ------
    InputError
        As by `Trainer`; or naming every option that a whole step has no way for.
    """

    def __init__(self, recipe: Recipe, dataset: ImageDataset | None = None) -> None:
        raise_problems("recipe", whole_step_problems(recipe))
        super().__init__(recipe, dataset)
        with torch.device("meta"):
            network = make_network(recipe.network, **self.made).train()
        size = (recipe.batch_size, self.made["in_channels"], self.image_size, self.image_size)
        self.graph: Graph = traced(network, torch.zeros(size, device="meta"))
        self.machine: StepMachine | None = None
        self.kept: dict[str, np.ndarray] | None = None
        self._fetched = True

    def parameters(self) -> Parameters:
        """Return weights, normalisations and momenta, for a machine to begin with."""
        return taken(self.network, self.graph, self.optimizer)

    def unselected(self) -> frozenset[str]:
        """Return the layers of which SWAT keeps everything."""
        return frozenset(
            name
            for name, layer in sparse_layers(self.network).items()
            if attached_to(layer).operand_sparsifier is None
        )

    def step(self) -> Progress:
        """Train for one iteration, on the machine.

        Raises
        ------
        InputError
            As by `Trainer.step`, or there is no machine.
        """
        if self.machine is None:
            raise InputError("machine must be set before a step, not None")
        batch = self.next_batch()
        labels = batch.labels.numpy()
        generator = self.generator(REUSE_STREAM, self.iteration)
        # A machine that begins has neither thresholds nor gradients to reuse.
        begins = not self.machine.warm
        period = self.recipe.refresh_period
        self._fetched = False
        outcome = self.machine.step(
            StepBatch(
                images=batch.images.numpy().astype(np.float32),
                labels=labels,
                sample=int(torch.randint(len(labels), (), generator=generator)),
                rate=batch.learning_rate,
                refresh=period is not None and (begins or self.iteration % period == 0),
                reuses=self.recipe.method.endswith("resprop") and not (begins or batch.dense),
            )
        )
        self.require_finite(outcome.loss)
        move_statistics(self.network, self.machine.norms, outcome.found)
        self._note(outcome)
        return self.progress(batch, outcome.loss, outcome.accuracy)

    def evaluate(self) -> float:
        """Return the share of test images classified correctly, by torch, with the weights of now.

        Raises
        ------
        SimulationError
            The machine is there no more.
        """
        self.fetch()
        return super().evaluate()

    def save(self, path: Path) -> None:
        """Write a checkpoint as `Trainer.save`, with the weights and the machine's state of now."""
        self.fetch()
        super().save(path)

    def _content(self) -> dict[str, object]:
        """Return what a checkpoint holds."""
        if self.machine is not None and self.machine.warm:
            self.kept = dict(self.machine.state())
        content = super()._content()
        if self.kept is not None:
            kept = {name: torch.from_numpy(values) for name, values in self.kept.items()}
            content[MACHINE] = kept
        return content

    def _restore(self, path: Path, state: dict) -> None:
        """Take what a checkpoint holds.

        Raises
        ------
        InputError
            It is not one of whole steps, so that no machine can go on from it exactly.
        """
        super()._restore(path, state)
        kept = state.get(MACHINE)
        if self.iteration and kept is None:
            raise InputError(f"{path} must be a checkpoint of whole steps, to go on by them")
        if kept is not None:
            self.kept = {name: values.numpy() for name, values in kept.items()}

    def fetch(self) -> None:
        """Give the network, its methods and its optimizer what the machine has."""
        if self._fetched or self.machine is None:
            return
        give(self.network, self.graph, self.machine.parameters(), self.optimizer)
        states = self.machine.method_states()
        with torch.no_grad():
            for name, layer in sparse_layers(self.network).items():
                attached = attached_to(layer)
                state = states[name]
                top, reuse = attached.operand_sparsifier, attached.gradient_sparsifier
                if attached.weight_mask is not None and state.thresholds is not None:
                    mask = attached.weight_mask.threshold
                    mask.copy_(torch.from_numpy(state.thresholds))
                    if state.velocities is not None:
                        moved = torch.from_numpy(state.velocities).to(mask)
                        self.optimizer.state[mask][MOMENTUM] = moved
                if top is not None:
                    top.import_state({
                        "weight_threshold": _scalar(state.weight_threshold),
                        "activation_threshold": _scalar(state.activation_threshold),
                        "iteration": torch.tensor(self.iteration),
                    })  # fmt: skip
                if reuse is not None:
                    reuse.import_state({
                        "threshold": _scalar(state.grad_threshold),
                        "reused_grad": torch.from_numpy(state.grad.copy()),
                        "_extra_state": reuse.generator.get_state(),
                    })  # fmt: skip
        self._fetched = True

    def _note(self, outcome: StepOutcome) -> None:
        """Let the layers say what the step left of their tensors."""
        for name, layer in sparse_layers(self.network).items():
            attached, counts = attached_to(layer), outcome.counts[name]
            for what, (nonzeros, elements) in counts.items():
                attached.note_nonzeros(what, nonzeros, elements)
            reuse = attached.gradient_sparsifier
            if reuse is not None:
                reused = outcome.reused
                reuse.nonzeros = torch.tensor(counts["output_grads"][0]) if reused else None


def _scalar(value: float) -> torch.Tensor:
    return torch.tensor(value, dtype=torch.float64)
