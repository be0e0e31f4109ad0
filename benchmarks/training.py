"""Accuracy, sparsity and FLOPs saved of every method, several seeds, on images made offline.

`python -m benchmarks.training --results FILE --out REPORT.md` trains what the
results file lacks and writes the report, a plot and its table beside it.
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
import os
import statistics
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.figures import write_figure
from benchmarks.markdown import Block, table_block, text_of
from benchmarks.pages import DOCS, Page, digests
from gscn.command.plots import plot_thresholds
from gscn.command.training_run import flops_saved, layers_of
from gscn.errors import InputError
from gscn.golden.methods.layer_densities import TENSOR_KINDS, tensor_sparsities
from gscn.golden.methods.layers import attached_to
from gscn.golden.methods.resprop import GradientReuse
from gscn.golden.methods.targets import reuse_density
from gscn.golden.methods.watching import sparse_layers
from gscn.golden.recipe import PRESETS, Recipe
from gscn.golden.training.training import Trainer
from gscn.system.files import write_text

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
LENGTH_METHODS = ("dense", "resprop-90")
"""Compared at other lengths of training."""
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


RESULTS = Path("build/bench/training.jsonl")
LENGTHS_TRAINED = (12, 24, 48)
"""Epochs of the runs that show what longer training changes."""
LENGTHS = """ReSprop without a warm-up learns from gradients of which most are those of another
sample, and so more slowly at first. Where that is the reason for a lower accuracy, and not what the
method can reach, the difference shrinks with the length of training, and that of W-ReSprop, which
begins dense, is smaller:"""

CONTROLLER = """From 1e-7 a threshold doubles until no more than the target of 15 % of the
differences is left. As it can only halve or double, it cannot rest on the target, which lies
between two of its values, and gradients change from one mini-batch to the next: it swings around
the target, as the published rule has it, with the median of the densities close to it. Settled: the
first iteration at or under the target; the columns after it are of the iterations from there on."""


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


INTRODUCTION = """# Training by every method

`digits`, a small residual network, learns 1348 handwritten digits of 8x8 pixels, `wrn16-1` the same
scaled to 16x16: a small task, on which differences between methods say little about ImageNet. Batch
32, stochastic gradient descent along a cosine, momentum 0.9. Accuracy: share of the test images
classified correctly by the sparsified network, mean and sample standard deviation over seeds, in
percent; difference to dense in points. Zeros: shares in the last epoch, of all layers together and
whoever made them, ReLU included. FLOPs saved: mean over the whole training, ReLU not credited
([flops.md](flops.md)).
"""


def render(runs: Sequence[Run], results: Sequence[dict]) -> str:
    """Return the tables of the runs that have results as Markdown."""
    return text_of(report(runs, results))


def report(runs: Sequence[Run], results: Sequence[dict]) -> list[Block]:
    """Return the same in blocks."""
    epochs, per_epoch = runs[0].epochs, runs[0].iterations_per_epoch
    parts: list[Block] = [INTRODUCTION, f"{epochs} epochs of {per_epoch} iterations."]
    accuracy_rows, time_rows = [], []
    shown = sorted({1, max(1, epochs // 4), max(1, epochs // 2), epochs})
    for network, method in dict.fromkeys((run.network, run.method) for run in runs):
        own = _results_of(network, method, runs, results)
        good = [result for result in own if result["test_accuracy"] is not None]
        if not own:
            continue
        if not good:
            accuracy_rows.append((network, method, f"0 of {len(own)}", "diverged", *["-"] * 5, "-"))
            continue
        dense = [
            result["test_accuracy"]
            for result in _results_of(network, "dense", runs, results)
            if result["test_accuracy"] is not None
        ]
        accuracies = [result["test_accuracy"] for result in good]
        mean = statistics.fmean(accuracies)
        accuracy_rows.append(
            (
                network,
                method,
                str(len(good)) if len(good) == len(own) else f"{len(good)} of {len(own)}",
                f"{100 * mean:.2f}",
                f"{100 * statistics.stdev(accuracies):.2f}" if len(good) > 1 else "-",
                f"{100 * (mean - statistics.fmean(dense)):+.2f}" if dense else "-",
                *(_percent(good, kind, epochs) for kind in TENSOR_KINDS),
                f"{100 * _mean_of_all(good):.1f}",
            )
        )
        for kind in (*TENSOR_KINDS, "flops_saved"):
            shares = (_percent(good, kind, epoch) for epoch in shown)
            time_rows.append((network, method, kind.replace("_", " "), *shares))
    header = ("network", "method", "seeds", "accuracy", "deviation", "to dense")
    header += tuple(f"zeros of {kind.replace('_', ' ')}" for kind in TENSOR_KINDS)
    parts.append(table_block((*header, "FLOPs saved"), accuracy_rows))
    parts.append("Over time, mean of an epoch, percent:")
    header = ("network", "method", "share", *(f"epoch {epoch}" for epoch in shown))
    parts.append(table_block(header, time_rows))
    return parts


def report_lengths(runs: Sequence[Run], results: Sequence[dict]) -> list[Block]:
    """Return how the difference between methods depends on the epochs trained."""
    rows = []
    for epochs in dict.fromkeys(run.epochs for run in runs):
        own = [run for run in runs if run.epochs == epochs]
        found = {
            method: [
                result["test_accuracy"]
                for result in _results_of(own[0].network, method, own, results)
                if result["test_accuracy"] is not None
            ]
            for method in LENGTH_METHODS
        }
        if not all(found.values()):
            continue
        means = {method: statistics.fmean(found[method]) for method in LENGTH_METHODS}
        cells = [str(epochs), str(epochs * own[0].iterations_per_epoch)]
        for method in LENGTH_METHODS:
            deviation = statistics.stdev(found[method]) if len(found[method]) > 1 else 0.0
            cells += [str(len(found[method])), f"{100 * means[method]:.2f} ({100 * deviation:.2f})"]
        first, second = LENGTH_METHODS
        rows.append((*cells, f"{100 * (means[second] - means[first]):+.2f}"))
    header = ["epochs", "iterations"]
    for method in LENGTH_METHODS:
        header += [f"seeds, {method}", f"{method}, % (deviation)"]
    title = f"## Longer training\n\n{LENGTHS}\n\nOn `{runs[0].network}`:"
    return [title, table_block((*header, "difference, points"), rows)]


def _results_of(
    network: str, method: str, runs: Sequence[Run], results: Sequence[dict]
) -> list[dict]:
    found = (find(r, results) for r in runs if (r.network, r.method) == (network, method))
    return [result for result in found if result is not None]


def _percent(results: Sequence[dict], name: str, epoch: int) -> str:
    return f"{100 * statistics.fmean(r['epoch_means'][epoch - 1][name] for r in results):.1f}"


def _mean_of_all(results: Sequence[dict]) -> float:
    return statistics.fmean(e["flops_saved"] for r in results for e in r["epoch_means"])


def settling(rows: Sequence[dict], target: float) -> list[tuple[str, ...]]:
    """Return how the threshold of each layer settled.

    Parameters
    ----------
    rows
        Of `compute`, in order of iterations.
    target
        Density aimed at.

    Returns
    -------
    list
        Per layer: name; first iteration whose density is at most the target; from there on, median
        density and its quartiles, percent; middle half of the thresholds, powers of two between
        its ends; updates that the published rule explains, of all.
    """
    table_rows = []
    for layer in dict.fromkeys(row["layer"] for row in rows):
        own = [row for row in rows if row["layer"] == layer]
        first = next((i for i, row in enumerate(own) if row["density"] <= target), None)
        if first is None:
            table_rows.append((layer, *["-"] * 5))
            continue
        settled = own[first:]
        low, median, high = _quartiles([row["density"] for row in settled])
        least, _, most = _quartiles([math.log2(row["threshold"]) for row in settled])
        explained = sum(
            after["threshold"] == _controlled(before["threshold"], after["density"], target)
            for before, after in itertools.pairwise(own)
        )
        table_rows.append(
            (
                layer,
                str(own[first]["iteration"]),
                f"{100 * median:.1f}",
                f"{100 * low:.1f} to {100 * high:.1f}",
                f"{most - least:.0f}",
                f"{explained} of {len(own) - 1}",
            )
        )
    return table_rows


def _quartiles(values: Sequence[float]) -> list[float]:
    if len(values) == 1:
        return [values[0]] * 3
    return statistics.quantiles(values, n=4, method="inclusive")


def _controlled(threshold: float, density: float, target: float) -> float:
    """Return the published controller's next threshold."""
    if density == target:
        return threshold
    return threshold * 2 if density > target else threshold / 2


def write_plot(path: Path, result: dict, sparsity: float) -> None:
    """Draw the thresholds of a run into an SVG file; save the table beside it as CSV."""
    rows = result["thresholds"]
    band = (1 - sparsity, float(reuse_density(sparsity)))
    above, _ = plot_thresholds(rows, band)
    write_figure(path, above.figure, rows)


def main(arguments: Sequence[str] | None = None) -> None:
    """Train what is missing and write the report."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.training", description=__doc__)
    parser.add_argument("--results", type=Path, required=True, metavar="FILE")
    parser.add_argument("--out", type=Path, metavar="FILE", help="report; by default printed")
    parser.add_argument("--networks", nargs="+", choices=RECIPES, default=list(RECIPES))
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS))
    parser.add_argument("--seeds", type=int, default=SEED_COUNT, metavar="N")
    parser.add_argument("--epochs", type=int, default=EPOCHS, metavar="N")
    parser.add_argument(
        "--iterations-per-epoch", type=int, default=ITERATIONS_PER_EPOCH, metavar="N"
    )
    parser.add_argument(
        "--lengths",
        type=int,
        nargs="+",
        default=[],
        metavar="EPOCHS",
        help=f"besides, {' and '.join(LENGTH_METHODS)} trained for so many epochs each",
    )
    parser.add_argument("--only-render", action="store_true", help="train nothing")
    args = parser.parse_args(arguments)
    sizes = (args.seeds, args.epochs, args.iterations_per_epoch)
    if min(*sizes, *args.lengths) < 1:
        parser.error("--seeds, --epochs, --iterations-per-epoch and --lengths must be at least 1")
    runs = plan(args.networks, args.methods, *sizes)
    longer = [
        run
        for epochs in args.lengths
        for run in plan(
            args.networks[-1:], LENGTH_METHODS, args.seeds, epochs, args.iterations_per_epoch
        )
    ]
    todo = list(dict.fromkeys(runs + longer))
    todo = [] if args.only_render else missing(todo, read_results(args.results))
    for index, run in enumerate(todo, 1):
        sys.stderr.write(f"{index} of {len(todo)}: {run.network} {run.method} {run.seed}\n")
        append_result(args.results, compute(run))
    results = read_results(args.results)
    blocks = report(runs, results)
    if longer:
        blocks += report_lengths(longer, results)
    if args.out is None:
        sys.stdout.write(text_of(blocks))
        return
    blocks += report_thresholds(
        runs, results, args.out.with_name(f"{args.out.stem}-thresholds.svg")
    )
    write_text(args.out, text_of(blocks))


def report_thresholds(runs: Sequence[Run], results: Sequence[dict], figure: Path) -> list[Block]:
    """Draw the thresholds of ReSprop, if there are any; return how they settled."""
    watched = [r for r in runs if (r.method, r.seed) == PLOTTED and find(r, results) is not None]
    drawn = find(watched[0], results) if watched else None
    if drawn is None or not drawn["thresholds"]:
        return []
    write_plot(figure, drawn, watched[0].recipe.sparsity)
    blocks: list[Block] = [
        (
            f"## Thresholds of ReSprop\n\nOn `{watched[0].network}`, by layer, and the "
            f"differences that they leave; dense iterations left out ([table]({figure.stem}.csv)). "
            "Thin lines: densities, thick ones: running medians."
        ),
        f"![thresholds and densities over the iterations]({figure.name})",
        CONTROLLER,
    ]
    for run in watched:
        target = float(reuse_density(run.recipe.sparsity))
        header = (f"layer of `{run.network}`", "settled at iteration", "median density, %")
        header += ("middle half, %", "middle half of thresholds, octaves")
        header += ("updates by the published rule",)
        rows = settling(find(run, results)["thresholds"], target)
        blocks.append(table_block(header, rows))
    return blocks


def make() -> dict[str, object]:
    """Train what is missing, which takes hours; return what the page shows."""
    figure = DOCS / "training-results-thresholds.svg"
    report_path = RESULTS.with_suffix(".md")
    arguments = ["--results", str(RESULTS), "--out", str(report_path)]
    main([*arguments, "--lengths", *map(str, LENGTHS_TRAINED)])
    results = read_results(RESULTS)
    runs = plan(list(RECIPES), list(METHODS), SEED_COUNT, EPOCHS, ITERATIONS_PER_EPOCH)
    longer = [
        run
        for epochs in LENGTHS_TRAINED
        for run in plan(
            list(RECIPES)[-1:], LENGTH_METHODS, SEED_COUNT, epochs, ITERATIONS_PER_EPOCH
        )
    ]
    blocks = [
        *report(runs, results),
        *report_lengths(longer, results),
        *report_thresholds(runs, results, figure),
    ]
    return {"blocks": blocks, "files": digests(figure, figure.with_suffix(".csv"))}


PAGE = Page(
    name="training-results",
    make=make,
    render=lambda data: text_of(data["blocks"]),
    parts=("training", "budgets"),
)


if __name__ == "__main__":
    main()
