"""Entry point of the `gscn` command."""

from __future__ import annotations

import argparse
import importlib
import json
import logging
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

from gscn.cli.result import Result
from gscn.errors import InputError, MismatchError
from gscn.files import write_text

SUBCOMMANDS = (
    "train",
    "trace",
    "generate",
    "cosim",
    "compare",
    "estimate",
    "report",
    "synth",
    "demo",
)
"""Modules of `gscn.cli`.

Each has SUMMARY, EXAMPLE, `add_arguments(parser)` and `run(args) -> Result`.
"""

EXIT_GOOD = 0
EXIT_MISMATCH = 1
EXIT_USAGE = 2

logger = logging.getLogger(__name__)


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the whole command.

    Every subcommand's module is imported, hence they keep heavy imports inside `run`.
    """
    parser = argparse.ArgumentParser(
        prog="gscn",
        description="Sparse CNN training: train, trace, generate the accelerator's Verilog, "
        "co-simulate it, compare it with the models, estimate full networks.",
    )
    subparsers = parser.add_subparsers(dest="subcommand", required=True, metavar="COMMAND")
    for name in SUBCOMMANDS:
        module = importlib.import_module(f"gscn.cli.{name}")
        sub = subparsers.add_parser(
            name,
            help=module.SUMMARY,
            description=module.SUMMARY,
            epilog=f"example: {module.EXAMPLE}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        module.add_arguments(sub)
        sub.add_argument("--json", type=Path, metavar="FILE", help="also write the result as JSON")
        sub.add_argument("-v", "--verbose", action="store_true", help="messages on stderr")
        sub.set_defaults(module=module)
    return parser


def write_json(path: Path, data: dict[str, object]) -> None:
    """Write `data` to `path` so that a reader sees the old file or the whole new one.

    Raises
    ------
    InputError
        The file cannot be written.
    """
    # NaN and infinity are not JSON: refusing them here keeps other readers from failing later.
    text = json.dumps(data, indent=2, allow_nan=False) + "\n"
    write_text(path, text)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit status.

    Parameters
    ----------
    arguments
        Words after `gscn`; by default those of the process.
    """
    args = build_parser().parse_args(arguments)
    logging.basicConfig(
        stream=sys.stderr,
        level=logging.INFO if args.verbose else logging.WARNING,
        format="%(levelname)s %(name)s: %(message)s",
    )
    module: ModuleType = args.module
    try:
        result: Result = module.run(args)
        if args.json is not None:
            write_json(args.json, result.data)
    except InputError as error:
        sys.stderr.write(f"gscn {args.subcommand}: {error}\n")
        return EXIT_USAGE
    except MismatchError as error:
        sys.stderr.write(f"gscn {args.subcommand}: {error}\n")
        return EXIT_MISMATCH
    try:
        if result.text:
            sys.stdout.write(result.text.rstrip("\n") + "\n")
        sys.stdout.flush()
    except BrokenPipeError:
        # The reader (say, `head`) has seen enough; keep the interpreter's last flush silent too.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return EXIT_MISMATCH if result.mismatch else EXIT_GOOD


if __name__ == "__main__":
    raise SystemExit(main())
