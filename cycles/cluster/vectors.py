"""Cycle model of `hw.cluster.vectors`: from halfwords of strips to items."""

from __future__ import annotations

from gscn.cycles.cluster.portions import (
    BLOCK,
    END,
    VALUES,
    lowest,
    pop_portion,
    read_portion,
)
from gscn.cycles.state import record
from gscn.latencies import ITEMS_QUEUED, PORTIONS_QUEUED
from gscn.passes import VECTOR, Mode
from gscn.system.compiled import borrowing

CORRELATE = int(Mode.CORRELATE)
STREAM_VALUES, LOAD_VALUES = 3, 2
"""Values of a portion, as in `hw.cluster.vectors`."""

EXPANDER = record(
    "vectors", "mid", "inner",  # of the pass, as in the hardware
    "lanes", "vector_wanted", "vector_care",  # of the job
    "active", "ends_piece", "closing",
    "rows_left", "mid_left", "row_left",
    "end", "next", "at",  # positions of the block, and the next vector in it
    "error",
    "items",  # that wait, in order
    step=ITEMS_QUEUED, vector=ITEMS_QUEUED, count=ITEMS_QUEUED, lane=ITEMS_QUEUED,
    ends_position=ITEMS_QUEUED, ends_row=ITEMS_QUEUED, ends_strip=ITEMS_QUEUED,
)  # fmt: skip


@borrowing
def show_pass(load, stream, d):
    """Show the expanders of both operands what they must know of a pass."""
    load.vectors = d.s_vectors
    load.mid = d.s_mid
    load.inner = d.s_inner
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
def wanted_lanes(expander, vector):
    """Return the lanes of a vector that items are made of."""
    if (vector ^ expander.vector_wanted) & expander.vector_care:
        return 0
    return expander.lanes


@borrowing
def begin_strip(expander, rows, ends_piece, loads):
    """Take a strip."""
    expander.active = 1
    expander.ends_piece = ends_piece
    expander.rows_left = rows
    expander.mid_left = expander.mid
    expander.row_left = expander.inner
    # the block before has ended
    positions = VECTOR >> expander.vectors
    expander.end = positions + (1 if loads else expander.inner)
    expander.next = VECTOR
    expander.at = positions


@borrowing
def pop_item(expander):
    """Take the item that comes first."""
    expander.items -= 1
    expander.step[0] = expander.step[1]
    expander.vector[0] = expander.vector[1]
    expander.count[0] = expander.count[1]
    expander.lane[0] = expander.lane[1]
    expander.ends_position[0] = expander.ends_position[1]
    expander.ends_row[0] = expander.ends_row[1]
    expander.ends_strip[0] = expander.ends_strip[1]


@borrowing
def end_stretch(expander, loads):
    """Move on behind the end of a stretch of positions; let the item that is made say so."""
    item = expander.items
    expander.ends_position[item] = 1
    expander.at = expander.end
    expander.end += 1 if loads else expander.inner
    if loads:
        expander.row_left -= 1
        if expander.row_left:
            return
        expander.row_left = expander.inner
    expander.ends_row[item] = 1
    expander.mid_left -= 1
    if expander.mid_left == 0:
        expander.mid_left = expander.mid
        expander.rows_left -= 1
        if expander.rows_left == 0:
            expander.ends_strip[item] = 1
            expander.error = expander.error or expander.next != VECTOR


@borrowing
def make_item(expander, portions, loads):
    """Make the next item, if there is one; return if a portion is taken, and if the strip ends."""
    item, vectors = expander.items, expander.vectors
    positions = VECTOR >> vectors
    reaches = expander.end <= positions
    here = expander.next >> vectors
    has = expander.next < VECTOR and (not reaches or here < expander.end)
    if has or not reaches:
        if portions.level == 0:
            return False, False
        if portions.kind[0] != (VALUES if has else BLOCK):
            expander.error = 1
            return False, False
    expander.count[item] = expander.vector[item] = expander.step[item] = expander.lane[item] = 0
    expander.ends_position[item] = 0
    expander.ends_row[item] = 0
    expander.ends_strip[item] = 0
    if not has and not reaches:
        expander.step[item] = positions - expander.at
        expander.end -= positions
        expander.at = 0
        expander.next = portions.next[0]
        expander.items += not loads
        return True, False
    whole = False
    if has:
        bits, vector = portions.bits[0], expander.next & ((1 << vectors) - 1)
        if loads:
            expander.count[item] = 1 + (bits & (bits - 1) != 0)
            bits = 0
        else:
            bits &= wanted_lanes(expander, vector)
            expander.count[item] = bits != 0
            expander.lane[item] = lowest(bits)
            bits &= bits - 1
        expander.vector[item] = vector
        expander.step[item] = here - expander.at
        portions.bits[0] = bits
        whole = bits == 0
        if expander.count[item]:
            expander.at = here
        if whole and portions.last[0]:
            expander.next = portions.next[0]
            has = expander.next < VECTOR and expander.next >> vectors < expander.end
    if reaches and not has:
        end_stretch(expander, loads)
    expander.items += expander.count[item] > 0 or expander.ends_position[item]
    return whole, expander.ends_strip[item] > 0


@borrowing
def step_expander(expander, portions, reader, halfwords, ready, loads, rows, ends_piece):
    """Advance a VectorExpander.

    Parameters
    ----------
    expander
        `EXPANDER`.
    portions
        `cycles.cluster.portions.PORTION_READER`.
    reader
        `cycles.port.pieces.PIECE_READER`, which is stepped later.
    halfwords
        uint16 (halfwords,): the memory.
    ready
        Its item, if there is one, is taken.
    loads
        It makes items of 2 values, for each position; else of 1, of lanes that the job wants, and
        passes positions over.
    rows, ends_piece
        A strip of so many rows is offered, none if 0, and ends its piece.

    Returns
    -------
    tuple
        Halfwords taken; whether the piece is done with; whether the strip is taken.
    """
    room, has_strip = portions.level < PORTIONS_QUEUED, rows > 0
    advances = expander.items < ITEMS_QUEUED
    takes_strip = has_strip and not expander.active and not expander.closing
    expander.error = 0
    pops = finishes = False
    if ready and expander.items:
        pop_item(expander)
    if advances and expander.active:
        pops, finishes = make_item(expander, portions, loads)
    if expander.closing and portions.level:
        pops = portions.kind[0] == END
        expander.error = not pops
        if pops:
            expander.closing = 0
            takes_strip = has_strip
    if pops:
        pop_portion(portions)
    take, done = 0, False
    if room:
        most = LOAD_VALUES if loads else STREAM_VALUES
        take, done = read_portion(portions, reader, halfwords, most)
    if finishes:
        expander.active = 0
        expander.closing = expander.ends_piece
        takes_strip = has_strip and not expander.ends_piece
    if takes_strip:
        begin_strip(expander, rows, ends_piece, loads)
    return take, done, takes_strip
