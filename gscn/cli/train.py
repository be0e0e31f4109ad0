"""`gscn train`: train a residual network by a sparse-training method."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from golden.recipe import ARITHMETICS, FIRST_CONV_RULES, METHODS, NETWORKS, Recipe
from gscn.cli.result import Result
from gscn.errors import InputError

if TYPE_CHECKING:
    from golden.training import Trainer

SUMMARY = "train a residual network on handwritten digits, dense or sparse"
EXAMPLE = "gscn train --method swat+resprop --sparsity 0.9 --epochs 12 --out build/digits.pt"


def add_recipe_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments that decide a training run; defaults are those of `Recipe`."""
    default = Recipe()

    def add(option: str, meaning: str, value: object, **how: object) -> None:
        # The default is None: a checkpoint's recipe must be told from what the user gave.
        parser.add_argument(option, help=f"{meaning} (default: {value})", **how)

    add(
        "--network",
        "a small network for digits of 8x8 pixels, or ResNet-18 for digits on photographs, 32x32",
        default.network,
        choices=NETWORKS,
    )
    add(
        "--width",
        "resnet18: channels of the first stage",
        default.width,
        type=int,
        metavar="K",
    )
    add("--method", "training method", default.method, choices=METHODS)
    add("--sparsity", "share of zeros aimed at", default.sparsity, type=float, metavar="S")
    add("--epochs", "epochs", default.epochs, type=int, metavar="N")
    add(
        "--iterations-per-epoch",
        "mini-batches after which an epoch ends",
        "all that the images fill",
        type=int,
        metavar="N",
    )
    add("--batch", "images per mini-batch", default.batch_size, type=int, metavar="N")
    add(
        "--learning-rate",
        "at the start; it falls to zero along a cosine",
        default.learning_rate,
        type=float,
        metavar="RATE",
    )
    add("--seed", "seed of everything", default.seed, type=int, metavar="N")
    add(
        "--refresh-period",
        "SWAT: iterations between exact thresholds",
        default.refresh_period,
        type=int,
        metavar="P",
    )
    add(
        "--first-conv",
        "first convolution: as in the method's paper, dense, or sparse",
        default.first_conv,
        choices=FIRST_CONV_RULES,
    )
    add(
        "--arithmetic",
        "of the convolutions: torch's, or bf16 operands with exact sums as in the accelerator",
        default.arithmetic,
        choices=ARITHMETICS,
    )
    parser.add_argument(
        "--warm-up",
        action="store_true",
        default=None,
        help="ReSprop: approach the sparsity over the first nine epochs",
    )


def given_recipe_fields(args: argparse.Namespace) -> dict[str, object]:
    """Return the fields of `Recipe` that the user gave."""
    names = {
        "network": "network",
        "width": "width",
        "method": "method",
        "sparsity": "sparsity",
        "epochs": "epochs",
        "iterations_per_epoch": "iterations_per_epoch",
        "batch": "batch_size",
        "learning_rate": "learning_rate",
        "seed": "seed",
        "refresh_period": "refresh_period",
        "warm_up": "warm_up",
        "first_conv": "first_conv",
        "arithmetic": "arithmetic",
    }
    return {
        field: getattr(args, argument)
        for argument, field in names.items()
        if getattr(args, argument) is not None
    }


def recipe_from(args: argparse.Namespace) -> Recipe:
    """Return the recipe of the arguments; raise `InputError` for bad ones."""
    return Recipe(**given_recipe_fields(args))


def run_with_progress(trainer: Trainer, iterations: int) -> list[float]:
    """Train until `iterations` are done in all; return their losses, in nats.

    A bar is shown on stderr if that is a terminal.
    """
    from rich.console import Console
    from rich.progress import Progress

    losses = []
    with Progress(console=Console(stderr=True), disable=not sys.stderr.isatty()) as bar:
        task = bar.add_task("training", total=iterations, completed=trainer.iteration)
        for done in trainer.run(iterations):
            losses.append(done.loss)
            bar.update(task, completed=done.iteration)
    return losses


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the subcommand's arguments."""
    add_recipe_arguments(parser)
    parser.add_argument(
        "--iterations", type=int, metavar="N", help="stop after N iterations (default: all epochs)"
    )
    parser.add_argument("--out", type=Path, metavar="FILE", help="write a checkpoint")


def run(args: argparse.Namespace) -> Result:
    """Train and report the accuracy."""
    from golden.training import Trainer

    trainer = Trainer(recipe_from(args))
    iterations = trainer.iterations if args.iterations is None else args.iterations
    if not 1 <= iterations <= trainer.iterations:
        raise InputError(
            f"--iterations must be 1 to the {trainer.iterations} iterations of "
            f"{trainer.recipe.epochs} epochs, not {iterations}"
        )
    if args.out is not None and (args.out.is_dir() or _nearest_parent(args.out).is_file()):
        # Found before minutes of training rather than after.
        raise InputError(f"--out must name a file in a directory, not {args.out}")
    losses = run_with_progress(trainer, iterations)
    recent = losses[-trainer.iterations_per_epoch :]
    data: dict[str, object] = {
        "network": trainer.recipe.network,
        "dataset": trainer.dataset.name,
        "method": trainer.recipe.method,
        "sparsity": trainer.recipe.sparsity,
        "arithmetic": trainer.recipe.arithmetic,
        "batch": trainer.recipe.batch_size,
        "seed": trainer.recipe.seed,
        "iterations": trainer.iteration,
        "iterations_per_epoch": trainer.iterations_per_epoch,
        "loss_nats": sum(recent) / len(recent),
        "test_accuracy": trainer.evaluate(),
        "checkpoint": None if args.out is None else str(args.out),
    }
    if args.out is not None:
        trainer.save(args.out)
    target = "" if trainer.recipe.method == "dense" else f", sparsity {trainer.recipe.sparsity}"
    if trainer.recipe.arithmetic != Recipe().arithmetic:
        target += f", {trainer.recipe.arithmetic}"
    text = (
        f"{trainer.recipe.method}{target}: {trainer.iteration} iterations of "
        f"{trainer.recipe.batch_size} images, loss {data['loss_nats']:.4f} nats, "
        f"test accuracy {100 * data['test_accuracy']:.2f} %"
    )
    if args.out is not None:
        text += f"\ncheckpoint: {args.out}"
    return Result(data=data, text=text)


def _nearest_parent(path: Path) -> Path:
    """Return the closest parent that exists."""
    return next(parent for parent in path.absolute().parents if parent.exists())
