"""`gscn report`: a page of speed-ups, bounds, rivals and energy beside the published figures."""

from __future__ import annotations

import argparse
import dataclasses
import sys
from collections.abc import Callable
from pathlib import Path

from gscn.array import array
from gscn.command.numbers import whole
from gscn.command.options import add_output_file, add_output_folder, add_preset_arguments
from gscn.command.result import Result, table
from gscn.command.standard_files import say
from gscn.errors import InputError, OutputError
from gscn.system.files import write_files

SUMMARY = "write a page, and tables as CSV, of speed-ups, memory, rivals and energy"
EXAMPLE = "gscn report --out build/report"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `gscn report`."""
    add_output_folder(
        parser,
        "--out",
        default=Path("build/report"),
        help="folder of report.html and the CSV files (default: %(default)s)",
    )
    parser.add_argument(
        "--quick", action="store_true", help="use the analytic mode: seconds instead of minutes"
    )
    parser.add_argument(
        "--samples",
        type=whole(),
        default=24,
        metavar="COUNT",
        help="samples of a network on the cycle model, at most; fewer are faster and lean more on "
        "the closed form (default: %(default)s)",
    )
    add_preset_arguments(parser, default="large")
    parser.add_argument(
        "--only",
        nargs="+",
        metavar="CASE",
        help="only some of the networks, by the names that --only help lists",
    )
    parser.add_argument(
        "--trace",
        type=Path,
        metavar="DIR",
        help="recorded training step (`gscn trace`): adds the bytes and energy of its launches",
    )
    parser.add_argument(
        "--trace-layers",
        nargs="+",
        metavar="LAYER",
        help="those of the trace to run (default: some of ResNet-18's, if it has them, else all)",
    )
    parser.add_argument(
        "--measured",
        type=Path,
        metavar="DIR",
        help="folder of utilization.json, area.json, gpu.json and model-error.json with what was "
        "measured (default: those of this installation)",
    )
    add_output_file(
        parser,
        "--document",
        help="also write texts and tables as Markdown (docs/results/performance.md)",
    )
    add_output_folder(
        parser,
        "--cache",
        default=Path("build/report-cache"),
        help="folder where results are kept for the next run (default: %(default)s)",
    )


def run(args: argparse.Namespace) -> Result:
    """Compute what is not kept from an earlier run, and write the report."""
    from gscn.perf.report.build import report_files
    from gscn.perf.report.data.cases import ANALYTIC, CASES, STATISTICAL, compute_cases
    from gscn.perf.report.data.measured import FOLDER, Documents

    # Other accelerators take samples of their own, which take minutes.
    every = tuple(
        dataclasses.replace(case, rivals=case.rivals and not args.quick, most_samples=args.samples)
        for case in CASES
    )
    chosen = every
    if args.only is not None:
        known = {case.key: case for case in every}
        unknown = [key for key in args.only if key not in known]
        if unknown:
            raise InputError(
                f"--only must name some of {', '.join(known)}, not {', '.join(unknown)}"
            )
        chosen = tuple(case for case in every if case.key in args.only)
    config = array(args.config).with_overrides(args.set)
    # Before the long computation, so that a missing file is found at once.
    documents = Documents.read(args.measured or FOLDER)
    mode = ANALYTIC if args.quick else STATISTICAL
    rows = compute_cases(chosen, mode, config, args.cache, progress=_progress())
    launches, source = [], ""
    if args.trace is not None:
        from gscn.golden.traces.trace import load_trace
        from gscn.perf.report.sections.recorded_launches import LAYERS, measure_launches

        trace = load_trace(args.trace)
        layers = args.trace_layers or [name for name in LAYERS if name in trace.layers]
        launches = measure_launches(
            trace, layers or trace.layers, config, args.cache, progress=_progress()
        )
        source = (
            f"Layers of {trace.network}, recorded in a step of training by {trace.method} at "
            f"{100 * trace.sparsity:g} % on {trace.dataset}"
        )
    files = report_files(
        rows,
        chosen,
        documents,
        args.out,
        launches=launches,
        source=source,
        document=args.document,
    )
    paths, problems = list(files), []
    try:
        write_files(files)
    except OutputError as error:
        problems.append(str(error))
    summary = [
        (
            case.label,
            rows[case.key]["forward_speedup_vs_dense"],
            rows[case.key]["backward_speedup_vs_dense"],
            rows[case.key]["training_speedup_vs_dense"],
        )
        for case in chosen
    ]
    text = table(
        ("network", "forward", "backward", "training"),
        summary,
        title=f"{paths[0]} and {len(paths) - 1} other files; times faster than a dense array",
    )
    return Result(
        data={"page": str(paths[0]), "files": [str(p) for p in paths]},
        text=text,
        problems=tuple(problems),
    )


def _progress() -> Callable[[str], None] | None:
    if not sys.stderr.isatty():
        return None

    def show(label: str) -> None:
        say(label)

    return show
