"""Cycle model of `hw.encode.strip_packer` and `hw.encode.strip_writer`: strips A and B."""

from __future__ import annotations

from gscn.cycles.encode.gatherer import gather, gatherer_ready
from gscn.cycles.encode.state import RING, calling
from gscn.cycles.encode.walk import popcount
from gscn.passes import VECTOR
from gscn.system.compiled import borrowing

VECTORS, BLOCKS, STRIPS, MARKS, BEATS = 2 * VECTOR, 4, 2, 8, 4
"""Depths of queues, and beats that are held."""
BEAT_BITS = 5
"""log2 of the halfwords of a beat."""
_BEAT = (1 << BEAT_BITS) - 1
_ENTRY_BITS = 4
"""log2 of the entries of a table in a line."""
_ALL = (1 << VECTOR) - 1
_HALF = (1 << VECTOR // 2) - 1


@borrowing
def look_at_packer(packer):
    """Note whether a vector is taken, and a beat offered, as registers are when a cycle begins."""
    packer.ready = (
        packer.vectors - packer.taken < VECTORS and packer.blocks < BLOCKS and packer.marks < MARKS
    )
    partial = packer.position & _BEAT != 0
    packer.offers = packer.level > 1 or (packer.level == 1 and (partial or packer.last_level == 1))


@borrowing
def _write(packer, packed, lanes):
    """Write halfwords of the vector at hand; return whether a beat is complete, and a strip.

    `lanes` are those of the vector that are kept.
    """
    if packer.vectors == packer.taken or packer.blocks == 0:
        return 0, 0
    if packer.level >= BEATS - 1 or packer.flushing:
        return 0, 0
    block = packed[packer.block_head]
    number = popcount(lanes)
    splits = number == VECTOR or (packer.header and number == VECTOR - 1)
    through = packer.second or not splits
    is_last = packer.number == block.vectors
    ends_strip = is_last and block.ends_strip and through
    if ends_strip and packer.strips == STRIPS:
        return 0, 0
    if packer.second:
        total = popcount(lanes & (_ALL - _HALF))
    else:
        total = popcount(lanes & _HALF) if splits else number
        total += packer.header + (number > 0)
    after = packer.position + total
    completes = after >> BEAT_BITS != packer.position >> BEAT_BITS
    packer.header = 0
    packer.second = not through
    packer.position = after
    if through:
        packer.taken += 1
        packer.number = 0 if is_last else packer.number + 1
        packer.header = is_last
        if is_last:
            packer.flushing = block.ends
            packer.block_head = (packer.block_head + 1) % BLOCKS
            packer.blocks -= 1
    return completes, ends_strip


@borrowing
def _store(packer, completes, flushes, partial, leaves):
    """Count the beats that are held."""
    if leaves:
        packer.place += 1
        packer.ended = packer.last_level == 1
    if flushes:
        packer.last_level = packer.level + partial - leaves
    elif leaves and packer.last_level:
        packer.last_level -= 1
    packer.level += (completes or (flushes and partial)) - leaves


@borrowing
def _collect(packer, packed, item, ends_strip):
    """Take a vector, and end its block."""
    packer.vectors += 1
    ends = packer.count == VECTOR - 1 or ends_strip or item.ends
    if ends:
        block = packed[(packer.block_head + packer.blocks) % BLOCKS]
        block.vectors = packer.count
        block.ends_strip = ends_strip or item.ends
        block.ends = item.ends
        packer.blocks += 1
    packer.count = 0 if ends else packer.count + 1


@borrowing
def _table(packer, marks, gatherer, table, columns, opens, popped):
    """Write entries of the table; return whether the end of a strip is taken."""
    leaves = packer.waits and gatherer_ready(gatherer)
    gather(gatherer, packer.waits, 1, packer.ending, packer.at >> _ENTRY_BITS, popped)
    follows = packer.strips > 0 and not packer.waits
    if opens:
        packer.waits = 1
        packer.at = table >> 2
        packer.column = packer.at + 1
    elif leaves:
        packer.waits = packer.again
        if packer.again:
            packer.at = packer.column
            packer.column += 1
        packer.again = 0
    elif follows:
        mark = marks[packer.mark_head]
        packer.waits = 1
        packer.at += columns
        packer.again = mark.ends_group and not mark.ends
        packer.ending = mark.ends
        packer.mark_head = (packer.mark_head + 1) % MARKS
        packer.marks -= 1
    return follows


@calling
def step_packer(unit, part, comes, offered, lanes_at, data_leaves, table_leaves):
    """Advance a writer of strips by a cycle.

    Parameters
    ----------
    unit
        `Unit`.
    part
        0: A, 1: B.
    comes
        A vector is taken.
    offered
        A vector is at hand, and the other writer takes it.
    lanes_at
        The vector, in the ring of items, that is at hand.
    data_leaves, table_leaves
        A line of strips, or of the table, is written.
    """
    packer, packed, marks = unit.packers[part], unit.packed[part], unit.marks[part]
    settings, gatherer = unit.settings, unit.gatherers[5 + 2 * part]
    partial = packer.position & _BEAT != 0
    flushes = packer.flushing and packer.last_level == 0
    own = unit.items[packer.taken % RING]
    completes, strip = _write(packer, packed, own.b if part else own.a)
    opens = offered and not packer.opened
    table = settings.b_table if part else settings.a_table
    follows = _table(packer, marks, gatherer, table, settings.columns, opens, table_leaves)
    packer.opened |= opens
    packer.strips += strip - follows
    _store(packer, completes, flushes, partial, data_leaves)
    if flushes:
        packer.flushing = 0
        packer.position = 0
    if comes:
        item = unit.items[lanes_at % RING]
        ends_strip = (item.ends_b if part else item.ends_a) and item.last_vector
        _collect(packer, packed, item, ends_strip)
        if ends_strip:
            mark = marks[(packer.mark_head + packer.marks) % MARKS]
            mark.ends_group = item.ends_group
            mark.ends = item.ends
            packer.marks += 1
