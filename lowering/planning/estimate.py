"""Cost of a tiling, from the work of its jobs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gscn.config import BANKS, AcceleratorConfig
from gscn.lowering.balance import JOB_LATENCY, compute_cycles, pack, schedule_jobs
from gscn.lowering.maps import KernelStationary, MapStationary
from gscn.lowering.options import LoweringOptions
from gscn.lowering.waves import WaveTiling
from gscn.lowering.weight_grad import KernelTiling
from gscn.streams import ITEM_BYTES

_PARTS = (1, 2, 4, 8, 16, 32, 64)
_SEGMENT_LATENCIES = 2.5
"""Latencies of the memory between two load blocks: descriptor, block, and part of another."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A tiling and its estimated cycles."""

    cycles: tuple[float, float]
    """If clusters with the same tiles load them at once as often as measured, and if never."""
    tiling: KernelStationary | MapStationary | KernelTiling | WaveTiling
    text: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Work:
    """Jobs of a tiling in the order of their queue; float64 vectors unless noted."""

    products: np.ndarray
    """Products of the busiest PE."""
    lookups: np.ndarray
    words: np.ndarray
    load: np.ndarray
    """Chunks of the load blocks."""
    tile: np.ndarray
    """int64: jobs with equal numbers hold the same."""
    segments: float
    """Load blocks of a job, about."""
    walk: np.ndarray
    """Accumulators drained."""
    out_bytes: float
    """Results of all jobs, once rounded."""
    parts: int
    """Jobs among which each sum is divided."""


def _either(one: np.ndarray | float, other: np.ndarray | float) -> np.ndarray:
    """Combine cycles of two things side by side: where both are long, each waits for the other.

    A power mean, whose exponent was chosen by eye.
    """
    return (np.asarray(one) ** 6 + np.asarray(other) ** 6) ** (1 / 6)


def estimate(work: Work, config: AcceleratorConfig) -> tuple[float, float]:
    """Estimate cycles: the clusters' schedule and the traffic of the memory port together.

    A contraction in several parts is drained raw and added up by a second phase. A job whose tile
    its cluster holds already loads nothing, if the tile's load blocks fit the banks.
    """
    compute = compute_cycles(work.products, work.lookups)
    loading = work.load + _SEGMENT_LATENCIES * JOB_LATENCY * work.segments
    cycles, loaded = schedule_jobs(
        compute,
        _either(compute, loading),
        work.load,
        work.tile,
        work.segments <= BANKS,
        3 * JOB_LATENCY + np.minimum(work.load, 150.0),
        work.walk,
        config.clusters,
    )
    records = work.walk.sum() * config.pes_per_cluster
    written = work.out_bytes if work.parts == 1 else 8.0 * records
    adding = 0.0
    if work.parts > 1:
        adding = max(records / config.clusters, records * 8.0 / config.port_bytes_per_cycle) + 200.0
    sharers = float(np.bincount(work.tile).mean()) if work.tile.size else 1.0

    def total(sharing: float) -> float:
        reading = 8.0 * loaded / sharing + ITEM_BYTES * work.words.sum()
        traffic = max(reading, written) / config.port_bytes_per_cycle
        return float(_either(cycles, traffic)) + adding

    # Loads of 16 sharers took a third, of 32 a fourth of what they take apart (3x3, 56x56).
    return total(max(1.0, min(sharers, config.clusters) ** 0.5)), total(1.0)


def sizes(count: int, most: int | None = None) -> list[int]:
    """Sizes to try, descending: `count` in 1, 2, 3, 4, 6, 8, 12, ... equal shares, up to `most`."""
    found = set()
    for exponent in range(count.bit_length() + 1):
        found |= {-(-count // (1 << exponent)), -(-count // (3 << exponent))}
    return sorted((size for size in found if most is None or size <= most), reverse=True)


def channel_parts(work: np.ndarray, parts: int, balance: bool) -> list[np.ndarray]:
    """Deal channels to the parts of a contraction, by their products."""
    parts = min(parts, work.size)
    bins = pack(work, parts, -(-work.size // parts), balance=balance)
    return [members for members in bins if members.size]


def wanted_parts(options: LoweringOptions, jobs: int, most: int, clusters: int) -> list[int]:
    """Numbers of parts worth costing: only where the outputs alone do not fill the clusters."""
    if options.contraction_parts is not None:
        return [min(options.contraction_parts, most)]
    return [p for p in _PARTS if p == 1 or (p <= most and jobs * p <= 4 * clusters)]
