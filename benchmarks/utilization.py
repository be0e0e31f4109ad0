"""Utilisation of the Verilog on consecutive training steps: docs/results/utilization.md."""

from __future__ import annotations

import itertools
import math
import statistics
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from benchmarks import tracing
from benchmarks.markdown import percent, table
from benchmarks.pages import Page
from benchmarks.rtl import CONFIG, conditions, stalls
from gscn.array import array
from gscn.conv import Pass

SPATIAL, POINTWISE = "3x3", "1x1"
RTL = "RTL"
"""What a row says that was measured in RTL; the others are by the cycle model."""


def make() -> dict[str, Any]:
    """Train, trace and measure what is missing; return what the page shows."""
    tracing.record()
    tracing.measure_all()
    return collect()


def collect() -> dict[str, Any]:
    """Return what has been measured as plain JSON values.

    `passes` are the rows of `benchmarks.rtl.measure` with their iteration and densities;
    `gradients` the share of nonzeros of each layer's output gradients in every sparse iteration of
    the epoch.
    """
    counted = tracing.load(tracing.FOLDER / tracing.DENSITIES)
    gradients: dict[str, list[float]] = {}
    for line in counted:
        for one in line["passes"]:
            if one["pass"] == Pass.WEIGHT_GRAD:
                gradients.setdefault(one["layer"], []).append(one["densities"][0])
    wanted = {name: index for index, name in enumerate(gradients)}
    rows = tracing.load(tracing.FOLDER / tracing.PASSES)
    order = {str(which): index for index, which in enumerate(Pass)}
    rows.sort(key=lambda row: (wanted[row["layer"]], order[row["pass"]], row["iteration"]))
    return {
        "conditions": conditions(array(CONFIG)),
        "first_iteration": tracing.FIRST,
        "iterations": [line["iteration"] for line in counted],
        "gradients": gradients,
        "passes": rows,
        "seconds": sum(row["seconds"] for row in rows),
    }


def kernel(row: dict) -> str:
    """Return the height and width of a row's kernel in words."""
    return "x".join(map(str, row["kernel"]))


def geometric_mean(values: Sequence[float]) -> float:
    """Return the geometric mean of positive numbers."""
    return math.exp(sum(map(math.log, values)) / len(values))


def complete(rows: Sequence[dict]) -> list[dict]:
    """Return the rows of passes that were measured in each of the first iterations.

    Of so many iterations, at least two if there are, that most rows are left.
    """
    best: list[dict] = []
    iterations = _iterations(rows)
    for count in range(min(2, len(iterations)), len(iterations) + 1):
        first = iterations[:count]
        own = [row for row in rows if row["iteration"] in first]
        seen = Counter((row["layer"], row["pass"]) for row in own)
        whole = [row for row in own if seen[row["layer"], row["pass"]] == count]
        best = max(whole, best, key=len)
    return best


def summary(rows: Sequence[dict]) -> dict[str, float]:
    """Return number, geometric mean and least of the rows' utilisation."""
    values = [row["utilization"] for row in rows]
    return {"passes": len(values), "mean": geometric_mean(values), "least": min(values)}


def swing(densities: Sequence[float]) -> dict[str, float]:
    """Return how shares of nonzeros move from one iteration to the next.

    `ratio` is the largest over the smallest, `neighbours` and `neighbours_median` the largest and
    the median ratio between consecutive iterations, whichever way.
    """
    ratios = [max(a, b) / min(a, b) for a, b in itertools.pairwise(densities)]
    return {
        "least": min(densities),
        "median": statistics.median(densities),
        "most": max(densities),
        "ratio": max(densities) / min(densities),
        "neighbours": max(ratios),
        "neighbours_median": statistics.median(ratios),
    }


def _summary_table(rows: Sequence[dict]) -> str:
    lines = []
    groups: list[tuple[str, Callable[[dict], bool]]] = [
        *((f"iteration {i}", lambda row, i=i: row["iteration"] == i) for i in _iterations(rows)),
        *((str(which), lambda row, which=which: row["pass"] == which) for which in Pass),
        ("all", lambda _: True),
    ]
    for kind in (SPATIAL, POINTWISE):
        for name, chosen in groups:
            own = [row for row in rows if kernel(row) == kind and chosen(row)]
            if not own:
                continue
            found = summary(own)
            lines.append(
                (
                    kind,
                    name,
                    str(found["passes"]),
                    percent(found["mean"]),
                    percent(found["least"]),
                    str(sum(row["model_cycles"] for row in own)),
                    *_differences(own),
                )
            )
    header = ("kernels", "of", "passes", "geometric mean", "least", "cycles")
    return table((*header, "in RTL", "results that differ", "counters that differ"), lines)


def _differences(rows: Sequence[dict]) -> tuple[str, str, str]:
    """Return passes in RTL, and of these, results that differ from the oracle, and counters."""
    own = [row for row in rows if row["by"] == RTL]
    if not own:
        return "0", "-", "-"
    differ = (sum(row[name] for row in own) for name in ("mismatches", "counters_differ"))
    return str(len(own)), *map(str, differ)


def _iterations(rows: Sequence[dict]) -> list[int]:
    return sorted({row["iteration"] for row in rows})


def _swing_table(gradients: dict[str, list[float]]) -> str:
    lines = []
    for name, densities in gradients.items():
        found = swing(densities)
        lines.append(
            (
                name,
                *(percent(found[key]) for key in ("least", "median", "most")),
                *(f"{found[key]:.1f}" for key in ("ratio", "neighbours", "neighbours_median")),
            )
        )
    header = ("layer", "least", "median", "most", "most / least")
    return table((*header, "largest step", "median step"), lines)


def _pass_table(rows: Sequence[dict]) -> str:
    return table(
        (
            *("layer", "pass", "iteration", "operands nonzero", "cycles", "by"),
            *("utilization", "read port", "write port", "bound"),
        ),
        [
            (
                row["layer"],
                row["pass"],
                str(row["iteration"]),
                " x ".join(percent(density) for density in row["densities"]),
                str(row["model_cycles"] if row["cycles"] is None else row["cycles"]),
                row["by"],
                percent(row["utilization"]),
                *(percent(share) for share in row["port_shares"]),
                row["bound"],
            )
            for row in rows
        ],
    )


def _stall_table(rows: Sequence[dict]) -> str:
    causes = stalls(rows)
    return table(
        ("layer", "pass", "iteration", "utilization", *causes),
        [
            (
                row["layer"],
                row["pass"],
                str(row["iteration"]),
                percent(row["utilization"]),
                *(percent(row["shares"][name]) for name in causes),
            )
            for row in rows
        ],
    )


def _partial(rows: Sequence[dict], everywhere: Sequence[dict]) -> str:
    """Say which passes were not measured in every iteration."""
    if len(rows) == len(everywhere):
        return ""
    return (
        f" {len(rows) - len(everywhere)} more passes, which were not measured in every one of "
        "these iterations, stand in the tables below and are left out here."
    )


def render(data: dict) -> str:
    """Return the document."""
    rows = data["passes"]
    everywhere = complete(rows)
    first, iterations = data["first_iteration"], _iterations(everywhere)
    worst = min((row for row in rows if kernel(row) == SPATIAL), key=lambda row: row["utilization"])
    swings = [swing(densities) for densities in data["gradients"].values()]
    return f"""# Utilisation on consecutive training steps

ResNet-18 for 32x32 images, trained by SWAT and ReSprop together at 90 %, batch 32. ReSprop \
doubles or halves the threshold of a layer after every iteration, so that the share of nonzeros of \
its output gradients swings around the target of 15 %, and a single iteration says what one wants \
it to. So the iterations were fixed by a rule, before any figure of theirs was known: the first \
sparse ones of the first epoch whose target is the final one. Its first iteration, {first - 1}, \
is dense; measured are {", ".join(map(str, iterations[:-1]))} and {iterations[-1]} (iterations are \
counted from 0). Of each convolution of another shape the first one of the network, in the passes \
that training computes, on `{CONFIG}`: {data["conditions"]}. Tilings are found for each pass by \
itself. Passes of the first iteration ran on the generated Verilog, every result compared with the \
oracle and every counter of every cluster with the cycle model; those of the others on the cycle \
model, unless the table says so.

{_summary_table(everywhere)}

The least of all is {percent(worst["utilization"])}: {worst["layer"]}, {worst["pass"]}, iteration \
{worst["iteration"]}, of whose operands \
{" and ".join(percent(density) for density in worst["densities"])} are nonzero.\
{_partial(rows, everywhere)}

## How the gradients' nonzeros swing

Share of nonzeros of the output gradients of every convolution in the {len(data["iterations"])} \
sparse iterations of that epoch, {data["iterations"][0]} to {data["iterations"][-1]}. A step is \
the ratio between two consecutive iterations, either way. Over all layers the largest share is \
{max(one["ratio"] for one in swings):.0f} times the smallest in the layer that swings most, \
{min(one["ratio"] for one in swings):.0f} times in the one that swings least.

{_swing_table(data["gradients"])}

## Pass by pass

The bound is the busiest of the multipliers, the read port and the write port.

{_pass_table(rows)}

## Where the other cycles went

Shares of the multipliers' cycles; with the utilisation they sum to 100 %, but for products that \
fall off a border.

{_stall_table(rows)}
"""


def quotes(data: dict) -> dict[str, str]:
    """Return means, extremes and counts as texts take them."""
    rows = complete(data["passes"])
    found = {}
    for kind in (SPATIAL, POINTWISE):
        own = [row for row in rows if kernel(row) == kind]
        if own:
            named = summary(own)
            found[f"mean-{kind}"] = percent(named["mean"])
            # The worst is never left out.
            every = [row for row in data["passes"] if kernel(row) == kind]
            found[f"least-{kind}"] = percent(summary(every)["least"])
            kinds = [str(which) for which in Pass if any(row["pass"] == which for row in own)]
            found[f"kinds-{kind}"] = ", ".join(kinds)
            found[f"passes-{kind}"] = str(named["passes"])
        for iteration in _iterations(own):
            one = summary([row for row in own if row["iteration"] == iteration])
            found[f"mean-{kind}-{iteration - data['first_iteration'] + 1}"] = percent(one["mean"])
    swings = [swing(densities) for densities in data["gradients"].values()]
    iterations = _iterations(rows)
    in_rtl, mismatches, differing = _differences(data["passes"])
    return found | {
        "passes-rtl": in_rtl,
        "mismatches": mismatches,
        "counters-differ": differing,
        "iterations": f"{iterations[0]} to {iterations[-1]}",
        "iteration-count": str(len(iterations)),
        "swing-least": f"{min(one['ratio'] for one in swings):.0f}",
        "swing-most": f"{max(one['ratio'] for one in swings):.0f}",
    }


PAGE = Page(
    name="utilization",
    make=make,
    render=render,
    parts=("hardware", "lowering", "model", "training", "arithmetic"),
    configs=(CONFIG,),
    quotes=quotes,
)
