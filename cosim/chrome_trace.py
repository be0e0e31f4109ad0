"""Timelines of runs in the Chrome trace format, which Perfetto (ui.perfetto.dev) opens.

Implements: "Trace Event Format" of the Chromium project, complete events (`ph` "X"), counters
(`ph` "C") and names (`ph` "M"). Processes are clusters. Each PE has two threads, for its jobs and
for how it spends its cycles. A microsecond of the trace is a cycle.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from gscn.config import AcceleratorConfig
from gscn.cosim.devices.jobs import PassRun
from gscn.counters import CLUSTER_COUNTER_NAMES
from gscn.errors import InputError, OutputError
from gscn.system.files import write_text

PASSES_PROCESS = 0
"""Process that has the passes themselves; cluster c is process c + 1."""


def trace_events(config: AcceleratorConfig, runs: Sequence[PassRun]) -> Iterator[dict]:
    """Yield the events of runs, one after the other as one accelerator would take them.

    Parameters
    ----------
    config
        The accelerator.
    runs
        With `spans`, `job_products` and `history`.

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
            yield _name("thread_name", cluster + 1, 2 * pe, f"PE {pe}, jobs")
            yield _name("thread_name", cluster + 1, 2 * pe + 1, f"PE {pe}, cycles")
    start = 0
    for run in runs:
        if run.spans is None or run.job_products is None or run.history is None:
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
                yield _span(f"job {job}", cluster + 1, 2 * pe, start + first, length, about)
        yield from _cycle_events(run, run.history, start)
        start += run.cycles
    for process in range(config.clusters + 1):
        yield _counter("busy PEs, %", process, start, {"busy": 0.0})


def _cycle_events(run: PassRun, history: np.ndarray, start: int) -> Iterator[dict]:
    """Yield how PEs spend their cycles: spans by what most of a window goes into, and counters."""
    windows, clusters, pes, _ = history.shape
    edges = np.minimum(np.arange(windows + 1) * run.window, run.cycles)
    lengths = np.diff(edges)
    busy = history[..., CLUSTER_COUNTER_NAMES.index("busy")].sum(axis=2)
    shares = 100 * busy / (lengths[:, None] * pes)
    stalls = 100 * history.sum(axis=(1, 2)) / (lengths[:, None] * clusters * pes)
    for window, edge in enumerate(edges[:-1].tolist()):
        yield _counter("busy PEs, %", PASSES_PROCESS, start + edge, {"busy": shares[window].mean()})
        causes = zip(CLUSTER_COUNTER_NAMES, stalls[window].tolist(), strict=True)
        about = {name: share for name, share in causes if name != "busy"}
        yield _counter("stalled PEs, %", PASSES_PROCESS, start + edge, about)
        # A counter holds until it changes.
        changed = shares[window] != shares[window - 1] if window else np.ones(clusters, np.bool_)
        for cluster in np.flatnonzero(changed).tolist():
            share = shares[window, cluster]
            yield _counter("busy PEs, %", cluster + 1, start + edge, {"busy": share})
    most = history.argmax(axis=-1)
    for cluster, pe in np.ndindex(clusters, pes):
        # Windows one after the other that go into the same make one span.
        changes = np.flatnonzero(np.diff(most[:, cluster, pe])) + 1
        bounds = [0, *changes.tolist(), windows]
        for low, high in itertools.pairwise(bounds):
            counts = history[low:high, cluster, pe].sum(axis=0).tolist()
            causes = zip(CLUSTER_COUNTER_NAMES, counts, strict=True)
            yield _span(
                CLUSTER_COUNTER_NAMES[most[low, cluster, pe]], cluster + 1, 2 * pe + 1,
                start + int(edges[low]), int(edges[high] - edges[low]),
                {"cycles": {name: count for name, count in causes if count}},
            )  # fmt: skip


def _name(kind: str, process: int, thread: int, name: str) -> dict:
    return {"ph": "M", "name": kind, "pid": process, "tid": thread, "args": {"name": name}}


def _span(name: str, process: int, thread: int, start: int, length: int, about: dict) -> dict:
    return {
        "ph": "X", "name": name, "pid": process, "tid": thread, "ts": start, "dur": length,
        "args": about,
    }  # fmt: skip


def _counter(name: str, process: int, start: int, values: Mapping[str, float]) -> dict:
    rounded = {series: round(float(value), 1) for series, value in values.items()}
    return {"ph": "C", "name": name, "pid": process, "tid": 0, "ts": start, "args": rounded}


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
        write_text(path, json.dumps(content))
    except OutputError as error:
        raise OutputError(f"timeline {error}") from error
