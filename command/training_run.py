"""Training with everything that users see of it: progress, log, checkpoints, plot."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import statistics
import sys
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from gscn.errors import InputError, OutputError
from gscn.system.files import try_file, write_files

if TYPE_CHECKING:
    from gscn.command.simulated import Simulation
    from gscn.command.training_log import Log
    from gscn.golden.training.progress import Progress
    from gscn.golden.training.training import Trainer
    from gscn.perf.workload.layers import Network


def layers_of(trainer: Trainer) -> Network:
    """Return the layers that a trainer trains, for FLOP accounting."""
    from gscn.perf.workload.layers import network_of

    return network_of(trainer.recipe.network, trainer.survey())


def flops_saved(trainer: Trainer, layers: Network) -> float:
    """Return the share of the last iteration's FLOPs that the zeros of the method save."""
    from gscn.golden.methods.layer_densities import made_densities
    from gscn.perf.workload.flops import flop_reduction
    from gscn.perf.workload.sparsification import LayerDensities

    made = made_densities(trainer.network)
    densities = {name: LayerDensities(**dataclasses.asdict(one)) for name, one in made.items()}
    return flop_reduction(layers, densities)


def log_row(trainer: Trainer, done: Progress, layers: Network) -> dict[str, float | None]:
    """Return the row of a training log for the iteration just done."""
    from gscn.golden.methods.layer_densities import tensor_sparsities

    sparsities = tensor_sparsities(trainer.network)
    return {
        "iteration": done.iteration,
        "epoch": done.epoch,
        "loss": done.loss,
        "accuracy": done.accuracy,
        "dense_iteration": int(done.dense_iteration),
        "flops_saved": flops_saved(trainer, layers),
        **{f"{kind}_sparsity": share for kind, share in sparsities.items()},
    }


@dataclass(frozen=True, kw_only=True, slots=True)
class Trained:
    """What the iterations done now came to."""

    losses: list[float]
    """Of each, in nats."""
    sparsities: dict[str, float]
    """Mean shares of zeros of "weights", "activations" and "output_grads", of all layers together,
    whoever made the zeros, as they were used; empty without iterations."""
    averaged: int
    """Iterations in the means: the last, at most an epoch."""
    left_out: int
    """Iterations whose scaled gradients were not finite, so that no weight was updated."""


def run_training(
    trainer: Trainer,
    iterations: int,
    *,
    logs: Sequence[Log] = (),
    checkpoint: Path | None = None,
    checkpoint_period: int = 0,
    simulated: Simulation | None = None,
    problems: list[str] | None = None,
) -> Trained:
    """Train until `iterations` are done in all; return what those done now came to.

    A bar is shown on stderr if that is a terminal.

    Parameters
    ----------
    trainer
        Trained.
    iterations
        Iterations at the end.
    logs
        Get a row of every iteration; with the test accuracy at the end of epochs.
    checkpoint
        File to write every `checkpoint_period` iterations and at the end; by default none.
    checkpoint_period
        Iterations between checkpoints; 0 for the last only.
    simulated
        The accelerator that the network is placed on, if it is; its progress is shown as well.
    problems
        Gets a sentence for each file that cannot be written when training is done; by default that
        is raised, as it is before.
    """
    from gscn.golden.methods.layer_densities import tensor_sparsities

    shown = sys.stderr.isatty()
    layers = layers_of(trainer) if logs or shown else None
    losses, left_out = [], 0
    sparsities: deque[dict[str, float]] = deque(maxlen=trainer.iterations_per_epoch)
    with _bar(iterations, trainer.iteration, shown=shown) as show:
        if simulated is not None:
            simulated.shown = lambda text: show(state=text)
        while trainer.iteration < iterations:
            if simulated is not None:
                simulated.before_step()
            done = trainer.step()
            losses.append(done.loss)
            left_out += not done.stepped
            sparsities.append(tensor_sparsities(trainer.network))
            if simulated is not None:
                simulated.after_step(done)
            if layers is not None:
                row = log_row(trainer, done, layers)
                state = _state(row)
                if simulated is not None:
                    state = f"{state}; {simulated.totals.text()}"
                show(completed=done.iteration, state=state)
            if logs and not done.iteration % trainer.iterations_per_epoch:
                row["test_accuracy"] = (simulated or trainer).evaluate()
            for log in logs:
                log.write(row)
            last = done.iteration == iterations
            due = checkpoint_period and not done.iteration % checkpoint_period
            if checkpoint is not None and (last or due):
                _save(trainer, checkpoint, logs, problems if last else None)
        if simulated is not None:
            with _noting(problems):
                simulated.finish()
    means = {
        kind: statistics.fmean(one[kind] for one in sparsities)
        for kind in (sparsities[-1] if sparsities else ())
    }
    return Trained(losses=losses, sparsities=means, averaged=len(sparsities), left_out=left_out)


@contextlib.contextmanager
def _bar(total: int, completed: int, *, shown: bool) -> Iterator[Callable[..., None]]:
    """Yield what updates `completed` and `state` of a bar on stderr."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )
    from rich.table import Column

    columns = (
        BarColumn(12),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        # On a narrow terminal it goes on in the next line, rather than be cut short.
        TextColumn("{task.fields[state]}", table_column=Column(overflow="fold")),
    )
    with Progress(*columns, console=Console(stderr=True), disable=not shown) as bar:
        task = bar.add_task("", total=total, completed=completed, state="")
        yield partial(bar.update, task)


def _save(
    trainer: Trainer, checkpoint: Path, logs: Sequence[Log], problems: list[str] | None
) -> None:
    """Write a checkpoint, and the logs first: every iteration of a checkpoint is in them."""
    for log in logs:
        with _noting(problems):
            log.flush()
    with _noting(problems):
        trainer.save(checkpoint)


def zeros_text(shares: Mapping[str, float | None], digits: int = 1) -> str:
    """Return shares of zeros by tensor kind in words, in percent."""
    return ", ".join(
        f"{word} {100 * shares[kind]:.{digits}f} %"
        for kind, word in (
            ("weights", "weights"),
            ("activations", "activations"),
            ("output_grads", "gradients"),
        )
        if shares.get(kind) is not None
    )


@contextlib.contextmanager
def _noting(problems: list[str] | None) -> Iterator[None]:
    """Note what cannot be written, or raise it if there is no list."""
    try:
        yield
    except OutputError as error:
        if problems is None:
            raise
        problems.append(str(error))


def _state(row: dict[str, float | None]) -> str:
    zeros = zeros_text({name.removesuffix("_sparsity"): v for name, v in row.items()}, digits=0)
    return (
        f"loss {row['loss']:.3f}, accuracy {100 * row['accuracy']:.0f} %, zeros: {zeros}; "
        f"FLOPs saved {100 * row['flops_saved']:.0f} %"
    )


def check_plot(path: Path) -> None:
    """Find out before training whether `save_plot` can write a file.

    Raises
    ------
    InputError
        The format is unknown, or the table beside the figure cannot be written.
    """
    from matplotlib.backend_bases import FigureCanvasBase

    known = sorted(FigureCanvasBase.get_supported_filetypes())
    if path.suffix.removeprefix(".") not in known:
        raise InputError(f"--plot must end in one of .{', .'.join(known)}, not be {path}")
    try_file(path.with_suffix(".csv"))


def save_plot(path: Path, log: Path) -> None:
    """Draw a training log; the table is copied beside the figure, if it is not there already.

    Raises
    ------
    InputError
        The log has no rows, or the figure cannot be written.
    """
    from gscn.command.plots import plot_training
    from gscn.command.training_log import read_training_log

    loss, _ = plot_training(read_training_log(log))
    table = path.with_suffix(".csv")
    drawn = io.BytesIO()
    try:
        loss.figure.savefig(drawn, format=path.suffix.removeprefix("."))
        files = {path: drawn.getvalue()}
        if not (table.exists() and table.samefile(log)):
            files[table] = log.read_bytes()
        write_files(files)
    except (OSError, ValueError) as error:
        raise OutputError(f"plot {path} must be a figure that can be written: {error}") from error
