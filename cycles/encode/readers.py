"""Cycle model of `hw.encode.line_reader` and `hw.encode.rows`, and of the arbiter before them."""

from __future__ import annotations

from gscn.cycles.encode.state import (
    BURSTS,
    CHANNELS,
    RING,
    ROWS_CHANNEL,
    VECTORS,
    calling,
)
from gscn.encode import CHANNEL_ROW
from gscn.passes import VECTOR
from gscn.system.compiled import borrowing

ROW_BYTES = CHANNEL_ROW.width // 8
_LINE_ROWS = 2
"""Rows of a line."""
_LAST_VECTORS = 4
"""log2 of the vectors of a position with which all of the memory of rows is used."""


@borrowing
def offer(reader, valid, used, line, bursts):
    """Look at a place; say whether its line is wanted of the port, or whether it goes on at once.

    This is of registers as they are when a cycle begins, before `show` and `commit`.
    """
    room = reader.asked - reader.shown < VECTORS
    reader.line = line
    reader.fresh = used and reader.before != line
    reader.asks = valid and reader.fresh and reader.room and room
    reader.leaves = valid and room and not reader.fresh
    reader.address = line * bursts + reader.burst
    reader.place_room = reader.placed - reader.gone < VECTORS
    reader.granted = 0


@borrowing
def ask(reader, bursts):
    """Let a reader whose burst is taken go on."""
    if reader.granted:
        reader.burst += 1
        if reader.burst == bursts:
            reader.burst = 0
            reader.leaves = 1


@borrowing
def show(reader, fresh, taken):
    """Show the line of the next place if there is none, or the one before is taken."""
    freed = 0
    if not reader.valid or taken:
        goes = 0
        if reader.shown < reader.asked:
            other = fresh[reader.shown % RING]
            if not other or reader.filled:
                goes = 1
                reader.shown += 1
                if other:
                    reader.filled -= 1
                    freed = reader.held
                    reader.held = 1
        reader.valid = goes
    return freed


@borrowing
def commit(reader, fresh, freed):
    """Queue the ticket of a place that goes on; return whether one does."""
    leaves = reader.leaves
    if leaves:
        fresh[reader.asked % RING] = reader.fresh
        reader.asked += 1
        if reader.fresh:
            reader.before = reader.line
            reader.room -= 1
    reader.room += freed
    return leaves


@borrowing
def arrive(reader, line_beats):
    """Store a beat."""
    reader.beat += 1
    if reader.beat == line_beats:
        reader.beat = 0
        reader.filled += 1


@borrowing
def _channel(number):
    """Return the reader of a channel; the channel of rows has none."""
    return number if number < ROWS_CHANNEL else number - 1


@calling
def arbitrate(unit, now):
    """Take a burst for all channels that want it."""
    arbiter, readers, rows = unit.arbiter, unit.readers, unit.rows
    if arbiter.level == BURSTS:
        return 0
    best = lowest = -1
    for number in range(CHANNELS):
        wants = rows.left if number == ROWS_CHANNEL else readers[_channel(number)].asks
        if wants:
            if lowest < 0:
                lowest = number
            if best < 0 and number > arbiter.below:
                best = number
    if best < 0:
        best = lowest
    if best < 0:
        return 0
    arbiter.below = best
    address = rows.addr if best == ROWS_CHANNEL else readers[_channel(best)].address
    owners = 0
    for number in range(CHANNELS):
        if number == ROWS_CHANNEL:
            if rows.left and rows.addr == address:
                owners |= 1 << number
                rows.addr += 1
                rows.left -= 1
        else:
            reader = readers[_channel(number)]
            if reader.asks and reader.address == address:
                owners |= 1 << number
                reader.granted = 1
    at = (arbiter.head + arbiter.level) % BURSTS
    unit.owners[at] = owners
    # two arbiters lie before memory, each with a queue
    unit.due[at] = now + 2 + unit.settings.latency
    return 1


@calling
def deliver(unit, now, taken):
    """Deliver a beat of memory, if one is due; return whether the rows of a group are whole."""
    arbiter, settings, rows = unit.arbiter, unit.settings, unit.rows
    whole = 0
    line_beats = settings.bursts * settings.beats
    if arbiter.level and unit.due[arbiter.head] <= now:
        arbiter.beats += 1
        owners = unit.owners[arbiter.head]
        for number in range(CHANNELS):
            if owners >> number & 1:
                if number == ROWS_CHANNEL:
                    rows.beat += 1
                    if rows.beat == (VECTOR // _LINE_ROWS * line_beats) << settings.vectors:
                        rows.beat = 0
                        whole = 1
                else:
                    arrive(unit.readers[_channel(number)], line_beats)
        arbiter.beat += 1
        if arbiter.beat == settings.beats:
            arbiter.beat = 0
            arbiter.head = (arbiter.head + 1) % BURSTS
            arbiter.level -= 1
    arbiter.level += taken
    return whole


@borrowing
def rows_free(rows, settings):
    """Return whether rows of another column may be asked for."""
    free = rows.held == 0 if settings.vectors == _LAST_VECTORS else rows.held != 2
    return rows.left == 0 and free


@borrowing
def load_rows(rows, settings, column):
    """Begin to ask for the rows of a column."""
    per_line = settings.bursts
    lines = (VECTOR // _LINE_ROWS) << settings.vectors
    rows.addr = ((settings.rows_addr >> 6) + column * lines) * per_line
    rows.left = lines * per_line


@borrowing
def show_rows(rows, items, forked, taken):
    """Show the rows of the next vector; return whether those before are given up."""
    released = enters = goes = 0
    if rows.shown < forked:
        waits = items[rows.shown % RING].loads and not rows.entered
        if waits:
            if rows.current:
                released = 1
            elif rows.ready:
                enters = 1
        else:
            goes = not rows.valid or taken
    rows.ready -= enters
    if released:
        rows.current = 0
    if enters:
        rows.current = 1
        rows.entered = 1
    if goes:
        rows.entered = 0
    if not rows.valid or taken:
        rows.valid = goes
    rows.shown += goes
    return released
