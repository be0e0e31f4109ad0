"""Cycle model of `hw.core.tiles`: stationary tiles in their order, and the tiles of each."""

from __future__ import annotations

from gscn.cycles.state import record
from gscn.latencies import TILES_PREPARE_CYCLES
from gscn.passes import VECTOR, Mode
from gscn.system.compiled import borrowing

CORRELATE = int(Mode.CORRELATE)

TILE_LIST = record(
    "preparing",  # cycles until it is ready
    "more", "s_tile", "tile_addr",  # the next stationary tile that nobody has begun
)  # fmt: skip
CURSOR = record(
    "more",  # there is a tile
    "s_tile", "t_group", "lane0", "strip", "x0", "y", "next", "out_addr",
    "outer_addr", "inner_addr",
)  # fmt: skip
"""Where a gang is, as `hw.core.tiles.cursor_layout`."""


@borrowing
def begin_tiles(tiles, d):
    """Go to the first stationary tile of a pass, in the cycle in which that begins."""
    tiles.preparing = TILES_PREPARE_CYCLES
    tiles.more = 1
    tiles.s_tile = 0
    tiles.tile_addr = d.out_addr


@borrowing
def take_stationary(tiles, cursor, d):
    """Put a cursor on the first tile of the next stationary tile."""
    cursor.more = 1
    cursor.s_tile = tiles.s_tile
    cursor.t_group = cursor.lane0 = cursor.x0 = cursor.y = cursor.next = 0
    cursor.strip = -d.strips_before
    cursor.out_addr = cursor.outer_addr = cursor.inner_addr = tiles.tile_addr
    tiles.s_tile += 1
    tiles.more = tiles.s_tile != d.s_tiles
    tiles.tile_addr += d.s_tile_bytes


@borrowing
def units_left(cursor, d):
    """Return the samples, or groups, of a cursor that are not all given."""
    if not cursor.more:
        return 0
    if d.mode == CORRELATE:
        return d.t_groups - cursor.t_group
    if d.by_rows and cursor.y + d.tile_rows < d.rows:
        return d.samples
    return d.samples - cursor.next


@borrowing
def put_tile(cursor, d, job):
    """Put a cursor's tile, all its samples, into a `cycles.descriptors.JOB`."""
    job.s_tile = cursor.s_tile
    job.t_group = cursor.t_group
    job.lane0 = cursor.lane0
    job.x0 = cursor.x0
    job.first_sample = cursor.next
    job.out_addr = cursor.out_addr
    if d.mode == CORRELATE:
        job.rows, job.x1, job.strip, job.samples = d.rows, d.cols, 0, d.samples
        return
    job.strip = cursor.strip
    job.rows = min(d.tile_rows, d.rows - cursor.y)
    job.x1 = min(d.cols, cursor.x0 + d.tile_cols)
    job.samples = min(d.tile_samples, d.samples - cursor.next)


@borrowing
def next_tile(cursor, d):
    """Go to the next tile of a stationary tile, if there is one."""
    if d.mode == CORRELATE:
        channels = VECTOR << d.t_vectors
        cursor.out_addr += d.t_tile_bytes
        cursor.lane0 += channels >> d.t_split
        if cursor.lane0 == channels:
            cursor.lane0 = 0
            cursor.t_group += 1
        tile = (cursor.t_group << d.t_split) + cursor.lane0 // (channels >> d.t_split)
        cursor.more = tile != d.t_tiles
        return
    cursor.out_addr += d.tile_cols * d.pixel_bytes
    cursor.x0 += d.tile_cols
    if cursor.x0 < d.cols:
        return
    cursor.x0 = 0
    ends_rows = cursor.y + d.tile_rows >= d.rows
    ends_samples = cursor.next + d.tile_samples >= d.samples
    cursor.more = not (ends_rows and ends_samples)
    inner, outer = d.tile_rows * d.row_bytes, d.tile_samples * d.sample_bytes
    if d.by_rows:
        inner, outer = outer, inner
    cursor.inner_addr += inner
    if ends_samples if d.by_rows else ends_rows:
        cursor.outer_addr += outer
        cursor.inner_addr = cursor.outer_addr
    cursor.out_addr = cursor.inner_addr
    if not d.by_rows or ends_samples:
        cursor.y = 0 if ends_rows else cursor.y + d.tile_rows
        cursor.strip = -d.strips_before if ends_rows else cursor.strip + d.tile_strips
    if d.by_rows or ends_rows:
        cursor.next = 0 if ends_samples else cursor.next + d.tile_samples
