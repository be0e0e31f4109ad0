"""The descriptor of a pass: all that an array is told to run one convolution of a training step.

A pass has a *stationary* operand, held in the PEs, and a *streamed* one. In `Mode.KERNEL` (forward,
input gradient) the stationary operand is weights, and each word of the stream meets those of its
channel; in `Mode.CORRELATE` (weight gradient) both are maps, and each word meets the stationary
vectors around its own position. `docs/contract/passes.md` says what the fields do.
"""

from __future__ import annotations

import enum

from gscn.records import Record, signed, unsigned


class Mode(enum.IntEnum):
    """What the stationary operand is."""

    KERNEL = 0
    """Weights: keys are (channel of the stream, tap row, tap column)."""
    CORRELATE = 1
    """A map: keys are its positions."""


VECTOR = 16
"""Channels of a vector, and vectors of a block."""
HALFWORD_BYTES = 2
"""Bytes of the unit in which strips are measured."""
TABLE_ENTRY_BYTES = 4
"""Bytes of an entry of a table of strips: where it begins, in halfwords from the data's start."""
DESCRIPTOR_BYTES = 256
"""Bytes of a descriptor; those of a list lie one behind the other."""


_FIELDS = (
    unsigned("s_data", 64, "byte address of the stationary operand's strips"),
    unsigned("s_table", 64, "byte address of their table"),
    unsigned("t_data", 64, "byte address of the streamed operand's strips"),
    unsigned("t_table", 64, "byte address of their table"),
    unsigned("out_addr", 64, "byte address of the results, of tile 0"),
    unsigned("out_end", 64, "one past the last byte that the pass may write"),
    unsigned("s_halfwords", 32, "halfwords of the stationary operand's data"),
    unsigned("t_halfwords", 32, "halfwords of the streamed operand's data"),
    unsigned("s_tile_bytes", 32, "bytes of results from one stationary tile to the next"),
    unsigned("t_tile_bytes", 32, "correlate: from one streamed tile to the next"),
    unsigned("sample_bytes", 32, "kernel: from one sample to the next"),
    unsigned("row_bytes", 32, "kernel: from one row of results to the next"),
    unsigned("pixel_bytes", 16, "kernel: from one pixel to the next"),
    unsigned("mode", 8, "0 kernel, 1 correlate"),
    unsigned("number_format", 8, "0: the array's integer format, else a float format's number"),
    unsigned("out_format", 8, "0 16-bit, 1 32-bit, 2 raw, 3 bf16"),
    unsigned("shift", 8, "right shift before rounding; 0 for raw results and floating point"),
    unsigned("window", 16, "floating point: top of the window of the sums, at most 1023"),
    unsigned("team", 8, "clusters of a gang; chained: that sum into one tile"),
    unsigned("chained", 8, "correlate: 1 if the clusters of a gang share the samples of each tile "
              "and sum up at its end, 0 if each takes tiles of its own"),
    # -- stationary operand
    unsigned("s_tiles", 16, "stationary tiles: groups of the stationary operand"),
    unsigned("s_chunks", 16, "kernel: strips of a tile; correlate: strips of a sample"),
    unsigned("s_groups", 16, "entries of a row of its table"),
    unsigned("s_vectors", 8, "log2 of the vectors of a position"),
    unsigned("s_mid", 8, "positions of a strip: outer x mid x inner, inner fastest"),
    unsigned("s_outer", 16, "rows of positions, or channels of the stream, of a strip"),
    unsigned("s_outer_last", 16, "the same of the last strip of a tile or sample"),
    unsigned("s_inner", 16, "positions of a row"),
    unsigned("s_keys", 16, "s_outer x s_mid x s_inner: keys from one strip to the next"),
    unsigned("s_offset_mid", 16, "added to an entry's offset per step of mid"),
    unsigned("s_offset_inner", 16, "added per step of inner"),
    # -- streamed operand
    unsigned("t_tiles", 16, "correlate: streamed tiles, 2 ** t_split of each group, of the last "
              "one those that have a channel; kernel: 1"),
    unsigned("t_groups", 16, "groups of the streamed operand, entries of a row of its table"),
    unsigned("t_vectors", 8, "log2 of the vectors of a position"),
    unsigned("t_split", 8, "correlate: log2 of the tiles of a group of channels"),
    unsigned("t_strips", 16, "strips of a sample"),
    unsigned("t_rows", 16, "rows of a strip"),
    unsigned("t_rows_last", 16, "rows of the last strip of a sample"),
    unsigned("t_width", 16, "positions of a row"),
    unsigned("t_step", 8, "rows and columns that one row or column of the stream counts for"),
    unsigned("taps_y", 8, "tap rows"),
    unsigned("taps_x", 8, "tap columns"),
    unsigned("ahead", 8, "correlate: strips behind its own that a strip of the stream needs"),
    unsigned("behind", 8, "correlate: strips before its own that it needs"),
    unsigned("by_rows", 8, "kernel: tiles are visited sample by sample if 0, else those of the "
              "same rows of all samples before the next"),
    signed("first_row", 16, "row that row 0 of a tile's first strip counts for; kernel: from the "
            "tile's first row"),
    signed("first_col", 16, "column that column 0 of the stream counts for"),
    unsigned("lane_step", 16, "per channel of the stream: kernel keys, correlate offset"),
    signed("x_step", 16, "offset per column"),
    signed("y_step", 16, "kernel: offset per row"),
    unsigned("row_keys", 16, "keys from one tap row to the next"),
    unsigned("row_step", 16, "correlate: offset from one tap row to the next"),
    unsigned("plane", 16, "kernel: offset per sample of a tile"),
    # -- tiles
    unsigned("samples", 16, "samples of the batch"),
    unsigned("tile_samples", 16, "kernel: samples of a tile; chained: of a unit of work"),
    unsigned("rows", 16, "kernel: rows of the result; correlate: of the stationary map"),
    unsigned("cols", 16, "the same, columns"),
    unsigned("tile_rows", 16, "kernel: rows of a tile"),
    unsigned("tile_cols", 16, "kernel: columns of a tile"),
    unsigned("tile_strips", 16, "kernel: strips of the stream from one tile's rows to the next's"),
    unsigned("strips_before", 8, "kernel: strips before its own that a tile's rows need"),
    unsigned("strips_after", 8, "kernel: strips from its first own on that they need"),
    unsigned("run", 16, "results of one run: kernel of one pixel, correlate of a tile"),
    unsigned("help", 16, "samples, or groups of the stream, more than which a gang must have left "
              "for a cluster of another one to join it"),
    unsigned("unit_strips", 16, "chained: strips of one sample that a unit has; 0: whole samples"),
)  # fmt: skip

_SIZE = sum(one.width for one in _FIELDS) // 8
PASS_DESCRIPTOR = Record(
    "pass_descriptor",
    (
        *_FIELDS,
        *(unsigned(f"reserved{n + 1}", 8, "zero") for n in range(DESCRIPTOR_BYTES - _SIZE)),
    ),
)
"""One pass; addresses are multiples of 64."""
