"""Run launches on the simulated accelerator."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from gscn.config import AcceleratorConfig
from gscn.cosim.builds.simulator import BuiltSimulator, build
from gscn.cosim.errors import SimulationError, SimulationTimeout
from gscn.cosim.process import SimulatorProcess
from gscn.cosim.simulation import (
    CHANNELS,
    Program,
    RunResult,
    default_timeout_cycles,
    launch_fields,
    launch_settings,
    run_result,
)
from gscn.errors import InputError, raise_problems
from gscn.hw.host.axi import AxiManager
from gscn.port import READ_LATENCY, WRITE_LATENCY
from gscn.system.cache import temporary_folder

BUNDLE_FILE = "bundle.json"


def seen_latencies(latency: int = READ_LATENCY, *, axi: bool) -> dict[str, int]:
    """Return the memory's latencies as the core sees them, named as `cycles.model.simulate` does.

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
    build_root: Path | None = None,
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
        Whether to write `build/<configuration digest>/waves.vcd`.
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
    with temporary_folder("gscn-run-") as directory:
        settings = launch_settings(
            config, latency=latency, stalls=stalls, faulty=faulty, one_start=one_start
        )
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
                launch_fields(
                    program,
                    seed=(seed * 0x10001 + index) % (1 << 63),
                    timeout_cycles=limit,
                    reset=not faulty,
                    one_start=one_start,
                    abort_cycle=abort_cycles[index] if abort_cycles is not None else 0,
                )
            )
        while len(results) < len(programs):
            first = len(results)
            launches[first]["reset"] = True
            settings["launches"] = list(enumerate(launches))[first:]
            (directory / BUNDLE_FILE).write_text(json.dumps(settings))
            log = _simulate(
                simulator,
                directory,
                waves=Path("build") / config.digest() / "waves.vcd" if waves else None,
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
