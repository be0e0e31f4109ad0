"""Words of a pass's stream: which look-ups the nonzeros of its strips make in a tile."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from gscn.emulator.arithmetic import Arithmetic
from gscn.emulator.pass_checks import PassFields, channels_of_tile
from gscn.emulator.pass_pieces import Piece
from gscn.emulator.pass_sums import Words


class Unit(NamedTuple):
    """A unit of work of correlate mode: whole samples, or some strips of one."""

    n0: int
    samples: int
    strip: int
    strips: int
    """Of each sample."""
    chunk: int
    """First stationary strip that it needs, of its sample; `chunks`: from there on."""
    chunks: int


def units(d: PassFields) -> Iterator[Unit]:
    """Yield the units of work of a tile; not chained, it is one."""
    samples = d.tile_samples if d.chained else d.samples
    step = d.unit_strips or d.t_strips
    for n0 in range(0, d.samples, samples):
        for strip in range(0, d.t_strips, step):
            end = min(strip + step, d.t_strips)
            chunk = max(strip - d.behind, 0)
            some = min(samples, d.samples - n0)
            chunks = (some - 1) * d.s_chunks + min(end + d.ahead, d.s_chunks) - chunk
            yield Unit(n0, some, strip, end - strip, chunk, chunks)


def needed_chunks(d: PassFields, unit: Unit) -> list[tuple[int, int]]:
    """Return, for each strip of a unit's sample, the first chunk that it needs and the end of them.

    Chunks count from the unit's first.
    """
    needed = []
    for strip in range(unit.strip, unit.strip + unit.strips):
        end = min(strip + d.ahead + 1, d.s_chunks)
        needed.append((min(max(strip - d.behind, 0), end) - unit.chunk, end - unit.chunk))
    return needed


def kernel_words(
    d: PassFields,
    piece: Piece,
    arithmetic: Arithmetic,
    *,
    strips: int,
    before: int,
    samples: int,
    rows: int,
    cols: tuple[int, int],
) -> tuple[Words, int]:
    """Return the words of one group in a tile of kernel mode, and their look-ups.

    Keys count from those of the group's chunk.

    Parameters
    ----------
    d
        The pass.
    piece
        Strips of the group, sample by sample.
    arithmetic
        How values are decoded.
    strips
        Of each sample.
    before
        Strips before the first that the operand does not have.
    samples
        Of the tile.
    rows
        Of the tile.
    cols
        Its first column, and one past its last.
    """
    sample, strip = np.divmod(piece.strip, max(strips, 1))
    row, col = np.divmod(piece.position, d.t_width)
    y = d.first_row + ((strip + before) * d.t_rows + row) * d.t_step
    x = d.first_col + col * d.t_step
    r0, r1 = np.maximum(-y, 0), np.minimum(rows - y, d.taps_y)
    s0, s1 = np.maximum(cols[0] - x, 0), np.minimum(cols[1] - x, d.taps_x)
    meets = np.flatnonzero((r1 > r0) & (s1 > s0) & (sample < samples))
    y, x, r0, r1, s0, s1 = (one[meets] for one in (y, x, r0, r1, s0, s1))
    # Whole rows of taps lie one behind the other: one look-up.
    whole = s1 - s0 == d.taps_x
    words = Words(
        key=piece.channel[meets] * d.lane_step + r0 * d.row_keys + s0,
        span=np.where(whole, (r1 - r0) * d.row_keys, s1 - s0),
        rows=np.where(whole, 1, r1 - r0),
        offset=sample[meets] * d.plane + y * d.y_step + (x - cols[0]) * d.x_step,
        numbers=arithmetic.decode(piece.code[meets]),
    )
    return words, int(words.rows.sum())


def correlate_words(
    d: PassFields, piece: Piece, arithmetic: Arithmetic, first_channel: int, first_strip: int = 0
) -> tuple[Words, int]:
    """Return the words of a unit of work in correlate mode, and their look-ups.

    Keys count from those of the first chunk of the unit's first sample.

    Parameters
    ----------
    d
        The pass.
    piece
        Strips of the unit's samples.
    arithmetic
        How values are decoded.
    first_channel
        Of the tile, from the group's first.
    first_strip
        Of the unit, from its sample's first.
    """
    sample, strip = np.divmod(piece.strip + first_strip, d.t_strips)
    row, col = np.divmod(piece.position, d.t_width)
    channel = piece.channel - first_channel
    y = d.first_row + (strip * d.t_rows + row) * d.t_step
    x = d.first_col + col * d.t_step
    r0, r1 = np.maximum(-y, 0), np.minimum(d.rows - y, d.taps_y)
    s0, s1 = np.maximum(-x, 0), np.minimum(d.cols - x, d.taps_x)
    inside = (channel >= 0) & (channel < channels_of_tile(d))
    meets = np.flatnonzero((r1 > r0) & (s1 > s0) & inside)
    sample, channel, y, x, r0, r1, s0, s1 = (
        one[meets] for one in (sample, channel, y, x, r0, r1, s0, s1)
    )
    words = Words(
        key=sample * (d.s_chunks * d.s_keys) + (y + r0) * d.row_keys + x + s0,
        span=s1 - s0,
        rows=r1 - r0,
        offset=channel * d.lane_step + x * d.x_step + r0 * d.row_step,
        numbers=arithmetic.decode(piece.code[meets]),
    )
    return words, int(words.rows.sum())
