"""`gscn compare`: check saved results of the simulated accelerator against golden models again."""

from __future__ import annotations

import argparse
from pathlib import Path

from gscn.array import ARRAYS
from gscn.command.cosim import config_from
from gscn.command.result import Result, table
from gscn.errors import InputError
from gscn.formats import FLOAT_OPERAND_FORMATS, OPERAND_FORMATS
from gscn.system.reading import is_folder

SUMMARY = "check results saved by `gscn cosim --out` against golden models"
EXAMPLE = "gscn compare build/results/synthetic.forward.npz --config small"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the subcommand's arguments."""
    parser.add_argument(
        "files",
        nargs="+",
        type=Path,
        metavar="FILE",
        help="saved result, or a directory of them",
    )
    parser.add_argument(
        "--config",
        metavar="NAME",
        help=f"configuration that must have computed them: {', '.join(ARRAYS)} (default: any)",
    )
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="FIELD=VALUE",
        help="change one field of that configuration; may be repeated",
    )
    parser.add_argument(
        "--format",
        choices=[*sorted(OPERAND_FORMATS), *FLOAT_OPERAND_FORMATS],
        help="its operand format, as for `gscn cosim` (default: int16)",
    )


def _files(paths: list[Path]) -> list[Path]:
    files = []
    for path in paths:
        if is_folder(path):
            found = sorted(path.glob("*.npz"))
            if not found:
                raise InputError(f"directory must hold saved results (*.npz): {path}")
            files += found
        else:
            files.append(path)
    return files


def run(args: argparse.Namespace) -> Result:
    """Compute every result again with the golden models and compare."""
    required = None
    if args.config is not None:
        required = config_from(args)
    elif args.set or args.format:
        raise InputError("--set and --format change a configuration: --config must name it")
    from gscn.cosim.layer import oracle
    from gscn.cosim.saved import load_result
    from gscn.cosim.scoreboard import compare_arrays

    rows = []
    results = []
    details = []
    for path in _files(args.files):
        saved = load_result(path)
        if required is not None and saved.config != required:
            raise InputError(
                f"{path} must be of configuration {required.digest()}, not {saved.config.digest()}"
            )
        source = saved.source
        expected = oracle(
            source,
            output_width=saved.output_width,
            shift=saved.shift,
            result_format=saved.result_format,
            acc_width=saved.config.acc_width,
        )
        comparison = compare_arrays(saved.result, expected)
        rows.append((str(path), str(source.which), comparison.outputs, comparison.mismatches))
        details += [f"{path}: {detail}" for detail in comparison.details]
        results.append(
            {
                "file": str(path),
                "layer": source.layer,
                "pass": str(source.which),
                "config_digest": saved.config.digest(),
                "outputs": comparison.outputs,
                "mismatches": comparison.mismatches,
                "details": list(comparison.details),
            }
        )
    header = ("file", "pass", "outputs", "mismatches")
    return Result(
        data={"results": results},
        text="\n".join([table(header, rows), *details]),
        mismatch=bool(details),
    )
