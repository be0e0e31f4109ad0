"""Cycle model of `hw.cluster.streamer`: the stream of a cluster, job by job."""

from __future__ import annotations

from gscn.cycles.cluster.offsets import bits
from gscn.cycles.cluster.placer import (
    consume,
    keep_mark,
    pop_word,
    skip_row,
    start_places,
    take_item,
    take_mark,
)
from gscn.cycles.cluster.strip_walk import pop_context, start_walk
from gscn.cycles.cluster.window import pop_tile
from gscn.cycles.state import record
from gscn.latencies import WORDS_QUEUED
from gscn.system.compiled import borrowing

WAIT, STEPS, RUN = range(3)
"""States."""
STATE_EMPTY, STATE_LOAD, STATE_DRAIN, STATE_STREAM, STATE_EXPAND = range(5)
"""Why no word leaves, as `hw.input_layouts.InputState`; the others are those of dealing."""

STREAMER = record(
    "state",
    "multiplying",  # cycles until the products of the job are there
    "known",  # those of the pass are
    "free", "bank",  # free banks of accumulators; the job has one
    "loaded",  # chunks, a cycle ago
    "present", "waits",  # outputs of the placer
)  # fmt: skip


@borrowing
def multiply_cycles(job, d, known):
    """Return the cycles in which the products of a job are formed, two more than bits for each."""
    cycles = 2 + bits(d.first_col - job.x0)
    if not known:
        cycles += 12 + 2 * bits(d.first_row) + 3 * bits(d.t_step) + bits(d.s_chunks)
    return cycles


@borrowing
def start_job(streamer, walker, placer, window, job, d):
    """Go on with what comes before the walk of a job that is there."""
    if streamer.state == STEPS:
        if streamer.multiplying:
            streamer.multiplying -= 1
            return
        streamer.known = 1
    elif job.streams:
        if window.tiles:
            streamer.multiplying = multiply_cycles(job, d, streamer.known)
            streamer.state = STEPS
        return
    tile = window.tile_head
    start_walk(walker, job, window.tile_chunk[tile], window.tile_base[tile], d)
    start_places(placer, job, d)
    if streamer.state == STEPS:
        pop_tile(window)
    streamer.state = RUN


@borrowing
def step_placer(streamer, placer, walker, expander, job, d, keys):
    """Advance the placer; return whether an item is taken. `keys` are those of the directory."""
    advance = placer.kept < WORDS_QUEUED
    empty_before = placer.kept == 0
    streamer.present = placer.valid or placer.mark_due
    streamer.waits = 0
    placer.error = 0
    if placer.leaves:
        pop_word(placer)
    takes = not placer.valid
    if placer.mark_due:
        if advance:
            keep_mark(placer, job)
    elif walker.contexts and not placer.skips:
        head = walker.head
        if walker.empty[head]:
            streamer.present = 1
            if streamer.bank:
                take_mark(placer, walker)
                pop_context(walker)
        elif placer.valid:
            if streamer.loaded < walker.need[head]:
                # a mark that is not taken may yet give the chunks room
                streamer.waits = empty_before
            elif streamer.bank and advance:
                consume(placer, walker, job, d, keys)
                takes = True
                placer.valid = 0
                if placer.ends_strip:
                    if walker.marks[head] or walker.ends_job[head]:
                        take_mark(placer, walker)
                    pop_context(walker)
    if placer.skips:
        skip_row(placer, d)
    if takes and expander.items:
        take_item(placer, expander, d)
    return takes


@borrowing
def keep_banks(streamer, has_job, bank_cleared, ends_job):
    """Take an accumulator bank for a job, unless the one before left its own."""
    takes = not streamer.bank and streamer.free > 0 and has_job
    streamer.free += bank_cleared - takes
    if takes:
        streamer.bank = 1
    elif ends_job:
        streamer.bank = 0


@borrowing
def say_why(streamer, has_job, needs_tile, bank, busy):
    """Return why no word leaves, if none is kept.

    `needs_tile`: the job waits for its chunks to be begun; `busy`: it is not under way, or there is
    something to expand.
    """
    if not has_job:
        return STATE_EMPTY
    if streamer.waits or needs_tile:
        return STATE_LOAD
    if streamer.present and not bank:
        return STATE_DRAIN
    if busy or streamer.present:
        return STATE_EXPAND
    return STATE_STREAM
