"""Plots of counters and of training."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from gscn.counters import CLUSTER_COUNTER_NAMES
from gscn.errors import InputError

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Okabe and Ito's palette, which the colour-blind can tell apart, then greys.
_COLOURS = (
    *("#009E73", "#56B4E9", "#E69F00", "#0072B2", "#D55E00", "#CC79A7", "#999999", "#DDDDDD"),
)


def _require_rows(table: Sequence) -> None:
    if not table:
        raise InputError("table must have at least one row to plot")


def _one_axes(table: Sequence, ax: Axes | None, *, height: float) -> Axes:
    """Return the axes given, or new ones, `height` inches high; refuse an empty table."""
    _require_rows(table)
    if ax is not None:
        return ax
    from matplotlib.figure import Figure

    return Figure(figsize=(8, height), layout="constrained").add_subplot()


def plot_counters(table: Sequence[Mapping[str, object]], ax: Axes | None = None) -> Axes:
    """Draw where the PE-cycles of several launches went, one bar each.

    Parameters
    ----------
    table
        Rows with `label`, `counters` (PE-cycles by counter name) and, optionally,
        `model_busy_share` (busy share by the cycle model), drawn as a mark.
    ax
        Axes to draw on; by default new ones.

    Returns
    -------
    matplotlib.axes.Axes
        The axes.

    Raises
    ------
    InputError
        No rows, or a row without PE-cycles.
    """
    ax = _one_axes(table, ax, height=0.4 * len(table) + 1.6)
    for row in table:
        if not sum(row["counters"].values()):
            raise InputError(f"counters of {row['label']} must not all be 0")
    labels = [row["label"] for row in table]
    left = [0.0] * len(table)
    for name, colour in zip(CLUSTER_COUNTER_NAMES, _COLOURS, strict=True):
        shares = [100 * row["counters"][name] / sum(row["counters"].values()) for row in table]
        ax.barh(labels, shares, left=left, color=colour, label=name)
        left = [start + share for start, share in zip(left, shares, strict=True)]
    marked = [row for row in table if row.get("model_busy_share") is not None]
    if marked:
        ax.plot(
            [100 * row["model_busy_share"] for row in marked],
            [row["label"] for row in marked],
            linestyle="none",
            marker="|",
            markersize=14,
            color="black",
            label="busy by the cycle model",
        )
    ax.set_xlim(0, 100)
    ax.set_xlabel("share of PE-cycles, %")
    ax.invert_yaxis()
    ax.figure.legend(loc="outside lower center", ncols=5, frameon=False)
    return ax


_SHARES = (
    ("accuracy", "accuracy, mini-batch", "#999999"),
    ("test_accuracy", "accuracy, test", "#000000"),
    ("weights_sparsity", "zeros of weights", "#009E73"),
    ("activations_sparsity", "zeros of activations", "#56B4E9"),
    ("output_grads_sparsity", "zeros of output gradients", "#E69F00"),
    ("flops_saved", "FLOPs saved", "#D55E00"),
)
"""Columns of a training log that are shares, their labels and colours."""


def _two_axes(table: Sequence, axes: tuple[Axes, Axes] | None) -> tuple[Axes, Axes]:
    """Return the axes given, or new ones, one above the other; refuse an empty table."""
    _require_rows(table)
    if axes is not None:
        return axes
    from matplotlib.figure import Figure

    return tuple(Figure(figsize=(8, 7), layout="constrained").subplots(2, sharex=True))


def plot_training(
    table: Sequence[Mapping[str, float | None]], axes: tuple[Axes, Axes] | None = None
) -> tuple[Axes, Axes]:
    """Draw loss, accuracy, sparsity and FLOPs saved over the iterations.

    Parameters
    ----------
    table
        Rows of a training log (`command.training_log.COLUMNS`); None where there is no value.
    axes
        For the loss, and for the shares; by default new ones, one above the other.

    Returns
    -------
    tuple of matplotlib.axes.Axes
        Both axes.

    Raises
    ------
    InputError
        No rows.
    """
    loss, shares = _two_axes(table, axes)
    loss.plot([row["iteration"] for row in table], [row["loss"] for row in table], color="#0072B2")
    loss.set_ylabel("loss, nats")
    for name, label, colour in _SHARES:
        points = [(row["iteration"], 100 * row[name]) for row in table if row[name] is not None]
        if points:
            few = name == "test_accuracy"
            shares.plot(
                *zip(*points, strict=True), color=colour, label=label, marker="o" if few else None
            )
    shares.set_ylim(0, 100)
    shares.set_ylabel("share, %")
    shares.set_xlabel("iteration")
    shares.figure.legend(loc="outside lower center", ncols=3, frameon=False)
    return loss, shares


def plot_losses(table: Sequence[Mapping[str, float]], ax: Axes | None = None) -> Axes:
    """Draw the losses of a run on the simulated accelerator over those of the golden model.

    Parameters
    ----------
    table
        Rows with `iteration`, `loss` and `golden_loss`, in nats.
    ax
        Axes to draw on; by default new ones.

    Returns
    -------
    matplotlib.axes.Axes
        The axes.

    Raises
    ------
    InputError
        No rows.
    """
    ax = _one_axes(table, ax, height=4)
    iterations = [row["iteration"] for row in table]
    # Equal losses lie on one another, so that the lower line is wide and light.
    for name, label, style in (
        ("golden_loss", "golden model", {"color": "#E69F00", "linewidth": 6, "alpha": 0.5}),
        ("loss", "generated Verilog, simulated", {"color": "#0072B2", "linewidth": 1.5}),
    ):
        ax.plot(iterations, [row[name] for row in table], label=label, **style)
    ax.set_ylim(bottom=0)
    ax.set_xlabel("iteration")
    ax.set_ylabel("loss, nats")
    ax.legend(frameon=False)
    return ax


MEDIAN_ITERATIONS = 21
"""Odd."""


def plot_thresholds(
    table: Sequence[Mapping[str, object]],
    band: tuple[float, float],
    axes: tuple[Axes, Axes] | None = None,
) -> tuple[Axes, Axes]:
    """Draw ReSprop's thresholds, and what they leave of the differences, over the iterations.

    A threshold that only halves and doubles swings around the density aimed at: thin lines are the
    densities, thick ones their medians over `MEDIAN_ITERATIONS`.

    Parameters
    ----------
    table
        Rows with `iteration`, `layer`, `threshold` and `density`, the share of nonzeros.
    band
        Densities that are aimed at, from and to.
    axes
        For thresholds and densities; by default new ones, one above the other.

    Returns
    -------
    tuple of matplotlib.axes.Axes
        Both axes.

    Raises
    ------
    InputError
        No rows.
    """
    above, below = _two_axes(table, axes)
    for index, layer in enumerate(dict.fromkeys(row["layer"] for row in table)):
        rows = [row for row in table if row["layer"] == layer]
        iterations = [row["iteration"] for row in rows]
        style = {
            "color": _COLOURS[index % len(_COLOURS)],
            "linestyle": ("-", "--", ":", "-.")[index // len(_COLOURS) % 4],
            "linewidth": 1,
        }
        above.plot(iterations, [row["threshold"] for row in rows], label=layer, **style)
        densities = [100 * row["density"] for row in rows]
        below.plot(iterations, densities, **{**style, "linewidth": 0.3}, alpha=0.4)
        half = MEDIAN_ITERATIONS // 2
        if len(densities) > 2 * half:
            medians = [
                statistics.median(densities[middle - half : middle + half + 1])
                for middle in range(half, len(densities) - half)
            ]
            below.plot(iterations[half:-half], medians, **style)
    above.set_yscale("log")
    above.set_ylabel("threshold")
    below.axhspan(100 * band[0], 100 * band[1], color="#BBBBBB", label="aimed at")
    below.set_ylim(0, 100)
    below.set_ylabel("nonzero differences, %")
    below.set_xlabel("iteration")
    above.figure.legend(loc="outside lower center", ncols=4, frameon=False)
    return above, below
