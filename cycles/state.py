"""State of the cycle model: structured arrays, one record per instance of a component of hw/."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


def record(*names: str, **queues: int) -> np.dtype:
    """Return a record of 64-bit integers.

    Parameters
    ----------
    names
        Of registers.
    queues
        Of short queues and of registers that there are several of, with their lengths.
    """
    fields = [(name, np.int64) for name in names]
    return np.dtype([*fields, *((name, np.int64, (size,)) for name, size in queues.items())])


class Sizes(NamedTuple):
    """What a configuration and a memory decide, in entries, beats, chunks and cycles."""

    clusters: int
    burst: int
    chunks_per_beat: int
    prefetch_words: int
    narrow_results: int
    """Sets of 16-bit results, one of each PE, in a beat."""
    latency: int
    write_latency: int
    sum_cycles: int
    drain_cycles: int
    descriptor_bursts: int
    """In which the descriptor of a phase in a list is read; 0 if each phase has a start."""
    descriptor_beats: int
    limit: int
    """Cycles that a phase may take."""


WRITTEN_BURSTS = 4096
"""Bursts that can wait for their acknowledgement."""


class Control(NamedTuple):
    """What the core has once."""

    cores: np.ndarray
    """`cycles.core.accelerator.CORE` (1,)."""
    sequencers: np.ndarray
    """`cycles.core.sequencer.SEQUENCER` (ports,): the first is at work, the others never ask."""
    dispatchers: np.ndarray
    """`cycles.core.dispatcher.DISPATCHER` (1,)."""
    rounds: np.ndarray
    """int64 (clusters,): jobs of the phase that each has taken."""
    acknowledged: np.ndarray
    """int64 (`WRITTEN_BURSTS`,): cycle in which the end of a burst is reported, a ring."""


class Ports(NamedTuple):
    """Memory ports, with the channels and clusters that each serves."""

    arbiters: np.ndarray
    """`cycles.port.arbiter.ARBITER` (ports,)."""
    bursts: np.ndarray
    """`cycles.port.arbiter.BURST` (ports, outstanding): bursts under way, a ring."""
    owners: np.ndarray
    """bool (ports, outstanding, channels): for whom each is."""
    offers: np.ndarray
    """int64 (channels,): beats of the burst that a read channel offers in this cycle, or 0."""
    urgent: np.ndarray
    """int64 (channels,): the same, of bursts that wait for nobody."""
    written: np.ndarray
    """int64 (clusters,): beats of the burst that a write channel offers in this cycle, or 0."""


class Machine(NamedTuple):
    """The clusters. Read channel 2c of cluster c loads, channel 2c + 1 streams."""

    readers: np.ndarray
    """`cycles.port.reader.READER` (2 clusters,)."""
    writers: np.ndarray
    """`cycles.port.writer.WRITER` (clusters,)."""
    fetchers: np.ndarray
    """`cycles.cluster.fetcher.FETCHER` (clusters,)."""
    fillers: np.ndarray
    """`cycles.cluster.filler.FILLER` (clusters,)."""
    feeds: np.ndarray
    """`cycles.cluster.broadcast.FEED` (clusters,)."""
    drains: np.ndarray
    """`cycles.cluster.drain.DRAIN` (clusters,)."""
    pes: np.ndarray
    """`cycles.pe.pe.PE` (clusters, PEs)."""
    words: np.ndarray
    """`cycles.pe.pe.WORD` (clusters, PEs, depth): words broadcast to a PE, a ring."""
    fibers: np.ndarray
    """`cycles.pe.pe.FIBER` (clusters, PEs, depth): fibers found, a ring."""


class Account(NamedTuple):
    """What is counted."""

    counters: np.ndarray
    """int64 (clusters, causes): PE-cycles."""
    causes: np.ndarray
    """int64 (PEs,): of the PEs of one cluster in this cycle."""
    spans: np.ndarray
    """int64 (jobs, 3): cluster, cycle in which it was given, cycle of its last result."""
    phase_cycles: np.ndarray
    """int64 (phases,)."""
    history: np.ndarray
    """int32 (windows, clusters, PEs, causes)."""
