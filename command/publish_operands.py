"""`gscn publish-operands`: make the published operands again, or check a copy of them."""

from __future__ import annotations

import argparse
import dataclasses
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from gscn.command.options import add_output_folder
from gscn.command.result import Result, table
from gscn.errors import InputError
from gscn.golden.operands.suite import STEPS

if TYPE_CHECKING:
    from gscn.golden.operands.published import Index

SUMMARY = "record the operands of training steps that are published, or check a copy of them"
EXAMPLE = "gscn publish-operands --only digits-swat --out build/operands"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the subcommand's arguments."""
    what = parser.add_mutually_exclusive_group(required=True)
    add_output_folder(what, "--out", help="folder to make: a trace of each step, and their index")
    what.add_argument(
        "--check",
        type=Path,
        metavar="DIR",
        help="compare every byte of such a folder with its digests, and these with those published",
    )
    parser.add_argument(
        "--only",
        action="append",
        choices=tuple(STEPS),
        metavar="NAME",
        help=f"record this step; may be repeated (default: all): {', '.join(STEPS)}",
    )


def run(args: argparse.Namespace) -> Result:
    """Record or check; then compare with what was published."""
    from gscn.golden.operands.published import check_operands

    if args.check is None:
        from gscn.golden.operands.publishing import publish

        index = publish(args.out, [STEPS[name] for name in args.only or STEPS], _say)
        return _report(index, args.out)
    if args.only:
        raise InputError("--only is for --out: --check reads what the folder has")
    return _report(check_operands(args.check), args.check)


def _say(text: str) -> None:
    if sys.stderr.isatty():
        sys.stderr.write(f"{text}\n")


def _report(index: Index, folder: Path) -> Result:
    from gscn.golden.operands.published import index_digest, reference_digests

    reference = reference_digests()
    rows, differing = [], []
    for one in index.traces.values():
        if one.name not in reference:
            verdict = "not published"
        elif one.arrays_sha256 == reference[one.name]:
            verdict = "as published"
        else:
            verdict = "DIFFERS from what is published"
            differing.append(one.name)
        shares = [100 * share for pair in one.densities.values() for share in pair]
        rows.append((one.name, one.size_bytes / 1e6, *shares, one.arrays_sha256[:12], verdict))
    header = ("step", "MB")
    header += tuple(
        f"{which} {operand} %"
        for which in ("forward", "input-grad", "weight-grad")
        for operand in ("first", "second")
    )
    text = table((*header, "SHA-256 of the arrays", ""), rows, title=f"operands in {folder}")
    text += f"\n\nSHA-256 of the index: {index_digest(folder)}"
    if differing:
        made = ", ".join(f"{name} {version}" for name, version in index.made_with.items())
        text += (
            f"\nNot the bytes that are published: {', '.join(differing)}. They depend on the "
            f"versions ({made}) and on an x86-64 processor."
        )
    data: dict[str, object] = {
        "operands": str(folder),
        "index_sha256": index_digest(folder),
        "made_with": dict(index.made_with),
        "traces": [dataclasses.asdict(one) for one in index.traces.values()],
        "differing": differing,
    }
    return Result(data=data, text=text, mismatch=bool(differing))
