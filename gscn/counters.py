"""Performance counters: one list for RTL, cycle model and reports.

Of a cluster's counters those of `CLUSTER_COUNTERS` count PE-cycles: in each clock cycle exactly one
of them advances for each PE, so their sum over a cluster is cycles x PEs. Those of
`CLUSTER_EVENTS`, which follow them, count what is done, of which energy is made.
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

CLUSTER_EVENTS = (
    Counter("words", "a word is given to a PE"),
    Counter("lookups", "ranges of keys that a word which is given to a PE asks for"),
    Counter("entries", "an entry is written into the memories of all PEs"),
    Counter("keys", "the start of a key is written into the directories of all PEs"),
    Counter("rows", "a row of accumulators of every PE is read and cleared"),
)
"""A product, the cause `busy`, reads an entry, and reads and writes an accumulator."""

CLUSTER_COUNTER_NAMES = tuple(counter.name for counter in CLUSTER_COUNTERS)
CLUSTER_EVENT_NAMES = tuple(counter.name for counter in CLUSTER_EVENTS)
COUNTERS_PER_CLUSTER = len(CLUSTER_COUNTERS) + len(CLUSTER_EVENTS)
COUNTER_WIDTH = 48
"""Bits of each counter."""
