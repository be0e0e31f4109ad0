"""`gscn trace`: record the operands and results of a training step's convolutions."""

from __future__ import annotations

import argparse
import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING

from gscn.command.numbers import whole
from gscn.command.options import add_output_folder
from gscn.command.result import Result, table
from gscn.command.train import add_recipe_arguments, given_recipe_fields, recipe_from
from gscn.command.training_run import run_training
from gscn.errors import InputError
from gscn.system.files import new_folder, output_errors

if TYPE_CHECKING:
    from gscn.golden.traces.trace import Trace

SUMMARY = "record operands and results of all convolutions in training steps"
EXAMPLE = "gscn trace --method swat+resprop --sparsity 0.9 --iterations 100 --out build/trace"

DEFAULT_ITERATIONS = 100
MODEL_BATCH = 4
"""Random images for a model of a library: its trace has all of its layers' maps, at full size."""
MODEL_FIELDS = {
    "method": "method",
    "sparsity": "sparsity",
    "budget": "budget",
    "structure": "structure",
    "first_conv": "first_layer",
    "seed": "seed",
}
"""Fields of `Recipe` that a model of the user's can have, as `golden.sparsify` calls them."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the subcommand's arguments."""
    add_recipe_arguments(parser)
    parser.add_argument(
        "--model",
        metavar="SPEC",
        help="instead of a network of the recipe, torchvision:NAME, timm:NAME or "
        f"package.module:NAME: a step of it as it is, on --batch (default: {MODEL_BATCH}) random "
        "images of a library's size or --image-size, or on the inputs that come with it",
    )
    parser.add_argument(
        "--iterations",
        type=whole(),
        metavar="N",
        help=f"train for N iterations first (default: {DEFAULT_ITERATIONS})",
    )
    parser.add_argument(
        "--checkpoint",
        type=Path,
        metavar="FILE",
        help="go on from a checkpoint of `gscn train` instead of training first",
    )
    parser.add_argument(
        "--layer",
        action="append",
        metavar="NAME",
        help="trace this layer only; may be repeated (default: all)",
    )
    parser.add_argument(
        "--steps",
        type=whole(),
        default=1,
        metavar="N",
        help="trace N iterations, each into a directory of its own in --out (default: 1, --out "
        "itself)",
    )
    add_output_folder(parser, "--out", required=True, help="directory to make for the trace")


def run(args: argparse.Namespace) -> Result:
    """Train or load, trace one step, and report densities."""
    from gscn.golden.methods.watching import sparse_layers

    if args.model is not None:
        return _of_model(args)
    from gscn.golden.traces.recording import trace_step
    from gscn.golden.traces.writing import refuse_existing
    from gscn.golden.training.training import Trainer

    refuse_existing(args.out)
    if args.steps < 1:
        raise InputError(f"--steps must be at least 1, not {args.steps}")
    if args.checkpoint is not None:
        given = [*given_recipe_fields(args)] + ["iterations"] * (args.iterations is not None)
        if given:
            raise InputError(
                "--checkpoint decides the training, so it must stand without: " + ", ".join(given)
            )
        trainer = Trainer.load(args.checkpoint)
    else:
        trainer = Trainer(recipe_from(args))
    known = sparse_layers(trainer.network)
    for name in args.layer or ():
        # Found before minutes of training rather than after.
        if name not in known:
            raise InputError(f"--layer must be one of {', '.join(known)}, not {name!r}")
    if args.checkpoint is None:
        iterations = DEFAULT_ITERATIONS if args.iterations is None else args.iterations
        if not 0 <= iterations <= trainer.iterations - args.steps:
            wanted = "one" if args.steps == 1 else str(args.steps)
            raise InputError(
                f"--iterations must leave {wanted} of the {trainer.iterations} iterations of "
                f"{trainer.recipe.epochs} epochs to trace, not be {iterations}"
            )
        run_training(trainer, iterations)
    if args.steps == 1:
        return _report(trace_step(trainer, args.out, args.layer), args.out)
    traces = []
    with new_folder(args.out) as place:
        for _ in range(args.steps):
            name = f"step-{trainer.iteration:08d}"
            traces.append(_report(trace_step(trainer, place / name, args.layer), args.out / name))
        with output_errors("a folder", args.out):
            place.rename(args.out)
    return Result(
        data={"steps": [one.data for one in traces]}, text="\n".join(one.text for one in traces)
    )


def _of_model(args: argparse.Namespace) -> Result:
    """Trace a step of a model that the user names."""
    import torch

    from gscn.golden.networks.sources import LIBRARIES, named_model
    from gscn.golden.traces.model_step import trace
    from gscn.golden.traces.writing import refuse_existing

    given = given_recipe_fields(args)
    image_size, batch = given.pop("image_size", None), given.pop("batch_size", None)
    others = [*(set(given) - set(MODEL_FIELDS)), *["iterations"] * (args.iterations is not None)]
    others += ["checkpoint"] * (args.checkpoint is not None) + ["steps"] * (args.steps != 1)
    if others:
        raise InputError(
            "--model is traced as it is, so it must stand without: " + ", ".join(sorted(others))
        )
    refuse_existing(args.out)
    if batch is None and args.model.partition(":")[0] in LIBRARIES:
        batch = MODEL_BATCH
    seed = given.get("seed", 0)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        named = named_model(args.model, batch=batch, image_size=image_size)
        for one in named.inputs:
            # Images that nobody gave have no values.
            if isinstance(one, torch.Tensor) and one.is_floating_point() and not one.any():
                one.normal_()
    options = {MODEL_FIELDS[field]: value for field, value in given.items()}
    written = trace(
        named.model, named.inputs, args.out, layers=args.layer, name=args.model, **options
    )
    return _report(written, args.out)


def _report(trace: Trace, out: Path) -> Result:
    """Return what was traced, its densities, and what was not."""
    from gscn.golden.omitted import covered_share

    rows = []
    layers = []
    for entry in trace.entries.values():
        layers.append(
            {
                "name": entry.name,
                "file": entry.file,
                "size_bytes": entry.size_bytes,
                "densities": {str(which): list(pair) for which, pair in entry.densities.items()},
            }
        )
        rows += [
            (entry.name, str(which), 100 * first, 100 * second)
            for which, (first, second) in entry.densities.items()
        ]
    data: dict[str, object] = {
        "trace": str(out),
        "network": trace.network,
        "dataset": trace.dataset,
        "method": trace.method,
        "sparsity": trace.sparsity,
        "step": trace.step,
        "seed": trace.seed,
        "dense_iteration": trace.dense_iteration,
        "layers": layers,
        "omitted": [dataclasses.asdict(one) for one in trace.omitted or ()],
    }
    title = f"{trace.network}, {trace.method}, step {trace.step}: {out}"
    header = ("layer", "pass", "first operand nonzero %", "second operand nonzero %")
    text = table(header, rows, title=title)
    if trace.omitted:
        share = 100 * covered_share(trace.omitted)
        left_out = "\n".join(f"- {one}" for one in trace.omitted)
        text += (
            f"\n\nThese layers are {share:.2f} % of the multiply-accumulates of a forward pass. "
            f"Not traced:\n{left_out}"
        )
    return Result(data=data, text=text)
