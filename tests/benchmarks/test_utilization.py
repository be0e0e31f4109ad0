"""The page of consecutive iterations says what was measured, the worst of it included."""

from __future__ import annotations

import math

import pytest

from benchmarks import utilization
from benchmarks.rtl import BOUNDS
from gscn.conv import Pass
from gscn.counters import CLUSTER_COUNTER_NAMES

STALLS = CLUSTER_COUNTER_NAMES[1:]


def row(layer, which, iteration, value, *, kernel=(3, 3), by="RTL", density=0.25):
    shares = {name: (1 - value) / len(STALLS) for name in STALLS} | {"busy": value}
    measured = by == "RTL"
    return {
        "iteration": iteration,
        "layer": layer,
        "pass": str(which),
        "kernel": list(kernel),
        "by": by,
        "results": 100 if measured else None,
        "mismatches": 0 if measured else None,
        "useful_products": int(64_000 * value),
        "cycles": 1000 if measured else None,
        "model_cycles": 1000,
        "counters_differ": 0 if measured else None,
        "utilization": value,
        "shares": shares,
        "port_shares": [0.5, 0.25],
        "bound": BOUNDS[0],
        "bound_share": value,
        "densities": [0.1, density],
    }


ROWS = [
    row("conv", Pass.INPUT_GRAD, 226, 0.9),
    row("conv", Pass.INPUT_GRAD, 227, 0.4, by="model", density=0.02),
    row("conv", Pass.WEIGHT_GRAD, 226, 0.9),
    row("conv", Pass.WEIGHT_GRAD, 227, 0.6, by="model"),
    row("short", Pass.WEIGHT_GRAD, 226, 0.3, kernel=(1, 1)),
    row("short", Pass.WEIGHT_GRAD, 227, 0.2, kernel=(1, 1), by="model"),
]
DATA = {
    "conditions": "64 multipliers",
    "first_iteration": 226,
    "iterations": [226, 227, 228],
    "gradients": {"conv": [0.25, 0.02, 0.2], "short": [0.1, 0.3, 0.2]},
    "passes": ROWS,
}


def cells(text, *beginning):
    lines = [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("|")]
    (found,) = (line for line in lines if line[: len(beginning)] == list(beginning))
    return found


def test_means_are_over_all_iterations_and_the_worst_pass_is_named():
    text = utilization.render(DATA)
    mean = (0.9 * 0.4 * 0.9 * 0.6) ** 0.25
    assert cells(text, "3x3", "all")[2:5] == ["4", f"{100 * mean:.1f} %", "40.0 %"]
    assert cells(text, "3x3", "iteration 227")[3:5] == [f"{100 * math.sqrt(0.24):.1f} %", "40.0 %"]
    assert cells(text, "1x1", "all")[4] == "20.0 %"
    assert "The least of all is 40.0 %: conv, input-grad, iteration 227" in text
    quoted = utilization.quotes(DATA)
    assert (quoted["mean-3x3"], quoted["least-3x3"]) == (f"{100 * mean:.1f} %", "40.0 %")
    assert quoted["mean-3x3-2"] == f"{100 * math.sqrt(0.24):.1f} %"


def test_passes_of_the_model_are_not_counted_as_measured_in_rtl():
    text = utilization.render(DATA)
    assert cells(text, "3x3", "all")[6:] == ["2", "0", "0"]
    assert cells(text, "3x3", "iteration 227")[6:] == ["0", "-", "-"]
    assert utilization.quotes(DATA)["passes-rtl"] == "3"
    differing = [dict(ROWS[0], mismatches=7, counters_differ=2), *ROWS[1:]]
    quoted = utilization.quotes(DATA | {"passes": differing})
    assert (quoted["mismatches"], quoted["counters-differ"]) == ("7", "2")


def test_swings_are_those_of_the_densities():
    found = utilization.swing([0.25, 0.02, 0.2])
    assert (found["least"], found["median"], found["most"]) == (0.02, 0.2, 0.25)
    assert found["ratio"] == found["neighbours"] == pytest.approx(12.5)
    assert found["neighbours_median"] == pytest.approx((12.5 + 10) / 2)
    assert cells(utilization.render(DATA), "conv", "2.0 %")[1:5] == [
        "2.0 %", "20.0 %", "25.0 %", "12.5"
    ]  # fmt: skip


def test_means_leave_out_what_was_not_measured_in_every_iteration_and_say_so():
    more = row("late", Pass.FORWARD, 226, 0.1)
    third = [dict(ROWS[0], iteration=228)]
    assert utilization.complete([*ROWS, more]) == ROWS
    assert utilization.complete([*ROWS, *third]) == ROWS, "six of two iterations, three of three"
    alone = ROWS[:2]
    assert utilization.complete([*alone, *third]) == [*alone, *third]
    text = utilization.render(DATA | {"passes": [*ROWS, more]})
    assert cells(text, "3x3", "all")[2] == "4"
    assert "1 more passes" in text
    assert "The least of all is 10.0 %: late" in text, "the worst is never left out"
    quoted = utilization.quotes(DATA | {"passes": [*ROWS, more]})
    assert (quoted["least-3x3"], quoted["passes-3x3"]) == ("10.0 %", "4")
    assert quoted["kinds-3x3"] == "input-grad, weight-grad"
