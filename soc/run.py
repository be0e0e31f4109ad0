"""Build the system and its firmware, run them in simulation, and judge what the firmware says.

`python -m soc.run`; `make soc` installs LiteX first.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import io
import logging
import sys
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from gscn.array import ArrayConfig, array
from gscn.command.main import main as gscn
from gscn.cosim.errors import SimulationError
from gscn.driver.image import EXPECTED_FILE
from gscn.driver.sources import DRIVER_SOURCE, PASSES_SOURCE
from gscn.errors import InputError, MismatchError
from gscn.register import Top
from gscn.rtl_gen import Manifest, generate_axi
from gscn.system.files import write_files
from gscn.system.supervision import run_supervised
from soc.compiling import check_compiler, compile_firmware, memory_file
from soc.step_files import STEP_SOURCES, step_files
from soc.step_image import SIZES, step_image

if TYPE_CHECKING:
    from soc.hardware import Sources

CONFIG = "tiny"
LAYER = ("--conv", "1,4,6,6,8,3,3", "--padding", "1", "--density-a", "0.5", "--density-b", "0.5")
"""Three passes, of which the longest takes some thousand cycles."""
RUNS = 4
"""By polling and by interrupt, at two addresses."""
LAST_LINE = "all: PASS"
MOST_CYCLES = 100_000_000
"""After which a simulation that says nothing is ended."""


def check_litex() -> None:
    """Raise `InputError` if LiteX is not installed."""
    if importlib.util.find_spec("litex") is None:
        raise InputError(
            "the system needs the Python package litex, which is not installed: "
            "run `make soc`, or pip install 'gscn[soc]'"
        )


def write_image(out: Path, sizes: Sequence[str]) -> str:
    """Write the image of a layer's passes; return what is said of the right results."""
    sizes = [word for one in sizes for word in ("--set", one)]
    with contextlib.redirect_stdout(io.StringIO()):
        status = gscn(["image", *LAYER, "--config", CONFIG, *sizes, "--out", str(out)])
    if status:
        raise InputError(f"gscn image must write {out}, but its status is {status}")
    return f" results {zlib.adler32((out / EXPECTED_FILE).read_bytes()):#010x},"


def write_step(out: Path, config: ArrayConfig) -> str:
    """Write a training step; return what is said of the right memory after it."""
    image = step_image(config)
    write_files({out / name: content for name, content in step_files(image).items()})
    return f" memory {image.checksum():#018x},"


def firmware(
    system: Sources, manifest: Manifest, out: Path, sizes: Sequence[str]
) -> tuple[str, list[str]]:
    """Return the firmware as text of the ROM, and what it must say of each of its images.

    Parameters
    ----------
    system
        What it runs on.
    manifest
        Of the machine or the array in it, whose configuration is `CONFIG` but for `sizes`.
    out
        Folder for files.
    sizes
        Fields and their values, as for `gscn image --set`.

    Raises
    ------
    InputError
        The firmware does not compile.
    """
    image, step, headers = ((out / name).resolve() for name in ("image", "step", "headers"))
    right = [write_image(image, sizes)]
    sources = [image / name for name in ("gscn_image.c", "gscn_image.S")]
    if manifest.top is Top.MACHINE:
        right.append(write_step(step, manifest.config))
        sources += [step / name for name in STEP_SOURCES]
    write_files({headers / name: text for name, text in system.headers.items()})
    generated = manifest.verilog.parent.resolve()
    sources += [generated / name for name in (DRIVER_SOURCE, PASSES_SOURCE)]
    folders = [image, step, headers, generated]
    words = compile_firmware(sources, folders, system.regions, out / "firmware")
    return memory_file(words), right


def run(program: Path, folder: Path) -> str:
    """Run the simulator in a folder with the ROM's content; return what the UART says.

    Raises
    ------
    SimulationError
        It does not end by itself.
    """
    done = run_supervised([str(program.resolve()), str(MOST_CYCLES)], cwd=folder)
    if done.returncode != 0:
        raise SimulationError(
            f"the system must end by itself, but: {done.stderr.strip()}\n{done.stdout}"
        )
    return done.stdout


def judge(said: str, right: Sequence[str]) -> None:
    """Compare what the firmware says with what is known here.

    Parameters
    ----------
    said
        Lines.
    right
        What is to be in the lines of all runs of an image, for each image.

    Raises
    ------
    MismatchError
        It does not say that everything is right, or has other results.
    """
    lines = said.splitlines()
    if not lines or lines[-1] != LAST_LINE:
        raise MismatchError(f"the firmware must end with {LAST_LINE!r}")
    for one in right:
        found = sum(one in line for line in lines)
        if found != RUNS:
            raise MismatchError(f"{RUNS} runs must say {one!r}, not {found}")


def main(arguments: list[str] | None = None) -> int:
    """Run the command; return its exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m soc.run",
        description="Build a system with the machine, and run its firmware in simulation.",
    )
    parser.add_argument("--out", type=Path, default=Path("build/soc"), help="folder for files")
    parser.add_argument(
        "--array",
        action="store_true",
        help="the array alone, which has no whole step but is built sooner",
    )
    options = parser.parse_args(arguments)
    logging.disable(logging.INFO)  # LiteX's
    try:
        check_compiler()
        check_litex()
        folder = options.out / ("array" if options.array else "machine")
        said, right = simulate(folder, lists=not options.array)
        print(said, end="")
        judge(said, right)
    except (InputError, MismatchError, SimulationError) as error:
        print(error, file=sys.stderr)
        return 2
    return 0


def simulate(out: Path, *, lists: bool) -> tuple[str, list[str]]:
    """Return what the firmware says, and what it must say of each of its images.

    Parameters
    ----------
    out
        Folder for files.
    lists
        Whether it is the machine, not the array.

    Raises
    ------
    InputError, SimulationError
        A tool is missing or fails.
    """
    from soc.hardware import ROM_FILE
    from soc.simulated import build_simulator, simulated_system

    sizes = SIZES if lists else ()
    manifest = generate_axi(array(CONFIG).with_overrides(sizes), out / "verilog", lists=lists)
    system = simulated_system(manifest)
    rom, right = firmware(system, manifest, out, sizes)
    program = build_simulator(system, out)
    folder = out / "run"
    write_files({folder / name: text for name, text in {**system.memories, ROM_FILE: rom}.items()})
    return run(program, folder), right


if __name__ == "__main__":
    sys.exit(main())
