"""Cycle model of `hw.encode.lanes`: turns of lanes, second combinations, and what outputs take."""

from __future__ import annotations

from gscn.cycles.encode.queues import push
from gscn.cycles.encode.segments import maxima_ready, step_maxima, step_sums, sums_room
from gscn.cycles.encode.state import BITS, DENSE, RING, SECOND, calling
from gscn.system.compiled import borrowing

DIGITS = 3
"""`hw.encode.combiner.DIGITS`."""
DEPTH = 8
"""`Combiner.DEPTH`, `Lanes.DEPTH`."""
QUEUE, FINISHED = 2, 2
FLIGHT = 4
"""Cycles from a vector's last turn to its result in the queue."""
VERDICTS, SELECTED = 4, 5
"""Queues of outputs behind those of dense, second, bits and sums."""


@borrowing
def lanes_ready(unit):
    """Return whether lanes take a vector; of registers as they are when a cycle begins."""
    lanes, settings = unit.lanes, unit.settings
    returns = settings.has_second and lanes.results > 0 and not unit.results[lanes.result_head]
    room = lanes.entered - lanes.finished < DEPTH
    seconds = not settings.has_second or lanes.entered - lanes.returned < DEPTH
    return lanes.queue < QUEUE and room and seconds and not returns


@borrowing
def _turn(unit, dots, leaves):
    """Let lanes take a turn; return whether what is multiplied for sums is through."""
    lanes, settings = unit.lanes, unit.settings
    dot_goes = 0
    lanes.flight >>= 1
    lanes.seconds >>= 1
    vector = unit.combined[lanes.queue_head]
    multiplies = dots and not lanes.under_way
    due = lanes.due
    beside = settings.idle and not (settings.dot_wide or vector.wide or vector.third)
    runs = lanes.queue > 0 and (not multiplies or beside) and (lanes.under_way or due < DEPTH)
    lanes.due -= leaves
    if multiplies or runs:
        wide = settings.dot_wide if multiplies else vector.wide
        last = not wide or lanes.turn == DIGITS - 1
        lanes.turn = 0 if last else lanes.turn + 1
        dot_goes = multiplies and last
        if runs:
            ends = last and (lanes.again or not vector.third)
            lanes.due += not lanes.under_way
            lanes.again = not ends and (lanes.again or last)
            lanes.under_way = not ends
            if ends:
                lanes.flight |= 1 << FLIGHT
                if vector.second:
                    lanes.seconds |= 1 << FLIGHT
                lanes.queue_head = (lanes.queue_head + 1) % QUEUE
                lanes.queue -= 1
    return dot_goes


@borrowing
def _enter(unit, second, third, wide):
    """Queue a vector of a combination."""
    lanes = unit.lanes
    vector = unit.combined[(lanes.queue_head + lanes.queue) % QUEUE]
    lanes.queue += 1
    vector.second = second
    vector.third = third
    vector.wide = wide


@calling
def step_lanes(unit, comes, dots):
    """Advance lanes by a cycle; return whether a term of sums is through.

    Parameters
    ----------
    unit
        `Unit`.
    comes
        A vector is taken.
    dots
        There is a term of sums.
    """
    lanes, settings = unit.lanes, unit.settings
    finished_room = lanes.finished - lanes.taken < FINISHED
    result = lanes.results > 0
    returns = result and settings.has_second and not unit.results[lanes.result_head]
    leaves = result and (lanes.queue < QUEUE if returns else finished_room)
    dot_goes = _turn(unit, dots, leaves)
    if leaves:
        lanes.results -= 1
        lanes.result_head = (lanes.result_head + 1) % DEPTH
        if returns:
            lanes.returned += 1
            _enter(unit, 1, 0, settings.out_wide)
        else:
            lanes.finished += 1
    if comes:
        item = unit.items[lanes.entered % RING]
        lanes.entered += 1
        _enter(unit, 0, item.third, item.wide)
    if lanes.flight & 1:
        unit.results[(lanes.result_head + lanes.results) % DEPTH] = lanes.seconds & 1
        lanes.results += 1
    return dot_goes


@borrowing
def _has_room(unit, settings):
    """Return whether outputs of single vectors take one."""
    queues = unit.queues
    return (
        (queues[SECOND].room or not settings.has_second)
        and (queues[BITS].room or not settings.has_bits or settings.maximum)
        and (queues[VERDICTS].room or not (settings.has_a or settings.has_b))
        and (queues[SELECTED].room or not settings.selects)
    )


@borrowing
def _give(unit, item):
    """Queue a vector for each output that has it as it is."""
    settings = unit.settings
    some = item.there != 0
    if settings.has_second:
        addr = item.dense - settings.dense_addr + settings.second_addr
        push(unit, SECOND, addr, some, item.ends)
    if settings.has_bits and not settings.maximum:
        push(unit, BITS, 0, 1, item.ends)
    if settings.has_a or settings.has_b:
        push(unit, VERDICTS, item.number, 1, item.ends)
    if settings.selects:
        push(unit, SELECTED, 0, 1, item.ends)


@calling
def offer_dot(unit):
    """Return whether the vector at hand can be taken but for sums, and waits to be multiplied."""
    lanes, settings = unit.lanes, unit.settings
    if lanes.finished == lanes.taken:
        return 0, 0
    item = unit.items[lanes.taken % RING]
    whole = settings.maximum or (settings.has_dense and not settings.sums_dense)
    room = _has_room(unit, settings) and (not whole or maxima_ready(unit, item))
    return room, room and settings.has_dot and sums_room(unit.segments)


@calling
def step_outputs(unit, room, dot_goes):
    """Give outputs the vector at hand, if all of them take it; take segments out."""
    lanes, settings = unit.lanes, unit.settings
    item = unit.items[lanes.taken % RING]
    whole = settings.maximum or (settings.has_dense and not settings.sums_dense)
    ready = sums_room(unit.segments) and (dot_goes or not settings.has_dot)
    taken = room and (not settings.sums or ready)
    dense, ends, addr, there = step_sums(unit, item, taken and settings.sums)
    if dense:
        push(unit, DENSE, addr, there, ends)
    step_maxima(unit, item, taken and whole)
    if taken:
        _give(unit, item)
        lanes.taken += 1
        unit.outputs.ended |= item.ends
    return taken


@borrowing
def outputs_done(unit):
    """Return whether all outputs are taken; of registers as they are when a cycle begins."""
    segments, maxima = unit.segments, unit.maxima
    busy = segments.full[0] or segments.full[1] or segments.flight or segments.level
    busy = busy or maxima.full[0] or maxima.full[1]
    for number in range(unit.queues.shape[0]):
        busy = busy or unit.queues[number].level
    return unit.outputs.ended and not busy
