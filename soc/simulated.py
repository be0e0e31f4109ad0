"""The system as a program: LiteX's Verilog with the machine's, made by Verilator."""

from __future__ import annotations

import importlib.metadata
import os
import shutil
from pathlib import Path

from litex.build.generic_platform import Pins, Subsignal
from litex.build.io import CRG
from litex.build.sim import SimPlatform

from gscn.cosim.builds.form import MACHINE_FLAGS
from gscn.cosim.builds.toolchain import (
    SAFE_FLAGS,
    Toolchain,
    compiler_identity,
    key,
    scratch_parent,
)
from gscn.rtl_gen import Manifest
from gscn.system.cache import file_digest, temporary_folder
from gscn.system.files import replacing, write_files
from soc.hardware import Sources, System

CLOCK_HZ = 50e6
"""Only the UART of a board would need it."""
ROM_BYTES = 1 << 20
RAM_BYTES = 1 << 20
OPTIMISATION = "-O1"
"""More takes a compiler longer than it saves a firmware of some runs."""
FLAGS = (
    *("--cc", "--exe", "--top-module", "system", "--prefix", "Vsystem", "-o", "system"),
    *("--build-jobs", "1", "--timescale", "1ns/1ps", "-CFLAGS", SAFE_FLAGS),
    *MACHINE_FLAGS,
    # Verilog of other generators has warnings of its own.
    *("-Wno-fatal", "-Wno-lint", "-Wno-style"),
)


def simulated_system(manifest: Manifest) -> Sources:
    """Return the system around a machine, whose UART is one of bytes.

    Parameters
    ----------
    manifest
        Of the machine, or of the array behind AXI.
    """
    byte = (("valid", 1), ("ready", 1), ("data", 8))
    pads = [
        ("sys_clk", 0, Pins(1)),
        ("sys_rst", 0, Pins(1)),
        (
            *("serial", 0),
            *(
                Subsignal(f"{side}_{name}", Pins(width))
                for side in ("source", "sink")
                for name, width in byte
            ),
        ),
    ]
    platform = SimPlatform("SIM", pads)
    system = System(
        platform,
        manifest,
        clock_hz=CLOCK_HZ,
        rom_bytes=ROM_BYTES,
        ram_bytes=RAM_BYTES,
        uart_name="sim",
    )
    system.submodules.crg = CRG(platform.request("sys_clk"), platform.request("sys_rst"))
    return system.sources()


def build_simulator(system: Sources, out: Path) -> Path:
    """Return the program of a system, made only if there is none of the same sources.

    Parameters
    ----------
    system
        What is simulated.
    out
        Folder of programs.

    Raises
    ------
    SimulationError
        A tool is missing or fails.
    OutputError
        The folder cannot be written.
    """
    main = Path(__file__).with_name("simulation.cpp")
    digests = [file_digest(path) for path in (*system.files, main)]
    versions = importlib.metadata.version("verilator")
    digest = key(system.verilog, digests, FLAGS, OPTIMISATION, versions, compiler_identity())
    program = out / f"simulator-{digest}"
    if os.access(program, os.X_OK):
        return program
    write_files({out / "system.v": system.verilog})
    with temporary_folder("gscn-build-", scratch_parent(out.resolve())) as scratch:
        tools = Toolchain(scratch)
        directory = scratch / "obj"
        directory.mkdir()
        sources = [(out / "system.v").resolve(), *system.files, main]
        tools.verilate(directory, [*FLAGS, *map(tools.plain, sources)])
        tools.make(directory, "Vsystem.mk", OPTIMISATION)
        with replacing(program) as unfinished:
            shutil.copy2(directory / "system", unfinished)
    return program
