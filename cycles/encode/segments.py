"""Cycle model of `hw.encode.segment_sums`, `sum_rounding` and `maxima`: results of segments."""

from __future__ import annotations

from gscn.cycles.encode.queues import push
from gscn.cycles.encode.state import BITS, DENSE, SUMS, calling
from gscn.passes import VECTOR
from gscn.system.compiled import borrowing

ROUNDING = 3
"""Cycles from a lane's sum to its place in a vector."""
ROUNDED = 2
_LATEST = (1 << ROUNDING) - 1


@borrowing
def sums_room(segments):
    """Return whether the segment at hand has rows."""
    return not segments.full[segments.bank]


@borrowing
def _place(rows, row, item, begins):
    """Note where a segment's dense result lies, and whether any of it is there."""
    place = rows[row]
    if begins:
        place.addr = item.dense
        place.there = item.there != 0
    else:
        place.there = place.there or item.there != 0


@borrowing
def _add(unit, item, taken):
    """Add a vector to its segment; return the bank that it completes, or -1."""
    segments = unit.segments
    completed = -1
    if taken:
        bank = segments.bank
        _place(unit.segment_rows, bank * VECTOR + item.vector, item, item.begins_segment)
        if item.last_vector and item.ends_segment:
            completed = bank
            segments.bank = 1 - bank
            segments.ends[bank] = item.ends
    return completed


@borrowing
def _round(unit, enters, last_lane, ends):
    """Advance the rounding of sums; return whether a vector of it leaves, and what it is."""
    segments = unit.segments
    goes = segments.level > 0 and unit.settings.has_dense and unit.queues[DENSE].room
    goes = goes or (segments.level > 0 and not unit.settings.has_dense)
    word = unit.rounded[0]
    found_ends, addr, there = word.ends, word.addr, word.there
    if goes:
        segments.level -= 1
        word.ends, word.addr, word.there = (
            unit.rounded[1].ends, unit.rounded[1].addr, unit.rounded[1].there,
        )  # fmt: skip
    if segments.last >> (ROUNDING - 1) & 1:
        word = unit.rounded[segments.level]
        word.ends, word.addr, word.there = (
            segments.place_ends, segments.place_addr, segments.place_there,
        )  # fmt: skip
        segments.level += 1
    segments.flight = (segments.flight << 1 | enters) & _LATEST
    segments.last = (segments.last << 1 | (enters and last_lane)) & _LATEST
    if enters and last_lane:
        place = unit.segment_rows[segments.out * VECTOR + segments.vector]
        segments.place_addr = place.addr
        segments.place_there = place.there
        segments.place_ends = ends
    return goes and unit.settings.has_dense, found_ends, addr, there


@calling
def step_sums(unit, item, taken):
    """Advance by a cycle; return whether a dense result leaves, and what it is."""
    segments, settings = unit.segments, unit.settings
    out = segments.out
    there = segments.full[out] and segments.settled[out]
    completed = _add(unit, item, taken)
    rounding_ready = segments.level + (segments.last != 0) < ROUNDED
    room = not settings.has_sums or unit.queues[SUMS].room
    goes = there and room and (rounding_ready or not settings.sums_dense)
    enters = goes and settings.sums_dense
    last_lane = segments.lane == VECTOR - 1
    last_vector = segments.vector == (1 << settings.vectors) - 1
    ends = last_lane and last_vector and segments.ends[out]
    found = _round(unit, enters, last_lane, ends)
    segments.settled[0] = segments.full[0]
    segments.settled[1] = segments.full[1]
    if completed >= 0:
        segments.full[completed] = 1
    if goes:
        if settings.has_sums:
            push(unit, SUMS, 0, 1, ends)
        segments.lane = (segments.lane + 1) % VECTOR
        if last_lane:
            segments.vector = 0 if last_vector else segments.vector + 1
            if last_vector:
                segments.full[out] = 0
                segments.out = 1 - out
    return found


@borrowing
def maxima_ready(unit, item):
    """Return whether maxima, or dense results as they are, take a vector."""
    settings, maxima = unit.settings, unit.maxima
    if settings.maximum and not item.ends_segment:
        return True
    room = unit.queues[DENSE].room or not settings.has_dense
    return room and not maxima.full[maxima.bank]


@borrowing
def _compare(unit, item):
    """Take a vector; return the bank that it completes, or -1."""
    settings, maxima = unit.settings, unit.maxima
    rows, completed = unit.maxima_rows, -1
    _place(rows, item.vector, item, item.begins_segment or not settings.maximum)
    if item.ends_segment or not settings.maximum:
        if settings.has_dense:
            push(unit, DENSE, rows[item.vector].addr, rows[item.vector].there, item.ends)
        if item.ends_segment:
            maxima.lasts[maxima.bank] = maxima.position
            maxima.ends[maxima.bank] = item.ends
        if item.last_vector and settings.maximum and settings.has_bits:
            completed = maxima.bank
            maxima.bank = 1 - maxima.bank
    if item.last_vector:
        maxima.position = 0 if item.ends_segment else maxima.position + 1
    return completed


@calling
def step_maxima(unit, item, taken):
    """Advance by a cycle: take a vector, and give bits of a segment that is complete."""
    settings, maxima = unit.settings, unit.maxima
    out = maxima.out
    gives = maxima.full[out] and unit.queues[BITS].room
    completed = _compare(unit, item) if taken else -1
    if gives:
        last_vector = maxima.vector == (1 << settings.vectors) - 1
        last = last_vector and maxima.at == maxima.lasts[out]
        push(unit, BITS, 0, 1, last and maxima.ends[out])
        maxima.vector = 0 if last_vector else maxima.vector + 1
        if last_vector:
            maxima.at = 0 if last else maxima.at + 1
        if last:
            maxima.full[out] = 0
            maxima.out = 1 - out
    if completed >= 0:
        maxima.full[completed] = 1
