"""Cycle model of `hw.cluster.vectors`: from halfwords of strips to items.

Of the halfwords only those are looked at that say what is there: blocks and masks.
"""

from __future__ import annotations

from gscn.cycles.state import record
from gscn.passes import VECTOR, Mode
from gscn.system.compiled import borrowing

CORRELATE = int(Mode.CORRELATE)
LOOKED_AT = 3
"""As in `hw.cluster.vectors`."""

EXPANDER = record(
    "vectors", "mid", "inner", "narrow",  # of the pass, as in the hardware
    "lanes", "vector_wanted", "vector_care",  # of the job
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
def show_job(stream, job, d):
    """Show the expander of the stream which lanes a job wants, as `hw.cluster.streamer` does."""
    stream.lanes = (1 << VECTOR) - 1
    stream.vector_care = stream.vector_wanted = 0
    if d.mode == CORRELATE:
        channels = VECTOR << d.t_vectors >> d.t_split
        stream.vector_wanted = job.lane0 // VECTOR
        stream.vector_care = (VECTOR - 1) & ~(max(channels, VECTOR) // VECTOR - 1)
        if channels < VECTOR:
            stream.lanes = (1 << channels) - 1 << job.lane0 % VECTOR


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
def wanted_lanes(expander, vector):
    """Return the lanes of a vector that items are made of."""
    if (vector ^ expander.vector_wanted) & expander.vector_care:
        return 0
    return expander.lanes


@borrowing
def take_lanes(mask, wanted):
    """Take lanes up to the second wanted one; return the rest, how many, and the wanted or -1."""
    lane = -1
    taken = 0
    while taken < LOOKED_AT and (mask or taken == 0):
        low = mask & -mask
        if low & wanted:
            if lane >= 0:
                break
            lane = lowest(low)
        mask ^= low
        taken += 1
    return mask, taken, lane


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
    used = count = rest = taken = 0
    position = vector = 0
    lane = -1
    if within:
        # a fresh mask is not looked at before it has arrived
        if reader.available == 0:
            expander.error = reader.ends
            return -1
        vector = lowest(within)
        position = vector >> vectors
        vector &= (1 << vectors) - 1
        fresh = expander.mask_left == 0
        mask = halfwords[reader.at] if fresh else expander.mask_left
        if loads:
            rest = mask & (mask - 1)
            count = taken = 1 + (rest != 0)
            rest &= rest - 1
        else:
            rest, taken, lane = take_lanes(mask, wanted_lanes(expander, vector))
            count = lane >= 0
        used = fresh + ((expander.odd + taken + 1) // 2 if narrow else taken)
        if reader.available < used:
            expander.error = reader.ends
            return -1
        if narrow and rest:
            used = fresh + (expander.odd + taken) // 2
        if not advance:
            return -1
        expander.error = mask == 0
    elif not advance:
        return -1

    after = within & (within - 1) if rest == 0 else within
    ends = after == 0 and reaches
    expander.valid = count > 0 or ends
    expander.step = position - expander.at if within else 0
    expander.vector = vector
    expander.count = count
    expander.lane = max(lane, 0)
    expander.ends_position = 0
    expander.ends_row = 0
    expander.ends_strip = 0
    expander.mask_left = rest
    expander.odd = rest != 0 and (expander.odd + taken) & 1
    expander.bits = expander.bits & ~ones | after
    if count:
        expander.at = position
    if ends:
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
        It makes items of 2 values, for each position; else of 1, of lanes that the job wants, and
        passes positions over.
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
