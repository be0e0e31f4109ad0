"""Cycle model of `hw.cluster.filler`: the chunks of a cluster's load channel."""

from __future__ import annotations

from gscn.config import BANKS
from gscn.cycles.port.reader import has_chunk
from gscn.cycles.state import record
from gscn.latencies import DESCRIPTOR_CHUNKS, LOAD_STEPS, SEGMENTS_LOADED
from gscn.system.compiled import borrowing

FILLER = record(
    "state", "pe",
    "rows",  # chunks left of what is loaded, or taken of descriptors
    "taken", "collected",  # chunks of a descriptor; whether it is whole and not yet read
    "steps", "under_way",
    # steps that wait, of which `value` is chunks of descriptors, or a segment
    kind=LOAD_STEPS, value=LOAD_STEPS, bank=LOAD_STEPS,
    users=BANKS,  # segments under way on each bank
    ends=SEGMENTS_LOADED,  # banks of the segments under way, -1 for none
)  # fmt: skip
STEP, TAPS, HEADER, DIRECTORY, STATIONARY = range(5)
"""States."""
DESCRIPTORS, FILL, HELD, NONE = range(4)
"""Kinds of steps: descriptors, a load block, one that a bank holds, a segment without one."""


@borrowing
def push_step(filler, kind, value, bank):
    """Hand a step to a Filler that has room for it."""
    filler.kind[filler.steps] = kind
    filler.value[filler.steps] = value
    filler.bank[filler.steps] = bank
    filler.steps += 1


@borrowing
def pop_step(filler):
    """Take the oldest step off."""
    for index in range(LOAD_STEPS - 1):
        filler.kind[index] = filler.kind[index + 1]
        filler.value[index] = filler.value[index + 1]
        filler.bank[index] = filler.bank[index + 1]
    filler.steps -= 1


@borrowing
def take_descriptors(filler, reader):
    """Take a chunk of descriptors; return whether it was the last of the step."""
    if not has_chunk(reader) or filler.collected:
        return False
    reader.moved = 1
    filler.rows += 1
    whole = filler.rows == filler.value[0]
    if whole:
        filler.rows = 0
    filler.taken = (filler.taken + 1) % DESCRIPTOR_CHUNKS
    filler.collected = 1 if filler.taken == 0 else 0
    return whole


@borrowing
def load_block(filler, reader, tiles):
    """Load a chunk of a block, or turn to its next part; return whether it is whole."""
    tile = tiles[filler.value[0], filler.pe]
    if filler.state == HEADER:
        if has_chunk(reader):
            reader.moved = 1
            filler.rows = tile.directory_chunks
            filler.state = DIRECTORY
    elif filler.rows != 0:
        if has_chunk(reader):
            reader.moved = 1
            filler.rows -= 1
    elif filler.state == TAPS:
        filler.state = HEADER
    elif filler.state == DIRECTORY:
        filler.rows = tile.stationary_chunks
        filler.state = STATIONARY
    elif filler.pe == tiles.shape[1] - 1:
        filler.pe = 0
        filler.state = STEP
        return True
    else:
        filler.pe += 1
        filler.state = HEADER
    return False


@borrowing
def step_filler(filler, reader, segment_end, tables):
    """Advance a Filler; return whether it takes the oldest step off, and reports a tile loaded.

    `segment_end` is whether the PEs have ended the oldest segment under way.
    """
    kind, bank = filler.kind[0], filler.bank[0]
    pops = False
    loaded = False
    if filler.state != STEP:
        loaded = load_block(filler, reader, tables.tiles)
    elif filler.steps > 0:
        if kind == DESCRIPTORS:
            pops = take_descriptors(filler, reader)
        elif filler.under_way < SEGMENTS_LOADED:
            if kind != FILL:
                loaded = True
            elif filler.users[bank] == 0:
                filler.rows = tables.segments[filler.value[0]].taps
                filler.state = TAPS
    if segment_end:
        if filler.ends[0] >= 0:
            filler.users[filler.ends[0]] -= 1
        for index in range(SEGMENTS_LOADED - 1):
            filler.ends[index] = filler.ends[index + 1]
        filler.under_way -= 1
    if loaded:
        filler.ends[filler.under_way] = -1 if kind == NONE else bank
        filler.under_way += 1
        if kind != NONE:
            filler.users[bank] += 1
    return pops or loaded, loaded
