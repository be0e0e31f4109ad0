"""Depths and latencies that the hardware has and that its cycle model counts: one value for both.

Depths are in entries, latencies in clock cycles. What a configuration decides is in `gscn.config`.
"""

from __future__ import annotations

from gscn import records
from gscn.config import CHUNK_WIDTH

# -- hw.core.sequencer
FETCH = 1
"""From the start of a list, or of the phase before, to the command for a phase's descriptor."""
START = 1
"""From a descriptor's last beat to the phase's start."""

# -- hw.cluster.fetcher, hw.cluster.loader, hw.cluster.filler
SEGMENT_CHUNKS = records.JOB_DESCRIPTOR.width // CHUNK_WIDTH
"""Chunks of a descriptor of a job or segment."""
ENTRY_CHUNKS = records.QUEUE_ENTRY.itemsize * 8 // CHUNK_WIDTH
"""Chunks of a queue entry: a job's descriptor and that of its first segment."""
STREAM_REQUESTS = 2
"""Streams that wait to be requested, in a cluster."""
LOAD_STEPS = 4
"""Steps of a cluster's load channel that wait: descriptors, load blocks."""
SEGMENTS_UNDER_WAY = 8
"""Segments whose tiles are loaded and that the PEs have not ended, in a cluster."""

# -- hw.cluster.broadcast, hw.cluster.drain
ANNOUNCED_SEGMENTS = 4
"""Segments announced to a broadcaster."""
ANNOUNCED_DRAINS = 4
"""Jobs announced to a drain."""
ACCUMULATOR_BANKS = 2
"""Of a PE: one fills while the other drains."""

# -- hw.pe
FIFO = 1
"""Of a queue: from a word's arrival to its offer."""
LOOKUP = 1
"""From a word to its fiber."""
WALKER = 2
"""From an entry's issue to its product, integers alone."""
FLOAT_PRODUCT = 3
"""Of the multiplier in a core with float formats, in place of 1 cycle of the walker."""
ACCUMULATOR = 2
"""From an addend to its stored sum."""
ROUNDER = 2
"""Of the rounding of integers."""
FLOAT_ROUNDER = 2 + ROUNDER
"""Of the rounding in a core with float formats."""
ACCUMULATOR_READ = 1
"""From an accumulator's address to its value."""

# -- hw.port.reader
REQUESTS = 4
"""Requests of a read channel whose chunks have not all been taken."""


def sum_cycles(*, floats: bool) -> int:
    """Return the cycles from an entry's issue to its stored sum."""
    return (WALKER - 1 + FLOAT_PRODUCT if floats else WALKER) + ACCUMULATOR


def drain_cycles(*, floats: bool) -> int:
    """Return the cycles from an accumulator's address to its rounded result."""
    return ACCUMULATOR_READ + (FLOAT_ROUNDER if floats else ROUNDER)
