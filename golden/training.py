"""Training of a network by stochastic gradient descent: seeded, resumable, silent."""

from __future__ import annotations

import contextlib
import dataclasses
import math
import os
import pickle
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from torch.nn import functional

from golden.arithmetic import arithmetic_called
from golden.composites import load_composites
from golden.dataset import ImageDataset
from golden.digits import load_digits
from golden.methods.schedule import begin_iteration
from golden.network import build_network, set_arithmetic
from golden.recipe import Recipe
from gscn.errors import InputError

CHECKPOINT_VERSION = 2
_LOADERS = {"digits": load_digits, "resnet18": load_composites}
"""Data set by network."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Progress:
    """One training iteration done."""

    iteration: int
    """Iterations done so far."""
    iterations: int
    """Iterations in the whole recipe."""
    epoch: int
    """Epoch of this iteration, from 0."""
    loss: float
    """Cross-entropy of its mini-batch before the update, in nats."""
    dense_iteration: bool
    """Whether ReSprop's schedule made it dense."""


class Trainer:
    """Trains a network by a recipe, one iteration at a time.

    Parameters
    ----------
    recipe
        What to train and how.
    dataset
        Images; by default those that belong to the recipe's network.

    Attributes
    ----------
    network : torch.nn.Module
        The network, converted to the recipe's method.
    dataset : ImageDataset
        The images.
    iterations_per_epoch : int
        Mini-batches in an epoch.
    iteration : int
        Iterations done.

    Raises
    ------
    InputError
        The mini-batch is larger than the training set, or the epoch has more of them than fit.
    """

    def __init__(self, recipe: Recipe, dataset: ImageDataset | None = None) -> None:
        self.recipe = recipe
        self.dataset = _LOADERS[recipe.network]() if dataset is None else dataset
        image_count = len(self.dataset.train_labels)
        if recipe.batch_size > image_count:
            raise InputError(
                f"batch_size must be at most the {image_count} training images, "
                f"not {recipe.batch_size}"
            )
        full_epoch = image_count // recipe.batch_size
        if recipe.iterations_per_epoch is not None and recipe.iterations_per_epoch > full_epoch:
            raise InputError(
                f"iterations_per_epoch must be at most the {full_epoch} mini-batches that the "
                f"training images fill, not {recipe.iterations_per_epoch}"
            )
        self.iterations_per_epoch = recipe.iterations_per_epoch or full_epoch
        self.network = build_network(
            recipe.method,
            network=recipe.network,
            width=recipe.width,
            sparsity=recipe.sparsity,
            seed=recipe.seed,
            refresh_period=recipe.refresh_period,
            first_conv=recipe.first_conv,
            warm_up=recipe.warm_up,
        )
        set_arithmetic(self.network, arithmetic_called(recipe.arithmetic))
        self._optimizer = torch.optim.SGD(
            self.network.parameters(),
            lr=recipe.learning_rate,
            momentum=recipe.momentum,
            weight_decay=recipe.weight_decay,
        )
        self.iteration = 0

    @property
    def iterations(self) -> int:
        """Iterations in the whole recipe."""
        return self.recipe.epochs * self.iterations_per_epoch

    def step(self) -> Progress:
        """Train for one iteration.

        Raises
        ------
        InputError
            The recipe has been completed, or the loss is no longer finite.
        """
        if self.iteration >= self.iterations:
            raise InputError(
                f"the recipe ends after {self.iterations} iterations; "
                "more epochs are needed to go on"
            )
        epoch, position = divmod(self.iteration, self.iterations_per_epoch)
        dense = begin_iteration(
            self.network,
            epoch=epoch,
            iteration=position,
            iterations_per_epoch=self.iterations_per_epoch,
        )
        fraction = self.iteration / self.iterations
        for group in self._optimizer.param_groups:
            group["lr"] = self.recipe.learning_rate * (1 + math.cos(math.pi * fraction)) / 2
        chosen = self._epoch_order(epoch)[position * self.recipe.batch_size :]
        chosen = chosen[: self.recipe.batch_size]
        self.network.train()
        scores = self.network(self.dataset.train_images[chosen])
        loss = functional.cross_entropy(scores, self.dataset.train_labels[chosen])
        if not torch.isfinite(loss):
            raise InputError(
                f"training diverged: the loss of iteration {self.iteration} is {loss.item()}; "
                f"learning_rate must be smaller than {self.recipe.learning_rate}"
            )
        self._optimizer.zero_grad()
        try:
            loss.backward()
        except InputError as error:
            raise InputError(
                f"training diverged in iteration {self.iteration}: {error}; "
                f"learning_rate must be smaller than {self.recipe.learning_rate}"
            ) from error
        self._optimizer.step()
        self.iteration += 1
        return Progress(
            iteration=self.iteration,
            iterations=self.iterations,
            epoch=epoch,
            loss=loss.item(),
            dense_iteration=dense,
        )

    def run(self, iterations: int | None = None) -> Iterator[Progress]:
        """Train until `iterations` are done in all, by default the whole recipe.

        Yields
        ------
        Progress
            After each iteration.
        """
        last = self.iterations if iterations is None else iterations
        while self.iteration < last:
            yield self.step()

    def evaluate(self) -> float:
        """Return the share of test images classified correctly, with the sparsified network."""
        self.network.eval()
        with torch.no_grad():
            scores = self.network(self.dataset.test_images)
        return (scores.argmax(1) == self.dataset.test_labels).double().mean().item()

    def _epoch_order(self, epoch: int) -> torch.Tensor:
        # One generator per epoch, so that a run can be resumed anywhere.
        generator = torch.Generator().manual_seed((self.recipe.seed << 20) + epoch)
        return torch.randperm(len(self.dataset.train_labels), generator=generator)

    def save(self, path: Path) -> None:
        """Write a checkpoint, whole or not at all.

        Raises
        ------
        InputError
            The file cannot be written.
        """
        path = Path(path)
        temporary = path.with_name(f".{path.name}.{os.getpid()}")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            torch.save(
                {
                    "version": CHECKPOINT_VERSION,
                    "recipe": dataclasses.asdict(self.recipe),
                    "iteration": self.iteration,
                    "network": self.network.state_dict(),
                    "optimizer": self._optimizer.state_dict(),
                },
                temporary,
            )
            temporary.replace(path)
        except (OSError, RuntimeError) as error:
            raise InputError(f"checkpoint {path} cannot be written: {error}") from error
        finally:
            with contextlib.suppress(OSError):
                temporary.unlink()

    @classmethod
    def load(cls, path: Path, dataset: ImageDataset | None = None) -> Trainer:
        """Return a trainer that goes on exactly where a checkpoint was written.

        Raises
        ------
        InputError
            The file is missing, damaged, or of another version.
        """
        path = Path(path)
        if not path.is_file():
            raise InputError(f"checkpoint must be an existing file, not {path}")
        # Other bytes would go to torch's reader of old files, which fails in many ways.
        if not _is_whole_archive(path):
            raise InputError(f"{path} must be a checkpoint of this program: cut short or damaged")
        try:
            state = torch.load(path, weights_only=True)
            version = state["version"]
        except (RuntimeError, pickle.UnpicklingError, KeyError, TypeError, IndexError) as error:
            raise InputError(f"{path} must be a checkpoint of this program: {error}") from error
        if version != CHECKPOINT_VERSION:
            raise InputError(
                f"{path} must be a checkpoint of version {CHECKPOINT_VERSION}, not {version!r}"
            )
        try:
            trainer = cls(Recipe(**state["recipe"]), dataset)
            trainer.network.load_state_dict(state["network"])
            trainer._optimizer.load_state_dict(state["optimizer"])
            trainer.iteration = int(state["iteration"])
        except (KeyError, TypeError, ValueError, RuntimeError) as error:
            raise InputError(f"{path} must be a checkpoint of this program: {error}") from error
        return trainer


def _is_whole_archive(path: Path) -> bool:
    """Return whether a file is a zip archive with all its checksums right; torch checks fewer."""
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.testzip() is None
    except (zipfile.BadZipFile, EOFError):
        return False


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainingResult:
    """Outcome of a training run."""

    recipe: Recipe
    iterations: int
    """Iterations done."""
    test_accuracy: float
    """Share of test images classified correctly by the sparsified network."""
    final_loss: float
    """Mean loss of the last iterations, at most one epoch of them, in nats."""


def train(recipe: Recipe, dataset: ImageDataset | None = None) -> TrainingResult:
    """Train by the whole recipe; use `Trainer` to watch or interrupt."""
    trainer = Trainer(recipe, dataset)
    losses = [progress.loss for progress in trainer.run()]
    recent = losses[-trainer.iterations_per_epoch :]
    return TrainingResult(
        recipe=recipe,
        iterations=trainer.iteration,
        test_accuracy=trainer.evaluate(),
        final_loss=sum(recent) / len(recent),
    )
