"""Timelines of runs in the Chrome trace format, which Perfetto (ui.perfetto.dev) opens.

Implements: "Trace Event Format" of the Chromium project, complete events (`ph` "X") and names
(`ph` "M"). Processes are clusters, threads their PEs; a microsecond of the trace is a cycle.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from cosim.device_jobs import PassRun
from gscn.config import AcceleratorConfig
from gscn.errors import InputError

PASSES_PROCESS = 0
"""Process that has the passes themselves; cluster c is process c + 1."""


def trace_events(config: AcceleratorConfig, runs: Sequence[PassRun]) -> Iterator[dict]:
    """Yield the events of runs, one after the other as one accelerator would take them.

    Parameters
    ----------
    config
        The accelerator.
    runs
        With `spans` and `job_products`.

    Raises
    ------
    InputError
        A run has no spans, or there is none.
    """
    if not runs:
        raise InputError("runs must be at least 1 for a timeline, not none")
    yield _name("process_name", PASSES_PROCESS, 0, "passes")
    for cluster in range(config.clusters):
        yield _name("process_name", cluster + 1, 0, f"cluster {cluster}")
        for pe in range(config.pes_per_cluster):
            yield _name("thread_name", cluster + 1, pe, f"PE {pe}")
    start = 0
    for run in runs:
        if run.spans is None or run.job_products is None:
            raise InputError(f"run of {run.label} must have spans for a timeline")
        yield _span(
            run.label, PASSES_PROCESS, 0, start, run.cycles,
            {
                "cycles": run.cycles,
                "useful_products": run.useful_products,
                "utilization": run.useful_products / max(run.cycles * config.multipliers, 1),
                "pe_cycles": {name: sum(values) for name, values in run.counters.items()},
            },
        )  # fmt: skip
        for job, (cluster, first, last) in enumerate(run.spans.tolist()):
            for pe, products in enumerate(run.job_products[job].tolist()):
                length = last - first + 1
                about = {"products": products, "busy": products / length, "pass": run.label}
                yield _span(f"job {job}", cluster + 1, pe, start + first, length, about)
        start += run.cycles


def _name(kind: str, process: int, thread: int, name: str) -> dict:
    return {"ph": "M", "name": kind, "pid": process, "tid": thread, "args": {"name": name}}


def _span(name: str, process: int, thread: int, start: int, length: int, about: dict) -> dict:
    return {
        "ph": "X", "name": name, "pid": process, "tid": thread, "ts": start, "dur": length,
        "args": about,
    }  # fmt: skip


def write_chrome_trace(path: Path, config: AcceleratorConfig, runs: Sequence[PassRun]) -> None:
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
    about = {"configuration": config.digest(), "unit": "1 us is 1 clock cycle"}
    content = {"traceEvents": list(trace_events(config, runs)), "otherData": about}
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=".trace-") as place:
            whole = Path(place) / path.name
            whole.write_text(json.dumps(content))
            whole.replace(path)
    except OSError as error:
        raise InputError(f"timeline {path} cannot be written: {error}") from error
