"""Run lists of passes on a simulated array."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from gscn.array import ArrayConfig
from gscn.array_counters import ARRAY_COUNTER_NAMES
from gscn.cosim.builds.array_simulator import BuiltArray, build_array
from gscn.cosim.errors import SimulationError
from gscn.cosim.process import SimulatorProcess
from gscn.cosim.simulation import CHANNELS, FILL, named_flags
from gscn.enums import takes_text
from gscn.pass_errors import PassError
from gscn.port import READ_LATENCY, WRITE_LATENCY
from gscn.system.cache import temporary_folder

BUNDLE_FILE = "bundle.json"


class PassProgram(Protocol):
    """A memory image with a list of passes."""

    config: ArrayConfig
    image: np.ndarray
    """uint8: memory from address 0."""
    memory_bytes: int
    descriptors_addr: int
    count: int
    """Passes."""


@takes_text
@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class ArrayRun:
    """Outcome of a list of passes."""

    memory: np.ndarray
    """uint8, after it."""
    written: np.ndarray
    """bool: whether the byte was written."""
    cycles: int
    """In which the array was busy."""
    counters: dict[str, list[int]]
    """Counter's name to its value in each cluster, in PE-cycles."""
    flags: dict[str, bool]
    """Sticky flags: saturated, accumulator_overflow, nonfinite."""
    read_beats: int
    write_beats: int
    error_code: PassError
    """That the array reported."""
    error_pass: int
    """Number of its pass."""
    error: str | None
    """What went wrong at the ports; None if nothing."""
    wall_seconds: float


def run_arrays(
    programs: Sequence[PassProgram],
    *,
    latency: int = READ_LATENCY,
    stalls: Mapping[str, float] | None = None,
    faulty: bool = False,
    timeout_cycles: int = 1_000_000,
    simulator: BuiltArray | None = None,
    reset: bool = True,
    arguments: Sequence[str] = (),
) -> list[ArrayRun]:
    """Run lists of passes one after the other, in one process, up to the first that fails.

    Parameters
    ----------
    programs
        What to run; all of one configuration.
    latency
        Cycles from a read command to its first beat.
    stalls
        Probability of a pause of each of `cosim.simulation.CHANNELS`.
    faulty
        An error that the array reports is an outcome, not a failure.
    timeout_cycles
        Of each list.
    simulator
        By default that of the configuration.
    reset
        Whether there is a reset before each list, not only before the first.
    arguments
        More arguments of the simulator.

    Raises
    ------
    SimulationError
        The simulator ended without an outcome.
    """
    config = programs[0].config
    simulator = build_array(config) if simulator is None else simulator
    settings = {
        "ports": config.ports,
        "beat_bytes": config.mem_bytes,
        "burst_beats": config.burst_beats,
        "counter_count": config.clusters * len(ARRAY_COUNTER_NAMES) + 1,
        "latency": latency,
        "write_latency": WRITE_LATENCY,
        "stalls": dict.fromkeys(CHANNELS, 0.0) | dict(stalls or {}),
        "fill": FILL,
        "faulty": faulty,
        "one_start": True,
        "launches": [
            [index, _launch(program, index, timeout_cycles, reset=reset or index == 0)]
            for index, program in enumerate(programs)
        ],
    }
    with temporary_folder("gscn-run-", None) as directory:
        for index, program in enumerate(programs):
            program.image.tofile(directory / f"{index}.image")
        (directory / BUNDLE_FILE).write_text(json.dumps(settings))
        log = directory / "log"
        process = SimulatorProcess(
            [str(simulator.executable), f"+bundle={directory}", *arguments],
            directory=directory,
            log=log,
        )
        try:
            process.popen.wait()
        finally:
            process.end()
        outcomes = []
        for index, program in enumerate(programs):
            outcomes.append(_outcome(config, program, directory, index))
            if outcomes[-1].error is not None:
                break  # what it has left in the array is unknown
        return outcomes


def _launch(program: PassProgram, seed: int, timeout_cycles: int, *, reset: bool) -> dict:
    """Return what `cosim.inside.testbench` must know of a list."""
    return {
        "phases": [],
        "memory_bytes": program.memory_bytes,
        "seed": seed,
        "timeout_cycles": timeout_cycles,
        "reset": reset,
        "phases_addr": program.descriptors_addr,
        "phase_count": program.count,
        "abort_cycle": 0,
    }


def _outcome(config: ArrayConfig, program: PassProgram, directory: Path, index: int) -> ArrayRun:
    try:
        outcome = json.loads((directory / f"{index}.json").read_text())
    except FileNotFoundError:
        said = (directory / "log").read_text(errors="replace")[-4000:]
        message = f"list {index} must have an outcome; the simulator said:\n{said}"
        raise SimulationError(message) from None
    counters = outcome["counters"]
    per_cluster = len(ARRAY_COUNTER_NAMES)
    return ArrayRun(
        memory=np.fromfile(directory / f"{index}.memory", dtype=np.uint8)[: program.memory_bytes],
        written=np.fromfile(directory / f"{index}.written", dtype=np.uint8).astype(bool),
        cycles=outcome["cycles"],
        counters={
            name: counters[place : config.clusters * per_cluster : per_cluster]
            for place, name in enumerate(ARRAY_COUNTER_NAMES)
        },
        flags=named_flags(outcome["flags"]),
        read_beats=outcome["read_beats"],
        write_beats=outcome["write_beats"],
        error_code=PassError(outcome["error_code"]),
        error_pass=outcome["error_phase"],
        error=outcome["error"] or None,
        wall_seconds=outcome["wall_seconds"],
    )
