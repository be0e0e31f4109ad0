"""How often DRAM delivers the maps of a weight gradient: a part of its closed form."""

from __future__ import annotations

import math

from gscn.lowering.estimates import KEPT, ceil_div, sweeps_read
from gscn.system.compiled import compiled

_CHANNEL_SPREAD = 0.33
"""Deviation over mean of the nonzeros of a sparse map's channels, as in recorded steps."""


@compiled
def _drifts(density, channels, rounds, size, sizes):
    """Return whether clusters on tiles of a map do not stay together on the other operand.

    They are done with it at times that differ as their tiles' nonzeros do; then the buffer must
    hold what lies between them.
    """
    spread = _CHANNEL_SPREAD * (1.0 - density) / math.sqrt(channels) * math.sqrt(rounds)
    return min(1.0, 2.0 * spread) * size > 0.5 * KEPT * sizes.buffer


@compiled
def dram_reads(maps, tiles, channels, t_split, block, busy, sizes):
    """Return how often DRAM delivers the stationary and the streamed map.

    The array works on a block of tiles at a time, for which it goes through both maps once, if its
    clusters stay together. They do if DRAM is slower than they are, or if they have alike to do.

    Parameters
    ----------
    maps
        (bytes, density) of the stationary and of the streamed map.
    tiles
        Of both.
    channels
        Of a tile, of both.
    t_split
        2^t_split tiles of the stream have the same strips.
    block
        Stationary and streamed tiles whose pairs the array works on at a time.
    busy
        Cycles of the multipliers.
    sizes
        `Sizes`.
    """
    (s_bytes, s_density), (t_bytes, t_density) = maps
    s_tiles, t_tiles = tiles
    s_block, t_block = min(block[0], s_tiles), min(block[1], t_tiles)
    s_part = s_bytes * s_block / s_tiles
    t_part = t_bytes * min(1.0, max(t_block, 1 << t_split) / t_tiles)
    s_sweeps, t_sweeps = ceil_div(t_tiles, t_block), ceil_div(s_tiles, s_block)
    rounds = s_sweeps * t_sweeps
    again = max(1.0, (1 << t_split) / t_block)
    s_reads = sweeps_read(s_sweeps, s_part + t_part, sizes)
    t_reads = sweeps_read(t_sweeps * again, s_part + t_bytes, sizes)
    if (s_reads * s_bytes + t_reads * t_bytes) / sizes.dram < busy:
        # nobody waits for those that are behind
        if t_block > 1 and _drifts(t_density, channels[1], rounds, s_part, sizes):
            s_reads = sweeps_read(t_tiles, s_part + t_part, sizes)
        if s_block > 1 and _drifts(s_density, channels[0], rounds, t_bytes, sizes):
            t_reads = sweeps_read(s_tiles * again, s_part + t_bytes, sizes)
    return s_reads, t_reads
