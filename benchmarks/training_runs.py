"""Runs of the table of training: what each trains, and the file that keeps what came of it."""

from __future__ import annotations

import json
import os
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from gscn.command.training_run import flops_saved, layers_of
from gscn.errors import InputError
from gscn.golden.methods.layer_densities import tensor_sparsities
from gscn.golden.methods.layers import attached_to
from gscn.golden.methods.resprop import GradientReuse
from gscn.golden.methods.watching import sparse_layers
from gscn.golden.recipe import PRESETS, Recipe
from gscn.golden.training.training import Trainer

RECIPES: dict[str, dict[str, object]] = {
    "digits": {"learning_rate": 0.02},
    "wrn16-1": {"learning_rate": 0.05, "dataset": "digits", "image_size": 16},
}
"""Networks and what their runs have in common."""
METHODS: dict[str, dict[str, object]] = {
    "dense": {},
    **{name: dict(fields) for name, fields in PRESETS.items()},
    "dst": {**PRESETS["dst"], "dst_alpha": 1e-3},
}
EPOCHS, ITERATIONS_PER_EPOCH, SEED_COUNT = 24, 40, 5
"""W-ReSprop reaches its target in the tenth epoch."""
PLOTTED = ("resprop-90", 0)
"""Method and seed whose thresholds are recorded and, of the first network, drawn."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Run:
    """A training run of the table."""

    network: str
    method: str
    seed: int
    epochs: int = EPOCHS
    iterations_per_epoch: int = ITERATIONS_PER_EPOCH

    @property
    def key(self) -> dict[str, object]:
        """What tells the run from others, as plain JSON values."""
        return {name: getattr(self, name) for name in self.__slots__}

    @property
    def recipe(self) -> Recipe:
        """What is trained."""
        fields = {**RECIPES[self.network], **METHODS[self.method]}
        return Recipe(
            network=self.network,
            seed=self.seed,
            epochs=self.epochs,
            iterations_per_epoch=self.iterations_per_epoch,
            **fields,
        )


def plan(
    networks: Sequence[str],
    methods: Sequence[str],
    seed_count: int,
    epochs: int = EPOCHS,
    iterations_per_epoch: int = ITERATIONS_PER_EPOCH,
) -> list[Run]:
    """Return the runs of a table, all methods of a seed before the next seed."""
    return [
        Run(
            network=network,
            method=method,
            seed=seed,
            epochs=epochs,
            iterations_per_epoch=iterations_per_epoch,
        )
        for seed in range(seed_count)
        for network in networks
        for method in methods
    ]


def compute(run: Run) -> dict[str, object]:
    """Train once; return plain JSON values: the run's key, accuracy and means of each epoch.

    A run that diverges has `diverged`, the reason, instead of an accuracy.
    """
    trainer = Trainer(run.recipe)
    layers = layers_of(trainer)
    watched = (run.method, run.seed) == PLOTTED
    epochs: list[dict[str, float]] = []
    rows: list[dict[str, float]] = []
    thresholds: list[dict[str, object]] = []
    result: dict[str, object] = {**run.key, "diverged": None, "test_accuracy": None}
    try:
        for done in trainer.run():
            zeros = tensor_sparsities(trainer.network)
            rows.append({**zeros, "flops_saved": flops_saved(trainer, layers), "loss": done.loss})
            if watched:
                thresholds += _thresholds(trainer, done.iteration)
            if not done.iteration % trainer.iterations_per_epoch:
                epochs.append({name: statistics.fmean(r[name] for r in rows) for name in rows[0]})
                rows.clear()
        result["test_accuracy"] = trainer.evaluate()
    except InputError as error:
        result["diverged"] = str(error)
    result["epoch_means"] = epochs
    if watched:
        result["thresholds"] = thresholds
    return result


def _thresholds(trainer: Trainer, iteration: int) -> Iterator[dict[str, object]]:
    """Yield a row of each layer whose differences were computed in the last iteration."""
    for name, layer in sparse_layers(trainer.network).items():
        attached = attached_to(layer)
        reuse = attached.gradient_sparsifier
        if isinstance(reuse, GradientReuse) and reuse.nonzeros is not None:
            count, size = attached.nonzeros["output_grads"]
            yield {
                "iteration": iteration,
                "layer": name,
                "threshold": float(reuse.threshold),
                "density": int(count) / size,
            }


def read_results(path: Path) -> list[dict]:
    """Return the results that a file has; a last line that was cut short is left out.

    Raises
    ------
    InputError
        Naming the file and the line that is no result.
    """
    if not path.exists():
        return []
    results = []
    lines = path.read_text(encoding="utf-8").split("\n")
    for number, line in enumerate(lines[:-1], 1):
        try:
            result = json.loads(line)
            results.append({**result, "epoch_means": list(result["epoch_means"])})
        except (ValueError, KeyError, TypeError) as error:
            raise InputError(f"{path}, line {number}: must be a result: {error!r}") from error
    return results


def append_result(path: Path, result: dict[str, object]) -> None:
    """Add a line to a results file, behind its last whole one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+b") as file:
        file.seek(0)
        file.truncate(file.read().rfind(b"\n") + 1)
        file.write((json.dumps(result) + "\n").encode())
        file.flush()
        os.fsync(file.fileno())


def missing(runs: Sequence[Run], results: Sequence[dict]) -> list[Run]:
    """Return the runs that have no result."""
    return [run for run in runs if find(run, results) is None]


def find(run: Run, results: Sequence[dict]) -> dict | None:
    """Return the result of a run, None if there is none."""
    wanted = run.key.items()
    return next((result for result in results if wanted <= result_key(result)), None)


def result_key(result: dict) -> set[tuple[str, object]]:
    """Return the plain values of a result, to be compared with a run's key."""
    return {(k, v) for k, v in result.items() if not isinstance(v, list | dict)}
