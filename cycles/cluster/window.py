"""Cycle model of `hw.cluster.window`: chunks into rings of keys and entries.

Chunks and entries are counted from the beginning of the pass; keys are modulo the directory.
"""

from __future__ import annotations

from gscn.cycles.cluster.strip_walk import KERNEL, end_chunk, first_chunk
from gscn.cycles.state import record
from gscn.latencies import (
    JOBS_DECIDED,
    LOAD_ASK_CYCLES,
    QUEUE_LATENCY,
    STRIPS_ASKED,
    STRIPS_TO_LOAD,
)
from gscn.system.compiled import borrowing

WINDOW = record(
    # chunks; keys and entries of the rings
    "loaded", "finished", "freed", "keys_used", "base", "entry", "oldest_entry",
    "open", "key",  # the chunk that is being loaded, and its last key
    "ends", "ends_head",  # of the ring of ends of chunks
    # the tile loaded last
    "tile", "known", "chunk", "first_key", "whole",
    "samples_left", "chunks_left", "under_way",  # strips
    "ends_samples",  # the last of them is a sample's last
    "counting",  # cycles until they are known
    "strips", "strip_head",  # for the expander, a ring
    "jobs",  # decided and not ended
    # queues, rings: verdicts, where the chunks of jobs begin, and whether the next one is held
    "verdicts", "verdict_head", "tiles", "tile_head", "nexts", "next_head",
    "closed",  # a chunk was loaded in the cycle before
    "blocked",  # there is no room, and nothing to forget, as the stream knows
    "tells",  # the start of a key is written
    rows=STRIPS_TO_LOAD, ends_piece=STRIPS_TO_LOAD,
    held=JOBS_DECIDED, tile_chunk=JOBS_DECIDED, tile_base=JOBS_DECIDED, held_next=JOBS_DECIDED,
)  # fmt: skip


@borrowing
def forget_window(window):
    """Forget what was loaded."""
    window.loaded = 0
    window.finished = 0
    window.freed = 0
    window.keys_used = 0
    window.base = 0
    window.entry = 0
    window.oldest_entry = 0
    window.open = 0
    window.ends = 0
    window.known = 0
    window.chunk = 0
    window.whole = 0
    window.samples_left = 0
    window.counting = 0
    window.under_way = 0
    window.jobs = 0
    window.verdicts = 0
    window.tiles = 0
    window.nexts = 0


@borrowing
def pop_verdict(window):
    """Take the oldest verdict off; return it."""
    held = window.held[window.verdict_head]
    window.verdict_head = (window.verdict_head + 1) % JOBS_DECIDED
    window.verdicts -= 1
    return held


@borrowing
def pop_tile(window):
    """Take the place of the oldest job's chunks off."""
    window.tile_head = (window.tile_head + 1) % JOBS_DECIDED
    window.tiles -= 1


@borrowing
def take_report(window, finished, uses, ends_job):
    """Take note of what all PEs have come through."""
    next_is_held = window.nexts > 0 and window.held_next[window.next_head]
    if uses and not next_is_held:
        window.finished = finished
    if ends_job:
        window.jobs -= 1
        if window.nexts:
            window.next_head = (window.next_head + 1) % JOBS_DECIDED
            window.nexts -= 1


@borrowing
def decides(window):
    """Return whether a job is taken in this cycle, if no report comes."""
    idle = window.samples_left == 0 and window.under_way == 0
    return idle and window.jobs < JOBS_DECIDED and window.verdicts < JOBS_DECIDED


@borrowing
def decide(window, job, d):
    """Hold the tile of the job before, or begin to load that of `job`."""
    kernel = d.mode == KERNEL
    again = not d.chained and window.known and job.s_tile == window.tile
    held = again and window.whole
    if again:
        window.held[(window.verdict_head + window.verdicts) % JOBS_DECIDED] = held
        window.verdicts += 1
    if held and window.nexts == 0:
        window.finished = window.chunk
    if window.jobs:
        window.held_next[(window.next_head + window.nexts) % JOBS_DECIDED] = held
        window.nexts += 1
    if not held:
        window.tile = job.s_tile
        window.known = 1
        window.whole = 1
        window.chunk = window.loaded
        window.first_key = window.base
        window.counting = LOAD_ASK_CYCLES - QUEUE_LATENCY - 1
        window.samples_left = 1 if kernel else job.samples
        window.chunks_left = d.s_chunks
        window.ends_samples = 1
        if not kernel:
            end = end_chunk(job, d)
            window.chunks_left = end - first_chunk(job, d)
            window.ends_samples = end == d.s_chunks
    tail = (window.tile_head + window.tiles) % JOBS_DECIDED
    window.tile_chunk[tail] = window.chunk
    window.tile_base[tail] = window.first_key
    window.tiles += 1
    window.jobs += 1


@borrowing
def wants_strip(window):
    """Return whether a strip is asked for in this cycle; come a cycle nearer to the job's first."""
    wants = (
        window.samples_left != 0
        and window.counting == 0
        and window.under_way != STRIPS_ASKED
        and window.strips != STRIPS_TO_LOAD
    )
    if window.counting:
        window.counting -= 1
    return wants


@borrowing
def ask(window, d):
    """Queue a strip for the expander."""
    last = window.chunks_left == 1
    tail = (window.strip_head + window.strips) % STRIPS_TO_LOAD
    window.rows[tail] = d.s_outer_last if last and window.ends_samples else d.s_outer
    window.ends_piece[tail] = last and window.samples_left == 1
    window.strips += 1
    window.under_way += 1
    window.chunks_left -= 1
    if window.chunks_left == 0:
        window.chunks_left = d.s_chunks
        window.samples_left -= 1


@borrowing
def pop_asked(window):
    """Take the oldest strip off; where none is, there are 0 rows."""
    window.rows[window.strip_head] = 0
    window.strip_head = (window.strip_head + 1) % STRIPS_TO_LOAD
    window.strips -= 1


@borrowing
def forget(window, ends, d):
    """Forget the oldest chunk."""
    window.oldest_entry = ends[window.ends_head]
    window.ends_head = (window.ends_head + 1) & (ends.shape[0] - 1)
    window.ends -= 1
    window.keys_used -= d.s_keys
    if window.freed == window.chunk:
        window.whole = 0
    window.freed += 1


@borrowing
def make_room(window, ends, d, just_closed):
    """Forget a chunk, if one is finished; else loading is blocked, not yet if one `just_closed`."""
    # one that no strip needs may be finished before it is loaded
    if window.freed != window.finished and window.ends:
        forget(window, ends, d)
    else:
        window.blocked = not just_closed


@borrowing
def load(window, expander, starts, ends, d, entries):
    """Begin a chunk, or take an item; return whether the item is taken.

    `expander` is stepped later; `entries` are those of the ring.
    """
    keys = starts.shape[0]
    window.blocked = 0
    just_closed = window.closed
    window.closed = 0
    window.tells = 0
    if window.open:
        if not expander.items:
            # it is taken as soon as it comes
            return False
        after = window.entry + expander.count[0]
        if after - window.oldest_entry >= entries:
            make_room(window, ends, d, just_closed)
            return False
        window.entry = after
        if expander.ends_position[0]:
            window.key = (window.key + 1) & (keys - 1)
            window.tells = 1
            starts[window.key] = after
        if expander.ends_strip[0]:
            ends[(window.ends_head + window.ends) & (ends.shape[0] - 1)] = after
            window.ends += 1
            window.open = 0
            window.loaded += 1
            window.closed = 1
            window.base = (window.base + d.s_keys) & (keys - 1)
            window.under_way -= 1
        return True
    if window.under_way:
        if window.keys_used + d.s_keys < keys and window.ends < ends.shape[0]:
            window.keys_used += d.s_keys
            window.open = 1
            # where the chunk before ended, its start is written
            window.tells = not window.loaded or window.key != window.base
            window.key = window.base
            starts[window.key] = window.entry
        else:
            make_room(window, ends, d, just_closed)
    return False
