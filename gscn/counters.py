"""Performance counters: one list for RTL, cycle model and reports.

Every counter of a cluster counts PE-cycles: in each clock cycle exactly one of them advances for
each PE, so their sum over a cluster is cycles x PEs.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Counter:
    """One performance counter."""

    name: str
    meaning: str


CLUSTER_COUNTERS = (
    Counter("busy", "the multiplier takes a product"),
    Counter("lookup", "no entry is ready while words are being looked up, or sums stored"),
    Counter("drain", "nothing queued: both accumulator banks await draining"),
    Counter("load", "nothing queued: stationary chunks that the next word needs are not there"),
    Counter("stream", "nothing queued: the next word is still in memory"),
    Counter("expand", "nothing queued: this PE gets no word in this cycle"),
    Counter("tail", "the words of all jobs are through; their results are not all written"),
    Counter("idle", "the cluster has no job"),
)
"""Exclusive causes, in descending order of priority."""

CLUSTER_COUNTER_NAMES = tuple(counter.name for counter in CLUSTER_COUNTERS)
COUNTER_WIDTH = 48
"""Bits of each counter."""
