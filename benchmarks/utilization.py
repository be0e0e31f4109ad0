"""Utilisation of consecutive training steps, two of them in RTL: docs/results/utilization.md.

`make docs PAGE=utilization` trains, measures and writes it; `python -m benchmarks.tracing` and
`python -m benchmarks.consecutive` do the first two alone, and what they have is not done again.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from benchmarks import consecutive, driver, tracing, utilization_text
from benchmarks.markdown import percent
from benchmarks.pages import Page
from benchmarks.rtl import CONFIG, conditions
from benchmarks.step_figures import (
    COLUMNS,
    LEAST_SPATIAL,
    SPARSE,
    Row,
    at_bound,
    decoded,
    encoded,
    geometric_mean,
    gradients,
    host_time,
    image_per_byte,
    in_rtl,
    iterations,
    pointwise,
    read_per_byte,
    spatial_gradients,
    swing,
    together,
)
from gscn.array import array
from gscn.perf.estimate.buffer import BUFFERS
from gscn.system.sources import room


def make() -> dict[str, Any]:
    """Train, record and measure what is missing; return what the page shows."""
    tracing.record()
    rows = consecutive.measure_model(tracing.iterations())
    counted = tracing.load(tracing.FOLDER / tracing.DENSITIES)
    ran = consecutive.measure_rtl(tracing.extremes(counted))
    return collect(counted, rows, ran, driver.compute())


def collect(
    counted: Sequence[Row], rows: Sequence[Row], ran: Sequence[Row], host: Sequence[Row]
) -> dict[str, Any]:
    """Return what has been measured as plain JSON values.

    `all_passes` is a table by the cycle model, a line of text per pass (`decoded`); `passes` are
    rows of `benchmarks.rtl.measure` with their iteration and densities.
    """
    lines = sorted((path.name, _lines(path)) for path in room("lowering").glob("*.py"))
    return {
        "conditions": conditions(array(CONFIG)),
        "multipliers": array(CONFIG).multipliers,
        "gradient_nonzeros": {
            str(line["iteration"]): line["gradient_nonzeros"] for line in counted
        },
        "rtl_iterations": dict(
            zip(("sparse", "dense"), tracing.extremes(list(counted)), strict=True)
        ),
        "all_passes": [",".join(COLUMNS), *map(encoded, rows)],
        "passes": list(ran),
        "host": list(host),
        "lowering_lines": dict(lines),
        "seconds": sum(row["seconds"] for row in (*rows, *ran)),
    }


def _lines(path: Any) -> int:
    return len(path.read_text(encoding="utf-8").splitlines())


def quotes(data: dict) -> dict[str, str]:
    """Return the figures that texts take."""
    rows = decoded(data)
    order = iterations(rows)
    whole = {
        one: together([row for row in rows if row["iteration"] == one], data["multipliers"])
        for one in order
    }
    three, one = spatial_gradients(rows), pointwise(rows)
    swings = [swing(densities) for densities in gradients(rows).values()]
    found = {
        "together": percent(together(rows, data["multipliers"])),
        "least-iteration": percent(min(whole.values())),
        "iterations": f"{order[0]} to {order[-1]}",
        "iteration-count": str(len(order)),
        "passes": f"{len(rows):,}",
        "sparse-iterations": str(SPARSE),
        "mean-3x3": percent(geometric_mean(row["utilization"] for row in three)),
        "least-3x3": percent(min(row["utilization"] for row in three)),
        "below-3x3": str(sum(row["utilization"] < LEAST_SPATIAL for row in three)),
        "passes-3x3": str(len(three)),
        "bound-1x1": percent(at_bound(one)),
        "mean-1x1": percent(geometric_mean(row["bound_share"] for row in one)),
        "least-1x1": percent(min(row["bound_share"] for row in one)),
        "image-per-byte": f"{max(image_per_byte(rows)):.2f}",
        "passes-rtl": str(len(data["passes"])),
        "mismatches": str(sum(row["mismatches"] for row in data["passes"])),
        "counters-differ": str(sum(row["counters_differ"] for row in data["passes"])),
        "host-us": f"{host_time(data):.0f}",
        "host-bytes": str(max(row["read_bytes"] for row in data["host"])),
        "lowering-lines": f"{sum(data['lowering_lines'].values()):,}",
        "swing-least": f"{min(one['ratio'] for one in swings):.0f}",
        "swing-most": f"{max(one['ratio'] for one in swings):.0f}",
    }
    for size in BUFFERS:
        found[f"read-per-byte-{size >> 10}"] = f"{read_per_byte(rows, size):.2f}"
    for which in data["rtl_iterations"]:
        own = in_rtl(data, which)
        found[f"rtl-{which}"] = percent(together(own, data["multipliers"]))
    return found


PAGE = Page(
    name="utilization",
    make=make,
    render=utilization_text.render,
    parts=("hardware", "lowering", "model", "training", "arithmetic"),
    configs=(CONFIG,),
    quotes=quotes,
)
