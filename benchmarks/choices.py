"""What choices of the design are worth on recorded steps: docs/results/choices.md.

`python -m benchmarks.choices TABLE [ITERATION ...]` computes one of its tables by the cycle model
and prints it: `sizes`, `designs`, `orders`, `formats`; by default of the first measured iteration
and of one from the middle. `--layers` leaves all but some layers out. The iterations must have been
recorded (`python -m benchmarks.tracing`).
"""

from __future__ import annotations

import argparse
import functools
import os
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks import (
    channel_orders,
    consecutive,
    designs,
    forced,
    formats,
    masks,
    sizes,
    tracing,
)
from benchmarks.pages import Page
from benchmarks.rtl import CONFIG
from gscn.conv import Pass

ITERATIONS = (tracing.FIRST, tracing.FIRST + tracing.MEASURED // 2)
Row = dict[str, Any]


class Table(NamedTuple):
    """A table of the page."""

    measure: Callable[..., list[Row]]
    """Rows of a pass, of its masks; `orders` takes those of the first measured iteration too."""
    render: Callable[[Sequence[Row]], str]
    """Markdown, of all rows."""
    passes: tuple[Pass, ...] = tuple(Pass)


TABLES = {
    "sizes": Table(sizes.measure, sizes.render),
    "designs": Table(designs.measure, designs.render, (Pass.WEIGHT_GRAD,)),
    "orders": Table(channel_orders.measure, channel_orders.render),
    "formats": Table(formats.measure, formats.render),
}


def _job(job: tuple[str, Path, int, str, Pass]) -> Row:
    table, folder, iteration, layer, which = job
    one = masks.read(folder, iteration, layer, which)
    more = (masks.read(folder, tracing.FIRST, layer, which),) if table == "orders" else ()
    rows = TABLES[table].measure(one, *more)
    return {"iteration": iteration, "layer": layer, "pass": str(which), "rows": rows}


def compute(
    table: str,
    iterations: Sequence[int] = ITERATIONS,
    *,
    layers: Sequence[str] = (),
    folder: Path = tracing.FOLDER,
    processes: int | None = None,
) -> list[Row]:
    """Return the rows of a table, of all passes of iterations that it is about.

    What has been measured is kept as by `benchmarks.consecutive`, and not measured again.
    """
    wanted = [
        (table, folder, iteration, layer, which)
        for iteration in iterations
        for layer, which in masks.passes_of(folder, iteration)
        if which in TABLES[table].passes and (not layers or layer in layers)
    ]
    path = consecutive.rows_path(folder, table, own=_sources(table))
    kept: dict[tuple[int, str, str], Row] = {
        (one["iteration"], one["layer"], one["pass"]): one for one in tracing.load(path)
    }
    missing = [job for job in wanted if (*job[2:4], str(job[4])) not in kept]
    with ProcessPoolExecutor(max_workers=processes or os.cpu_count()) as pool:
        for one in consecutive.appended(path, pool.map(_job, missing)):
            kept[one["iteration"], one["layer"], one["pass"]] = one
    return [
        {"iteration": iteration, "layer": layer, "pass": str(which), **row}
        for _, _, iteration, layer, which in wanted
        for row in kept[iteration, layer, str(which)]["rows"]
    ]


def _sources(table: str) -> tuple[Path, ...]:
    """Return the files of benchmarks from which a table follows."""
    module = sys.modules[TABLES[table].measure.__module__]
    assert module.__file__ is not None
    assert forced.__file__ is not None
    return Path(module.__file__), Path(forced.__file__)


def make() -> dict[str, Any]:
    """Return what the page shows."""
    tracing.record()
    return {
        "iterations": list(ITERATIONS),
        # tables of sums: rows of every pass are many pages
        "tables": {name: summed(name, compute(name)) for name in TABLES},
    }


def summed(table: str, rows: Sequence[Row]) -> dict[str, Any]:
    """Return how many passes there are, and rows added up over layers, by all other texts."""
    passes = len({(row["iteration"], row["layer"], row["pass"]) for row in rows})
    found: dict[tuple, Row] = {}
    for row in rows:
        texts = {name: value for name, value in row.items() if isinstance(value, str)}
        texts.pop("layer")
        if table == "sizes":
            texts.pop("pass")
        one = found.setdefault(tuple(texts.items()), dict(texts))
        for name, value in row.items():
            if name != "iteration" and not isinstance(value, str):
                one[name] = one.get(name, 0) + value
    return {"passes": passes, "rows": list(found.values())}


def render(data: dict[str, Any]) -> str:
    """Return the document."""
    steps = " and ".join(map(str, data["iterations"]))
    text = {
        name: f"{one['passes']} passes:\n\n{TABLES[name].render(one['rows'])}"
        for name, one in data["tables"].items()
    }
    return f"""# What choices are worth

By the cycle model on the nonzeros of every operand of iterations {steps} of a ResNet-18 for 32x32 \
images, SWAT and ReSprop together at 90 %, batch 32 ([utilization.md](utilization.md)), on \
`{CONFIG}` unless it says otherwise. `python -m benchmarks.choices TABLE` computes one table of \
these, `sizes`, `designs`, `orders` or `formats`, of any recorded iterations.

## Sizes of memories

Each row has one size changed; the driver plans for it. Utilisation is of all passes together. \
Area is of memories alone: bits of all of them in the array.

{text["sizes"]}

## Weight gradients

Each row takes a choice from the driver. *Without teams* tiles are those of the plan with teams, \
and what there would be with a half, a quarter and an eighth of the accumulators, of which each \
pass has the fastest, found by trying all: more than a driver could do.

{text["designs"]}

## Orders of channels

Channels and filters of every layer permuted by their nonzeros in iteration {tracing.FIRST}, and \
kept so. *Alike together* sorts them, *dealt* gives each group of 16 as much as the others. Layers \
are permuted each for itself, which a network whose residual paths add channels up does not allow: \
an upper bound.

{text["orders"]}

## Bytes of formats

Bytes per nonzero of 16 bits, tables and alignment left out, by density of the operand.

{text["formats"]}
"""


PAGE = Page(
    name="choices",
    make=make,
    render=render,
    parts=("lowering", "model", "training"),
    configs=(CONFIG,),
)


def main(arguments: Sequence[str] | None = None) -> None:
    """Compute and print a table."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.choices", description=(__doc__ or "").split("\n\n")[0]
    )
    parser.add_argument("table", choices=TABLES)
    parser.add_argument("iterations", nargs="*", type=int, default=ITERATIONS)
    parser.add_argument("--layers", nargs="*", default=(), help="by default all")
    parser.add_argument("--processes", type=int, help="by default one per processor")
    args = parser.parse_args(arguments)
    measure = functools.partial(compute, args.table, args.iterations or ITERATIONS)
    found = summed(args.table, measure(layers=args.layers, processes=args.processes))
    sys.stdout.write(TABLES[args.table].render(found["rows"]) + "\n")


if __name__ == "__main__":
    main()
