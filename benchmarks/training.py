"""Accuracy, sparsity and FLOPs saved of every method, several seeds, on images made offline.

`python -m benchmarks.training --results FILE --out REPORT.md` trains what the
results file lacks and writes the report, a plot and its table beside it.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.markdown import text_of
from benchmarks.pages import DOCS, Page, digests
from benchmarks.training_runs import (
    EPOCHS,
    ITERATIONS_PER_EPOCH,
    METHODS,
    RECIPES,
    SEED_COUNT,
    append_result,
    compute,
    missing,
    plan,
    read_results,
)
from benchmarks.training_text import (
    LENGTH_METHODS,
    report,
    report_lengths,
    report_thresholds,
)
from gscn.system.files import write_text

RESULTS = Path("build/bench/training.jsonl")
LENGTHS_TRAINED = (12, 24, 48)
"""Epochs of the runs that show what longer training changes."""


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
