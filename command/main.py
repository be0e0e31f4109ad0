"""Entry point of the `gscn` command."""

from __future__ import annotations

import argparse
import importlib
import logging
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import TextIO

from gscn.command.interrupts import Interrupts
from gscn.command.options import add_output_file, try_outputs
from gscn.command.result import Result, json_text
from gscn.command.standard_files import flush_or_drop, open_standard_files, print_result, say
from gscn.errors import InputError, MismatchError, OutputError
from gscn.system.files import write_text

SUBCOMMANDS = (
    "train",
    "trace",
    "publish-operands",
    "convert",
    "generate",
    "cosim",
    "compare",
    "image",
    "estimate",
    "report",
    "synth",
    "demo",
)
"""Modules of `command`, with underscores for hyphens.

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
    parser = _Parser(
        prog="gscn",
        description="Sparse CNN training: train, trace, generate the accelerator's Verilog, "
        "co-simulate it, compare it with the models, estimate full networks.",
    )
    parser.add_argument(
        "--version", action=_Version, nargs=0, help="show the version of this program and exit"
    )
    subparsers = parser.add_subparsers(dest="subcommand", required=True, metavar="COMMAND")
    for name in SUBCOMMANDS:
        module = importlib.import_module(f"gscn.command.{name.replace('-', '_')}")
        sub = subparsers.add_parser(
            name,
            help=module.SUMMARY,
            description=module.SUMMARY,
            epilog=f"example: {module.EXAMPLE}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        module.add_arguments(sub)
        add_output_file(sub, "--json", help="also write the result as JSON")
        sub.add_argument("-v", "--verbose", action="store_true", help="messages on stderr")
        sub.set_defaults(module=module)
    return parser


def write_json(path: Path, data: dict[str, object]) -> None:
    """Write `data` to `path` so that a reader sees the old file or the whole new one.

    Raises
    ------
    OutputError
        The file cannot be written.
    """
    write_text(path, json_text(data))


class _Parser(argparse.ArgumentParser):
    def print_help(self, file: TextIO | None = None) -> None:
        """Print the help; that standard output does not take it is no success."""
        if file is not None:
            super().print_help(file)
        elif not print_result(self.format_help()):
            self.exit(EXIT_USAGE)


class _Version(argparse.Action):
    """Prints the version; looked up only then, which takes longer than the rest of the parser."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        from importlib import metadata

        try:
            version = metadata.version("gscn")
        except metadata.PackageNotFoundError:
            version = "of unknown version: it is not installed"
        parser.exit(EXIT_GOOD if print_result(f"gscn {version}") else EXIT_USAGE)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit status.

    Parameters
    ----------
    arguments
        Words after `gscn`; by default those of the process.
    """
    open_standard_files()
    return Interrupts().run(lambda: _run(arguments))


def _run(arguments: Sequence[str] | None) -> int:
    if sys.stdout is None:
        say("gscn: standard output must be open, for the result")
        return EXIT_USAGE
    try:
        args = build_parser().parse_args(arguments)
    except SystemExit:
        flush_or_drop(sys.stderr)
        raise
    logging.basicConfig(
        stream=sys.stderr,
        level=logging.INFO if args.verbose else logging.WARNING,
        format="%(levelname)s %(name)s: %(message)s",
    )
    name = f"gscn {args.subcommand}"
    module: ModuleType = args.module
    try:
        try_outputs(args)
        result: Result = module.run(args)
    except InputError as error:
        say(f"{name}: {error}")
        return EXIT_USAGE
    except MismatchError as error:
        say(f"{name}: {error}")
        return EXIT_MISMATCH
    text = result.text
    problems = list(result.problems)
    if args.json is not None:
        try:
            write_json(args.json, result.data)
        except OutputError as error:
            problems.append(f"--json {error}; what it was to hold is printed instead")
            text = f"{text.rstrip()}\n{json_text(result.data)}"
    printed = print_result(text)
    for problem in problems:
        say(f"{name}: {problem}")
    if problems or not printed:
        return EXIT_USAGE
    return EXIT_MISMATCH if result.mismatch else EXIT_GOOD


if __name__ == "__main__":
    raise SystemExit(main())
