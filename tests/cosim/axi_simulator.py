"""Build of the array behind AXI for cocotb, and runs of scenarios on it."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import subprocess
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

import cocotb_tools.config
import numpy as np

from gscn.axi import DEFAULT_AXI
from gscn.cosim.builds import coverage
from gscn.cosim.builds.form import MACHINE_FLAGS, Form
from gscn.cosim.builds.simulator import _runtime_folder, _take_runtime
from gscn.cosim.builds.toolchain import Toolchain
from gscn.cosim.simulation import FILL, simulator_environment
from gscn.counters import COUNTERS_PER_CLUSTER
from gscn.rtl_gen import AXI_TOP_MODULE, generate_axi
from gscn.system.cache import cache_folder, locked, private_folder

ROOT = Path(__file__).resolve().parents[2]
VISIBLE = """`verilator_config
public_flat_rw -module "gscn_axi_top" -var "clk"
public_flat_rw -module "gscn_axi_top" -var "rst"
public_flat_rd -module "gscn_axi_top" -var "interrupt"
public_flat_rw -module "gscn_axi_top" -var "m_axi_*"
public_flat_rw -module "gscn_axi_top" -var "s_axil_*"
"""
"""The ports alone: a simulation in which all signals are public is several times slower."""
WALL_SECONDS = 300


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """A list of passes and how the buses behave meanwhile."""

    program: object
    pause_share: float = 0.0
    seed: int = 0
    broken: list = field(default_factory=list)
    """(first, one past the last) addresses that are answered with an error."""


def _compile(config, manifest, target, root, lists):
    """Compile the simulator in a directory of its own.

    The objects of Verilator's runtime are those of the other simulators, if there are any yet: they
    take longer than this design.
    """
    libraries = cocotb_tools.config.libs_dir
    tools = Toolchain(target)
    rules = coverage.exclusions(manifest.verilog.read_text(), f"*{manifest.verilog.name}")
    (target / "visible.vlt").write_text(VISIBLE + rules.partition("\n")[2])
    tools.verilate(
        target,
        [
            *("--cc", "--exe"),
            *("--top-module", AXI_TOP_MODULE, "--prefix", "Vtop", "-o", AXI_TOP_MODULE),
            *("--vpi", "--no-public-flat-rw", "--timescale", "1ns/1ps"),
            *("--timing", "-CFLAGS", "-std=c++20"),
            *("-LDFLAGS", f"-Wl,-rpath,{libraries} -L{libraries} -lcocotbvpi_verilator"),
            *("-Wno-fatal", "-Wno-WIDTH", "-Wno-CASEINCOMPLETE", *coverage.flags()),
            *(MACHINE_FLAGS if lists else ()),
            str(cocotb_tools.config.share_dir / "lib" / "verilator" / "verilator.cpp"),
            *(str(target / "visible.vlt"), str(manifest.verilog)),
        ],
    )
    _take_runtime(_runtime_folder(root, Form("", True, lists).verilator_flags(config)), target)
    # Short runs: an optimizing compiler would take longer than it saves.
    tools.make(target, "Vtop.mk", "-O0")


def build_axi(config, attributes=DEFAULT_AXI, *, lists=False):
    """Return the simulator of an array or machine, built only if none of its Verilog exists."""
    root = private_folder(cache_folder())
    home = private_folder(root / config.digest())
    with locked(home / ".lock"):
        folder = home / f"{Form('', True, lists).folder}{attributes.addr_width or ''}"
        manifest = generate_axi(config, folder, lists=lists, attributes=attributes)
        key = hashlib.sha256(
            f"{manifest.verilog_digest} {coverage.flags()} {Path(__file__).read_text()}".encode()
        )
        target = home / f"axi-sim-{key.hexdigest()[:16]}"
        if not (target / AXI_TOP_MODULE).is_file():
            target.mkdir(exist_ok=True)
            _compile(config, manifest, target, root, lists)
            shutil.copy2(manifest.verilog, target)
        return target / AXI_TOP_MODULE


@dataclass(frozen=True, kw_only=True)
class Outcome:
    memory: np.ndarray
    written: np.ndarray
    events: list
    """That each interrupt told of."""
    interrupt_after: int
    status: int
    error: int
    error_pass: int
    last_pass: int
    bus_error: int
    bus_error_addr: int
    counters: list


def run_axi(simulator, config, scenarios, *, timeout_cycles=60_000):
    """Run scenarios one after the other; return the identity that the host read, and outcomes."""
    with tempfile.TemporaryDirectory(prefix="gscn-axi-") as name:
        directory = Path(name)
        bundle = []
        for index, scenario in enumerate(scenarios):
            program = scenario.program
            program.image.tofile(directory / f"{index}.image")
            bundle.append(
                {
                    "image": f"{index}.image",
                    "memory_bytes": program.memory_bytes,
                    "fill": FILL,
                    "descriptors_addr": program.descriptors_addr,
                    "count": program.count,
                    "broken": scenario.broken,
                    "pause_share": scenario.pause_share,
                    "seed": scenario.seed,
                    "timeout_cycles": timeout_cycles,
                    "counter_count": config.clusters * COUNTERS_PER_CLUSTER + 1,
                }
            )
        (directory / "bundle.json").write_text(json.dumps(bundle))
        log = simulate(simulator, directory)
        last = directory / f"{len(bundle) - 1}.json"
        assert last.is_file(), f"the simulation failed:\n{log}"
        identity = json.loads((directory / "identity.json").read_text())
        return identity, [
            Outcome(
                memory=np.fromfile(directory / f"{index}.memory", dtype=np.uint8),
                written=np.fromfile(directory / f"{index}.written", dtype=np.uint8).astype(bool),
                **json.loads((directory / f"{index}.json").read_text()),
            )
            for index in range(len(bundle))
        ]


def run_drivers(simulator, config, scenarios, folder, *, counters, pause_share=0.2):
    """Have drivers run lists: images in a folder, as `driver_bench` takes them.

    Returns of each what the program saw, and the memory that it left.
    """
    given = [{"digest": config.digest(), **scenario} for scenario in scenarios]
    bundle = {"scenarios": given, "counter_count": counters, "pause_share": pause_share}
    (folder / "bundle.json").write_text(json.dumps(bundle))
    log = simulate(simulator, folder, "tests.cosim.driver_bench")
    found = []
    for index in range(len(scenarios)):
        told = folder / f"{index}.json"
        assert told.is_file(), f"the simulation failed:\n{log}"
        found.append((json.loads(told.read_text()), np.fromfile(folder / f"{index}.memory", "u1")))
    return found


def simulate(simulator, directory, bench="tests.cosim.axi_bench"):
    """Run a cocotb testbench on a bundle; return the end of its log."""
    environment = {
        **simulator_environment(directory),
        "COCOTB_TOPLEVEL": AXI_TOP_MODULE,
        "COCOTB_TEST_MODULES": bench,
        "COCOTB_LOG_LEVEL": "WARNING",
        # nothing that this process was told about warnings; cocotbext-axi uses deprecated names
        "PYTHONWARNINGS": "ignore::DeprecationWarning",
    }
    log = directory / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [str(simulator), f"+bundle={directory}", *coverage.arguments(simulator)],
            cwd=directory,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            process.wait(timeout=WALL_SECONDS)
        finally:
            # Whatever happened, an interrupt included, no process is left behind.
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
    return log.read_text(errors="replace")[-4000:]
