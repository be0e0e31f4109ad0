"""The table of training in words: accuracies, zeros over time, and how thresholds settled."""

from __future__ import annotations

import itertools
import math
import statistics
from collections.abc import Sequence
from pathlib import Path

from benchmarks.figures import write_figure
from benchmarks.markdown import Block, table_block, text_of
from benchmarks.training_runs import PLOTTED, Run, find
from gscn.command.plots import plot_thresholds
from gscn.golden.methods.layer_densities import TENSOR_KINDS
from gscn.golden.methods.targets import reuse_density

LENGTH_METHODS = ("dense", "resprop-90")
"""Compared at other lengths of training."""
INTRODUCTION = """# Training by every method

`digits`, a small residual network, learns 1348 handwritten digits of 8x8 pixels, `wrn16-1` the same
scaled to 16x16: a small task, on which differences between methods say little about ImageNet. Batch
32, stochastic gradient descent along a cosine, momentum 0.9. Accuracy: share of the test images
classified correctly by the sparsified network, mean and sample standard deviation over seeds, in
percent; difference to dense in points. Zeros: shares in the last epoch, of all layers together and
whoever made them, ReLU included. FLOPs saved: mean over the whole training, ReLU not credited
([flops.md](flops.md)).
"""

LENGTHS = """ReSprop without a warm-up learns from gradients of which most are those of another
sample, and so more slowly at first. Where that is the reason for a lower accuracy, and not what the
method can reach, the difference shrinks with the length of training, and that of W-ReSprop, which
begins dense, is smaller:"""

CONTROLLER = """From 1e-7 a threshold doubles until no more than the target of 15 % of the
differences is left. As it can only halve or double, it cannot rest on the target, which lies
between two of its values, and gradients change from one mini-batch to the next: it swings around
the target, as the published rule has it, with the median of the densities close to it. Settled: the
first iteration at or under the target; the columns after it are of the iterations from there on."""


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
