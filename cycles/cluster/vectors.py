"""Cycle model of `hw.cluster.vectors`: from halfwords of strips to items.

Of the halfwords only those are looked at that say what is there: blocks and masks.
"""

from __future__ import annotations

from gscn.cycles.state import record
from gscn.passes import VECTOR
from gscn.system.compiled import borrowing

EXPANDER = record(
    "vectors", "mid", "inner", "narrow",  # of the pass, as in the hardware
    "active", "ends_piece", "closing",
    "rows_left", "mid_left", "row_left", "block_left",
    "bits", "at", "mask_left", "odd",
    # the output: an item
    "valid", "step", "vector", "count", "lane", "ends_position", "ends_row", "ends_strip",
    "error",
)  # fmt: skip


@borrowing
def show_pass(load, stream, d, narrow_formats):
    """Show the expanders of both operands what they must know of a pass.

    Bit n of `narrow_formats`: values of number format n have 8 bits.
    """
    narrow = (narrow_formats >> d.number_format) & 1
    load.narrow = narrow
    load.vectors = d.s_vectors
    load.mid = d.s_mid
    load.inner = d.s_inner
    stream.narrow = narrow
    stream.vectors = d.t_vectors
    stream.mid = 1
    stream.inner = d.t_width


@borrowing
def lowest(bits):
    """Return the number of the lowest of 16 bits that is set, or 0."""
    number = 0
    if bits & 0xFF == 0:
        bits >>= 8
        number = 8
    if bits & 0xF == 0:
        bits >>= 4
        number += 4
    if bits & 3 == 0:
        bits >>= 2
        number += 2
    if bits & 1 == 0:
        number += 1
    return number if bits else 0


@borrowing
def take_header(expander, halfword, loads):
    """Turn to the next block; to load, that makes no item."""
    expander.valid = not loads
    expander.step = expander.block_left - expander.at
    expander.count = 0
    expander.ends_position = 0
    expander.ends_row = 0
    expander.ends_strip = 0
    expander.row_left -= expander.block_left
    expander.block_left = VECTOR >> expander.vectors
    expander.bits = halfword
    expander.at = 0


@borrowing
def end_stretch(expander, stretch):
    """Move on behind the end of a stretch of positions; say what it ends."""
    expander.ends_position = 1
    expander.bits >>= stretch << expander.vectors
    expander.block_left -= stretch
    expander.row_left -= stretch
    expander.at = 0
    if expander.row_left:
        return
    expander.ends_row = 1
    expander.row_left = expander.inner
    expander.mid_left -= 1
    if expander.mid_left == 0:
        expander.mid_left = expander.mid
        expander.rows_left -= 1
        if expander.rows_left == 0:
            expander.ends_strip = 1
            expander.error = expander.error or expander.bits != 0
            expander.bits = 0
            expander.block_left = 0


@borrowing
def expand(expander, reader, halfwords, advance, loads):
    """Make the next item, or take a header; return the halfwords taken, or -1 if it has to wait."""
    vectors, narrow = expander.vectors, expander.narrow
    stretch = 1 if loads else expander.row_left
    reaches = stretch <= expander.block_left
    reach = min(stretch << vectors, VECTOR)
    ones = (1 << reach) - 1
    within = expander.bits & ones
    if within == 0 and not reaches:
        if reader.available == 0:
            expander.error = reader.ends
            return -1
        if not advance:
            return -1
        take_header(expander, halfwords[reader.at], loads)
        return 1
    used = 0
    count = 0
    mask = rest = 0
    if within:
        # a fresh mask is not looked at before it has arrived
        if reader.available == 0:
            expander.error = reader.ends
            return -1
        fresh = expander.mask_left == 0
        mask = halfwords[reader.at] if fresh else expander.mask_left
        rest = mask & (mask - 1)
        count = 1
        if loads and rest:
            count = 2
            rest &= rest - 1
        used = fresh + (1 if narrow else count)
        if reader.available < used:
            expander.error = reader.ends
            return -1
        if not loads and narrow and not expander.odd and rest:
            used -= 1
        if not advance:
            return -1
        expander.error = mask == 0
    elif not advance:
        return -1

    position = vector = 0
    if within:
        vector = lowest(within)
        position = vector >> vectors
        expander.step = position - expander.at
    else:
        expander.step = 0
    expander.valid = 1
    expander.vector = vector & (1 << vectors) - 1
    expander.count = count
    expander.lane = lowest(mask)
    expander.ends_position = 0
    expander.ends_row = 0
    expander.ends_strip = 0
    after = within & (within - 1) if rest == 0 else within
    expander.mask_left = rest
    expander.odd = rest != 0 and not expander.odd
    expander.bits = expander.bits & ~ones | after
    expander.at = position
    if after == 0 and reaches:
        end_stretch(expander, stretch)
    return used


@borrowing
def step_expander(expander, reader, halfwords, ready, loads, has_strip, rows, ends_piece):
    """Advance a VectorExpander.

    Parameters
    ----------
    expander
        `EXPANDER`.
    reader
        `cycles.port.pieces.PIECE_READER`, which is stepped later.
    halfwords
        uint16 (halfwords,): the memory.
    ready
        Its item, if there is one, is taken.
    loads
        It makes items of 2 values, for each position; else of 1 and passes positions over.
    has_strip
        A strip is offered.
    rows, ends_piece
        It has so many rows, and ends its piece.

    Returns
    -------
    tuple
        Halfwords taken; whether the piece is done with; whether the strip is taken.
    """
    advance = not expander.valid or ready
    take = 0
    closes = expander.closing
    done = closes and reader.ends and reader.available == 0
    finishes = False
    takes_strip = has_strip and not expander.active and not closes
    expander.error = closes and reader.available != 0
    if advance:
        expander.valid = 0
    if expander.active and (advance or reader.ends):
        take = expand(expander, reader, halfwords, advance, loads)
        finishes = take >= 0 and expander.ends_strip
        take = max(take, 0)
    if finishes:
        expander.active = 0
        expander.closing = expander.ends_piece
        takes_strip = has_strip and not expander.ends_piece
    elif done:
        expander.closing = 0
    if takes_strip:
        expander.active = 1
        expander.ends_piece = ends_piece
        expander.rows_left = rows
        expander.mid_left = expander.mid
        expander.row_left = expander.inner
    return take, done, takes_strip
