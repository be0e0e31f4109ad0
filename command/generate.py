"""`gscn generate`: write the accelerator's Verilog and its manifest."""

from __future__ import annotations

import argparse
from pathlib import Path

from gscn.command.cosim import add_config_arguments, config_from
from gscn.command.options import add_output_folder
from gscn.command.result import Result

SUMMARY = "write the Verilog of a configuration, with a manifest of ports, records and counters"
EXAMPLE = "gscn generate --config small --set clusters=4 --out build/verilog"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the subcommand's arguments."""
    add_config_arguments(parser)
    parser.add_argument(
        "--axi",
        action="store_true",
        help="wrap the core in an AXI4 manager and AXI4-Lite registers, and write the register "
        "map for C and Python and as SystemRDL",
    )
    parser.add_argument(
        "--machine",
        action="store_true",
        help="the array with encode unit and lists of both kinds of passes (proposed)",
    )
    add_output_folder(
        parser,
        "--out",
        help="directory of the files (default: build/<configuration digest>/rtl, with --axi /axi, "
        "of a machine /machine and /machine-axi)",
    )


def run(args: argparse.Namespace) -> Result:
    """Generate, or find that nothing has changed."""
    config = config_from(args)
    from gscn.rtl_gen import generate, generate_axi

    folder = {
        (False, False): "rtl", (True, False): "axi",
        (False, True): "machine", (True, True): "machine-axi",
    }[args.axi, args.machine]  # fmt: skip
    out = args.out or Path("build") / config.digest() / folder
    manifest = (generate_axi if args.axi else generate)(config, out, lists=args.machine)
    data = manifest.to_dict()
    data["verilog_path"] = str(manifest.verilog)
    text = (
        f"{manifest.verilog}: module {manifest.module}, {len(manifest.ports)} ports, "
        f"{config.multipliers} multipliers, configuration {config.digest()}"
    )
    return Result(data=data, text=text)
