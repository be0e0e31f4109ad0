"""A DRAM behind the memory ports, with a buffer of lines before it.

It is none of the array: a memory whose bursts come as late as DRAM delivers those of their lines
that the buffer does not hold. Reads and written results take DRAM's time in the order in which the
ports take them; results pass the buffer by.
"""

from __future__ import annotations

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
    "capacity", "held",  # of the buffer, lines
)  # fmt: skip


class Memory(NamedTuple):
    """What is behind the ports."""

    dram: np.ndarray
    """`DRAM` (1,)."""
    lines: np.ndarray
    """int32 (2, lines + 1): of each line that is held the one used before it and the one after, -1
    of others, a ring; the last one stands between its ends."""


def new_lines(count: int) -> np.ndarray:
    """Return an empty buffer, in front of so many lines."""
    lines = np.full((2, count + 1), -1, np.int32)
    lines[:, count] = count
    return lines


def new_memory(dram: Dram | None, memory_bytes: int) -> Memory:
    """Return a memory that has read nothing.

    Parameters
    ----------
    dram
        DRAM and its buffer; None: it is no limit.
    memory_bytes
        Size of memory.
    """
    state = np.zeros(1, DRAM)
    if dram is not None:
        state["line_ticks"] = round(LINE_BYTES * TICKS / dram.bytes_per_cycle)
        state["capacity"] = dram.buffer_bytes // LINE_BYTES
    lines = -(-memory_bytes // LINE_BYTES) if state["line_ticks"][0] else 0
    return Memory(dram=state, lines=new_lines(lines))


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
    missed = (burst.beats << beat_bits) / LINE_BYTES
    if burst.beat >= 0 and dram.capacity:
        missed = 0.0
        first = (burst.beat << beat_bits) // LINE_BYTES
        last = (((burst.beat + burst.beats) << beat_bits) - 1) // LINE_BYTES
        for line in range(first, last + 1):
            hit, dram.held = use_line(memory.lines, line, dram.capacity, dram.held)
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
        dram.free = max(dram.free, now * TICKS) + ticks
