"""Figures of all passes of consecutive iterations, from a line of text for each pass."""

from __future__ import annotations

import itertools
import math
import statistics
from collections.abc import Iterable, Sequence
from typing import Any

from benchmarks.rtl import BOUNDS
from gscn.conv import Pass
from gscn.counters import CLUSTER_COUNTER_NAMES
from gscn.perf.estimate.buffer import BUFFERS

SPATIAL, POINTWISE = "3x3", "1x1"
GRADIENTS = (Pass.INPUT_GRAD, Pass.WEIGHT_GRAD)
SPARSE = 10
"""Iterations that are called sparse: those whose gradient passes have least products."""
LEAST_SPATIAL, LEAST_BOUND = 0.65, 0.8
"""Gradient passes of 3x3 kernels are listed below the one, passes of 1x1 kernels below the other:
useful products per multiplier-cycle, and the share of whichever bound holds."""
DIGITS = 6
"""Significant digits of densities and shares in the table of all passes."""
COLUMNS = (
    *("iteration", "layer", "pass", "kernel", "first", "second", "useful_products", "cycles"),
    *("read_port", "write_port", "first_plan", "image_bytes", "compressed_bytes"),
    *(f"read_{size >> 10}K" for size in BUFFERS),
    *CLUSTER_COUNTER_NAMES,
)
"""Of the table of all passes; causes are shares of the multipliers' cycles."""
_TEXTS = ("layer", "pass", "kernel")
Row = dict[str, Any]


def encoded(row: Row) -> str:
    """Return a measured pass as a line of text with a cell for each of `COLUMNS`."""
    cells = (
        *(row["iteration"], row["layer"], row["pass"], kernel(row)),
        *(f"{one:.{DIGITS}g}" for one in row["densities"]),
        *(row["useful_products"], row["model_cycles"]),
        *(f"{one:.{DIGITS}g}" for one in row["port_shares"]),
        *(int(row["first_plan"]), row["image_bytes"], row["compressed_bytes"]),
        *(int(row["read_bytes"][str(size)]) for size in BUFFERS),
        *(f"{row['shares'][name]:.{DIGITS}g}" for name in CLUSTER_COUNTER_NAMES),
    )
    return ",".join(map(str, cells))


def decoded(data: dict) -> list[Row]:
    """Return the passes of `all_passes`, with utilisation and bound."""
    header, *lines = (line.split(",") for line in data["all_passes"])
    rows = []
    for line in lines:
        row: Row = {
            name: cell if name in _TEXTS else _number(cell)
            for name, cell in zip(header, line, strict=True)
        }
        row["utilization"] = row["useful_products"] / (row["cycles"] * data["multipliers"])
        shares = (row["utilization"], row["read_port"], row["write_port"])
        row["bound_share"] = max(shares)
        row["bound"] = BOUNDS[shares.index(max(shares))]
        rows.append(row)
    return rows


def _number(cell: str) -> int | float:
    return int(cell) if cell.isdecimal() else float(cell)


def kernel(row: Row) -> str:
    """Return the height and width of a row's kernel in words."""
    return "x".join(map(str, row["kernel"]))


def geometric_mean(values: Iterable[float]) -> float:
    """Return the geometric mean of positive numbers."""
    logs = [math.log(value) for value in values]
    return math.exp(sum(logs) / len(logs))


def together(rows: Sequence[Row], multipliers: int) -> float:
    """Return useful products per multiplier-cycle of all passes, one after the other."""
    useful = sum(row["useful_products"] for row in rows)
    return useful / (multipliers * sum(row["cycles"] for row in rows))


def iterations(rows: Sequence[Row]) -> list[int]:
    """Return the iterations of rows, ascending."""
    return sorted({row["iteration"] for row in rows})


def sparse_iterations(rows: Sequence[Row]) -> list[int]:
    """Return the iterations whose gradient passes have least products, ascending."""
    products = dict.fromkeys(iterations(rows), 0)
    for row in rows:
        if row["pass"] in GRADIENTS:
            products[row["iteration"]] += row["useful_products"]
    return sorted(sorted(products, key=lambda one: products[one])[:SPARSE])


def spatial_gradients(rows: Sequence[Row]) -> list[Row]:
    """Return the gradient passes of 3x3 kernels in the sparse iterations."""
    sparse = sparse_iterations(rows)
    return [
        row
        for row in rows
        if row["kernel"] == SPATIAL and row["pass"] in GRADIENTS and row["iteration"] in sparse
    ]


def pointwise(rows: Sequence[Row]) -> list[Row]:
    """Return the passes of 1x1 kernels."""
    return [row for row in rows if row["kernel"] == POINTWISE]


def at_bound(rows: Sequence[Row]) -> float:
    """Return the share of all cycles that the passes would take if their bounds were all."""
    total = sum(row["cycles"] for row in rows)
    return sum(row["cycles"] * row["bound_share"] for row in rows) / total


def read_per_byte(rows: Sequence[Row], buffer: int) -> float:
    """Return bytes read per compressed byte of the operands, the mean over passes."""
    name = f"read_{buffer >> 10}K"
    return geometric_mean(row[name] / row["compressed_bytes"] for row in rows)


def image_per_byte(rows: Sequence[Row]) -> list[float]:
    """Return the bytes of each pass in memory per compressed byte of its operands."""
    return [row["image_bytes"] / row["compressed_bytes"] for row in rows]


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


def gradients(rows: Sequence[Row]) -> dict[str, list[float]]:
    """Return the share of nonzeros of each layer's output gradients, iteration by iteration."""
    found: dict[str, list[float]] = {}
    for row in sorted(rows, key=lambda row: row["iteration"]):
        if row["pass"] == Pass.WEIGHT_GRAD:
            found.setdefault(row["layer"], []).append(row["first"])
    return found


def in_rtl(data: dict, which: str) -> list[Row]:
    """Return the rows in RTL of the sparse or the dense iteration."""
    wanted = data["rtl_iterations"][which]
    return [row for row in data["passes"] if row["iteration"] == wanted]


def host_time(data: dict) -> float:
    """Return the median microseconds of plan and descriptors."""
    return statistics.median(row["plan_us"] + row["descriptor_us"] for row in data["host"])
