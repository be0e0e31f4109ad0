"""Cycle model of `hw.core.tiles`: the tiles of a pass, in the order in which they are visited."""

from __future__ import annotations

from gscn.array_latencies import TILES_PREPARE_CYCLES
from gscn.cycles.state import record
from gscn.passes import VECTOR, Mode
from gscn.system.compiled import borrowing

CORRELATE = int(Mode.CORRELATE)

TILE_LIST = record(
    "preparing", "more",  # cycles until it is ready, after which there is another tile
    "s_tile", "t_group", "lane0", "strip", "x0", "y", "next", "out_addr",
    "tile_addr", "sample_addr", "row_addr",
)  # fmt: skip
CUT = record(
    "s_tile", "t_group", "lane0", "strip", "rows", "x0", "x1", "next", "end", "out_addr",
)  # fmt: skip
"""A tile, as `hw.core.tiles.cut_layout`."""


@borrowing
def begin_stationary(tiles, d):
    """Go to the first tile of a stationary tile."""
    tiles.t_group = tiles.lane0 = tiles.x0 = tiles.y = tiles.next = 0
    tiles.strip = -d.strips_before


@borrowing
def begin_tiles(tiles, d):
    """Go to the first tile of a pass, in the cycle in which that begins."""
    tiles.preparing = TILES_PREPARE_CYCLES
    tiles.more = 1
    tiles.s_tile = 0
    begin_stationary(tiles, d)
    tiles.out_addr = tiles.tile_addr = tiles.sample_addr = tiles.row_addr = d.out_addr


@borrowing
def put_cut(tiles, d, cut):
    """Put the tile into a `CUT`."""
    ends_row = tiles.y + d.tile_rows >= d.rows
    ends_col = tiles.x0 + d.tile_cols >= d.cols
    ends_sample = tiles.next + d.tile_samples >= d.samples
    correlate = d.mode == CORRELATE
    cut.s_tile = tiles.s_tile
    cut.t_group = tiles.t_group
    cut.lane0 = tiles.lane0
    cut.x0 = tiles.x0
    cut.next = tiles.next
    cut.out_addr = tiles.out_addr
    if correlate:
        cut.rows, cut.x1, cut.strip, cut.end = d.rows, d.cols, 0, d.samples
        return
    cut.strip = tiles.strip
    cut.rows = d.rows - tiles.y if ends_row else d.tile_rows
    cut.x1 = d.cols if ends_col else tiles.x0 + d.tile_cols
    cut.end = d.samples if ends_sample else tiles.next + d.tile_samples


@borrowing
def next_tile(tiles, d):
    """Go to the next tile."""
    turns = False
    if d.mode == CORRELATE:
        channels = VECTOR << d.t_vectors
        tiles.out_addr += d.t_tile_bytes
        tiles.lane0 += channels >> d.t_split
        if tiles.lane0 == channels:
            turns = tiles.t_group + 1 == d.t_groups
            tiles.lane0 = 0
            tiles.t_group += 1
    else:
        ends_row = tiles.y + d.tile_rows >= d.rows
        ends_sample = tiles.next + d.tile_samples >= d.samples
        tiles.out_addr += d.tile_cols * d.pixel_bytes
        if tiles.x0 + d.tile_cols < d.cols:
            tiles.x0 += d.tile_cols
        else:
            tiles.x0 = 0
            tiles.row_addr += d.tile_rows * d.row_bytes
            tiles.y += d.tile_rows
            tiles.strip += d.tile_strips
            if ends_row:
                tiles.sample_addr += d.tile_samples * d.sample_bytes
                tiles.row_addr = tiles.sample_addr
                tiles.y = 0
                tiles.strip = -d.strips_before
                tiles.next += d.tile_samples
                turns = ends_sample
            tiles.out_addr = tiles.row_addr
    if turns:
        begin_stationary(tiles, d)
        tiles.s_tile += 1
        tiles.more = tiles.s_tile != d.s_tiles
        tiles.tile_addr += d.s_tile_bytes
        tiles.out_addr = tiles.sample_addr = tiles.row_addr = tiles.tile_addr
