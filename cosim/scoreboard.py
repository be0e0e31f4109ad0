"""Strict comparison of a launch's result with its oracle, and of its counters with the model."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from gscn.array import ArrayConfig
from gscn.cosim.simulation import Program
from gscn.counters import CLUSTER_COUNTER_NAMES, CLUSTER_EVENT_NAMES
from gscn.cycles.passes import PassCycles, simulate_passes
from gscn.errors import InputError
from gscn.port import READ_LATENCY, WRITE_LATENCY

MISMATCHES_LISTED = 8
"""Mismatches that a comparison describes in words."""


class Counted(Protocol):
    """What a launch counted: a `cosim.simulation.RunResult` or a `cosim.devices.jobs.PassRun`."""

    cycles: int
    counters: Mapping[str, Sequence[int]]
    events: Mapping[str, Sequence[int]]
    read_beats: int
    write_beats: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Comparison:
    """Outcome of a comparison."""

    outputs: int
    """Words compared."""
    mismatches: int
    """Words that differ from the oracle."""
    stray_bytes: int
    """Bytes written outside the ranges that may be written."""
    details: tuple[str, ...]
    """The first mismatches with their coordinates, the first stray byte, and the first counters
    that differ."""
    wrong_counters: int = 0
    """Counters that differ from the cycle model; 0 as well if they were not compared."""

    @property
    def good(self) -> bool:
        """Whether every word and counter is right and nothing else was written."""
        return self.mismatches == self.stray_bytes == self.wrong_counters == 0

    def with_counters(self, differences: Sequence[str]) -> Comparison:
        """Return the comparison with what `counter_differences` found besides."""
        return dataclasses.replace(
            self,
            details=(*self.details, *differences[:MISMATCHES_LISTED]),
            wrong_counters=len(differences),
        )


def compare_arrays(result: np.ndarray, expected: np.ndarray) -> Comparison:
    """Compare two arrays word for word.

    Parameters
    ----------
    result, expected
        Arrays of equal shape and dtype.

    Raises
    ------
    InputError
        Shape or dtype differ, or there is nothing to compare.
    """
    if result.shape != expected.shape or result.dtype != expected.dtype:
        raise InputError(
            f"result must be {expected.dtype} of shape {expected.shape}, "
            f"not {result.dtype} of shape {result.shape}"
        )
    if expected.size == 0:
        raise InputError("result must have at least one word to compare")
    places = np.argwhere(result != expected)
    details = tuple(
        f"at {tuple(map(int, place))}: {result[tuple(place)]}, expected {expected[tuple(place)]}"
        for place in places[:MISMATCHES_LISTED]
    )
    return Comparison(
        outputs=int(expected.size), mismatches=len(places), stray_bytes=0, details=details
    )


def stray_bytes(written: np.ndarray, output_ranges: Sequence[tuple[int, int]]) -> np.ndarray:
    """Return the addresses of bytes that were written and are no outputs.

    Parameters
    ----------
    written, output_ranges
        As of `compare`.
    """
    stray = written.astype(bool)  # a copy
    for first, end in output_ranges:
        stray[first:end] = False
    return np.flatnonzero(stray)


def compare(
    result: np.ndarray,
    expected: np.ndarray,
    *,
    written: np.ndarray,
    output_ranges: Sequence[tuple[int, int]],
) -> Comparison:
    """Compare a result with its oracle and the bytes written with those that may be.

    Parameters
    ----------
    result, expected
        Arrays of equal shape and dtype.
    written
        bool [memory_bytes]: whether each byte of memory was written.
    output_ranges
        (first, one past the last) byte addresses that may be written.

    Raises
    ------
    InputError
        Shape or dtype differ, or there is nothing to compare.
    """
    words = compare_arrays(result, expected)
    strays = stray_bytes(written, output_ranges)
    details = words.details
    if strays.size:
        details += (f"byte {int(strays[0]):#x} was written, which is no output",)
    return Comparison(
        outputs=words.outputs,
        mismatches=words.mismatches,
        stray_bytes=int(strays.size),
        details=details,
    )


def model_cycles(
    program: Program, *, latency: int = READ_LATENCY, write_latency: int = WRITE_LATENCY
) -> PassCycles:
    """Return what the cycle model says of a launch after a reset.

    Parameters
    ----------
    program
        The launch.
    latency, write_latency
        As of `cycles.passes.simulate_passes`.
    """
    return simulate_passes(
        program.config, program.image, program.descriptors_addr, program.descriptor_count,
        program.memory_bytes, latency=latency, write_latency=write_latency,
    )  # fmt: skip


def counter_differences(run: Counted, model: PassCycles) -> list[str]:
    """Return, in words, every counter of every cluster and of the core that is not the model's.

    Parameters
    ----------
    run
        What the RTL counted.
    model
        What the cycle model says of the same program on the same memory.
    """
    pairs = {
        f"counter {name} of cluster {cluster}": (value, int(counted[cluster, index]))
        for names, seen, counted in (
            (CLUSTER_COUNTER_NAMES, run.counters, model.counters),
            (CLUSTER_EVENT_NAMES, run.events, model.events),
        )
        for index, name in enumerate(names)
        for cluster, value in enumerate(seen[name])
    }
    pairs["cycles of the core"] = run.cycles, model.cycles
    pairs["beats read"] = run.read_beats, model.read_beats
    pairs["beats written"] = run.write_beats, model.write_beats
    return _differing(pairs)


def stalled_counter_differences(run: Counted, model: PassCycles, config: ArrayConfig) -> list[str]:
    """Return, in words, what no memory that pauses at random explains; the model has none.

    Such a memory changes neither what is done in all, nor that each PE counts every cycle once.

    Parameters
    ----------
    run
        What the RTL counted.
    model
        What the cycle model says of the same program on a memory that never pauses.
    config
        The accelerator.
    """
    pairs = _sums(run, config)
    # what is done, however long it waits in between
    pairs["counter busy of all clusters"] = sum(run.counters["busy"]), model.by_cause()["busy"]
    pairs["beats written"] = run.write_beats, model.write_beats
    return _differing(pairs)


def counter_sum_differences(run: Counted, config: ArrayConfig) -> list[str]:
    """Return, in words, clusters whose counters do not count every cycle of each PE once.

    It needs no model, and is what a launch of which no counter is compared must still hold.
    """
    return _differing(_sums(run, config), "cycles of its PEs")


def _sums(run: Counted, config: ArrayConfig) -> dict[str, tuple[int, int]]:
    sums = np.sum([run.counters[name] for name in CLUSTER_COUNTER_NAMES], axis=0)
    return {
        f"sum of the counters of cluster {cluster}": (int(n), run.cycles * config.pes)
        for cluster, n in enumerate(sums)
    }


def _differing(pairs: Mapping[str, tuple[int, int]], by: str = "in the cycle model") -> list[str]:
    return [
        f"{what}: {value} in RTL, {right} {by}"
        for what, (value, right) in pairs.items()
        if value != right
    ]
