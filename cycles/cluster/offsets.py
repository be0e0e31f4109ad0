"""Cycle model of `hw.cluster.offsets`: from jobs to pieces of both operands.

Addresses are counted in entries of the memory, of 32 bits; the entries themselves are read there.
"""

from __future__ import annotations

import numpy as np

from gscn.cycles.cluster.jobs import TABLE_LOADS, TABLE_STREAMS, pop_job
from gscn.cycles.cluster.strip_walk import KERNEL, end_chunk, end_strip, first_chunk
from gscn.cycles.cluster.window import pop_verdict
from gscn.cycles.port.pieces import request
from gscn.cycles.state import record
from gscn.passes import HALFWORD_BYTES, TABLE_ENTRY_BYTES
from gscn.system.compiled import borrowing

PICK, MULTIPLY, ASK_START, ASK_END, WAIT = range(5)
"""States."""
NO_BEAT = -1
"""In place of the number of a beat."""

TABLE_READER = record(
    "state",
    "streams",  # what is worked on is of the streamed operand
    "multiplying",  # cycles that it takes yet
    "start", "end",  # entries that say where its piece starts and ends
    "stream_start", "stream_end", "pieces_left",  # of the job whose stream is handed out
    "tile", "tile_known",
    # beats read last for a start and an end
    "start_beat", "start_due", "end_beat", "end_due",
    "settles",  # one has come in the cycle before
    # pieces handed on, `first` counted from the beginning of the data
    "load_valid", "load_first", "load_halfwords",
    "stream_valid", "stream_first", "stream_halfwords",
    "error",
    "has_verdict",  # the window offers one in this cycle
)  # fmt: skip


@borrowing
def forget_tables(tables):
    """Forget what was read, and what is under way."""
    tables.state = PICK
    tables.pieces_left = 0
    tables.tile_known = 0
    tables.start_beat = NO_BEAT
    tables.start_due = 0
    tables.end_beat = NO_BEAT
    tables.end_due = 0
    tables.load_valid = 0
    tables.stream_valid = 0
    tables.error = 0


@borrowing
def bits(value):
    """Return the bits of a number's magnitude."""
    value = abs(value)
    count = 0
    while value:
        value >>= 1
        count += 1
    return count


@borrowing
def multiply(tables, table, strips, groups, first, count, column):
    """Begin to find the piece of `count` rows of a table from its row `first` on, in a column.

    `table` is its byte address; it has `groups` columns, and `strips` rows for each sample.
    """
    tables.start = table // TABLE_ENTRY_BYTES + first * groups + column
    tables.end = tables.start + count * groups
    # four products, a cycle more each
    tables.multiplying = 2 * (bits(strips) + bits(groups)) + 4
    tables.state = MULTIPLY


@borrowing
def pick_load(tables, job, d):
    """Begin to work on what a job loads."""
    tables.tile = job.s_tile
    tables.tile_known = 1
    tables.streams = 0
    kernel = d.mode == KERNEL
    first, count = 0, d.s_chunks
    if not kernel:
        chunk = first_chunk(job, d)
        first = job.first_sample * d.s_chunks + chunk
        count = (job.samples - 1) * d.s_chunks + end_chunk(job, d) - chunk
    multiply(tables, d.s_table, d.s_chunks, d.s_groups, first, count, job.s_tile)


@borrowing
def pick_stream(tables, job, d):
    """Begin to work on the stream of a job."""
    kernel = d.mode == KERNEL
    first, end = max(job.strip, 0), end_strip(job, d)
    first_row = job.first_sample * d.t_strips + first
    count = (job.samples - 1) * d.t_strips + end - first
    column = 0 if kernel else job.t_group
    multiply(tables, d.t_table, d.t_strips, d.t_groups, first_row, count, column)
    tables.streams = 1
    tables.pieces_left = d.t_groups if kernel else 1
    tables.stream_start = tables.start
    tables.stream_end = tables.end


@borrowing
def pick(tables, window, queues, jobs, d):
    """Choose what to work on next: what is to be loaded first."""
    if queues.level[TABLE_LOADS] and not tables.load_valid:
        job = jobs[TABLE_LOADS, queues.head[TABLE_LOADS]]
        if d.chained or not tables.tile_known or job.s_tile != tables.tile:
            pick_load(tables, job, d)
            pop_job(queues, jobs, TABLE_LOADS)
            return
        if tables.has_verdict:
            # what was handed on for the tile is still there
            tables.load_valid = not pop_verdict(window)
            pop_job(queues, jobs, TABLE_LOADS)
            return
    if tables.pieces_left:
        if not tables.stream_valid:
            tables.streams = 1
            tables.start = tables.stream_start
            tables.end = tables.stream_end
            tables.stream_start += 1
            tables.stream_end += 1
            tables.pieces_left -= 1
            tables.state = ASK_START
    elif queues.level[TABLE_STREAMS]:
        pick_stream(tables, jobs[TABLE_STREAMS, queues.head[TABLE_STREAMS]], d)
        pop_job(queues, jobs, TABLE_STREAMS)


@borrowing
def hand_on(tables, entries, d):
    """Hand a piece on, if it lies in the operand's data."""
    first, end = np.int64(entries[tables.start]), np.int64(entries[tables.end])
    right = first <= end <= (d.t_halfwords if tables.streams else d.s_halfwords)
    tables.error = not right
    if tables.streams:
        tables.stream_valid = right
        tables.stream_first = first
        tables.stream_halfwords = end - first
    else:
        tables.load_valid = right
        tables.load_first = first
        tables.load_halfwords = end - first
    tables.state = PICK


@borrowing
def take_beat(tables):
    """Take a beat, that of a start before that of an end."""
    if tables.start_due:
        tables.start_due = 0
    else:
        tables.end_due = 0


@borrowing
def search(tables, channel, due, entries, d, beat_entries):
    """Go on with the piece that is worked on; `due` is whether a beat is not yet looked at."""
    if tables.state == MULTIPLY:
        tables.multiplying -= 1
        if tables.multiplying == 0:
            tables.state = PICK if tables.streams else ASK_START
    elif tables.state == ASK_START:
        beat = tables.start // beat_entries
        if tables.start_beat == beat or channel.granted:
            tables.state = ASK_END
            if channel.granted:
                tables.start_beat = beat
                tables.start_due = 1
    elif tables.state == ASK_END:
        beat = tables.end // beat_entries
        same = beat == tables.start // beat_entries
        if same or tables.end_beat == beat or channel.granted:
            tables.state = WAIT
            if channel.granted:
                tables.end_beat = beat
                tables.end_due = 1
    elif not due:
        hand_on(tables, entries, d)


@borrowing
def step_tables(tables, channel, window, queues, jobs, entries, d, beat_entries):
    """Advance a TableReader.

    Parameters
    ----------
    tables
        `TABLE_READER`.
    channel
        `cycles.port.channel.CHANNEL` of tables.
    window
        `cycles.cluster.window.WINDOW`, of which a verdict may be taken.
    queues, jobs
        `cycles.cluster.jobs.JOB_QUEUES`, of which jobs may be taken, and what they hold.
    entries
        uint32 (entries,): the memory.
    d
        `cycles.descriptors.PASS`.
    beat_entries
        Entries in a beat.
    """
    due = tables.start_due or tables.end_due or tables.settles
    tables.error = 0
    tables.settles = channel.arrived
    if channel.arrived:
        take_beat(tables)
    if tables.state == PICK:
        pick(tables, window, queues, jobs, d)
    else:
        search(tables, channel, due, entries, d, beat_entries)


@borrowing
def offer_beat(tables, channel, beat_entries):
    """Leave the beat of a table that is offered in the next cycle."""
    channel.beats = 0
    if tables.state == ASK_START:
        channel.beat = tables.start // beat_entries
        channel.beats = tables.start_beat != channel.beat
    elif tables.state == ASK_END:
        channel.beat = tables.end // beat_entries
        same = channel.beat == tables.start // beat_entries
        channel.beats = not same and tables.end_beat != channel.beat


@borrowing
def request_pieces(tables, load_reader, stream_reader, loads, streams, d, beat_bytes):
    """Hand pieces to the readers; `loads` and `streams` are whether they take one."""
    beat_halfwords = beat_bytes // HALFWORD_BYTES
    if loads:
        first = d.s_data // HALFWORD_BYTES + tables.load_first
        request(load_reader, first, tables.load_halfwords, beat_halfwords)
        tables.load_valid = 0
    if streams:
        first = d.t_data // HALFWORD_BYTES + tables.stream_first
        request(stream_reader, first, tables.stream_halfwords, beat_halfwords)
        tables.stream_valid = 0
