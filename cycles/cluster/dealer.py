"""Cycle model of `hw.cluster.dealer`: which PE gets a word."""

from __future__ import annotations

from gscn.cycles.cluster.marks import push_report
from gscn.cycles.pe.worker import MAC
from gscn.cycles.state import record
from gscn.latencies import MARKS_UNDER_WAY
from gscn.system.compiled import borrowing

DEALER = record("below")
"""One more than the PE given a word last, or 0."""
NO_PE, ALL_PES = -2, -1
"""In place of the number of a PE."""
STATE_FULL, STATE_MOVING = 5, 6
"""Why no word leaves, or that one does, as `hw.input_layouts.InputState`."""
NO_REASON = -1
"""In place of a state."""


@borrowing
def choose_pe(dealer, workers, word_depth):
    """Return the PE that gets a word in this cycle, or `NO_PE`."""
    least = word_depth
    chosen = NO_PE
    for pe in range(workers.shape[0]):
        words = workers[pe].words
        if words < least or (words == least and words < word_depth and pe >= dealer.below > chosen):
            least = words
            chosen = pe
    return chosen


@borrowing
def choose_all(workers, word_depth):
    """Return `ALL_PES` if each has room for a mark in this cycle, else `NO_PE`."""
    for pe in range(workers.shape[0]):
        if workers[pe].words == word_depth:
            return NO_PE
    return ALL_PES


@borrowing
def hand_over(dealer, me, placer, marks, workers, word_depth):
    """Hand the oldest word to a PE, or a mark to all, if there is room.

    A mark also needs room for its report. Return the state, or `NO_REASON` if it has other reasons.
    """
    head = placer.word_head
    is_mac = placer.kind[head] == MAC
    pe = choose_pe(dealer, workers, word_depth) if is_mac else choose_all(workers, word_depth)
    if not is_mac and marks.reports == MARKS_UNDER_WAY:
        return NO_REASON if pe == NO_PE else STATE_FULL
    if pe == NO_PE:
        return STATE_FULL
    me.pe = pe
    me.kind = placer.kind[head]
    me.key = placer.key[head]
    me.span = placer.span[head]
    me.rows = placer.rows[head]
    me.job_end = placer.job_end[head]
    if is_mac:
        dealer.below = pe + 1
    else:
        push_report(
            marks, placer.kept_finished[head], placer.kept_uses[head], placer.kept_ends_job[head]
        )
    return STATE_MOVING
