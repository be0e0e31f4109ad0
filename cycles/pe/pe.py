"""Cycle model of `hw.pe.pe`: look-up, walker and accumulators of one PE.

Operand values are absent: time depends on keys only.
"""

from __future__ import annotations

from gscn.counters import CLUSTER_COUNTER_NAMES
from gscn.cycles.state import record
from gscn.cycles.tables import ADD, MAC
from gscn.system.compiled import borrowing

BUSY, ADDS, LOOKUP, SIBLING, STREAM, LOAD, DRAIN, TAIL, IDLE = range(len(CLUSTER_COUNTER_NAMES))
"""Causes, as the counters are ordered."""
NOTHING = -1
"""In place of a cause: the PE has nothing queued."""

PE = record(
    "words", "word_head",
    # the look-up's output
    "found", "found_kind", "found_length", "found_job_end",
    "resumed", "tap",  # of a word whose taps are not all looked up
    "fibers", "fiber_head",
    "position",  # in the fiber that is walked
    # bits follow an addend from the walker to its stored sum, bit 0
    "pipe", "ends", "job_ends",
    # ends of segments, and of jobs, that other PEs of the cluster have not reached
    "segment_ends", "drain_ends",
)  # fmt: skip
WORD = record("kind", "item", "segment", "job_end")
FIBER = record("kind", "length", "job_end")


@borrowing
def step_walker(pe, fibers, sum_cycles):
    """Advance the walk of fibers and the pipeline behind it; return the cause, if it had a fiber.

    `sum_cycles` cycles after it was issued an entry's sum is stored.
    """
    enters = 1 << sum_cycles - 1
    cause = NOTHING
    pipe = pe.pipe >> 1
    ends = pe.ends >> 1
    job_ends = pe.job_ends >> 1
    if pe.fibers:
        fiber = fibers[pe.fiber_head]
        pops = True
        pipe |= enters
        if fiber.kind == MAC:
            cause = BUSY
            pe.position += 1
            if pe.position == fiber.length:
                pe.position = 0
            else:
                pops = False
        elif fiber.kind == ADD:
            cause = ADDS
        else:
            cause = LOOKUP
            ends |= enters
            job_ends |= enters * fiber.job_end
        if pops:
            pe.fiber_head = (pe.fiber_head + 1) % fibers.shape[0]
            pe.fibers -= 1
    pe.pipe = pipe
    pe.ends = ends
    pe.job_ends = job_ends
    return cause


@borrowing
def step_lookup(pe, number, words, fibers, tables, room):
    """Advance the look-up; `room` is whether the queue of fibers had room for one more."""
    found = pe.found and not (pe.found_kind == MAC and pe.found_length == 0)
    if found and not room:
        return
    if found:
        fiber = fibers[(pe.fiber_head + pe.fibers) % fibers.shape[0]]
        fiber.kind = pe.found_kind
        fiber.length = pe.found_length
        fiber.job_end = pe.found_job_end
        pe.fibers += 1
    pe.found = 0
    if pe.words == 0:
        return
    word = words[pe.word_head]
    pe.found = 1
    pe.found_kind = word.kind
    pe.found_job_end = word.job_end
    last = True
    if word.kind == MAC:
        item = tables.items[word.item]
        index = pe.tap if pe.resumed else item.first_tap
        tap = tables.taps[tables.segments[word.segment].first_tap + index]
        key = item.key + tap.key
        last = tap.last != 0
        pe.tap = index + 1
        pe.resumed = 0 if last else 1
        pe.found_length = 0
        tile = tables.tiles[word.segment, number]
        if 0 <= key < tile.entries:
            pe.found_length = tables.fiber_lengths[tile.first_entry + key]
    if last:
        pe.word_head = (pe.word_head + 1) % words.shape[0]
        pe.words -= 1


@borrowing
def step_pe(pe, number, words, fibers, push, tables, sum_cycles):
    """Advance a PE; return its cause, or `NOTHING`.

    `push` is the `cycles.cluster.broadcast.FEED` whose word may be for it.
    """
    pending = pe.words or pe.found or pe.fibers or pe.pipe >> 1
    room = pe.fibers < fibers.shape[0]
    cause = step_walker(pe, fibers, sum_cycles)
    if cause == NOTHING and pending:
        cause = LOOKUP
    step_lookup(pe, number, words, fibers, tables, room)
    if push.kind >= 0 and (push.pe < 0 or push.pe == number):
        word = words[(pe.word_head + pe.words) % words.shape[0]]
        word.kind = push.kind
        word.item = push.word
        word.segment = push.word_segment
        word.job_end = push.job_end
        pe.words += 1
    return cause
