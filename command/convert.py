"""`gscn convert`: write the passes of a trace in a format that another tool reads."""

from __future__ import annotations

import argparse
from pathlib import Path

from gscn.command.options import add_output_folder
from gscn.command.result import Result
from gscn.conv import Pass

TOOLS = ("scale-sim", "timeloop", "stonne")
"""Keys of `golden.operands.converting.TOOLS`, which takes longer to import."""
SUMMARY = "write the passes of a trace for another tool: SCALE-Sim, Timeloop or STONNE"
EXAMPLE = "gscn convert --trace build/operands/digits-swat --to timeloop --out build/problems"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the subcommand's arguments."""
    parser.add_argument(
        "--trace", type=Path, required=True, metavar="DIR", help="a trace of `gscn trace`"
    )
    parser.add_argument("--to", choices=TOOLS, required=True, help="the tool that is to read it")
    parser.add_argument(
        "--layer",
        action="append",
        metavar="NAME",
        help="write this layer only; may be repeated (default: all)",
    )
    parser.add_argument(
        "--pass",
        action="append",
        dest="passes",
        choices=[str(which) for which in Pass],
        help="write this pass only; may be repeated (default: all)",
    )
    add_output_folder(parser, "--out", required=True, help="folder to make")


def run(args: argparse.Namespace) -> Result:
    """Convert, and say what was written."""
    from gscn.golden.operands.converting import convert
    from gscn.golden.traces.trace import load_trace

    passes = None if args.passes is None else [Pass(which) for which in args.passes]
    files = convert(load_trace(args.trace), args.to, args.out, layers=args.layer, passes=passes)
    size = sum((args.out / name).stat().st_size for name in files)
    shown = "\n".join(files[:6] + ["..."] * (len(files) > 6))
    return Result(
        data={"out": str(args.out), "tool": args.to, "files": files, "size_bytes": size},
        text=f"{len(files)} files, {size / 1e6:.2f} MB in {args.out}\n{shown}",
    )
