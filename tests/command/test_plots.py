"""The plot of counters shows the shares that it is given."""

from __future__ import annotations

import pytest

from gscn.command.plots import plot_counters, plot_losses
from gscn.counters import CLUSTER_COUNTER_NAMES
from gscn.errors import InputError


def row(label, model=None, **counters):
    return {
        "label": label,
        "counters": dict.fromkeys(CLUSTER_COUNTER_NAMES, 0) | counters,
        "model_busy_share": model,
    }


def test_bars_are_the_shares_of_each_cause_end_to_end():
    axes = plot_counters([row("one", busy=30, load=10), row("two", busy=1, idle=3, model=0.5)])
    bars = {
        container.get_label(): [(bar.get_x(), bar.get_width()) for bar in container]
        for container in axes.containers
    }
    assert list(bars) == list(CLUSTER_COUNTER_NAMES)
    assert bars["busy"] == [(0, 75), (0, 25)]
    assert bars["load"] == [(75, 25), (25, 0)]
    assert bars["idle"][1] == (25, 75)
    (mark,) = axes.lines
    assert list(mark.get_xdata()) == [50]
    assert axes.get_xlabel() == "share of PE-cycles, %"


@pytest.mark.parametrize(
    ("table", "message"), [([], "at least one row"), ([row("empty")], "counters of empty")]
)
def test_nothing_to_plot_is_refused(table, message):
    with pytest.raises(InputError, match=message):
        plot_counters(table)


def test_both_losses_of_a_run_are_drawn():
    rows = [
        {"iteration": 3, "loss": 2.0, "golden_loss": 2.5},
        {"iteration": 4, "loss": 1.0, "golden_loss": 1.5},
    ]
    axes = plot_losses(rows)
    golden, own = axes.lines
    assert list(golden.get_xdata()) == list(own.get_xdata()) == [3, 4]
    assert list(golden.get_ydata()) == [2.5, 1.5]
    assert list(own.get_ydata()) == [2.0, 1.0]
    assert axes.get_ylabel() == "loss, nats"
    with pytest.raises(InputError, match="at least one row"):
        plot_losses([])
