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
    # the piece that is under way: halfwords left, the next one, its place in the oldest beat,
    # and halfwords in the tail before it
    "under_way", "left", "at", "position", "tail",
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
    """Turn to the next piece, if there is one."""
    reader.under_way = reader.pieces > 0
    if reader.pieces == 0:
        return
    reader.at = reader.first[0]
    reader.left = reader.halfwords[0]
    reader.position = reader.at & (beat_halfwords - 1) if reader.left else 0
    reader.tail = 0
    for index in range(PIECES_REQUESTED - 1):
        reader.first[index] = reader.first[index + 1]
        reader.halfwords[index] = reader.halfwords[index + 1]
    reader.pieces -= 1


@borrowing
def look(reader, beat_halfwords):
    """Find how many halfwords are shown."""
    reader.available = 0
    reader.ends = 0
    if reader.under_way:
        present = reader.tail
        if reader.level:
            present += beat_halfwords - reader.position
        reader.available = min(present, MOST, reader.left)
        reader.ends = reader.left == reader.available


@borrowing
def step_pieces(reader, channel, take, done, beat_halfwords):
    """Advance a PieceReader, of which `take` halfwords are taken, or the piece is `done` with.

    `channel` is its `cycles.port.channel.CHANNEL`.
    """
    leaves = 0
    if reader.under_way:
        from_tail = min(take, reader.tail)
        position = reader.position + take - from_tail
        if done:
            leaves = reader.position != 0
        rest = beat_halfwords - position
        if reader.left and reader.level and take >= reader.tail and rest < MOST:
            leaves = 1
            reader.tail = rest
            reader.position = 0
        else:
            reader.tail -= from_tail
            reader.position = position
        reader.at += take
        reader.left -= take
    if done or not reader.under_way:
        begin_piece(reader, beat_halfwords)
    issued = 0
    if channel.granted:
        issued = channel.beats
        reader.beat += issued
        reader.beats_left -= issued
    reader.room += leaves - issued
    reader.level += channel.arrived - leaves
    look(reader, beat_halfwords)


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
