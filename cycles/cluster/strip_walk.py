"""Cycle model of `hw.cluster.strip_walk`, and of the two queues behind it."""

from __future__ import annotations

from gscn.cycles.state import record
from gscn.latencies import STRIPS_NAMED
from gscn.passes import Mode
from gscn.system.compiled import borrowing

KERNEL = int(Mode.KERNEL)

WALKER = record(
    "active", "is_empty", "groups_left", "samples_left", "strip", "first", "end", "chunk", "key",
    # strips for the expander, a ring
    "strips", "strip_head",
    # contexts for the placer, a ring
    "contexts", "head",
    rows=STRIPS_NAMED, ends_piece=STRIPS_NAMED,
    need=STRIPS_NAMED, finished=STRIPS_NAMED, base=STRIPS_NAMED, marks=STRIPS_NAMED,
    ends_sample=STRIPS_NAMED, ends_job=STRIPS_NAMED, empty=STRIPS_NAMED, last_group=STRIPS_NAMED,
)  # fmt: skip


@borrowing
def has_room(walker):
    """Return whether the queues take a context, and its strip, in this cycle."""
    return walker.contexts < STRIPS_NAMED and (walker.is_empty or walker.strips < STRIPS_NAMED)


@borrowing
def pop_context(walker):
    """Take the oldest context off."""
    walker.head = (walker.head + 1) % STRIPS_NAMED
    walker.contexts -= 1


@borrowing
def pop_strip(walker):
    """Take the oldest strip off."""
    walker.strip_head = (walker.strip_head + 1) % STRIPS_NAMED
    walker.strips -= 1


@borrowing
def end_strip(job, d):
    """Return one past the last strip of a job, in each of its samples."""
    if d.mode == KERNEL:
        return min(job.strip + d.strips_before + d.strips_after, d.t_strips)
    return min(job.strip + d.unit_strips, d.t_strips) if d.unit_strips else d.t_strips


@borrowing
def first_chunk(job, d):
    """Return the chunk of a sample that is the first of a job of correlate mode."""
    return job.strip - min(job.strip, d.behind)


@borrowing
def end_chunk(job, d):
    """Return one past the chunk of a sample that is the last of a job of correlate mode."""
    return min(end_strip(job, d) + d.ahead, d.s_chunks)


@borrowing
def start_walk(walker, job, chunk, base, d):
    """Begin a job whose first chunk, and its first key, are these."""
    kernel = d.mode == KERNEL
    walker.active = 1
    walker.is_empty = not job.streams
    walker.groups_left = d.t_groups if kernel else 1
    walker.samples_left = job.samples
    walker.first = max(job.strip, 0)
    walker.strip = walker.first
    walker.end = end_strip(job, d)
    walker.chunk = chunk if kernel else chunk - first_chunk(job, d)
    walker.key = base


@borrowing
def name_strip(walker, last_strip, d):
    """Queue the strip, and the part of its context that depends on the mode."""
    last_sample = walker.samples_left == 1
    tail = (walker.strip_head + walker.strips) % STRIPS_NAMED
    walker.rows[tail] = d.t_rows_last if walker.strip + 1 == d.t_strips else d.t_rows
    walker.ends_piece[tail] = last_strip and last_sample
    walker.strips += 1
    tail = (walker.head + walker.contexts) % STRIPS_NAMED
    if d.mode == KERNEL:
        walker.need[tail] = walker.chunk + 1
        walker.finished[tail] = walker.chunk + 1
        walker.marks[tail] = last_strip and last_sample
    else:
        behind = walker.strip - d.behind + 1
        need = min(walker.strip + d.ahead + 1, d.s_chunks)
        done = need if last_strip else min(max(behind, 0), d.s_chunks)
        walker.need[tail] = walker.chunk + need
        walker.finished[tail] = walker.chunk + done
        walker.marks[tail] = last_strip or behind > 0


@borrowing
def step_walk(walker, job, d, sample_keys, keys):
    """Name the next strip of the job under way, for which there is room.

    `sample_keys` are the keys of a sample of correlate mode, `keys` those of the directory.
    """
    kernel = d.mode == KERNEL
    last_strip = walker.strip + 1 == walker.end
    ends_piece = last_strip and walker.samples_left == 1
    ends_job = walker.is_empty or (ends_piece and walker.groups_left == 1)
    if not walker.is_empty:
        name_strip(walker, last_strip, d)
    tail = (walker.head + walker.contexts) % STRIPS_NAMED
    walker.base[tail] = walker.key
    walker.ends_sample[tail] = last_strip
    walker.ends_job[tail] = ends_job
    walker.empty[tail] = walker.is_empty
    walker.last_group[tail] = walker.groups_left == 1
    walker.contexts += 1
    if ends_job:
        walker.active = 0
    elif not last_strip:
        walker.strip += 1
    else:
        walker.strip = walker.first
        walker.samples_left -= 1
        if not kernel:
            walker.chunk += d.s_chunks
            walker.key = (walker.key + sample_keys) & (keys - 1)
        elif ends_piece:
            walker.groups_left -= 1
            walker.samples_left = job.samples
            walker.chunk += 1
            walker.key = (walker.key + d.s_keys) & (keys - 1)
