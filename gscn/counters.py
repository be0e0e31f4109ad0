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
    Counter("add", "a partial sum from memory is added"),
    Counter("lookup", "no fiber is ready while words are being looked up (empty or short fibers)"),
    Counter("sibling", "nothing queued: the broadcast waits for another PE's full queue"),
    Counter(
        "stream",
        "nothing queued: the next word is still in memory or behind a rebase",
    ),
    Counter("load", "nothing queued: the segment's stationary tile is still being loaded"),
    Counter("drain", "nothing queued: both accumulator banks await draining"),
    Counter("tail", "this PE has finished its part of the job; its results are not all written"),
    Counter("idle", "the cluster has no job"),
)
"""Exclusive causes, in descending order of priority."""

CLUSTER_COUNTER_NAMES = tuple(counter.name for counter in CLUSTER_COUNTERS)
COUNTER_WIDTH = 48
"""Bits of each counter."""
