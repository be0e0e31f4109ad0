"""`gscn generate`: write the accelerator's Verilog and its manifest."""

from __future__ import annotations

import argparse
from dataclasses import fields
from pathlib import Path

from gscn.axi import DEFAULT_AXI, AxiAttributes
from gscn.command.cosim import add_config_arguments, config_from
from gscn.command.numbers import whole
from gscn.command.options import add_output_folder
from gscn.command.result import Result
from gscn.errors import InputError

SUMMARY = "write the Verilog of a configuration, with a manifest of ports, records and counters"
_ATTRIBUTES = {
    "id": "AxID of every burst", "prot": "AxPROT of every burst",
    "read_cache": "ARCACHE of every burst", "write_cache": "AWCACHE of every burst",
    "addr_width": "bits of AxADDR; 0: as many as the array's addresses have",
}  # fmt: skip
EXAMPLE = "gscn generate --config small --set clusters=4 --out build/verilog"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the subcommand's arguments."""
    add_config_arguments(parser)
    parser.add_argument(
        "--axi",
        action="store_true",
        help="wrap the core in an AXI4 manager and AXI4-Lite registers, and write the register "
        "map for C and Python, as SystemRDL and CMSIS-SVD, and the C driver",
    )
    for field in fields(AxiAttributes):
        parser.add_argument(
            f"--axi-{field.name.replace('_', '-')}",
            type=whole(0, 0xFFFF),
            default=field.default,
            metavar="NUMBER",
            help=f"with --axi: {_ATTRIBUTES[field.name]} (default: {field.default})",
        )
    parser.add_argument(
        "--machine",
        action="store_true",
        help="the array with encode unit and lists of both kinds of passes",
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
    said = AxiAttributes(
        **{field.name: getattr(args, f"axi_{field.name}") for field in fields(AxiAttributes)}
    )
    if args.axi:
        manifest = generate_axi(config, out, lists=args.machine, attributes=said)
    elif said != DEFAULT_AXI:
        raise InputError("--axi must be given with what bursts of AXI4 say")
    else:
        manifest = generate(config, out, lists=args.machine)
    data = manifest.to_dict()
    data["verilog_path"] = str(manifest.verilog)
    text = (
        f"{manifest.verilog}: module {manifest.module}, {len(manifest.ports)} ports, "
        f"{config.multipliers} multipliers, configuration {config.digest()}"
    )
    return Result(data=data, text=text)
