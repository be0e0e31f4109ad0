"""Training of a network by stochastic gradient descent: seeded, resumable, silent."""

from __future__ import annotations

import dataclasses
import math
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from torch.nn import functional

from gscn.errors import InputError, OutputError
from gscn.golden.data.augmentation import augment
from gscn.golden.data.dataset import ImageDataset, Images
from gscn.golden.data.loading import load_dataset
from gscn.golden.methods.accelerator_arithmetic import arithmetic_called
from gscn.golden.methods.dst import dst_penalty
from gscn.golden.methods.schedule import begin_iteration, update_budgets
from gscn.golden.networks.catalogue import make_network
from gscn.golden.networks.survey import Survey, survey
from gscn.golden.recipe import DEFAULT_WIDTH, Recipe
from gscn.golden.training.checkpoint import (
    load_checkpoint,
    outline_checkpoint,
    require_machine,
    require_parameters,
    require_states,
)
from gscn.golden.training.converted_network import OPTIONS, build_network, set_arithmetic
from gscn.golden.training.loss_scaling import LossScaling
from gscn.golden.training.progress import Minibatch, Progress
from gscn.system.files import writing
from gscn.system.reading import is_there, shown, shown_path

CHECKPOINT_VERSION = 2
_EVALUATED_PIXELS = 512 * 32 * 32
"""Pixels of a mini-batch of the evaluation, at most, if one image has no more."""
_ORDER_STREAM, _AUGMENTATION_STREAM, _DROPOUT_STREAM, _TRANSFORM_STREAM, REUSE_STREAM = range(5)
"""Each has a generator of its own in every epoch or iteration, so that runs resume anywhere."""


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
    optimizer : torch.optim.SGD
        Of the network's parameters.
    scaling : LossScaling
        Of the loss.
    made : dict
        What the network is made for, as `golden.networks.catalogue.make_network` takes it.
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
        self.dataset = load_dataset(recipe) if dataset is None else dataset
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
        self.made = _made(recipe, self.dataset)
        self.image_size = self.made["image_size"]
        self.network = build_network(
            recipe.method,
            network=recipe.network,
            seed=recipe.seed,
            **{name: getattr(recipe, name) for name in OPTIONS},
            **self.made,
        )
        set_arithmetic(self.network, arithmetic_called(recipe.arithmetic, recipe.scales))
        self.scaling = LossScaling(recipe.loss_scale, self.network)
        self.optimizer = torch.optim.SGD(
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

    def survey(self) -> Survey:
        """Return what the network of the recipe computes for a mini-batch."""
        with torch.device("meta"):
            network = make_network(self.recipe.network, **self.made)
        size = (self.made["in_channels"], self.image_size, self.image_size)
        return survey(network, (self.recipe.batch_size, *size))

    def next_batch(self) -> Minibatch:
        """Return what the next iteration trains on; the methods' schedules are told of it.

        Raises
        ------
        InputError
            The recipe has been completed.
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
        chosen = self._epoch_order(epoch)[position * self.recipe.batch_size :]
        chosen = chosen[: self.recipe.batch_size]
        return Minibatch(
            images=self._training_images(chosen),
            labels=self.dataset.train_labels[chosen],
            epoch=epoch,
            dense=dense,
            learning_rate=self.recipe.learning_rate * (1 + math.cos(math.pi * fraction)) / 2,
        )

    def require_finite(self, loss: float) -> None:
        """Raise `InputError` if the loss of the next iteration is not finite."""
        if not math.isfinite(loss):
            raise InputError(
                f"training diverged: the loss of iteration {self.iteration} is {loss}; "
                f"learning_rate must be smaller than {self.recipe.learning_rate}"
            )

    def step(self) -> Progress:
        """Train for one iteration.

        Raises
        ------
        InputError
            The recipe has been completed, or the loss is no longer finite.
        """
        batch = self.next_batch()
        for group in self.optimizer.param_groups:
            group["lr"] = batch.learning_rate
        self.network.train()
        with self._drawing(_DROPOUT_STREAM):
            scores = self.network(batch.images)
        loss = functional.cross_entropy(scores, batch.labels)
        self.require_finite(loss.item())
        penalty = 0.0
        if self.recipe.method == "dst":
            penalty = self.recipe.dst_alpha * dst_penalty(self.network)
        try:
            stepped = self.scaling.step(loss + penalty, self.optimizer)
        except InputError as error:
            raise InputError(
                f"training diverged in iteration {self.iteration}: {error}; "
                f"learning_rate must be smaller than {self.recipe.learning_rate}"
            ) from error
        if stepped:
            update_budgets(self.network, self.optimizer)
        accuracy = (scores.argmax(1) == batch.labels).double().mean().item()
        return self.progress(batch, loss.item(), accuracy, stepped)

    def progress(
        self, batch: Minibatch, loss: float, accuracy: float, stepped: bool = True
    ) -> Progress:
        """Count an iteration as done, and return what it came to."""
        self.iteration += 1
        return Progress(
            iteration=self.iteration,
            iterations=self.iterations,
            epoch=batch.epoch,
            loss=loss,
            accuracy=accuracy,
            dense_iteration=batch.dense,
            stepped=stepped,
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
        labels = self.dataset.test_labels
        chunk = max(1, _EVALUATED_PIXELS // self.image_size**2)
        correct = 0
        with torch.no_grad():
            for chosen in torch.arange(len(labels)).split(chunk):
                scores = self.network(self._fetch(self.dataset.test_images, chosen))
                correct += int((scores.argmax(1) == labels[chosen]).sum())
        return correct / len(labels)

    def _training_images(self, chosen: torch.Tensor) -> torch.Tensor:
        """Return a mini-batch, changed as the data set and the recipe say."""
        images: Images = self.dataset.train_images
        if self.dataset.train_transform is not None:
            with self._drawing(_TRANSFORM_STREAM):
                images = self.dataset.transformed(images[chosen])
            chosen = torch.arange(len(chosen))
        images = self._fetch(images, chosen)
        if not self.recipe.augment:
            return images
        return augment(images, self.generator(_AUGMENTATION_STREAM, self.iteration))

    @contextmanager
    def _drawing(self, stream: int) -> Iterator[None]:
        """Let what draws from torch's global generator draw as its stream; put it back after."""
        with torch.random.fork_rng(devices=[]):
            seed = self.generator(stream, self.iteration).initial_seed()
            torch.random.default_generator.manual_seed(seed)
            yield

    def _fetch(self, images: Images, chosen: torch.Tensor) -> torch.Tensor:
        found = images[chosen]
        size = (self.image_size, self.image_size)
        if tuple(found.shape[2:]) == size:
            return found
        return functional.interpolate(found, size, mode="bilinear", align_corners=False)

    def generator(self, stream: int, index: int) -> torch.Generator:
        """Return the generator of a stream in an epoch or iteration."""
        return torch.Generator().manual_seed((stream << 56) + (self.recipe.seed << 20) + index)

    def _epoch_order(self, epoch: int) -> torch.Tensor:
        generator = self.generator(_ORDER_STREAM, epoch)
        return torch.randperm(len(self.dataset.train_labels), generator=generator)

    def save(self, path: Path) -> None:
        """Write a checkpoint, whole or not at all: a file of before is replaced at once.

        Raises
        ------
        OutputError
            The file cannot be written.
        """
        path = Path(path)
        content = self._content()
        try:
            # The same name always, so that what a killed process leaves is overwritten by the next.
            with writing(path, f".{path.name}.partial") as file:
                torch.save(content, file)
                file.flush()
                os.fsync(file.fileno())
        # Some failures to write are torch's own errors.
        except (OutputError, RuntimeError) as error:
            raise OutputError(f"checkpoint {error}") from error

    def _content(self) -> dict[str, object]:
        """Return what a checkpoint holds."""
        return {
            "version": CHECKPOINT_VERSION,
            "recipe": dataclasses.asdict(self.recipe),
            "iteration": self.iteration,
            "network": self.network.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "scaling": self.scaling.state_dict(),
        }

    @classmethod
    def load(cls, path: Path, dataset: ImageDataset | None = None) -> Trainer:
        """Return a trainer that goes on exactly where a checkpoint was written.

        Raises
        ------
        InputError
            The file is missing, damaged, or of another version.
        """
        path = Path(path)
        if not is_there(path):
            raise InputError(f"checkpoint must be an existing file, not {shown_path(path)}")
        outlined = outline_checkpoint(path)
        version = outlined.get("version")
        if type(version) is not int or version != CHECKPOINT_VERSION:
            raise InputError(
                f"{path} must be a checkpoint of version {CHECKPOINT_VERSION}, not {shown(version)}"
            )
        try:
            recipe = Recipe.restored(outlined["recipe"])
        except (InputError, KeyError, TypeError, AttributeError) as error:
            raise InputError(f"{path} must be a checkpoint of this program: {error}") from error
        dataset = load_dataset(recipe) if dataset is None else dataset
        with torch.device("meta"):
            sketch = make_network(recipe.network, **_made(recipe, dataset))
        require_parameters(path, outlined, sketch)
        trainer = cls(recipe, dataset)
        require_states(path, outlined, trainer.network, trainer.optimizer, trainer.scaling)
        iteration = outlined.get("iteration")
        if type(iteration) is not int or not 0 <= iteration <= trainer.iterations:
            raise InputError(
                f"{path} must be a checkpoint of this program: its iteration must be 0 to "
                f"{trainer.iterations}, not {shown(iteration)}"
            )
        require_machine(path, outlined)
        trainer.iteration = iteration
        trainer._restore(path, load_checkpoint(path))
        return trainer

    def _restore(self, path: Path, state: dict) -> None:
        """Take what a checkpoint holds, whose outlines fit.

        Raises
        ------
        InputError
            It does not fit after all.
        """
        try:
            self.network.load_state_dict(state["network"])
            self.optimizer.load_state_dict(state["optimizer"])
            self.scaling.load_state_dict(state.get("scaling", {}))
        except (KeyError, TypeError, ValueError, RuntimeError) as error:
            raise InputError(f"{path} must be a checkpoint of this program: {error}") from error


def _made(recipe: Recipe, dataset: ImageDataset) -> dict[str, int]:
    """Return what a network is made for."""
    channels, height, width = dataset.train_images.shape[1:]
    if height != width and recipe.image_size is None:
        raise InputError(f"image_size must be given, as images have {height}x{width} pixels")
    return {
        "image_size": recipe.image_size or height,
        "classes": dataset.class_count,
        "in_channels": channels,
        "width": recipe.width or DEFAULT_WIDTH,
    }


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
