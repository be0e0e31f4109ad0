"""Timelines of runs in the Chrome trace format, which Perfetto (ui.perfetto.dev) opens.

Implements: "Trace Event Format" of the Chromium project, complete events (`ph` "X"), counters
(`ph` "C") and names (`ph` "M"). Processes are clusters, whose spans are passes: what the hardware
counts, it counts for each. Of a whole training step, processes are the units, whose spans are what
their queues took. A microsecond of the trace is a cycle.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from gscn.array import ArrayConfig
from gscn.control import Queue
from gscn.cosim.devices.jobs import PassRun
from gscn.cosim.lists import Taken
from gscn.errors import InputError, OutputError
from gscn.system.files import write_text

PASSES_PROCESS = 0
"""Process that has the passes themselves; cluster c is process c + 1."""
UNITS = {Queue.ENCODE: "encode unit", Queue.ARRAY: "array"}
"""Processes of a training step's timeline."""


def trace_events(config: ArrayConfig, runs: Sequence[PassRun]) -> Iterator[dict]:
    """Yield the events of runs, one after the other as one accelerator would take them.

    Parameters
    ----------
    config
        The accelerator.
    runs
        What it ran, at least one.

    Raises
    ------
    InputError
        There is no run.
    """
    if not runs:
        raise InputError("runs must be at least 1 for a timeline, not none")
    yield _name(PASSES_PROCESS, "passes")
    for cluster in range(config.clusters):
        yield _name(cluster + 1, f"cluster {cluster}")
    start = 0
    for run in runs:
        slots = max(run.cycles, 1) * config.pes
        totals = {name: sum(values) for name, values in run.counters.items()}
        about = {
            "cycles": run.cycles,
            "useful_products": run.useful_products,
            "utilization": run.useful_products / (slots * config.clusters),
            "pe_cycles": totals,
        }
        yield _span(run.label, PASSES_PROCESS, start, run.cycles, about)
        shares = {name: total / (slots * config.clusters) for name, total in totals.items()}
        yield _counter("busy PEs, %", PASSES_PROCESS, start, {"busy": shares.pop("busy")})
        yield _counter("stalled PEs, %", PASSES_PROCESS, start, shares)
        for cluster in range(config.clusters):
            own = {name: values[cluster] for name, values in run.counters.items()}
            yield _span(run.label, cluster + 1, start, run.cycles, {"pe_cycles": own})
            yield _counter("busy PEs, %", cluster + 1, start, {"busy": own["busy"] / slots})
        start += run.cycles
    for process in range(config.clusters + 1):
        yield _counter("busy PEs, %", process, start, {"busy": 0.0})


def _name(process: int, name: str) -> dict:
    return {"ph": "M", "name": "process_name", "pid": process, "tid": 0, "args": {"name": name}}


def _span(name: str, process: int, start: int, length: int, about: dict) -> dict:
    return {
        "ph": "X", "name": name, "pid": process, "tid": 0, "ts": start, "dur": length,
        "args": about,
    }  # fmt: skip


def _counter(name: str, process: int, start: int, shares: Mapping[str, float]) -> dict:
    """Return the values of counters, given as shares, from a time on."""
    rounded = {series: round(100 * share, 1) for series, share in shares.items()}
    return {"ph": "C", "name": name, "pid": process, "tid": 0, "ts": start, "args": rounded}


def write_chrome_trace(path: Path, config: ArrayConfig, runs: Sequence[PassRun]) -> None:
    """Write a timeline, whole or not at all.

    Parameters
    ----------
    path
        JSON file.
    config, runs
        As of `trace_events`.

    Raises
    ------
    InputError
        As `trace_events`, or the file cannot be written.
    """
    _write(path, config, trace_events(config, runs))


def _write(path: Path, config: ArrayConfig, events: Iterator[dict]) -> None:
    about = {"configuration": config.digest(), "unit": "1 us is 1 clock cycle"}
    content = {"traceEvents": list(events), "otherData": about}
    try:
        write_text(path, json.dumps(content))
    except OutputError as error:
        raise OutputError(f"timeline {error}") from error


def step_trace_events(taken: Sequence[Taken], names: Mapping[int, str]) -> Iterator[dict]:
    """Yield the events of a training step: a process for each unit, with what its queue took.

    Parameters
    ----------
    taken
        Records that the queues took, at least one.
    names
        What the records at byte addresses are called; those without a name only wait.

    Raises
    ------
    InputError
        There is no record.
    """
    if not taken:
        raise InputError("taken must be at least 1 record for a timeline, not none")
    for process, name in UNITS.items():
        yield _name(process, name)
    for one in taken:
        name = names.get(one.addr, "waits")
        about = {"address": one.addr, "cycles": one.end - one.begin}
        yield _span(name, one.queue, one.begin, one.end - one.begin, about)


def write_step_trace(
    path: Path, config: ArrayConfig, taken: Sequence[Taken], names: Mapping[int, str]
) -> None:
    """Write a timeline of a training step, whole or not at all.

    Parameters
    ----------
    path
        JSON file.
    config
        The array.
    taken, names
        As of `step_trace_events`.

    Raises
    ------
    InputError
        As `step_trace_events`, or the file cannot be written.
    """
    _write(path, config, step_trace_events(taken, names))
