"""Run launches on the simulated accelerator."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import cocotb_tools.config
import find_libpython
import numpy as np

from cosim.build import BUILD_ROOT, TESTBENCH_MODULE, BuiltSimulator, build
from cosim.errors import SimulationError, SimulationTimeout
from gscn.config import AcceleratorConfig
from gscn.counters import CLUSTER_COUNTER_NAMES
from gscn.errors import InputError, raise_problems
from gscn.port import READ_LATENCY, WRITE_LATENCY
from hw.axi import AxiManager

BUNDLE_FILE = "bundle.json"
CHANNELS = ("read_cmd", "read_data", "write_cmd", "write_data", "write_done")
"""Channels of a memory port that can stall, each with a probability of its own. Behind AXI they
are AR, R, AW, W and B."""
FLAGS = ("saturated", "accumulator_overflow", "address_error", "nonfinite")
FILL = 0xA5
"""Byte that memory holds beyond the image, so that a result never written is seen."""


class Phase(Protocol):
    """An array of job descriptors."""

    queue_addr: int
    job_count: int
    out_addr: int
    out_end: int
    """What may be written; multiples of 64."""


class Program(Protocol):
    """What a launch needs; `lowering.lower` returns one."""

    config: AcceleratorConfig
    image: np.ndarray
    """uint8, one-dimensional: memory from address 0."""
    memory_bytes: int
    """Bytes of memory in all."""
    phases: Sequence[Phase]
    phases_addr: int
    """Byte address of the list of phases in the image; needed only if one start runs them all."""
    output_ranges: Sequence[tuple[int, int]]
    """(first, one past the last) byte addresses that may be written."""

    def result(self, memory: np.ndarray) -> np.ndarray:
        """Return the result that lies in a memory."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class RunResult:
    """Outcome of one launch."""

    memory: np.ndarray
    """uint8 [memory_bytes], after the launch."""
    written: np.ndarray
    """bool [memory_bytes], whether the byte was written."""
    cycles: int
    """Cycles in which the accelerator was busy, all phases."""
    counters: dict[str, list[int]]
    """Counter's name to its value in each cluster, in PE-cycles."""
    flags: dict[str, bool]
    """Sticky flags: saturated, accumulator_overflow, address_error, nonfinite."""
    read_beats: int
    """Beats read, all ports together; `write_beats` likewise."""
    write_beats: int
    simulated_cycles: int
    """Cycles simulated, reset and reading of the counters included."""
    wall_seconds: float
    """Time that the simulation of `simulated_cycles` took."""
    error_code: int
    """Of a faulty launch: what the accelerator reported (`gscn.error_codes.ErrorCode`), or 0."""
    error_job: int
    """Job that the error belongs to, or `gscn.error_codes.NO_JOB`."""
    error_phase: int
    """Phase of a list that the error belongs to, or `gscn.error_codes.NO_PHASE`."""
    error: str | None
    """What went wrong; None if the launch ended and kept the memory ports' contract."""
    timed_out: bool
    """Whether the error is a time-out."""


def default_timeout_cycles(program: Program, *, latency: int, stall_probability: float) -> int:
    """Return a limit of cycles far above what a launch can need.

    A core that works takes at most one product per cycle even if only one PE ever has work, and
    needs every beat of its memory a small number of times; the limit allows 64 times that.
    """
    products = int(getattr(program, "useful_products", 0))
    jobs = sum(phase.job_count for phase in program.phases)
    work = products + program.memory_bytes // 8 + jobs * (latency + program.config.acc_depth)
    return 100_000 + int(64 * work / (1 - stall_probability))


def seen_latencies(latency: int = READ_LATENCY, *, axi: bool) -> dict[str, int]:
    """Return the memory's latencies as the core sees them, named as `perf.cycles.simulate` does.

    Parameters
    ----------
    latency
        Cycles from a read command to its first beat, at the memory.
    axi
        Whether the core is behind AXI: commands and written beats pass an `AxiManager` first.
    """
    extra = AxiManager.LATENCY if axi else 0
    return {"latency": latency + extra, "write_latency": WRITE_LATENCY + extra}


def _stalls(probability: float | Mapping[str, float]) -> dict[str, float]:
    given = dict(probability) if isinstance(probability, Mapping) else None
    stalls = dict.fromkeys(CHANNELS, 0.0 if given is not None else float(probability))
    problems = []
    for channel, value in (given or {}).items():
        if channel not in stalls:
            problems.append(f"channel must be one of {', '.join(CHANNELS)}, not {channel!r}")
        else:
            stalls[channel] = float(value)
    problems += [
        f"stall probability of {channel} must be at least 0 and below 1, not {value}"
        for channel, value in stalls.items()
        if not 0 <= value < 1
    ]
    raise_problems("memory", problems)
    return stalls


def run(
    config: AcceleratorConfig,
    programs: Sequence[Program],
    *,
    latency: int = READ_LATENCY,
    stall_probability: float | Mapping[str, float] = 0.0,
    seed: int = 0,
    timeout_cycles: int | None = None,
    wall_timeout_seconds: float | None = None,
    waves: bool = False,
    random_init: bool = False,
    check: bool = True,
    axi: bool = False,
    faulty: bool = False,
    one_start: bool = False,
    abort_cycles: Sequence[int] | None = None,
    simulator: BuiltSimulator | None = None,
    build_root: Path = BUILD_ROOT,
) -> list[RunResult]:
    """Run launches on the simulated accelerator, each on a fresh memory and after a reset.

    Parameters
    ----------
    config
        Configuration of the accelerator; every program must have been made for it.
    programs
        Launches. All run in one process; after one that fails, the rest in another.
    latency
        Cycles from a read command to its first beat; at least 2.
    stall_probability
        Probability that a channel of a memory port pauses in a cycle, at least 0 and below 1: one
        for all channels, or by name (`CHANNELS`), the others 0.
    seed
        Seed of the pauses; each launch derives its own from it.
    timeout_cycles
        Limit of cycles per launch; by default `default_timeout_cycles`.
    wall_timeout_seconds
        Limit of time for all launches of one process; by default none but that on cycles.
    waves
        Whether to write `waves.vcd` next to the simulator.
    random_init
        Whether registers and memories without initial value start with random bits, not zeros.
    check
        Whether to raise for the first launch that failed; otherwise see `RunResult.error`.
    axi
        Whether the core is behind AXI4 and AXI4-Lite. Then a host runs the phases and reads the
        counters through the registers, `cycles` is what the core itself has counted, and the
        latencies are those of the AXI4 memory; see `seen_latencies`. A `simulator` so built does
        not need it.
    faulty
        Whether programs may be malformed, behind AXI only: then an error that the accelerator
        reports ends the launch and is part of the result, reads outside memory are answered with
        DECERR, and all launches of a process follow one another without a reset.
    one_start
        Whether one start runs all phases of a launch, from the list at `Program.phases_addr`.
        A program's `phase_count`, if it has one, says how many; by default all of its `phases`.
    abort_cycles
        Of faulty launches: per launch, cycles after which the host aborts it, the accesses of
        registers before its start included; 0 for never. An abort after the end has no effect.
    simulator
        A simulator from `build`; by default one is built.
    build_root
        Directory of the simulators.

    Returns
    -------
    list of RunResult
        One per program, in their order.

    Raises
    ------
    InputError
        A setting is out of range or a program was made for another configuration.
    SimulationTimeout
        A launch did not end in time; the message has the counters.
    SimulationError
        The accelerator broke the contract of its memory ports, or the simulator failed.
    """
    stalls = _stalls(stall_probability)
    if latency < 2:
        raise InputError(f"memory: latency must be at least 2 cycles, not {latency}")
    for program in programs:
        if program.config.digest() != config.digest():
            raise InputError(
                f"program must be made for configuration {config.digest()}, "
                f"not {program.config.digest()}"
            )
    if simulator is None:
        simulator = build(config, axi=axi, build_root=build_root, waves=waves)
    if faulty and not axi:
        raise InputError("faulty launches must run behind AXI, with axi=True")
    if abort_cycles is not None and (not faulty or len(abort_cycles) != len(programs)):
        raise InputError(
            f"abort_cycles must have an entry per program, {len(programs)}, and need faulty=True, "
            f"not have {len(abort_cycles)} with faulty={faulty}"
        )
    if axi and not simulator.axi:
        raise InputError("simulator must be built with axi=True to run the core behind AXI")
    if waves and not simulator.waves:
        raise InputError("simulator must be built with waves to write them")
    results: list[RunResult] = []
    with tempfile.TemporaryDirectory(prefix="gscn-") as name:
        directory = Path(name)
        settings = {
            "ports": config.ports,
            "beat_bytes": config.mem_bytes,
            "burst_beats": config.burst_beats,
            "counter_count": config.clusters * len(CLUSTER_COUNTER_NAMES) + 1,
            "latency": latency,
            "write_latency": WRITE_LATENCY,
            "stalls": stalls,
            "fill": FILL,
            "faulty": faulty,
            "one_start": one_start,
        }
        launches = []
        for index, program in enumerate(programs):
            image = np.ascontiguousarray(program.image, dtype=np.uint8)
            if image.size > program.memory_bytes:
                raise InputError(
                    f"image of program {index} must fit its memory of {program.memory_bytes} "
                    f"bytes, not have {image.size}"
                )
            image.tofile(directory / f"{index}.image")
            limit = timeout_cycles
            if limit is None:
                limit = default_timeout_cycles(
                    program, latency=latency, stall_probability=max(stalls.values())
                )
            launches.append(
                {
                    "phases": [
                        [phase.queue_addr, phase.job_count, phase.out_addr, phase.out_end]
                        for phase in program.phases
                    ],
                    "memory_bytes": program.memory_bytes,
                    "seed": (seed * 0x10001 + index) % (1 << 63),
                    "timeout_cycles": limit,
                    "reset": not faulty,
                    "phases_addr": program.phases_addr if one_start else 0,
                    "phase_count": getattr(program, "phase_count", len(program.phases)),
                    "abort_cycle": abort_cycles[index] if abort_cycles is not None else 0,
                }
            )
        while len(results) < len(programs):
            first = len(results)
            launches[first]["reset"] = True
            settings["launches"] = list(enumerate(launches))[first:]
            (directory / BUNDLE_FILE).write_text(json.dumps(settings))
            log = _simulate(
                simulator,
                directory,
                waves=waves,
                random_seed=seed + 1 if random_init else None,
                wall_timeout_seconds=wall_timeout_seconds,
            )
            for index in range(first, len(programs)):
                if not (directory / f"{index}.json").is_file():
                    break
                results.append(_read_result(config, directory, index))
            if len(results) < len(programs) and (len(results) == first or not results[-1].error):
                # The process ended without a word about this launch: nothing more can be run.
                raise SimulationError(
                    f"simulator {simulator.executable} ended during launch {len(results)}:\n{log}"
                )
    if check:
        for index, result in enumerate(results):
            if result.error:
                kind = SimulationTimeout if result.timed_out else SimulationError
                raise kind(
                    f"launch {index} (configuration {config.digest()}, seed {seed}): "
                    f"{result.error}; counters {json.dumps(result.counters)}"
                )
    return results


def _read_result(config: AcceleratorConfig, directory: Path, index: int) -> RunResult:
    outcome = json.loads((directory / f"{index}.json").read_text())
    per_cluster = len(CLUSTER_COUNTER_NAMES)
    counters = {
        name: outcome["counters"][position : config.clusters * per_cluster : per_cluster]
        for position, name in enumerate(CLUSTER_COUNTER_NAMES)
    }
    return RunResult(
        memory=np.fromfile(directory / f"{index}.memory", dtype=np.uint8),
        written=np.fromfile(directory / f"{index}.written", dtype=np.uint8).astype(bool),
        cycles=outcome["cycles"],
        counters=counters,
        flags={name: bool(outcome["flags"] >> bit & 1) for bit, name in enumerate(FLAGS)},
        read_beats=outcome["read_beats"],
        write_beats=outcome["write_beats"],
        simulated_cycles=outcome["simulated_cycles"],
        wall_seconds=outcome["wall_seconds"],
        error_code=outcome["error_code"],
        error_job=outcome["error_job"],
        error_phase=outcome["error_phase"],
        error=outcome["error"] or None,
        timed_out=outcome["status"] == "timeout",
    )


def _environment(directory: Path) -> dict[str, str]:
    """Return what a simulator with cocotb inside needs to start Python and find the testbench."""
    libpython = find_libpython.find_libpython()
    if libpython is None:
        raise SimulationError("the shared library of Python (libpython) must be installed")
    root = str(Path(__file__).resolve().parent.parent)
    return {
        **os.environ,
        "GPI_USERS": f"{libpython};{cocotb_tools.config.pygpi_entry_point()}",
        "PYGPI_PYTHON_BIN": sys.executable,
        "PYTHONPATH": os.pathsep.join([root, *filter(None, sys.path)]),
        "COCOTB_TOPLEVEL": TESTBENCH_MODULE,
        "COCOTB_TEST_MODULES": "cosim.testbench",
        "COCOTB_RESULTS_FILE": str(directory / "results.xml"),
        "COCOTB_TRUST_INERTIAL_WRITES": "1",
        "TOPLEVEL_LANG": "verilog",
    }


def _simulate(
    simulator: BuiltSimulator,
    directory: Path,
    *,
    waves: bool,
    random_seed: int | None,
    wall_timeout_seconds: float | None,
) -> str:
    """Run the simulator on the bundle in `directory`; return the end of its log."""
    command = [str(simulator.executable), f"+bundle={directory}"]
    if waves:
        command.append("--trace")
    if random_seed is not None:
        command += ["+verilator+rand+reset+2", f"+verilator+seed+{random_seed}"]
    log = directory / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            cwd=directory,
            env=_environment(directory),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            process.wait(timeout=wall_timeout_seconds)
        except subprocess.TimeoutExpired as error:
            raise SimulationTimeout(
                f"simulator {simulator.executable} must end within {wall_timeout_seconds} s"
            ) from error
        finally:
            # Whatever happened, an interrupt included, no process is left behind.
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
            if waves and (directory / "dump.vcd").is_file():
                shutil.copy2(directory / "dump.vcd", simulator.executable.parent / "waves.vcd")
    return log.read_text(errors="replace")[-4000:]
