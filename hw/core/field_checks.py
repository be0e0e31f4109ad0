"""Checks of a pass's descriptor that need no products."""

from __future__ import annotations

from amaranth.hdl import Cat, Mux, Value
from amaranth.lib import data

from gscn.array import ArrayConfig
from gscn.formats import NUMBER_FORMATS
from gscn.hw.checks import is_bad_address
from gscn.hw.core.cutter import team_sizes
from gscn.pass_errors import PassError
from gscn.passes import HALFWORD_BYTES, VECTOR, Mode
from gscn.records import MOST_SHIFT, OUT_BF16, OUT_RAW, OUT_WIDTHS
from gscn.window import MOST_TOP

MOST_VECTORS = 4
"""Highest log2 of the vectors of a position."""
MOST_TAPS = 16

Errors = dict[PassError, Value]
"""What is wrong with a descriptor: conditions of errors."""


def _any(*conditions: Value) -> Value:
    return Cat(conditions).any()


def _zeros(*fields: Value) -> Value:
    return _any(*(field == 0 for field in fields))


def meets(d: data.View, begin: Value, end: Value) -> Value:
    """Return whether the output range and another one have an address in common."""
    return (d.out_addr < end) & (begin < d.out_end)


def field_checks(d: data.View, list_range: data.View, config: ArrayConfig) -> Errors:
    """Return the checks that compare fields, and sums of them.

    Parameters
    ----------
    d
        The descriptor, a view of `hw.array_layouts.PASS`.
    list_range
        Where the list of descriptors lies.
    config
        Sizes.
    """
    correlate = d.mode == Mode.CORRELATE
    return {
        PassError.MODE: d.mode > max(Mode),
        PassError.FORMAT: _has_bad_format(d, config),
        PassError.ADDRESS: _has_bad_address(d, config, correlate),
        PassError.STATIONARY: _any(
            _zeros(d.s_chunks, d.s_groups, d.s_mid, d.s_outer, d.s_outer_last, d.s_inner),
            d.s_vectors > MOST_VECTORS,
            d.s_outer_last > d.s_outer,
            d.s_keys >= config.directory_depth,
        ),
        PassError.STREAMED: _any(
            _zeros(d.t_groups, d.t_strips, d.t_rows, d.t_rows_last, d.t_width),
            d.t_vectors > MOST_VECTORS,
            d.t_split > d.t_vectors + VECTOR.bit_length() - 1,
            d.t_rows_last > d.t_rows,
        ),
        PassError.TAPS: _has_bad_taps(d, config, correlate),
        PassError.TILES: _has_bad_tiles(d, correlate),
        PassError.WALK: _has_bad_walk(d, config, correlate),
        PassError.TEAM: _any(
            ~_any(*(d.team == size for size in team_sizes(config))), d.chained > correlate
        ),
        PassError.OUTPUT_RANGE: _any(
            *(meets(d, begin, end) for begin, end in _data_ranges(d)),
            meets(d, list_range.begin, list_range.end),
        ),
    }


def _data_ranges(d):
    return (
        (d.s_data, d.s_data + HALFWORD_BYTES * d.s_halfwords),
        (d.t_data, d.t_data + HALFWORD_BYTES * d.t_halfwords),
    )


def _has_bad_format(d, config):
    floating = d.number_format != 0
    known = [d.number_format == NUMBER_FORMATS.index(fmt) for fmt in config.floats]
    unshifted = floating | (d.out_format == OUT_RAW)
    return _any(
        floating & ~_any(*known),
        d.window > MOST_TOP,
        d.out_format > Mux(floating, OUT_BF16, OUT_RAW),
        d.shift > Mux(unshifted, 0, MOST_SHIFT),
    )


def _has_bad_address(d, config, correlate):
    starts = (d.s_data, d.s_table, d.t_data, d.t_table, d.out_addr)
    ends = (*(end for _, end in _data_ranges(d)), d.out_end)
    # steps are multiples of 16 results of 2 bytes, or of 64 bytes
    narrow = _any(*(d.out_format == one for one, width in OUT_WIDTHS.items() if width == 16))
    inner = Mux(correlate, d.t_tile_bytes, d.pixel_bytes)
    steps = (d.s_tile_bytes, inner, Mux(correlate, 0, d.row_bytes | d.sample_bytes))
    return _any(
        *(is_bad_address(one, config) for one in starts),
        *(end > 1 << config.addr_width for end in ends),
        *(step[:5].any() | (step[5] & ~narrow) for step in steps),
    )


def _has_bad_taps(d, config, correlate):
    index = (1 << config.index_width) - 1
    return _any(
        _zeros(d.taps_y, d.taps_x, d.t_step),
        d.taps_y > MOST_TAPS,
        d.taps_x > MOST_TAPS,
        d.row_keys != d.s_inner,
        ~correlate & ((d.taps_y != d.s_mid) | (d.taps_x != d.s_inner)),
        correlate & (d.s_mid != 1),
        correlate & (d.cols != d.s_inner),
        correlate & (d.t_strips + d.ahead < d.s_chunks),
        correlate & d.unit_strips.any() & (d.t_strips > d.s_chunks + d.behind),
        correlate & (((d.s_offset_inner + d.x_step) & index) != 0),
    )


def _has_bad_tiles(d, correlate):
    whole = d.tile_rows >= d.rows
    before_last = (d.t_groups - 1)[:16] << d.t_split[:4]  # tiles of all groups but the last
    return _any(
        _zeros(d.s_tiles, d.t_tiles, d.samples, d.tile_samples, d.rows, d.cols),
        d.s_tiles > d.s_groups,
        correlate & (d.t_tiles <= before_last),
        correlate & (d.t_tiles > before_last + (1 << d.t_split[:4])),
        (d.unit_strips != 0) & ((d.chained == 0) | (d.tile_samples != 1)),
        ~correlate & _zeros(d.tile_rows, d.tile_cols),
        ~correlate & (d.s_chunks != d.t_groups),
        ~correlate & ~whole & (d.tile_strips > d.tile_rows),
        ~correlate & (d.tile_samples > 1) & ~(whole & (d.strips_after >= d.t_strips)),
    )


def _has_bad_walk(d, config, correlate):
    vector_bits = VECTOR.bit_length() - 1
    return _any(
        d.run[:vector_bits].any(),
        correlate & (d.run > config.acc_depth),
        ~correlate & (d.run != VECTOR << d.s_vectors[:3]),
        *(~correlate & step[:vector_bits].any() for step in (d.x_step, d.y_step, d.plane)),
        ~correlate & (d.taps_x > 1) & (d.s_offset_inner != d.x_step),
        ~correlate & (d.taps_y > 1) & (d.s_offset_mid != d.y_step),
        ~correlate & (d.tile_cols > 1) & (d.x_step < d.run),
    )
