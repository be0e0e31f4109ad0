"""Run lists of both kinds of passes on the simulated machine, stops of their host included."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Pipe
from pathlib import Path
from typing import Protocol

import numpy as np

from gscn.array import ArrayConfig
from gscn.control import Queue
from gscn.cosim.builds.simulator import BuiltSimulator, build
from gscn.cosim.conditions import DEFAULT_CONDITIONS, Conditions
from gscn.cosim.errors import SimulationError, SimulationTimeout
from gscn.cosim.process import SimulatorProcess
from gscn.cosim.simulation import launch_settings, named_counters, named_flags
from gscn.encode import EncodeError
from gscn.enums import takes_text
from gscn.errors import InputError
from gscn.passes import DESCRIPTOR_BYTES
from gscn.system.cache import temporary_folder

TIMEOUT_CYCLES = 1 << 31
"""Limit of a list's cycles, unless conditions give another."""


class ListHost(Protocol):
    """The host of lists; it runs in the simulator's process, and comes back with the result."""

    def begin(self, number: int) -> None:
        """Prepare for a list; they are counted from 0."""

    def __call__(self, number: int, memory: np.ndarray) -> int | None:
        """Do what a stop asks for, in memory; return the record to start anew from, if any."""


@takes_text
@dataclass(frozen=True, kw_only=True, slots=True)
class ListRun:
    """What became of a list."""

    cycles: int
    """In which the machine was busy."""
    counters: dict[str, list[int]]
    """Of the array: counter's name to its value in each cluster, in PE-cycles."""
    flags: dict[str, bool]
    """Sticky flags of the array: saturated, accumulator_overflow, nonfinite."""
    read_beats: int
    """Beats read, all ports together; `write_beats` likewise."""
    write_beats: int
    stops: int
    """Answered by the host."""
    error: EncodeError
    error_addr: int
    """Byte address of the record that failed, if one did."""
    simulated_cycles: int
    wall_seconds: float
    """Time that the simulation took, the host included."""


@takes_text
@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class ListsRun:
    """What became of lists on one memory."""

    runs: list[ListRun]
    """In their order; the last one may have failed, then the others were not run."""
    memory: np.ndarray
    """uint8, at the end."""
    written: np.ndarray
    """bool, which bytes the machine wrote."""
    host: ListHost
    """As it came back."""


def run_lists(
    config: ArrayConfig,
    image: np.ndarray,
    lists: Sequence[tuple[int, int]],
    host: ListHost,
    conditions: Conditions = DEFAULT_CONDITIONS,
    *,
    together: bool = False,
    simulator: BuiltSimulator | None = None,
    names: Mapping[int, str] | None = None,
) -> ListsRun:
    """Run lists one after the other on one memory, as a program that trains does.

    Parameters
    ----------
    config
        The array of the machine.
    image
        uint8: all of memory.
    lists
        First byte of each, and one past its last.
    host
        What is done at stops.
    conditions
        Memory's latency, pauses, limits.
    together
        Whether there are two queues.
    simulator
        One that `build` made with `lists=True`; by default one is built.
    names
        What the records at byte addresses are called in errors; others are named by address.

    Raises
    ------
    SimulationTimeout
        A list did not end in time.
    SimulationError
        The machine broke the contract of its memory port, or the simulator ended; the message names
        the list and what each queue was at.
    """
    if conditions.axi:
        raise InputError("conditions must have axi=False to run lists, not axi=True")
    if simulator is None:
        simulator = build(config, lists=True)
    settings = launch_settings(
        config, latency=conditions.latency, stalls=conditions.stalls, faulty=conditions.faulty
    )
    request = {
        "settings": settings,
        "host": host,
        "image": np.ascontiguousarray(image, dtype=np.uint8),
        "memory_bytes": image.size,
        "lists": [
            {
                "list_addr": addr,
                "list_count": (end - addr) // DESCRIPTOR_BYTES,
                "together": together,
                "abort_cycle": 0,
                "seed": (conditions.seed * 0x10001 + number) % (1 << 63),
                "timeout_cycles": conditions.timeout_cycles or TIMEOUT_CYCLES,
            }
            for number, (addr, end) in enumerate(lists)
        ],
    }
    return _run(config, simulator, request, names or {})


def _run(
    config: ArrayConfig, simulator: BuiltSimulator, request: dict, names: Mapping[int, str]
) -> ListsRun:
    runs: list[ListRun] = []
    with contextlib.ExitStack() as stack:
        place = Path(stack.enter_context(temporary_folder("gscn-run-")))
        progress = np.memmap(place / "progress", dtype=np.uint64, mode="w+", shape=len(Queue))
        request["progress"] = place / "progress"
        connection, theirs = Pipe()
        stack.callback(connection.close)
        with theirs:
            process = SimulatorProcess(
                [str(simulator.executable), f"+requests={theirs.fileno()}"],
                directory=place,
                log=place / "log",
                testbench="gscn.cosim.inside.list_testbench",
                descriptors=[theirs.fileno()],
            )
        stack.callback(process.end)
        try:
            connection.send(request)
            while len(runs) < len(request["lists"]) and not (runs and runs[-1].error):
                runs.append(_list_run(config, connection.recv(), len(runs)))
            memory, written, host = connection.recv()
        except (EOFError, OSError) as error:
            process.popen.wait()
            log = (place / "log").read_text(errors="replace")[-4000:]
            raise SimulationError(
                f"simulator {simulator.executable} ended during list {len(runs)}, "
                f"{_at(progress, names)}:\n{log}"
            ) from error
    return ListsRun(runs=runs, memory=memory, written=written.astype(bool), host=host)


def _at(progress: np.ndarray, names: Mapping[int, str]) -> str:
    """Say which record each queue is at."""
    return ", ".join(
        f"the {queue.name.lower()} queue at {names.get(int(addr), f'record {int(addr):#x}')}"
        for queue, addr in zip(Queue, progress, strict=True)
    )


def _list_run(config: ArrayConfig, outcome: dict, number: int) -> ListRun:
    if outcome["error"]:
        kind = SimulationTimeout if outcome["status"] == "timeout" else SimulationError
        raise kind(f"list {number} (configuration {config.digest()}): {outcome['error']}")
    return ListRun(
        cycles=outcome["cycles"],
        counters=named_counters(config, outcome["counters"]),
        flags=named_flags(outcome["flags"]),
        read_beats=outcome["read_beats"],
        write_beats=outcome["write_beats"],
        stops=outcome["stops"],
        error=EncodeError(outcome["error_code"]),
        error_addr=outcome["error_pass"],
        simulated_cycles=outcome["simulated_cycles"],
        wall_seconds=outcome["wall_seconds"],
    )
