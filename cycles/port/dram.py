"""A DRAM behind the memory ports, with a buffer of lines before it.

It is none of the array: a memory whose bursts come as late as DRAM delivers those of their lines
that the buffer does not hold. Reads and written results take DRAM's time in the order in which the
ports take them; results pass the buffer by.

A part of the buffer may be for work that nobody waits for (`gscn.dram.Dram.ahead_bytes`). Results
lie there until DRAM has nothing to read. When there are none of them either, it reads lines of the
pass behind the one under way (`cycles.port.read_order`), whose descriptor the array has by then.
Whoever asks for a line comes before both, but for one that is under way. If results find no room,
as many as lack it are written at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from gscn.cycles.state import record
from gscn.dram import LINE_BYTES, Dram
from gscn.system.compiled import borrowing

TICKS = 1 << 16
"""Of a cycle, in which DRAM's time is counted."""
WRITE_SLACK_CYCLES = 512
"""By which DRAM may be behind when it takes a burst of results."""

DRAM = record(
    "line_ticks",  # that a line takes; 0: there is no DRAM
    "free",  # from when on it has nothing to do, in ticks
    "capacity", "held",  # of the part of the buffer for lines that were read, lines
    "room",  # of the other part, lines; 0: there is none
    "ahead",  # lines in it that the array has not asked for yet
    "late",  # time, in ticks, that results in it will take of DRAM
    "next", "end",  # of the order of lines, what may be read ahead
)  # fmt: skip


class Memory(NamedTuple):
    """What is behind the ports."""

    dram: np.ndarray
    """`DRAM` (1,)."""
    lines: np.ndarray
    """int32 (2, lines + 1): of each line that is held the one used before it and the one after, -1
    of others, a ring; the last one stands between its ends."""
    order: np.ndarray
    """int32: lines in the order in which passes read them first, pass after pass."""
    ends: np.ndarray
    """int64 (passes + 1): where the lines of each begin in `order`, and end."""
    early: np.ndarray
    """bool (lines,): those read ahead that the array has not asked for."""


def new_lines(count: int) -> np.ndarray:
    """Return an empty buffer, in front of so many lines."""
    lines = np.full((2, count + 1), -1, np.int32)
    lines[:, count] = count
    return lines


def new_memory(dram: Dram | None, memory_bytes: int, orders: Sequence[np.ndarray] = ()) -> Memory:
    """Return a memory that has read nothing.

    Parameters
    ----------
    dram
        DRAM and its buffer; None: it is no limit.
    memory_bytes
        Size of memory.
    orders
        int32: lines in the order in which each pass of a list reads them; needed of a DRAM that
        reads ahead.
    """
    state = np.zeros(1, DRAM)
    if dram is not None:
        state["line_ticks"] = round(LINE_BYTES * TICKS / dram.bytes_per_cycle)
        state["capacity"] = dram.kept_bytes // LINE_BYTES
        state["room"] = dram.ahead_bytes // LINE_BYTES
    lines = -(-memory_bytes // LINE_BYTES) if state["line_ticks"][0] else 0
    return Memory(
        dram=state,
        lines=new_lines(lines),
        order=np.concatenate([np.zeros(0, np.int32), *orders]),
        ends=np.cumsum([0, *(order.size for order in orders)]),
        early=np.zeros(lines, np.bool_),
    )


@borrowing
def use_line(lines, line, capacity, held):
    """Use a line; return (whether the buffer held it, lines that it holds then)."""
    before, behind = lines[0], lines[1]
    end = before.size - 1
    hit = behind[line] >= 0
    if hit:
        before[behind[line]] = before[line]
        behind[before[line]] = behind[line]
    elif held == capacity:
        oldest = before[end]
        before[end] = before[oldest]
        behind[before[oldest]] = end
        behind[oldest] = -1
    else:
        held += 1
    behind[line] = behind[end]
    before[line] = end
    before[behind[end]] = line
    behind[end] = line
    return hit, held


@borrowing
def begin_ahead(memory, number):
    """Turn to what is behind pass `number`, which begins; forget what the one before did not use.

    `number` counts from 0.
    """
    dram = memory.dram[0]
    if not dram.room:
        return
    if number > 0:
        for index in range(memory.ends[number - 1], memory.ends[number]):
            line = memory.order[index]
            dram.ahead -= memory.early[line]
            memory.early[line] = False
    behind = min(number + 1, memory.ends.size - 1)
    dram.next = memory.ends[behind]
    dram.end = memory.ends[min(behind + 1, memory.ends.size - 1)]


@borrowing
def work_ahead(memory, now):
    """Let DRAM do until now what nobody waits for."""
    dram = memory.dram[0]
    if not dram.room:
        return
    until = now * TICKS
    written = max(min(until - dram.free, dram.late), 0)
    dram.late -= written
    dram.free += written
    behind = memory.lines[1]
    while dram.free < until:
        full = (dram.ahead + 1) * dram.line_ticks + dram.late > dram.room * dram.line_ticks
        if dram.next == dram.end or full:
            dram.free = until  # it has had nothing to do
            return
        line = memory.order[dram.next]
        dram.next += 1
        if behind[line] < 0 and not memory.early[line]:
            memory.early[line] = True
            dram.ahead += 1
            dram.free += dram.line_ticks


@borrowing
def read_lines(memory, burst, beat_bits, latency, now):
    """Let a burst that was taken in this cycle come when DRAM has delivered its lines.

    Parameters
    ----------
    memory
        `Memory`.
    burst
        `cycles.port.channels.BURST`: `due` is set.
    beat_bits
        log2 of the bytes of a beat.
    latency
        Cycles from a command at the memory to its first beat.
    now
        The cycle.
    """
    dram = memory.dram[0]
    if not dram.line_ticks:
        return
    work_ahead(memory, now)
    missed = (burst.beats << beat_bits) / LINE_BYTES
    if burst.beat >= 0 and dram.capacity:
        missed = 0.0
        first = (burst.beat << beat_bits) // LINE_BYTES
        last = (((burst.beat + burst.beats) << beat_bits) - 1) // LINE_BYTES
        for line in range(first, last + 1):
            hit, dram.held = use_line(memory.lines, line, dram.capacity, dram.held)
            if dram.room and memory.early[line]:
                memory.early[line] = False
                dram.ahead -= 1
                hit = True
            missed += not hit
    if missed > 0:
        dram.free = max(dram.free, (now + 1) * TICKS) + int(missed * dram.line_ticks)
        burst.due = max(burst.due, dram.free // TICKS + latency)


@borrowing
def has_write_room(memory, now):
    """Return whether a burst of results may be taken."""
    return memory.dram[0].free <= (now + WRITE_SLACK_CYCLES) * TICKS


@borrowing
def write_beats(memory, beats, beat_bits, now):
    """Let DRAM take results."""
    dram = memory.dram[0]
    if dram.line_ticks:
        ticks = (beats << beat_bits) * dram.line_ticks // LINE_BYTES
        if dram.room:
            work_ahead(memory, now)
            dram.late += ticks
            # what has no room
            ticks = max(0, dram.late - (dram.room - dram.ahead) * dram.line_ticks)
            ticks = min(ticks, dram.late)
            dram.late -= ticks
        if ticks:
            dram.free = max(dram.free, now * TICKS) + ticks
