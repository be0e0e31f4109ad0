"""`gscn image`: write passes with their operands and right results, for a memory of one's own."""

from __future__ import annotations

import argparse
import re

import numpy as np

from gscn.command.cosim import add_config_arguments, config_from
from gscn.command.options import add_output_folder
from gscn.command.pass_inputs import (
    add_input_arguments,
    add_result_arguments,
    chosen_inputs,
    result_format,
)
from gscn.command.result import Result
from gscn.errors import MismatchError

SUMMARY = (
    "write passes, a layer or all convolutions of a recorded step as an image at a base address, "
    "with the right results, as binary files and for the C driver"
)
EXAMPLE = "gscn image --conv 1,16,14,14,16,3,3 --padding 1 --base 0x80000000 --out build/image"


def _address(text: str) -> int:
    """Return a byte address, hexadecimal if it begins with 0x."""
    if re.fullmatch("0x[0-9a-fA-F]{1,16}|[0-9]{1,19}", text):
        return int(text, 0) if text.startswith("0x") else int(text)
    raise argparse.ArgumentTypeError(
        f"must be a byte address, as 4096 or 0x80000000, not {text[:200]!r}"
    )


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the subcommand's arguments."""
    add_input_arguments(parser)
    add_config_arguments(parser)
    add_result_arguments(parser)
    parser.add_argument(
        "--base",
        type=_address,
        default=0,
        metavar="ADDRESS",
        help="byte address of the image, a multiple of 64 (default: 0)",
    )
    add_output_folder(parser, "--out", required=True, help="directory of the files")


def run(args: argparse.Namespace) -> Result:
    """Lower the passes, compute their results by the functional model, compare, and write."""
    config = config_from(args)
    inputs = chosen_inputs(args, config)
    from gscn.cosim.layer import prepare
    from gscn.driver.image import image_files
    from gscn.driver.list_image import join_passes
    from gscn.emulator.passes import run_passes
    from gscn.pass_errors import PassError
    from gscn.system.files import write_files

    passes, expected = [], []
    for one in inputs:
        program, right = prepare(config, one, args.output_width, result_format(args))
        ran = run_passes(
            config,
            program.image,
            program.descriptors_addr,
            program.descriptor_count,
            program.memory_bytes,
        )
        found = program.result(ran.memory)
        if ran.error is not PassError.NONE or not np.array_equal(found, right):
            raise MismatchError(
                f"{one.layer} {one.which}: the functional model ends with {ran.error.name}, and "
                f"{np.count_nonzero(found != right)} results that are not the oracle's"
            )
        passes.append(program)
        expected += [ran.memory[low:high].tobytes() for low, high in program.output_ranges]
    image = join_passes(passes)
    files = image_files(image, args.base, b"".join(expected))
    write_files({args.out / name: content for name, content in files.items()})
    return Result(
        data={
            "config_digest": config.digest(),
            "base": args.base,
            "bytes": image.content.size,
            "memory_bytes": image.memory_bytes,
            "pass_count": image.pass_count,
            "files": sorted(files),
            "passes": [{"layer": one.layer, "pass": str(one.which)} for one in inputs],
        },
        text=f"{args.out}: {image.pass_count} descriptors of {len(passes)} passes, "
        f"{image.content.size} bytes at {args.base:#x}, {image.memory_bytes} with results",
    )
