"""Cycle model of `hw.cluster.result_writer`: from rows of results to bursts."""

from __future__ import annotations

from gscn.cycles.state import record
from gscn.system.compiled import borrowing

RESULT_WRITER = record(
    "begun", "open_beat",  # a beat is being put together; its address in beats
    "flushing",  # the job's last row has come
    "level",  # complete beats
    "first", "beats",  # the burst that is being put together
    "bursts", "burst_head",  # complete ones, a ring
    # what happens to it in this cycle: its first burst is taken, a beat leaves
    "taken", "leaves",
)  # fmt: skip


@borrowing
def is_empty(writer):
    """Return whether all beats have been handed on."""
    return writer.level == 0 and not writer.begun


@borrowing
def takes_row(writer, depth):
    """Return whether a row of results is taken, if there is one."""
    return not writer.flushing and writer.level != depth


@borrowing
def step_writer(writer, bursts, enters, place, last, beat_bits, burst):
    """Advance a ResultWriter.

    Parameters
    ----------
    writer
        `RESULT_WRITER`.
    bursts
        int64 (depth,): beats of complete bursts, a ring as long as the queue of beats.
    enters
        A row of results is handed to it, which it takes.
    place, last
        Where it belongs, in bytes; whether the job ends with it.
    beat_bits
        log2 of the bytes of a beat.
    burst
        Longest burst, in beats.
    """
    depth = bursts.shape[0]
    beat = place >> beat_bits
    other = writer.begun and beat != writer.open_beat
    room = writer.level != depth
    completes = (enters and other) or (writer.flushing and writer.begun and room)
    ends = writer.flushing and not writer.begun
    # -- bursts
    if writer.taken:
        writer.taken = 0
        writer.burst_head = (writer.burst_head + 1) % depth
        writer.bursts -= 1
    if completes or ends:
        open_beat = writer.open_beat
        follows = open_beat == writer.first + writer.beats and open_beat & burst - 1
        hands_on = writer.beats and (ends or not follows)
        if hands_on:
            bursts[(writer.burst_head + writer.bursts) % depth] = writer.beats
            writer.bursts += 1
        if completes:
            if hands_on or writer.beats == 0:
                writer.first = open_beat
                writer.beats = 1
            else:
                writer.beats += 1
        else:
            writer.beats = 0
            writer.flushing = 0
    # -- beats
    if enters:
        writer.begun = 1
        writer.open_beat = beat
        writer.flushing = last
    elif completes:
        writer.begun = 0
    writer.level += completes - writer.leaves
    writer.leaves = 0
