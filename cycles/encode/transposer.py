"""Cycle model of `hw.encode.transposer`: blocks that are asked for, turned, and handed on."""

from __future__ import annotations

from gscn.cycles.encode.state import RING, calling
from gscn.passes import VECTOR
from gscn.port import ALIGNMENT_BITS
from gscn.system.compiled import borrowing

SLOTS = 144
"""`Inputs.SLOTS` of tensor 0."""
OUT_DEPTH = 4
_BLOCKS = 2
_TURNED_LOOP = 2
"""The loop that lies within vectors of memory."""


@borrowing
def transposer_spot(unit):
    """Return whether a vector of memory is asked for, whether it is read, and its line."""
    turner, settings = unit.transposer, unit.settings
    if not turner.asking:
        return 0, 0, 0
    place, count = unit.turned[turner.row_at, 0], unit.turned[turner.row_at, 1]
    addr = (place + turner.lane * settings.t0_lane) & settings.addr_mask
    wanted = turner.lane < count if count else not settings.steady
    used = wanted and settings.t0_addr <= addr < settings.t0_end
    return 1, used, addr >> ALIGNMENT_BITS


@borrowing
def _show(turner, blocks, wide, taken):
    """Show vectors row by row; return whether a block is out of the buffer."""
    upper = turner.upper or not wide
    leaves = turner.there and upper and turner.highs < OUT_DEPTH
    lows = turner.there and not upper and turner.lows < OUT_DEPTH
    goes = turner.filled > 0 and (not turner.there or leaves)
    freed = 0
    if goes:
        last = turner.show_number == turner.last
        ends = last and turner.show_row == blocks[1, turner.filled_head] - 1
        turner.show_number = 0 if last else turner.show_number + 1
        turner.show_row += last
        if ends:
            turner.show_row = 0
            turner.filled -= 1
            turner.filled_head = (turner.filled_head + 1) % _BLOCKS
            freed = 1
    if goes or leaves:
        turner.there = goes
    if lows:
        turner.upper = 1
    if leaves:
        turner.upper = 0
    turner.highs += leaves - taken
    turner.lows += lows - (taken and wide)
    return freed


@borrowing
def _fill(turner, blocks, wide, found):
    """Store a vector of memory; return whether it is taken."""
    if not found or not turner.asked:
        return 0
    upper = turner.second or not wide
    turner.second = wide and not turner.second
    if upper:
        last = turner.fill_number == turner.last
        if last and turner.fill_lane == VECTOR - 1:
            blocks[1, (turner.filled_head + turner.filled) % _BLOCKS] = blocks[0, turner.asked_head]
            turner.filled += 1
            turner.asked -= 1
            turner.asked_head = (turner.asked_head + 1) % _BLOCKS
        turner.fill_number = 0 if last else turner.fill_number + 1
        turner.fill_lane = (turner.fill_lane + last) % VECTOR
    return upper


@borrowing
def _ask(turner, goes):
    """Go from vector to vector and lane to lane; return whether the row is done with."""
    leaves = 0
    if goes:
        last = turner.row_at == turner.last
        leaves = last and turner.lane == VECTOR - 1
        turner.row_at = 0 if last else turner.row_at + 1
        turner.lane = (turner.lane + last) % VECTOR
        if leaves:
            turner.asking = 0
    return leaves


@borrowing
def _collect(unit, item, number):
    """Keep a vector if it is of the first row of a block."""
    turner, settings = unit.transposer, unit.settings
    counts = settings.counts
    if turner.rows_left == 0:
        unit.turned[number, 0] = item.places[0]
        count = 0
        while item.there >> count:
            count += 1
        unit.turned[number, 1] = count
    turner.number = 0 if number == turner.last else number + 1
    if number == turner.last:
        left = counts[_TURNED_LOOP] - turner.turned
        turner.turned = 0 if left == 1 else turner.turned + 1
        if turner.rows_left:
            turner.rows_left -= 1
        else:
            turner.rows = min(left, 1 << turner.log)
            turner.rows_left = turner.rows - 1
            turner.collected = 1


@calling
def step_transposer(unit, valid, asks, taken):
    """Advance by a cycle; return whether a place and a line were taken.

    Parameters
    ----------
    unit
        `Unit`.
    valid
        There is a place.
    asks
        The vector of memory that is asked for goes on.
    taken
        What is shown is taken.
    """
    turner, reader = unit.transposer, unit.readers[0]
    wide = unit.settings.wide[0]
    room = turner.asked < _BLOCKS
    begins = turner.collected and not turner.asking and turner.begun < _BLOCKS and room
    collects = valid and (turner.rows_left or not turner.collected)
    freed = _show(turner, unit.blocks, wide, taken)
    shown = _fill(turner, unit.blocks, wide, reader.valid)
    if _ask(turner, asks):
        turner.collected = 0
    if begins:
        turner.asking = 1
        unit.blocks[0, (turner.asked_head + turner.asked) % _BLOCKS] = turner.rows
        turner.asked += 1
    turner.begun += begins - freed
    if collects:
        _collect(unit, unit.items[reader.gone % RING], turner.number)
        reader.gone += 1
    return shown
