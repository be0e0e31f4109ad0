"""Cycle model of `hw.port.pieces`: a read channel of a cluster, from pieces to halfwords.

Halfwords are not kept: they are in the image of the memory, from `at` on.
"""

from __future__ import annotations

from gscn.cycles.state import record
from gscn.latencies import PIECES_REQUESTED
from gscn.system.compiled import borrowing

MOST = 4
"""`hw.input_layouts.WINDOW_HALFWORDS`: halfwords that can be taken in a cycle."""

PIECE_READER = record(
    # what is asked for: next beat, beats left; of the buffer: beats it has room for, beats in it
    "beat", "beats_left", "room", "level",
    "pieces",  # requested and not begun
    # the piece begun last: halfwords not gathered, the place of the next one in its beat, and those
    # of it that are gathered and not in the window; it is the one behind that under way
    "left", "position", "group", "ahead", "next_at",
    "under_way", "at", "count",  # a piece is, its next halfword, and halfwords in the window
    "available", "ends",  # the outputs of these names
    first=PIECES_REQUESTED, halfwords=PIECES_REQUESTED,  # of these pieces, `first` in the memory
)  # fmt: skip


@borrowing
def can_request(reader):
    """Return whether a piece is taken in this cycle."""
    return reader.beats_left == 0 and reader.pieces < PIECES_REQUESTED


@borrowing
def request(reader, first, halfwords, beat_halfwords):
    """Ask for a piece, after the step of a cycle in which it `can_request`."""
    reader.first[reader.pieces] = first
    reader.halfwords[reader.pieces] = halfwords
    reader.pieces += 1
    if halfwords:
        reader.beat = first // beat_halfwords
        reader.beats_left = (first + halfwords - 1) // beat_halfwords - reader.beat + 1


@borrowing
def begin_piece(reader, beat_halfwords):
    """Turn to the next piece; it is under way if none is."""
    first = reader.first[0]
    reader.left = reader.halfwords[0]
    reader.position = first & (beat_halfwords - 1)
    if reader.under_way:
        reader.ahead = 1
        reader.next_at = first
    else:
        reader.under_way = 1
        reader.at = first
    for index in range(PIECES_REQUESTED - 1):
        reader.first[index] = reader.first[index + 1]
        reader.halfwords[index] = reader.halfwords[index + 1]
    reader.pieces -= 1


@borrowing
def gather(reader, beat_halfwords):
    """Gather the next halfwords of a beat; return whether that leaves the buffer."""
    here = MOST - reader.position % MOST
    reader.group = min(here, reader.left)
    reader.left -= reader.group
    reader.position = (reader.position + here) & (beat_halfwords - 1)
    return reader.left == 0 or reader.position == 0


@borrowing
def look(reader):
    """Find how many halfwords are shown."""
    reader.available = min(reader.count, MOST)
    whole = reader.ahead or (reader.left == 0 and reader.group == 0)
    reader.ends = reader.under_way and whole and reader.count <= MOST


@borrowing
def step_pieces(reader, channel, take, done, beat_halfwords):
    """Advance a PieceReader, of which `take` halfwords are taken, or the piece is `done` with.

    `channel` is its `cycles.port.channel.CHANNEL`.
    """
    enters = reader.group > 0 and not reader.ahead and reader.count < 2 * MOST
    reader.count -= take
    reader.at += take
    free = enters or reader.group == 0
    begins = free and reader.left == 0 and not reader.ahead and reader.pieces > 0
    if enters:
        reader.count += reader.group
        reader.group = 0
    leaves = 0
    if free and reader.left and reader.level:
        leaves = int(gather(reader, beat_halfwords))
    if done:
        reader.under_way = reader.ahead
        reader.at = reader.next_at
        reader.ahead = 0
    if begins:
        begin_piece(reader, beat_halfwords)
    issued = 0
    if channel.granted:
        issued = channel.beats
        reader.beat += issued
        reader.beats_left -= issued
    reader.room += leaves - issued
    reader.level += channel.arrived - leaves
    look(reader)


@borrowing
def offer_burst(reader, channel, burst):
    """Leave the burst that is offered in the next cycle."""
    beats = 0
    if reader.beats_left:
        beats = min(reader.beats_left, burst - (reader.beat & (burst - 1)))
        if reader.room < beats:
            beats = 0
    channel.beat = reader.beat
    channel.beats = beats
