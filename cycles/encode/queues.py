"""Cycle model of the queues of outputs of `hw.encode.lane_outputs`."""

from __future__ import annotations

from gscn.system.compiled import borrowing

OUTPUT_DEPTH = 2


@borrowing
def push(unit, number, addr, there, ends):
    """Queue a word of an output."""
    queue = unit.queues[number]
    word = unit.queued[number, queue.tail]
    word.addr = addr
    word.there = there
    word.ends = ends
    queue.tail = (queue.tail + 1) % OUTPUT_DEPTH
    queue.level += 1


@borrowing
def outputs_room(unit):
    """Note which queues of outputs have room, before any of them is read."""
    for number in range(unit.queues.shape[0]):
        queue = unit.queues[number]
        queue.room = queue.level < OUTPUT_DEPTH


@borrowing
def pop(queue):
    """Take a word of an output's queue."""
    queue.head = (queue.head + 1) % OUTPUT_DEPTH
    queue.level -= 1
