"""Cycle model of `hw.cluster.placer`: from items of strips to words.

Offsets are absent: time depends on keys only.
"""

from __future__ import annotations

from gscn.cycles.cluster.strip_walk import KERNEL
from gscn.cycles.pe.worker import END, MAC, MARK
from gscn.cycles.state import record
from gscn.latencies import WORDS_QUEUED
from gscn.passes import VECTOR
from gscn.system.compiled import borrowing

PLACER = record(
    # an item, its channel of kernel mode or -1, and what that adds to keys
    "valid", "columns", "channel", "lane_keys", "wanted", "ends_row", "ends_strip",
    # the row, that of the job's first strip, and the column of the item before
    "row", "first_row", "column",
    # the row from which keys count, of both
    "key_row", "first_key_row",
    "skips", "strips_left", "rows_left",  # strips that are not there, on the way to the first
    "mark_due", "finished", "uses", "ends_job",
    # the output: words, a ring, with their reports
    "kept", "word_head",
    "leaves",  # the oldest is taken in this cycle
    "error",
    kind=WORDS_QUEUED, key=WORDS_QUEUED, span=WORDS_QUEUED, rows=WORDS_QUEUED,
    job_end=WORDS_QUEUED, kept_finished=WORDS_QUEUED, kept_uses=WORDS_QUEUED,
    kept_ends_job=WORDS_QUEUED,
)  # fmt: skip
FAR = 1 << 16
"""From here on a row or column stays where it is."""


@borrowing
def pop_word(placer):
    """Take the oldest word off."""
    placer.word_head = (placer.word_head + 1) % WORDS_QUEUED
    placer.kept -= 1


@borrowing
def start_places(placer, job, d):
    """Begin a job."""
    kernel = d.mode == KERNEL
    placer.column = d.first_col
    placer.row = d.first_row
    placer.strips_left = max(-job.strip, 0) if kernel else job.strip
    placer.key_row = d.first_row
    placer.rows_left = d.t_rows
    placer.skips = job.streams


@borrowing
def skip_row(placer, d):
    """Go to the next row of strips that are not there."""
    if placer.strips_left == 0:
        placer.skips = 0
        placer.first_row = placer.row
        placer.first_key_row = placer.key_row
        return
    if d.mode == KERNEL or placer.strips_left <= d.behind:
        # chunks that lie before are not loaded
        placer.key_row += d.t_step
    if placer.row < FAR:
        placer.row += d.t_step
    placer.rows_left -= 1
    if placer.rows_left == 0:
        placer.strips_left -= 1
        placer.rows_left = d.t_rows


@borrowing
def take_item(placer, expander, d):
    """Take an item."""
    placer.valid = 1
    placer.columns = expander.step[0] * d.t_step
    placer.ends_row = expander.ends_row[0]
    placer.ends_strip = expander.ends_strip[0]
    placer.wanted = expander.count[0]
    placer.channel = -1
    if expander.count[0]:
        channel = expander.vector[0] * VECTOR + expander.lane[0]
        if d.mode == KERNEL:
            placer.channel = channel
            placer.lane_keys = channel * d.lane_step
        else:
            placer.lane_keys = 0


@borrowing
def meets(placer, job, d, column):
    """Return whether the item is a word."""
    return (
        placer.wanted and job.x0 - d.taps_x < column < job.x1 and -d.taps_y < placer.row < job.rows
    )


@borrowing
def keep_word(placer, job, d, base, column, keys):
    """Keep the word that the item makes."""
    first_tap = max(job.x0 - column, 0)
    columns = min(job.x1 - column, d.taps_x) - first_tap
    tap_rows = min(job.rows - placer.row, d.taps_y) - max(-placer.row, 0)
    kernel = d.mode == KERNEL
    key = base + placer.lane_keys + first_tap
    if kernel:
        key -= min(placer.row, 0) * d.row_keys
    else:
        key += (placer.key_row if placer.row >= 0 else 0) * d.row_keys + column
    joins = kernel and columns == d.taps_x == d.row_keys
    tail = (placer.word_head + placer.kept) % WORDS_QUEUED
    placer.kept += 1
    placer.kind[tail] = MAC
    placer.key[tail] = key & (keys - 1)
    placer.span[tail] = tap_rows * columns if joins else columns
    placer.rows[tail] = 0 if joins else tap_rows - 1
    placer.job_end[tail] = 0


@borrowing
def keep_mark(placer, job):
    """Keep the MARK or END that is due."""
    placer.mark_due = 0
    tail = (placer.word_head + placer.kept) % WORDS_QUEUED
    placer.kept += 1
    placer.kind[tail] = END if placer.ends_job else MARK
    placer.job_end[tail] = placer.ends_job and job.drains
    placer.kept_finished[tail] = placer.finished
    placer.kept_uses[tail] = placer.uses
    placer.kept_ends_job[tail] = placer.ends_job and placer.uses


@borrowing
def move(placer, d, column, ends_sample):
    """Go to where the next item is counted from."""
    placer.column = column
    if placer.ends_row:
        placer.column = d.first_col
        if placer.ends_strip and ends_sample:
            placer.row = placer.first_row
            placer.key_row = placer.first_key_row
        else:
            placer.key_row += d.t_step
            if placer.row < FAR:
                placer.row += d.t_step


@borrowing
def take_mark(placer, walker):
    """Make the mark that the context asks for."""
    placer.mark_due = 1
    placer.finished = walker.finished[walker.head]
    placer.uses = not walker.empty[walker.head]
    placer.ends_job = walker.ends_job[walker.head]


@borrowing
def consume(placer, walker, job, d, keys):
    """Make the item a word, or drop it."""
    column = placer.column
    if column < FAR:
        column += placer.columns
    if meets(placer, job, d, column):
        keep_word(placer, job, d, walker.base[walker.head], column, keys)
    channels = d.s_outer_last if walker.last_group[walker.head] else d.s_outer
    placer.error = placer.channel >= channels
    move(placer, d, column, walker.ends_sample[walker.head])
