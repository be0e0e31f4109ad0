"""`gscn train`: train a network by a sparse-training method."""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Callable
from contextlib import ExitStack, closing
from typing import TYPE_CHECKING

from gscn.command.numbers import number_or_text, real, whole
from gscn.command.options import add_output_file, add_output_folder
from gscn.command.result import Result
from gscn.command.simulated import add_backend_arguments, check_backend_arguments, simulation
from gscn.command.training_run import Trained, check_plot, run_training, save_plot, zeros_text
from gscn.command.whole_step import check_whole_step_arguments
from gscn.errors import InputError, MismatchError, OutputError, raise_problems
from gscn.golden.methods.options import BUDGETS, SCALES, STRUCTURES
from gscn.golden.recipe import (
    ARITHMETICS,
    DATASETS,
    DEFAULT_WIDTH,
    FIRST_CONV_RULES,
    LOSS_SCALES,
    METHOD_OPTIONS,
    METHODS,
    MOST_SEED,
    NETWORKS,
    PRESETS,
    Recipe,
    option_problems,
)

if TYPE_CHECKING:
    from gscn.command.simulated import Simulation
    from gscn.golden.training.training import Trainer

SUMMARY = "train a network on images, dense or sparse"
EXAMPLE = "gscn train --method swat+resprop --sparsity 0.9 --epochs 12 --out build/digits.pt"


def _adder(parser: argparse.ArgumentParser) -> Callable[..., None]:
    """Return what declares an option whose help tells the value of `Recipe` without it."""

    def add(option: str, meaning: str, value: object, **how: object) -> None:
        # The default is None: a checkpoint's recipe must be told from what the user gave.
        parser.add_argument(option, help=f"{meaning} (default: {value})", **how)

    return add


def add_recipe_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments that decide a training run; defaults are those of `Recipe`."""
    _add_workload_arguments(parser)
    _add_method_arguments(parser)
    _add_schedule_arguments(parser)
    _add_detail_arguments(parser)


def _add_workload_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the network and its images."""
    add, default = _adder(parser), Recipe()
    add(
        "--network",
        "a small network for digits of 8x8 pixels, or a network of the papers, in its form for "
        "small images under 64 pixels",
        default.network,
        choices=NETWORKS,
    )
    add(
        "--width",
        "ResNets and WRN-50-2: channels of the first stage",
        DEFAULT_WIDTH,
        type=whole(),
        metavar="K",
    )
    add(
        "--dataset",
        "images: handwritten digits of 8x8 pixels; composites, digits on photographs, 32x32; or "
        "of files in --data",
        "digits for the network of that name, else composites",
        choices=DATASETS,
    )
    add(
        "--data",
        "folder with CIFAR's archive, or with train/CLASS/* and val/CLASS/*",
        "none",
        metavar="DIR",
    )
    add("--image-size", "scale images to N pixels each way", "their own", type=whole(), metavar="N")
    parser.add_argument(
        "--augment", action="store_true", default=None, help="mirror and shift images at random"
    )


def _add_method_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the training method and what it zeroes."""
    add, default = _adder(parser), Recipe()
    swat, dst = METHOD_OPTIONS["swat"], METHOD_OPTIONS["dst"]
    parser.add_argument(
        "--preset",
        choices=tuple(PRESETS),
        help="method as in its paper; options given besides replace the preset's",
    )
    add("--method", "training method", default.method, choices=METHODS)
    add(
        "--sparsity",
        "SWAT, ReSprop: share of zeros aimed at",
        swat["sparsity"],
        type=real,
        metavar="S",
    )
    add("--budget", "SWAT: how layers share the weights kept", swat["budget"], choices=BUDGETS)
    add("--structure", "SWAT: weights dropped together", swat["structure"], choices=STRUCTURES)
    add(
        "--dst-alpha",
        "DST: weight of the penalty, the larger the sparser",
        dst["dst_alpha"],
        type=real,
        metavar="A",
    )


def _add_schedule_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare how long training takes, and its seed."""
    add, default = _adder(parser), Recipe()
    add("--epochs", "epochs", default.epochs, type=whole(), metavar="N")
    add(
        "--iterations-per-epoch",
        "mini-batches after which an epoch ends",
        "all that the images fill",
        type=whole(),
        metavar="N",
    )
    add("--batch", "images per mini-batch", default.batch_size, type=whole(), metavar="N")
    add(
        "--learning-rate",
        "at the start; it falls to zero along a cosine",
        default.learning_rate,
        type=real,
        metavar="RATE",
    )
    add("--seed", "seed of everything", default.seed, type=whole(high=MOST_SEED), metavar="N")


def _add_detail_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare details of methods, and the arithmetic of the convolutions."""
    add, default = _adder(parser), Recipe()
    swat = METHOD_OPTIONS["swat"]
    add(
        "--refresh-period",
        "SWAT: iterations between exact thresholds",
        swat["refresh_period"],
        type=whole(),
        metavar="P",
    )
    add(
        "--first-conv",
        "all methods but dense: first convolution as in the paper, dense, or sparse",
        swat["first_conv"],
        choices=FIRST_CONV_RULES,
    )
    add(
        "--arithmetic",
        "of the convolutions: torch's, or narrow operands with exact sums as in the accelerator; "
        "fp8 has e4m3 forward and output gradients in e5m2",
        default.arithmetic,
        choices=ARITHMETICS,
    )
    add(
        "--loss-scale",
        f"what the loss is multiplied by: {', '.join(LOSS_SCALES)} or a power of two that stays",
        "dynamic for fp16, else none",
        type=number_or_text,
        metavar="SCALE",
    )
    add(
        "--scales",
        "powers of two that operands are multiplied by: the largest one with which a tensor is in "
        "its format (amax), or one for each 32 channels (mx, for formats of 8 bits)",
        "amax for formats of 8 bits, else none",
        choices=SCALES,
    )
    parser.add_argument(
        "--warm-up",
        action="store_true",
        default=None,
        help="ReSprop: approach the sparsity over the first nine epochs",
    )


def given_recipe_fields(args: argparse.Namespace) -> dict[str, object]:
    """Return the fields of `Recipe` that the user gave."""
    given = {
        field.name: value
        for field in dataclasses.fields(Recipe)
        if (value := getattr(args, "batch" if field.name == "batch_size" else field.name, None))
        is not None
    }
    return {**PRESETS.get(args.preset, {}), **given}


def recipe_from(args: argparse.Namespace) -> Recipe:
    """Return the recipe of the arguments; raise `InputError` for bad ones."""
    return Recipe(**given_recipe_fields(args))


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the subcommand's arguments."""
    add_recipe_arguments(parser)
    parser.add_argument(
        "--iterations",
        type=whole(),
        metavar="N",
        help="stop after N iterations (default: all epochs)",
    )
    add_output_file(parser, "--out", help="write a checkpoint")
    parser.add_argument(
        "--resume",
        action="store_true",
        help="go on from the checkpoint of --out if there is one, to the very same result",
    )
    parser.add_argument(
        "--checkpoint-every",
        type=whole(),
        metavar="N",
        help="write the checkpoint of --out every N iterations (default: every epoch)",
    )
    add_output_file(parser, "--log", help="write a row of each iteration, as CSV")
    add_output_folder(
        parser,
        "--tensorboard",
        help="write the same as scalars for TensorBoard, an event file in this directory",
    )
    add_output_file(parser, "--plot", help="draw the log when training ends (.png, .svg)")
    add_backend_arguments(parser)


def run(args: argparse.Namespace) -> Result:
    """Train and report the accuracy."""
    check_backend_arguments(args)
    check_whole_step_arguments(args)
    _check_files(args)
    trainer = _trainer(args)
    iterations = trainer.iterations if args.iterations is None else args.iterations
    if not 1 <= iterations <= trainer.iterations:
        raise InputError(
            f"--iterations must be 1 to the {trainer.iterations} iterations of "
            f"{trainer.recipe.epochs} epochs, not {iterations}"
        )
    problems: list[str] = []
    trained, simulated = _train(args, trainer, iterations, problems)
    data, text = _report(args, trainer, trained)
    if simulated is None:
        return Result(data=data, text=text, problems=tuple(problems))
    data |= {
        "backend": args.backend,
        "losses_nats": trained.losses,
        "simulation": simulated.data(),
    }
    return Result(
        data=data,
        text=f"{text}\n{simulated.text()}",
        problems=tuple(problems),
        mismatch=bool(simulated.differences),
    )


def _train(
    args: argparse.Namespace, trainer: Trainer, iterations: int, problems: list[str]
) -> tuple[Trained, Simulation | None]:
    """Train with log, checkpoints and plot; `problems` gets what cannot be written at the end."""
    from gscn.command.training_log import TensorBoardLog, TrainingLog

    trained: Trained | None = None
    try:
        with ExitStack() as stack:
            logs = [
                stack.enter_context(closing(kind(path, trainer.iteration)))
                for kind, path in ((TrainingLog, args.log), (TensorBoardLog, args.tensorboard))
                if path is not None
            ]
            try:
                with simulation(args, trainer, lambda: _trainer(args), iterations) as simulated:
                    trained = run_training(
                        trainer,
                        iterations,
                        logs=logs,
                        checkpoint=args.out,
                        checkpoint_period=args.checkpoint_every or trainer.iterations_per_epoch,
                        simulated=simulated,
                        problems=problems,
                    )
            except _simulation_errors(args) as error:
                raise MismatchError(str(error)) from error
        if args.plot is not None:
            save_plot(args.plot, args.log)
    except OutputError as error:
        if trained is None:
            raise
        problems.append(str(error))
    return trained, simulated


def _report(
    args: argparse.Namespace, trainer: Trainer, trained: Trained
) -> tuple[dict[str, object], str]:
    """Return what training came to, as data and in words."""
    recipe, losses, reached = trainer.recipe, trained.losses, trained.sparsities
    recent = losses[-trainer.iterations_per_epoch :]
    data: dict[str, object] = {
        "network": recipe.network,
        "dataset": trainer.dataset.name,
        "method": recipe.method,
        # Asked for; None for methods that do not have the option.
        "sparsity": recipe.sparsity,
        "sparsity_reached": reached,
        "arithmetic": recipe.arithmetic,
        "scales": recipe.scales,
        "loss_scale": recipe.loss_scale,
        "loss_scale_reached": trainer.scaling.scale,
        "steps_left_out": trained.left_out,
        "batch": recipe.batch_size,
        "seed": recipe.seed,
        "iterations": trainer.iteration,
        "iterations_now": len(losses),
        "iterations_per_epoch": trainer.iterations_per_epoch,
        "loss_nats": sum(recent) / len(recent) if recent else None,
        "test_accuracy": trainer.evaluate(),
        "checkpoint": str(args.out) if args.out is not None and args.out.is_file() else None,
    }
    asked = "" if recipe.sparsity is None else f", sparsity {recipe.sparsity}"
    asked += "" if recipe.arithmetic == Recipe().arithmetic else f", {recipe.arithmetic}"
    loss = f"loss {data['loss_nats']:.4f} nats" if recent else "none of them now"
    text = (
        f"{recipe.method}{asked}: {trainer.iteration} iterations of "
        f"{recipe.batch_size} images, {loss}, "
        f"test accuracy {100 * data['test_accuracy']:.2f} %"
    )
    if recipe.loss_scale != "none":
        text += f"\nloss scale {data['loss_scale_reached']:g}, {trained.left_out} steps left out"
    if reached:
        zeros = zeros_text(reached)
        text += f"\nzeros reached, mean of the last {trained.averaged} iterations: {zeros}"
    if data["checkpoint"] is not None:
        text += f"\ncheckpoint: {args.out}"
    return data, text


def _simulation_errors(args: argparse.Namespace) -> tuple[type[Exception], ...]:
    """Return what a simulation raises; nothing of it is imported without one."""
    if args.backend not in ("rtl", "cycle-model"):
        return ()
    from gscn.cosim.errors import SimulationError

    return (SimulationError,)


def _check_files(args: argparse.Namespace) -> None:
    """Find what is wrong with files before minutes of training rather than after."""
    if args.resume and args.out is None:
        raise InputError("--resume needs --out, the checkpoint to go on from")
    if args.checkpoint_every is not None and (args.checkpoint_every < 1 or args.out is None):
        raise InputError(
            f"--checkpoint-every must be at least 1, with --out, not {args.checkpoint_every}"
        )
    if args.plot is not None and args.log is None:
        raise InputError("--plot needs --log, the table that is drawn")
    if args.plot is not None:
        check_plot(args.plot)
    board = args.tensorboard
    if board is not None and not args.resume and any(board.glob("events.out.tfevents*")):
        raise InputError(f"--tensorboard {board} has the events of another run already")
    if args.out is not None and args.out.exists() and not args.resume:
        raise InputError(f"--out {args.out} exists already: --resume goes on from it")
    if args.log is not None and args.log.exists() and not args.resume:
        raise InputError(f"--log {args.log} exists already, of another run")


def _trainer(args: argparse.Namespace) -> Trainer:
    """Return a new trainer, or that of the checkpoint to go on from."""
    from gscn.golden.training.training import Trainer
    from gscn.golden.training.whole_training import WholeTrainer

    kind = WholeTrainer if args.whole_step else Trainer
    if not args.resume or not args.out.exists():
        return kind(recipe_from(args))
    trainer = kind.load(args.out)
    given = given_recipe_fields(args)
    raise_problems(f"--resume {args.out}", option_problems(trainer.recipe.method, given))
    different = [
        f"{name} must be the checkpoint's {getattr(trainer.recipe, name)!r}, not {value!r}"
        for name, value in given.items()
        if getattr(trainer.recipe, name) != value
    ]
    raise_problems(f"--resume {args.out}", different)
    return trainer
