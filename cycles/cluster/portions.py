"""Cycle model of `hw.cluster.portions`: from halfwords of strips to a few values at a time.

Of the halfwords only those are looked at that say what is there: blocks and masks.
"""

from __future__ import annotations

from gscn.cycles.state import record
from gscn.latencies import PORTIONS_QUEUED
from gscn.passes import VECTOR
from gscn.system.compiled import borrowing

VALUES, BLOCK, END, WRONG = range(4)
"""What a portion is, as `hw.input_layouts.PortionKind`."""

PORTION_READER = record(
    "narrow",  # of the pass, as in the hardware
    # a block's first halfword is in hand, or a vector under way; lanes that are left of that
    "within", "block", "mask", "odd",
    "later",  # vectors of the block behind it
    "level",  # portions that wait; of each what it is, its lanes, and the vector that follows
    kind=PORTIONS_QUEUED, bits=PORTIONS_QUEUED, last=PORTIONS_QUEUED, next=PORTIONS_QUEUED,
)  # fmt: skip


@borrowing
def lowest(bits):
    """Return the number of the lowest of 16 bits that is set; `VECTOR` if none is."""
    if bits == 0:
        return VECTOR
    number = 0
    if bits & 0xFF == 0:
        bits >>= 8
        number = 8
    if bits & 0xF == 0:
        bits >>= 4
        number += 4
    if bits & 3 == 0:
        bits >>= 2
        number += 2
    if bits & 1 == 0:
        number += 1
    return number


@borrowing
def pop_portion(portions):
    """Take the portion that comes first."""
    portions.level -= 1
    portions.kind[0] = portions.kind[1]
    portions.bits[0] = portions.bits[1]
    portions.last[0] = portions.last[1]
    portions.next[0] = portions.next[1]


@borrowing
def push_portion(portions, kind, bits, last, following):
    """Let a portion wait; `following` are the vectors behind it in the block."""
    place = portions.level
    portions.kind[place] = kind
    portions.bits[place] = bits
    portions.last[place] = last
    portions.next[place] = lowest(following)
    portions.level += 1


@borrowing
def turn(portions, surplus, halfword):
    """Take the next mask or block behind a vector, or behind a block's first halfword."""
    portions.odd = portions.mask = 0
    if not surplus:
        portions.within = portions.later = 0
        return
    portions.within = 1
    portions.block = portions.later == 0
    if portions.block:
        portions.later = halfword
    else:
        portions.mask = halfword
        portions.later &= portions.later - 1


@borrowing
def read_portion(portions, reader, halfwords, most):
    """Advance a PortionReader that has room, and whose first portion is taken already.

    Parameters
    ----------
    portions
        `PORTION_READER`.
    reader
        `cycles.port.pieces.PIECE_READER`, which is stepped later.
    halfwords
        uint16 (halfwords,): the memory.
    most
        Values of a portion.

    Returns
    -------
    tuple
        Halfwords taken; whether the piece is done with.
    """
    mask, count = portions.mask, 0
    rest = mask
    while rest and count < most:
        rest &= rest - 1
        count += 1
    last = rest == 0
    there, gone = count, count
    if portions.narrow:
        there = (portions.odd + count + 1) // 2
        gone = (portions.odd + count) // 2
    surplus = reader.available > there
    must = last and (portions.later or not portions.within)
    if not surplus and (must or reader.available < there):
        if not reader.ends:
            return 0, False
        over = not portions.within and reader.available == 0
        push_portion(portions, END if over else WRONG, 0, 0, 0)
        return 0, over
    if portions.within:
        kind = BLOCK if portions.block else VALUES if count else WRONG
        push_portion(portions, kind, mask ^ rest, last, portions.later)
    if last:
        turn(portions, surplus, halfwords[reader.at + there] if surplus else 0)
        return there + surplus, False
    portions.mask = rest
    portions.odd = (portions.odd + count) & 1
    return gone, False
