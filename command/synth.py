"""`gscn synth`: area and clock of the array, component by component."""

from __future__ import annotations

import argparse
from pathlib import Path

from gscn.array import ARRAYS, array
from gscn.command.options import add_output_file
from gscn.command.result import Result
from gscn.errors import OutputError
from gscn.formats import OPERAND_FORMATS
from gscn.system.files import write_text

SUMMARY = "synthesise the array: area and clock of its components (see `make synth`)"
EXAMPLE = "gscn synth --config tiny --flow cells --out build/area.md"

FLOWS = ("cells", "ecp5")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the subcommand's arguments."""
    parser.add_argument(
        "--config",
        nargs="+",
        default=["small"],
        metavar="NAME[:FORMAT]",
        help=f"one or more of {', '.join(ARRAYS)}, each with an operand format of "
        f"{', '.join(sorted(OPERAND_FORMATS))} (default: small:int16)",
    )
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="FIELD=VALUE",
        help="change one field of every configuration; may be repeated",
    )
    parser.add_argument(
        "--flow",
        nargs="*",
        choices=FLOWS,
        default=list(FLOWS),
        help="besides generic gates: standard cells, ECP5 (default: both)",
    )
    parser.add_argument(
        "--clock",
        nargs="*",
        choices=("PE", "Cluster"),
        default=[],
        help="measure the clock of these, in the flows chosen (default: none)",
    )
    parser.add_argument(
        "--liberty",
        type=Path,
        metavar="FILE",
        help="standard cells (default: the osu018 library of Debian's qflow-tech-osu018)",
    )
    parser.add_argument(
        "--formats",
        nargs="+",
        default=[],
        metavar="INT[+FLOAT...]",
        help="besides, a PE of the first configuration with these number formats, such as "
        "`int16 int16+bf16`: what formats cost (default: none)",
    )
    add_output_file(parser, "--out", help="write the report as Markdown")


def run(args: argparse.Namespace) -> Result:
    """Synthesise every configuration in every format."""
    configs = {}
    for word in args.config:
        name, _, operand_format = word.partition(":")
        config = array(name).with_overrides(args.set)
        if operand_format:
            config = config.with_overrides([f"operand_format={operand_format}"])
        configs[f"{name} {config.operand_format}"] = config
    from gscn.rtl_gen.area import measure_area
    from gscn.rtl_gen.area_formats import measure_formats, with_formats
    from gscn.rtl_gen.area_text import report_data, to_markdown, tool_versions
    from gscn.rtl_gen.liberty import DEFAULT_LIBERTY, check_liberty

    liberty = check_liberty(args.liberty or DEFAULT_LIBERTY) if "cells" in args.flow else None
    ecp5 = "ecp5" in args.flow
    # Before the long runs, so that a missing tool is found at once.
    versions = tool_versions(liberty, place=ecp5 and bool(args.clock or args.formats))
    first = next(iter(configs.values()))
    for text in args.formats:
        with_formats(first, text)
    reports = [
        measure_area(name, config, liberty=liberty, ecp5=ecp5, clocks=args.clock)
        for name, config in configs.items()
    ]
    formats = measure_formats(first, args.formats, liberty=liberty, ecp5=ecp5)
    text = to_markdown(reports, versions, formats)
    problems = []
    if args.out is not None:
        try:
            write_text(args.out, text)
        except OutputError as error:
            problems.append(f"--out {error}")
    return Result(data=report_data(reports, versions, formats), text=text, problems=tuple(problems))
