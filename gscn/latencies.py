"""Depths and latencies of the hardware that the cycle model shares with it.

The components of `hw` name them as constants of their own (`Walker.LATENCY`), from here; a test of
each component measures its latency.
"""

from __future__ import annotations

from gscn import records
from gscn.config import CHUNK_WIDTH

# -- cycles
WALKER_LATENCY = 2
"""`hw.pe.walker.Walker.LATENCY`: from an entry that is issued to its addend."""
FLOAT_PRODUCT_LATENCY = 3
"""`hw.pe.float_product.FloatProduct.LATENCY`: from two factors to their product."""
FLOAT_WALKER_LATENCY = WALKER_LATENCY - 1 + FLOAT_PRODUCT_LATENCY
"""`hw.pe.walker.Walker.FLOAT_LATENCY`: of a walker in a core with float formats."""
ACCUMULATOR_LATENCY = 2
"""`hw.pe.accumulator.Accumulator.LATENCY`: from an addend to its sum in the memory."""
ROUNDER_LATENCY = 2
"""`hw.pe.rounding.Rounder.LATENCY`: from a sum to its result."""
FLOAT_ROUNDER_LATENCY = 2 + ROUNDER_LATENCY
"""`hw.pe.float_rounding.FloatRounder.LATENCY`: the same in a core with float formats."""
SUM_CYCLES = WALKER_LATENCY + ACCUMULATOR_LATENCY
"""From an entry that a PE issues to its sum in the memory."""
DRAIN_CYCLES = 1 + ROUNDER_LATENCY
"""`hw.pe.pe.PE.DRAIN_CYCLES`: from an accumulator that is read to its result."""
FLOAT_PRODUCT_CYCLES = FLOAT_WALKER_LATENCY - WALKER_LATENCY
"""`hw.pe.pe.PE.FLOAT_PRODUCT_CYCLES`: what a core with float formats adds to the first."""
FLOAT_DRAIN_CYCLES = FLOAT_ROUNDER_LATENCY - ROUNDER_LATENCY
"""`hw.pe.pe.PE.FLOAT_DRAIN_CYCLES`: what a core with float formats adds to the second."""

# -- depths
READER_REQUESTS = 4
"""`hw.port.reader.ChunkReader.REQUEST_DEPTH`: requests whose chunks are not all handed on."""
STREAM_REQUESTS = 2
"""`hw.cluster.cluster.Cluster.STREAM_REQUESTS`: streams that wait for the stream channel."""
LOAD_STEPS = 4
"""`hw.cluster.loader.Loader.STEPS`: what the chunks of the load channel are for."""
SEGMENTS_LOADED = 8
"""`hw.cluster.filler.Filler.SEGMENTS`: segments loaded that the PEs have not ended."""
SEGMENTS_ANNOUNCED = 4
"""`hw.cluster.broadcast.Broadcaster.SEGMENTS`: segments that are not broadcast to their end."""
DRAINS_ANNOUNCED = 4
"""`hw.cluster.drain.Drainer.JOBS`: jobs whose results are not all handed on."""
ACCUMULATOR_BANKS = 2
"""Of a PE: one fills while the other drains."""

# -- chunks
DESCRIPTOR_CHUNKS = records.JOB_DESCRIPTOR.width // CHUNK_WIDTH
"""Of a job or segment descriptor, as `hw.cluster.fetcher` reads it."""
ENTRY_CHUNKS = records.QUEUE_ENTRY.itemsize * 8 // CHUNK_WIDTH
"""Of a queue entry: a job and its first segment."""


def sum_cycles(*, floats: bool) -> int:
    """Return the cycles from an entry that a PE issues to its sum in the memory."""
    return SUM_CYCLES + (FLOAT_PRODUCT_CYCLES if floats else 0)


def drain_cycles(*, floats: bool) -> int:
    """Return the cycles from an accumulator that is read to its result."""
    return DRAIN_CYCLES + (FLOAT_DRAIN_CYCLES if floats else 0)
