"""Checks of a pass's descriptor, in the order and with the meaning of the hardware's.

Each function is one code of `gscn.pass_errors`; `docs/contract/passes.md`, "Checks", is the same in
words. All are comparisons of fields, of sums, and of products, which are marked: they are few
enough for one multiplier that works bit by bit, once a pass. Together they make everything else
well defined: a look-up reaches only keys of chunks that its word waits for, an index is that of an
accumulator of its tile, results lie apart and in the range, and no operand is written.
"""

from __future__ import annotations

import itertools
from collections import namedtuple
from collections.abc import Iterable

import numpy as np

from gscn.array import ArrayConfig
from gscn.formats import NUMBER_FORMATS
from gscn.pass_errors import PassError
from gscn.passes import HALFWORD_BYTES, PASS_DESCRIPTOR, TABLE_ENTRY_BYTES, VECTOR, Mode
from gscn.port import ALIGNMENT_BYTES
from gscn.records import MOST_SHIFT, OUT_BF16, OUT_RAW, OUT_WIDTHS
from gscn.window import MOST_TOP

MOST_VECTORS = 4
"""Highest log2 of the vectors of a position."""
MOST_TAPS = 16
MOST_STRIP_WIDTH = 20
"""Bits of the number of vectors of a strip."""

PassFields = namedtuple("PassFields", PASS_DESCRIPTOR.dtype.names)
"""The fields of a descriptor, as Python's integers."""


def pass_fields(descriptor: np.void) -> PassFields:
    """Return the fields of one `PASS_DESCRIPTOR`."""
    return PassFields(*descriptor.item())


def result_bytes(d: PassFields) -> int:
    """Return the bytes of a result."""
    return OUT_WIDTHS[d.out_format] // 8


def channels_of_tile(d: PassFields) -> int:
    """Return the streamed channels of a tile in correlate mode."""
    return VECTOR << d.t_vectors >> d.t_split


def table_rows(d: PassFields) -> tuple[int, int]:
    """Return the rows of the tables of the stationary and of the streamed operand (products)."""
    samples = d.samples if d.mode == Mode.CORRELATE else 1
    return samples * d.s_chunks + 1, d.samples * d.t_strips + 1


def operand_ranges(d: PassFields) -> tuple[tuple[int, int], ...]:
    """Return first byte, and one past the last, of data and tables (products)."""
    s_rows, t_rows = table_rows(d)
    return (
        (d.s_data, d.s_data + HALFWORD_BYTES * d.s_halfwords),
        (d.s_table, d.s_table + TABLE_ENTRY_BYTES * s_rows * d.s_groups),
        (d.t_data, d.t_data + HALFWORD_BYTES * d.t_halfwords),
        (d.t_table, d.t_table + TABLE_ENTRY_BYTES * t_rows * d.t_groups),
    )


def _steps(d: PassFields) -> tuple[tuple[int, int], ...]:
    """Return count and step in bytes of results, innermost first, without stationary tiles."""
    if d.mode == Mode.CORRELATE:
        return ((d.t_tiles, d.t_tile_bytes),)
    return ((d.cols, d.pixel_bytes), (d.rows, d.row_bytes), (d.samples, d.sample_bytes))


def has_bad_mode(d: PassFields) -> bool:
    """Say whether the mode is unknown."""
    return d.mode > max(Mode)


def has_bad_format(d: PassFields, config: ArrayConfig) -> bool:
    """Say whether numbers or results have a format that the array lacks."""
    floating = d.number_format != 0
    known = d.number_format < len(NUMBER_FORMATS) and (
        not floating or NUMBER_FORMATS[d.number_format] in config.floats
    )
    results = set(OUT_WIDTHS) if floating else set(OUT_WIDTHS) - {OUT_BF16}
    most_shift = 0 if floating or d.out_format == OUT_RAW else MOST_SHIFT
    return not known or d.window > MOST_TOP or d.out_format not in results or d.shift > most_shift


def has_bad_address(d: PassFields, config: ArrayConfig) -> bool:
    """Say whether an address or a step of results is not aligned, or memory ends before an end."""
    beyond = 1 << config.addr_width
    starts = (d.s_data, d.s_table, d.t_data, d.t_table, d.out_addr)
    ends = (*(end for _, end in operand_ranges(d)), d.out_end)
    aligned = min(ALIGNMENT_BYTES, VECTOR * result_bytes(d))
    steps = (d.s_tile_bytes, *(step for _, step in _steps(d)))
    return (
        any(start % ALIGNMENT_BYTES != 0 or start >= beyond for start in starts)
        or any(end > beyond for end in ends)
        or any(step % aligned != 0 for step in steps)
    )


def has_bad_stationary(d: PassFields, config: ArrayConfig) -> bool:
    """Say whether strips of the stationary operand have no size, or one that no window holds."""
    sizes = (d.s_chunks, d.s_groups, d.s_mid, d.s_outer, d.s_outer_last, d.s_inner)
    return (
        0 in sizes
        or d.s_vectors > MOST_VECTORS
        or d.s_outer_last > d.s_outer
        or d.s_keys != d.s_outer * d.s_mid * d.s_inner  # products
        or d.s_keys >= config.directory_depth
    )


def has_bad_streamed(d: PassFields) -> bool:
    """Say whether strips of the streamed operand have no size, or one beyond the counters."""
    return (
        0 in (d.t_groups, d.t_strips, d.t_rows, d.t_rows_last, d.t_width)
        or d.t_vectors > MOST_VECTORS
        or d.t_split > d.t_vectors + VECTOR.bit_length() - 1
        or d.t_rows_last > d.t_rows
        or d.t_rows * d.t_width << d.t_vectors >= 1 << MOST_STRIP_WIDTH  # product
    )


def has_bad_taps(d: PassFields, config: ArrayConfig) -> bool:
    """Say whether a look-up could reach keys of chunks that its word does not wait for."""
    if not (1 <= d.taps_y <= MOST_TAPS and 1 <= d.taps_x <= MOST_TAPS and d.t_step > 0):
        return True
    if d.row_keys != d.s_inner:
        return True
    if d.mode == Mode.KERNEL:
        return (
            (d.taps_y, d.taps_x) != (d.s_mid, d.s_inner)
            or d.lane_step != d.s_mid * d.s_inner  # product, both at most 16
        )
    return (
        d.s_mid != 1
        or d.cols != d.s_inner
        or d.rows != (d.s_chunks - 1) * d.s_outer + d.s_outer_last  # product
        or d.t_strips + d.ahead < d.s_chunks
        or (d.unit_strips != 0 and d.t_strips > d.s_chunks + d.behind)
        or not _rows_are_waited_for(d)
        or (d.s_offset_inner + d.x_step) % (1 << config.index_width) != 0
    )


def _rows_are_waited_for(d: PassFields) -> bool:
    """Say whether every map row that a strip meets is in the chunks that it waits for."""
    if d.ahead >= d.s_chunks - 1 and d.behind >= d.t_strips - 1 and not d.unit_strips:
        return True  # a whole sample is held
    return (
        d.s_outer == d.t_rows * d.t_step  # product
        and d.first_row + d.behind * d.s_outer >= 0  # product
        and d.first_row + d.taps_y <= d.ahead * d.s_outer + d.t_step  # product
    )


def has_bad_tiles(d: PassFields) -> bool:
    """Say whether a count of tiles is 0, or not that of the operands."""
    if 0 in (d.s_tiles, d.t_tiles, d.samples, d.tile_samples, d.rows, d.cols):
        return True
    if d.s_tiles > d.s_groups:
        return True
    if d.unit_strips != 0 and not (d.chained and d.tile_samples == 1):
        return True
    if d.mode == Mode.CORRELATE:
        last = d.t_tiles - (d.t_groups - 1 << d.t_split)  # of the last group
        return not 1 <= last <= 1 << d.t_split
    whole = d.tile_rows >= d.rows
    return (
        0 in (d.tile_rows, d.tile_cols)
        or d.s_chunks != d.t_groups
        or (not whole and d.tile_strips > d.tile_rows)
        or (d.tile_samples > 1 and not (whole and d.strips_after >= d.t_strips))
    )


def has_bad_walk(d: PassFields, config: ArrayConfig) -> bool:
    """Say whether accumulators of a tile are too many, or an index could be none of them."""
    channels = VECTOR << d.s_vectors
    if d.run % VECTOR != 0:
        return True
    if d.mode == Mode.CORRELATE:
        reach = (
            (channels_of_tile(d) - 1) * d.lane_step  # a shift and a difference
            + (d.taps_y - 1) * d.row_step  # product
            + (d.taps_x - 1) * d.s_offset_inner  # product
            + channels
        )
        return not reach <= d.run <= config.acc_depth
    row = (d.tile_cols - 1) * d.x_step + d.run  # product
    sample = (d.tile_rows - 1) * d.y_step + row  # product
    tile = (d.tile_samples - 1) * d.plane + sample  # product
    return (
        d.run != channels
        or any(step % VECTOR != 0 for step in (d.x_step, d.y_step, d.plane))
        or (d.taps_x > 1 and d.s_offset_inner != d.x_step)
        or (d.taps_y > 1 and d.s_offset_mid != d.y_step)
        or (d.tile_cols > 1 and d.x_step < d.run)
        or (d.tile_rows > 1 and d.y_step < row)
        or (d.tile_samples > 1 and d.plane < sample)
        or tile > config.acc_depth
    )


def has_bad_team(d: PassFields, config: ArrayConfig) -> bool:
    """Say whether the clusters cannot be cut into such gangs, or those of the mode not chained."""
    if d.team == 0 or config.clusters % d.team != 0:
        return True
    return d.chained > (d.mode == Mode.CORRELATE)


def results_extent(d: PassFields) -> int | None:
    """Return the bytes from the first result to the last, None if two could overlap.

    Counts are taken in the order of their steps; each step must be as long as what it steps over.
    """
    extent = d.run * result_bytes(d)  # a shift
    tiles = (d.s_tiles, d.s_tile_bytes)
    others = _steps(d)
    before = list(itertools.takewhile(lambda one: one[0] == 1 or one[1] < tiles[1], others))
    for count, step in (*before, tiles, *others[len(before) :]):
        if count > 1:
            if step < extent:
                return None
            extent += (count - 1) * step  # product
    return extent


def has_bad_output_range(d: PassFields, list_range: tuple[int, int]) -> bool:
    """Say whether results overlap, leave their range, or the range meets what is read.

    Parameters
    ----------
    d
        The fields.
    list_range
        First byte of the list of descriptors, and one past its last.
    """
    extent = results_extent(d)
    return (
        extent is None
        or d.out_addr + extent > d.out_end
        or any(_meet((d.out_addr, d.out_end), read) for read in (*operand_ranges(d), list_range))
    )


def _meet(first: Iterable[int], second: Iterable[int]) -> bool:
    (begin, end), (other_begin, other_end) = first, second
    return begin < other_end and other_begin < end


def check_descriptor(
    d: PassFields, config: ArrayConfig, list_range: tuple[int, int] = (0, 0)
) -> PassError:
    """Return the first error of a descriptor, or `PassError.NONE`.

    Parameters
    ----------
    d
        The fields.
    config
        Sizes.
    list_range
        As in `has_bad_output_range`.
    """
    if has_bad_mode(d):
        return PassError.MODE
    if has_bad_format(d, config):
        return PassError.FORMAT
    for code, wrong in (
        (PassError.ADDRESS, has_bad_address(d, config)),
        (PassError.STATIONARY, has_bad_stationary(d, config)),
        (PassError.STREAMED, has_bad_streamed(d)),
        (PassError.TAPS, has_bad_taps(d, config)),
    ):
        if wrong:
            return code
    for code, wrong in (
        (PassError.TILES, has_bad_tiles(d)),
        (PassError.WALK, has_bad_walk(d, config)),
        (PassError.TEAM, has_bad_team(d, config)),
        (PassError.OUTPUT_RANGE, has_bad_output_range(d, list_range)),
    ):
        if wrong:
            return code
    return PassError.NONE
