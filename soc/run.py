"""Build the system and its firmware, run them in simulation, and judge what the firmware says.

`python -m soc.run`; `make soc` installs LiteX first.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import sys
import zlib
from pathlib import Path
from typing import TYPE_CHECKING

from gscn.array import array
from gscn.command.main import main as gscn
from gscn.cosim.errors import SimulationError
from gscn.driver.image import EXPECTED_FILE
from gscn.driver.sources import DRIVER_SOURCE, PASSES_SOURCE
from gscn.errors import InputError, MismatchError
from gscn.rtl_gen import Manifest, generate_axi
from gscn.system.files import write_files
from gscn.system.supervision import run_supervised
from soc.compiling import check_compiler, compile_firmware, memory_file

if TYPE_CHECKING:
    from soc.simulated import SimulatedSystem

CONFIG = "tiny"
LAYER = ("--conv", "1,4,6,6,8,3,3", "--padding", "1", "--density-a", "0.5", "--density-b", "0.5")
"""Three passes, of which the longest takes some thousand cycles."""
RUNS = 4
"""By polling and by interrupt, at two addresses."""
LAST_LINE = "all: PASS"
MOST_CYCLES = 20_000_000
"""After which a simulation that says nothing is ended."""


def write_image(out: Path) -> int:
    """Write the image of a layer's passes; return the Adler-32 of the right results."""
    with contextlib.redirect_stdout(io.StringIO()):
        status = gscn(["image", *LAYER, "--config", CONFIG, "--out", str(out)])
    if status:
        raise InputError(f"gscn image must write {out}, but its status is {status}")
    return zlib.adler32((out / EXPECTED_FILE).read_bytes())


def firmware(system: SimulatedSystem, manifest: Manifest, out: Path) -> tuple[str, int]:
    """Return the firmware with an image in it as text of the ROM, and the image's checksum."""
    image, headers = (out / "image").resolve(), (out / "headers").resolve()
    checksum = write_image(image)
    write_files({headers / name: text for name, text in system.headers.items()})
    generated = manifest.verilog.parent.resolve()
    words = compile_firmware(
        [
            *(generated / name for name in (DRIVER_SOURCE, PASSES_SOURCE)),
            *(image / name for name in ("gscn_image.c", "gscn_image.S")),
        ],
        [image, headers, generated],
        system.regions,
        out / "firmware",
    )
    return memory_file(words), checksum


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


def judge(said: str, checksum: int) -> None:
    """Compare what the firmware says with what is known here.

    Parameters
    ----------
    said
        Lines.
    checksum
        Adler-32 of the right results.

    Raises
    ------
    MismatchError
        It does not say that everything is right, or has other results.
    """
    lines = said.splitlines()
    if not lines or lines[-1] != LAST_LINE:
        raise MismatchError(f"the firmware must end with {LAST_LINE!r}")
    found = [line for line in lines if f" results {checksum:#010x}," in line]
    if len(found) != RUNS:
        raise MismatchError(
            f"{RUNS} runs must have results of checksum {checksum:#010x}, not {len(found)}"
        )


def main(arguments: list[str] | None = None) -> int:
    """Run the command; return its exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m soc.run",
        description="Build a system with the machine, and run its firmware in simulation.",
    )
    parser.add_argument("--out", type=Path, default=Path("build/soc"), help="folder for files")
    parser.add_argument(
        "--array", action="store_true", help="the array, which builds faster, not the machine"
    )
    options = parser.parse_args(arguments)
    try:
        check_compiler()
        folder = options.out / ("array" if options.array else "machine")
        said, checksum = simulate(folder, lists=not options.array)
        print(said, end="")
        judge(said, checksum)
    except (InputError, MismatchError, SimulationError) as error:
        print(error, file=sys.stderr)
        return 2
    return 0


def simulate(out: Path, *, lists: bool) -> tuple[str, int]:
    """Return what the firmware says, and the checksum of the right results.

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
    from soc.simulated import ROM_FILE, build_simulator, simulated_system

    manifest = generate_axi(array(CONFIG), out / "verilog", lists=lists)
    system = simulated_system(manifest)
    rom, checksum = firmware(system, manifest, out)
    program = build_simulator(system, out)
    folder = out / "run"
    write_files({folder / name: text for name, text in {**system.memories, ROM_FILE: rom}.items()})
    return run(program, folder), checksum


if __name__ == "__main__":
    sys.exit(main())
