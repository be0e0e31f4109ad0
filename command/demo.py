"""`gscn demo`: from training to an estimate, on a small network, with every step checked."""

from __future__ import annotations

import argparse
import io
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from gscn.array import ArrayConfig, array
from gscn.command.options import add_build_argument, add_output_folder
from gscn.command.result import Result, json_text, table
from gscn.command.standard_files import say
from gscn.errors import MismatchError, OutputError
from gscn.system.files import new_folder, output_errors, write_files

if TYPE_CHECKING:
    from gscn.cosim.layer import PassOutcome
    from gscn.golden.traces.trace import Trace

SUMMARY = "train, trace, generate, co-simulate, compare and estimate, on a small example"
EXAMPLE = "gscn demo --out build/demo"

METHOD = "swat+resprop"
SPARSITY = 0.9
EPOCHS = 10
LAYERS = ("block1.conv2", "block2.conv1", "block3.shortcut.0", "head")
"""3x3; 3x3 of stride 2; 1x1 of stride 2; 1x1."""
CONFIG = "small"
NETWORK, IMAGE_SIZE, BATCH, ESTIMATE_CONFIG = "resnet18", 224, 32, "large"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the subcommand's arguments."""
    add_output_folder(
        parser,
        "--out",
        default=Path("build/demo"),
        help="report.json, counters.png and the trace go here (default: %(default)s)",
    )
    add_build_argument(parser)


@contextmanager
def _step(title: str, seconds: dict[str, float]) -> Iterator[None]:
    """Say on stderr what begins and how long it took, and note the time."""
    # Whole lines: a signal may end the command anywhere, and has a line to say.
    say(f"{title} ...")
    start = time.perf_counter()
    yield
    seconds[title] = time.perf_counter() - start
    say(f"    {seconds[title]:.1f} s")


def run(args: argparse.Namespace) -> Result:
    """Run every step and report."""
    import torch

    # These layers are so small that a second thread costs more than it gains.
    torch.set_num_threads(1)
    # What an earlier demo has left stays until there is something to replace it.
    with new_folder(args.out / "trace") as place:
        return _demo(args.out, place / "trace", args.build_dir)


def _demo(out: Path, trace_dir: Path, build_dir: Path | None) -> Result:
    from gscn.cosim.builds.simulator import build
    from gscn.cosim.errors import SimulationError
    from gscn.cosim.layer import check_passes, traced_inputs

    config = array(CONFIG)
    seconds: dict[str, float] = {}
    with _step(f"train the digits network by {METHOD} at {SPARSITY:.0%}", seconds):
        trace, training = _train(trace_dir)
    with _step(f"generate and build the {CONFIG} accelerator", seconds):
        simulator = build(config, build_root=build_dir)
    with _step(f"co-simulate {len(LAYERS)} layers and compare with torch", seconds):
        try:
            inputs = traced_inputs(trace, config, LAYERS)
            outcomes = check_passes(config, inputs, simulator=simulator)
        except SimulationError as error:
            raise MismatchError(str(error)) from error
    passes = [_describe(outcome, config) for outcome in outcomes]
    with _step(f"estimate {NETWORK}", seconds):
        network = _estimate()
    data: dict[str, object] = {
        "training": training,
        "config": config.to_dict(),
        "config_digest": config.digest(),
        "passes": passes,
        "estimate": network,
        "seconds": seconds,
    }
    problems = []
    try:
        write_files({out / "counters.png": _plot(passes), out / "report.json": json_text(data)})
        with output_errors("a folder", out):
            # A trace is never overwritten; this one is the demo's own.
            shutil.rmtree(out / "trace", ignore_errors=True)
            trace_dir.rename(out / "trace")
    except OutputError as error:
        problems.append(f"--out {error}")
    return Result(
        data=data,
        text=_report(data, out),
        problems=tuple(problems),
        mismatch=not all(outcome.comparison.good for outcome in outcomes),
    )


def _train(trace_dir: Path) -> tuple[Trace, dict[str, object]]:
    """Train, tracing one iteration in the middle of the last epoch."""
    from gscn.golden.recipe import Recipe
    from gscn.golden.traces.recording import trace_step
    from gscn.golden.training.training import Trainer

    trainer = Trainer(Recipe(method=METHOD, sparsity=SPARSITY, epochs=EPOCHS, warm_up=True))
    before = trainer.evaluate()
    # ReSprop's first and last iterations of an epoch are dense, the ones between are not.
    middle = trainer.iterations - trainer.iterations_per_epoch // 2
    losses = [progress.loss for progress in trainer.run(middle)]
    trace = trace_step(trainer, trace_dir, LAYERS)
    losses += [progress.loss for progress in trainer.run()]
    epoch = trainer.iterations_per_epoch
    return (
        trace,
        {
            "method": METHOD,
            "sparsity": SPARSITY,
            "iterations": trainer.iterations,
            "traced_iteration": middle,
            "test_accuracy_before": before,
            "test_accuracy_after": trainer.evaluate(),
            "loss_first_epoch_nats": sum(losses[:epoch]) / epoch,
            "loss_last_epoch_nats": sum(losses[-epoch:]) / len(losses[-epoch:]),
        },
    )


def _describe(outcome: PassOutcome, config: ArrayConfig) -> dict[str, object]:
    import numpy as np

    source, launch, model = outcome.source, outcome.run, outcome.model
    assert model is not None  # there are no random stalls here
    totals = {name: sum(values) for name, values in launch.counters.items()}
    dense = source.shape.dense_macs / config.multipliers
    return {
        "layer": source.layer,
        "pass": str(source.which),
        "first_operand_density": float(np.count_nonzero(source.first) / source.first.size),
        "second_operand_density": float(np.count_nonzero(source.second) / source.second.size),
        "results": outcome.comparison.outputs,
        "mismatches": outcome.comparison.mismatches,
        "useful_products": outcome.useful_products,
        "rtl_cycles": launch.cycles,
        "model_cycles": model.cycles,
        "model_error": model.cycles / launch.cycles - 1,
        "utilization": outcome.utilization(config),
        "speedup_vs_ideal_dense": dense / launch.cycles,
        "rtl_counters": totals,
        "model_counters": model.by_cause(),
    }


def _estimate() -> dict[str, object]:
    from functools import partial

    from gscn.array import array
    from gscn.perf.estimate.sampling import Sampling, measure
    from gscn.perf.estimate.training_step import estimate, to_json
    from gscn.perf.workload.networks import network
    from gscn.perf.workload.sparsification import Method, Sparsification

    return to_json(
        estimate(
            network(NETWORK, image_size=IMAGE_SIZE, batch=BATCH),
            array(ESTIMATE_CONFIG),
            Sparsification(method=Method(METHOD), sparsity=SPARSITY),
            sampling=Sampling(measure=partial(measure, processes=2)),
        )
    )


def _plot(passes: list[dict]) -> bytes:
    from gscn.command.plots import plot_counters

    rows = [
        {
            "label": f"{one['layer']} {one['pass']}",
            "counters": one["rtl_counters"],
            "model_busy_share": one["model_counters"]["busy"] / sum(one["model_counters"].values()),
        }
        for one in passes
    ]
    axes = plot_counters(rows)
    axes.set_title(f"{CONFIG} accelerator, {METHOD} at {SPARSITY:.0%}: bars RTL, marks model")
    drawn = io.BytesIO()
    axes.figure.savefig(drawn, format="png", dpi=150)
    return drawn.getvalue()


def _report(data: dict, out: Path) -> str:
    training, estimated = data["training"], data["estimate"]
    rows = [
        (
            one["layer"],
            one["pass"],
            100 * one["first_operand_density"],
            100 * one["second_operand_density"],
            one["results"],
            one["mismatches"],
            one["rtl_cycles"],
            one["model_cycles"],
            100 * one["model_error"],
            100 * one["utilization"],
            one["speedup_vs_ideal_dense"],
        )
        for one in data["passes"]
    ]
    header = (
        "layer",
        "pass",
        "first nonzero %",
        "second nonzero %",
        "results",
        "mismatches",
        "RTL cycles",
        "model cycles",
        "model error %",
        "utilization %",
        "times faster",
    )
    learned = (
        f"Training by {training['method']} at {training['sparsity']:.0%}: test accuracy "
        f"{training['test_accuracy_before']:.1%} before, "
        f"{training['test_accuracy_after']:.1%} after {training['iterations']} iterations."
    )
    title = (
        "Operands of one training step on the generated Verilog (times faster: than one dense "
        "product per multiplier and cycle)"
    )
    speedups = ", ".join(
        f"{name} {estimated[f'{name}_speedup_vs_dense']:.2f}x"
        for name in ("forward", "backward", "training")
    )
    full = (
        f"Estimate of {estimated['network']}, {estimated['method']} at "
        f"{estimated['sparsity']:.0%}, against a dense array with the same "
        f"{estimated['multipliers']} multipliers: {speedups}."
    )
    files = f"Report: {out / 'report.json'}; where the cycles went: {out / 'counters.png'}"
    return "\n\n".join((learned, table(header, rows, title=title), full, files))
