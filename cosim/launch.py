"""Run launches on the simulated accelerator."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from gscn.array import ArrayConfig
from gscn.cosim.builds.simulator import BuiltSimulator, build
from gscn.cosim.conditions import DEFAULT_CONDITIONS, Conditions
from gscn.cosim.errors import SimulationError, SimulationTimeout
from gscn.cosim.process import SimulatorProcess
from gscn.cosim.simulation import (
    Program,
    Region,
    RunResult,
    default_timeout_cycles,
    launch_fields,
    launch_settings,
    run_result,
)
from gscn.errors import InputError
from gscn.hw.host.axi import AxiManager
from gscn.port import READ_LATENCY, WRITE_LATENCY
from gscn.system.cache import temporary_folder

BUNDLE_FILE = "bundle.json"


def seen_latencies(latency: int = READ_LATENCY, *, axi: bool) -> dict[str, int]:
    """Return the memory's latencies as the core sees them, by their names in the cycle model.

    Parameters
    ----------
    latency
        Cycles from a read command to its first beat, at the memory.
    axi
        Whether the core is behind AXI: commands and written beats pass an `AxiManager` first.
    """
    extra = AxiManager.LATENCY if axi else 0
    return {"latency": latency + extra, "write_latency": WRITE_LATENCY + extra}


def run(
    config: ArrayConfig,
    programs: Sequence[Program],
    conditions: Conditions = DEFAULT_CONDITIONS,
    *,
    check: bool = True,
    abort_cycles: Sequence[int] | None = None,
    regions: Sequence[Sequence[Region]] | None = None,
    simulator: BuiltSimulator | None = None,
    build_root: Path | None = None,
) -> list[RunResult]:
    """Run launches on the simulated accelerator, each on a fresh memory.

    Parameters
    ----------
    config
        Configuration of the accelerator; every program must have been made for it.
    programs
        Launches. All run in one process; after one that fails, the rest in another.
    conditions
        What they are run under.
    check
        Whether to raise for the first launch that failed; otherwise see `RunResult.error`.
    abort_cycles
        Of faulty launches: per launch, cycles after which the host aborts it, the accesses of
        registers before its start included; 0 for never. An abort after the end has no effect.
    regions
        Per launch, the parts of its memory and where they lie on the ports, apart from one another;
        none: all of it, from address 0 on. Addresses in descriptors are those on the ports.
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
        The simulator does not suit the conditions, a program was made for another configuration, or
        its list lies in none of its regions.
    SimulationTimeout
        A launch did not end in time; the message has the counters.
    SimulationError
        The accelerator broke the contract of its memory ports, or the simulator failed.
    """
    for program in programs:
        if program.config.digest() != config.digest():
            raise InputError(
                f"program must be made for configuration {config.digest()}, "
                f"not {program.config.digest()}"
            )
    if simulator is None:
        simulator = build(config, axi=conditions.axi, build_root=build_root, waves=conditions.waves)
    if abort_cycles is None:
        abort_cycles = [0] * len(programs)
    elif not conditions.faulty or len(abort_cycles) != len(programs):
        raise InputError(
            f"abort_cycles must have an entry per program, {len(programs)}, and need faulty=True, "
            f"not have {len(abort_cycles)} with faulty={conditions.faulty}"
        )
    regions = [()] * len(programs) if regions is None else regions
    if len(regions) != len(programs):
        raise InputError(
            f"regions must have an entry per program, {len(programs)}, not {len(regions)}"
        )
    if conditions.axi and not simulator.axi:
        raise InputError("simulator must be built with axi=True to run the core behind AXI")
    if conditions.waves and not simulator.waves:
        raise InputError("simulator must be built with waves to write them")
    with temporary_folder("gscn-run-") as directory:
        each = enumerate(zip(programs, abort_cycles, regions, strict=True))
        launches = [_write_launch(directory, index, *one, conditions) for index, one in each]
        results = _run_all(config, launches, conditions, simulator, directory)
    if check:
        _raise_first_error(results, config, conditions.seed)
    return results


def _write_launch(
    directory: Path,
    index: int,
    program: Program,
    abort_cycle: int,
    regions: Sequence[Region],
    conditions: Conditions,
) -> dict[str, object]:
    """Write a launch's image; return what the testbench must know besides."""
    image = np.ascontiguousarray(program.image, dtype=np.uint8)
    if image.size > program.memory_bytes:
        raise InputError(
            f"image of program {index} must fit its memory of {program.memory_bytes} "
            f"bytes, not have {image.size}"
        )
    image.tofile(directory / f"{index}.image")
    limit = conditions.timeout_cycles
    if limit is None:
        limit = default_timeout_cycles(
            program,
            latency=conditions.latency,
            stall_probability=max(conditions.stalls.values()),
        )
    return launch_fields(
        program,
        seed=(conditions.seed * 0x10001 + index) % (1 << 63),
        timeout_cycles=limit,
        reset=conditions.reset,
        abort_cycle=abort_cycle,
        regions=regions,
    )


def _run_all(
    config: ArrayConfig,
    launches: list[dict[str, object]],
    conditions: Conditions,
    simulator: BuiltSimulator,
    directory: Path,
) -> list[RunResult]:
    """Run launches whose images are written, in as many processes as failures make it take."""
    settings = launch_settings(
        config,
        latency=conditions.latency,
        stalls=conditions.stalls,
        faulty=conditions.faulty,
    )
    results: list[RunResult] = []
    while len(results) < len(launches):
        first = len(results)
        launches[first]["reset"] = True
        settings["launches"] = list(enumerate(launches))[first:]
        (directory / BUNDLE_FILE).write_text(json.dumps(settings))
        log = _simulate(
            simulator,
            directory,
            waves=Path("build") / config.digest() / "waves.vcd" if conditions.waves else None,
            random_seed=conditions.seed + 1 if conditions.random_init else None,
            wall_timeout_seconds=conditions.wall_timeout_seconds,
        )
        for index in range(first, len(launches)):
            if not (directory / f"{index}.json").is_file():
                break
            results.append(_read_result(config, directory, index))
        if len(results) < len(launches) and (len(results) == first or not results[-1].error):
            # The process ended without a word about this launch: nothing more can be run.
            raise SimulationError(
                f"simulator {simulator.executable} ended during launch {len(results)}:\n{log}"
            )
    return results


def _raise_first_error(results: Sequence[RunResult], config: ArrayConfig, seed: int) -> None:
    for index, result in enumerate(results):
        if result.error:
            kind = SimulationTimeout if result.timed_out else SimulationError
            raise kind(
                f"launch {index} (configuration {config.digest()}, seed {seed}): "
                f"{result.error}; counters {json.dumps(result.counters)}"
            )


def _read_result(config: ArrayConfig, directory: Path, index: int) -> RunResult:
    outcome = json.loads((directory / f"{index}.json").read_text())
    memory = np.fromfile(directory / f"{index}.memory", dtype=np.uint8)
    written = np.fromfile(directory / f"{index}.written", dtype=np.uint8)
    return run_result(config, outcome, memory, written)


def _simulate(
    simulator: BuiltSimulator,
    directory: Path,
    *,
    waves: Path | None,
    random_seed: int | None,
    wall_timeout_seconds: float | None,
) -> str:
    """Run the simulator on the bundle in `directory`; return the end of its log."""
    command = [str(simulator.executable), f"+bundle={directory}"]
    if waves is not None:
        command.append("--trace")
    if random_seed is not None:
        command += ["+verilator+rand+reset+2", f"+verilator+seed+{random_seed}"]
    log = directory / "log"
    process = SimulatorProcess(command, directory=directory, log=log)
    try:
        process.popen.wait(timeout=wall_timeout_seconds)
    except subprocess.TimeoutExpired as error:
        raise SimulationTimeout(
            f"simulator {simulator.executable} must end within {wall_timeout_seconds} s"
        ) from error
    finally:
        # Whatever happened, an interrupt included, no process is left behind.
        process.end()
        if waves is not None and (directory / "dump.vcd").is_file():
            waves.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(directory / "dump.vcd", waves)
    return log.read_text(errors="replace")[-4000:]
