"""State machines of loader, broadcaster and PE, one step per clock cycle, compiled.

Each function mirrors one component of `hw/` register by register: it sees the values that registers
had at the start of the cycle and leaves those they have at its end. Operand values are absent: time
depends on keys only.
"""

from __future__ import annotations

import numpy as np

from gscn.cycles.channels import reader_can_request, reader_has_chunk, request
from gscn.cycles.columns import (
    ADD,
    ADDS,
    BUSY,
    DESCRIPTOR_CHUNKS,
    DRAIN,
    DRAIN_COLUMNS,
    END,
    ENTRY_CHUNKS,
    EVENT_COLUMNS,
    F_BANKS,
    F_DEPTH,
    F_END,
    F_ITEM,
    F_ITEMS_LEFT,
    F_LEVEL,
    F_QUEUE,
    F_STATE,
    F_STREAM,
    F_TARGET,
    F_TILES,
    F_WAIT,
    FEED_COLUMNS,
    FILL_A,
    FILL_DIRECTORY,
    FILL_HEADER,
    FILL_STEP,
    FILL_TAPS,
    JOB_FIRST,
    JOB_SEGMENTS,
    L_ANNOUNCE,
    L_BANK,
    L_COLLECTED,
    L_ENDS,
    L_FILL,
    L_FIRST,
    L_IDLE,
    L_JOB,
    L_LAST_BANK,
    L_LEAD,
    L_LOAD,
    L_LOADS,
    L_NEXT,
    L_PE,
    L_READ_JOB,
    L_ROWS,
    L_SEGMENT,
    L_SEGMENTS_LEFT,
    L_STATE,
    L_STEP,
    L_STEPS,
    L_STREAM,
    L_TAGS,
    L_TAKEN,
    L_UNDER_WAY,
    L_USERS,
    LOAD,
    LOAD_STEPS,
    LOADER_COLUMNS,
    LOOKUP,
    MAC,
    P_ENDS,
    P_FIBER_HEAD,
    P_FIBERS,
    P_FOUND,
    P_FOUND_JOB_END,
    P_FOUND_KIND,
    P_FOUND_LENGTH,
    P_JOB_ENDS,
    P_PIPE,
    P_POSITION,
    P_RESUMED,
    P_TAP,
    P_WORD_HEAD,
    P_WORDS,
    PE_COLUMNS,
    Q_JOB_END,
    Q_KIND,
    Q_SEGMENT,
    Q_WORD,
    R_MOVED,
    R_ROOM,
    READER_COLUMNS,
    SEG_CHUNKS,
    SEG_ITEM0,
    SEG_ITEMS,
    SEG_KIND,
    SEG_LEAD,
    SEG_LOAD,
    SEG_LOAD_SHARERS,
    SEG_TAP0,
    SEG_TAPS,
    SEGMENTS_UNDER_WAY,
    SIBLING,
    STEP_DESCRIPTOR,
    STEP_FILL,
    STEP_HELD,
    STEP_NONE,
    STREAM,
    TILE_A_ROWS,
    TILE_DIRECTORY_ROWS,
    TILE_ENTRIES,
    TILE_ENTRY0,
)
from gscn.records import AT_ONCE
from gscn.system.compiled import compiled


@compiled
def step_filler(loader, load_reader, load_event, segment_end, segments, tiles):
    """Advance a Filler; return whether it takes the oldest step off, and reports a tile loaded."""
    has_chunk = reader_has_chunk(load_reader)
    state = loader[L_FILL]
    segment, bank = loader[L_STEP + 1], loader[L_STEP + 2]
    pops = False
    loaded = False
    if state == FILL_STEP:
        if loader[L_STEPS] > 0:
            if loader[L_STEP] == STEP_DESCRIPTOR:
                if has_chunk and not loader[L_COLLECTED]:
                    load_event[R_MOVED] = 1
                    loader[L_ROWS] += 1
                    if loader[L_ROWS] == loader[L_STEP + 1]:
                        loader[L_ROWS] = 0
                        pops = True
                    loader[L_TAKEN] = (loader[L_TAKEN] + 1) % DESCRIPTOR_CHUNKS
                    loader[L_COLLECTED] = 1 if loader[L_TAKEN] == 0 else 0
            elif loader[L_UNDER_WAY] < SEGMENTS_UNDER_WAY:
                if loader[L_STEP] != STEP_FILL:
                    loaded = True
                elif loader[L_USERS + bank] == 0:
                    loader[L_ROWS] = segments[segment, SEG_TAPS]
                    loader[L_FILL] = FILL_TAPS
    elif state == FILL_HEADER:
        if has_chunk:
            load_event[R_MOVED] = 1
            loader[L_ROWS] = tiles[segment, loader[L_PE], TILE_DIRECTORY_ROWS]
            loader[L_FILL] = FILL_DIRECTORY
    elif loader[L_ROWS] != 0:  # FILL_TAPS, FILL_DIRECTORY, FILL_A
        if has_chunk:
            load_event[R_MOVED] = 1
            loader[L_ROWS] -= 1
    elif state == FILL_TAPS:
        loader[L_FILL] = FILL_HEADER
    elif state == FILL_DIRECTORY:
        loader[L_ROWS] = tiles[segment, loader[L_PE], TILE_A_ROWS]
        loader[L_FILL] = FILL_A
    elif loader[L_PE] == tiles.shape[1] - 1:
        loader[L_PE] = 0
        loader[L_FILL] = FILL_STEP
        loaded = True
    else:
        loader[L_PE] += 1
        loader[L_FILL] = FILL_HEADER
    if segment_end:
        if loader[L_ENDS] >= 0:
            loader[L_USERS + loader[L_ENDS]] -= 1
        for index in range(L_ENDS, L_ENDS + SEGMENTS_UNDER_WAY - 1):
            loader[index] = loader[index + 1]
        loader[L_UNDER_WAY] -= 1
    if loaded:
        uses = loader[L_STEP] != STEP_NONE
        loader[L_ENDS + loader[L_UNDER_WAY]] = bank if uses else -1
        loader[L_UNDER_WAY] += 1
        if uses:
            loader[L_USERS + bank] += 1
    return pops or loaded, loaded


@compiled
def step_loader(
    loader, given, load_reader, load_event, stream_room, queue_room, drain_room, segment_end, jobs,
    segments, tiles, addresses, announce,
):  # fmt: skip
    """Advance a Loader: Fetcher and Filler.

    `given` is the job handed over in this cycle, or -1; `addresses` holds beat addresses of queue
    entries and of segment descriptors. `announce` returns (segment or -1, first, last, drained job
    or -1, tile loaded, stream requested).
    """
    state = loader[L_STATE]
    collected = loader[L_COLLECTED]
    steps_room = loader[L_STEPS] < LOAD_STEPS
    asks = steps_room and reader_can_request(load_reader)
    pops, loaded = step_filler(loader, load_reader, load_event, segment_end, segments, tiles)
    kind, value, bank = -1, 0, 0  # of a step handed to the Filler
    announce[0] = announce[3] = -1
    announce[4] = 1 if loaded else 0
    announce[5] = 0
    segment = loader[L_SEGMENT]
    if state == L_IDLE:
        if given >= 0:
            request(load_event, addresses[0, given], ENTRY_CHUNKS)
            loader[L_LEAD] = AT_ONCE
            kind, value = STEP_DESCRIPTOR, ENTRY_CHUNKS
            loader[L_JOB] = given
            loader[L_STATE] = L_READ_JOB
    elif state == L_READ_JOB:
        if collected and drain_room:
            job = loader[L_JOB]
            announce[3] = job
            loader[L_COLLECTED] = 0
            loader[L_SEGMENT] = jobs[job, JOB_FIRST]
            loader[L_SEGMENTS_LEFT] = jobs[job, JOB_SEGMENTS]
            loader[L_FIRST] = 1
            loader[L_STATE] = L_STREAM
    elif state == L_STREAM:
        if collected and stream_room:
            announce[5] = 1
            loader[L_STATE] = L_ANNOUNCE
    elif state == L_ANNOUNCE:
        is_add = segments[segment, SEG_KIND] == ADD
        tag = segments[segment, SEG_LOAD]
        held = not is_add and (loader[L_TAGS] == tag or loader[L_TAGS + 1] == tag)
        if queue_room and (steps_room or not (is_add or held)):
            announce[0] = segment
            announce[1] = loader[L_FIRST]
            announce[2] = 1 if loader[L_SEGMENTS_LEFT] == 1 else 0
            if is_add:
                kind, value = STEP_NONE, segment
            else:
                bank = 1 - loader[L_LAST_BANK]
                if held:
                    bank = 1 if loader[L_TAGS + 1] == tag else 0
                    kind, value = STEP_HELD, segment
                loader[L_LAST_BANK] = loader[L_BANK] = bank
                loader[L_TAGS + bank] = tag
            loader[L_LOADS] = 0 if is_add or held else 1
            loader[L_COLLECTED] = 0
            loader[L_SEGMENT] += 1
            loader[L_SEGMENTS_LEFT] -= 1
            loader[L_FIRST] = 0
            if loader[L_SEGMENTS_LEFT] != 0:
                loader[L_STATE] = L_NEXT
            else:
                loader[L_STATE] = L_LOAD if loader[L_LOADS] else L_IDLE
    elif asks and state == L_NEXT:
        request(load_event, addresses[1, segment], DESCRIPTOR_CHUNKS)
        loader[L_LEAD] = AT_ONCE
        kind, value = STEP_DESCRIPTOR, DESCRIPTOR_CHUNKS
        loader[L_STATE] = L_LOAD if loader[L_LOADS] else L_STREAM
    elif asks and state == L_LOAD:
        segment -= 1
        beat, chunks = segments[segment, SEG_LOAD], segments[segment, SEG_CHUNKS]
        request(load_event, beat, chunks, 0, segments[segment, SEG_LOAD_SHARERS])
        loader[L_LEAD] = segments[segment, SEG_LEAD]
        kind, value, bank = STEP_FILL, segment, loader[L_BANK]
        loader[L_STATE] = L_IDLE if loader[L_SEGMENTS_LEFT] == 0 else L_STREAM
    if pops:
        for index in range(L_STEP, L_STEP + 3 * (LOAD_STEPS - 1)):
            loader[index] = loader[index + 3]
        loader[L_STEPS] -= 1
    if kind >= 0:
        slot = L_STEP + 3 * loader[L_STEPS]
        loader[slot], loader[slot + 1], loader[slot + 2] = kind, value, bank
        loader[L_STEPS] += 1


@compiled
def near_end(feed, prefetch_words):
    """Whether a Broadcaster asks for the next job."""
    if feed[F_LEVEL] == 0:
        return True
    return (
        feed[F_LEVEL] == 1
        and feed[F_QUEUE + 2] == 1
        and feed[F_STATE] != F_WAIT
        and feed[F_ITEMS_LEFT] <= prefetch_words
    )


@compiled
def hurries(feed, lead):
    """Whether a Broadcaster says, one cycle later, that the next load block is needed soon."""
    few_left = feed[F_STATE] == F_WAIT or feed[F_ITEMS_LEFT] <= lead
    return feed[F_TILES] == 0 and few_left


@compiled
def step_broadcaster(
    feed, stream_reader, stream_event, pes, segments, item_taps, push, fifo_depth
):  # fmt: skip
    """Advance a Broadcaster; return the cause for PEs with nothing queued (-1: no segment).

    `push` returns (kind or -1, item, segment, job end, target PE or -1 for all).
    """
    push[0] = -1
    state = feed[F_STATE]
    segment = feed[F_QUEUE]
    if state == F_WAIT:
        if feed[F_LEVEL] == 0:
            return -1
        if feed[F_TILES] == 0:
            return LOAD
        if feed[F_QUEUE + 1] and feed[F_BANKS] == 0:
            return DRAIN
        feed[F_TILES] -= 1
        if feed[F_QUEUE + 1]:
            feed[F_BANKS] -= 1
        feed[F_ITEMS_LEFT] = segments[segment, SEG_ITEMS]
        feed[F_ITEM] = segments[segment, SEG_ITEM0]
        feed[F_TARGET] = 0
        feed[F_STATE] = F_END if feed[F_ITEMS_LEFT] == 0 else F_STREAM
        return STREAM

    adds = segments[segment, SEG_KIND] == ADD
    ends = state == F_END
    if not ends and not reader_has_chunk(stream_reader):
        return STREAM
    count = pes.shape[0]
    to_one = adds and not ends
    # a rebase is handed to no PE
    to_none = not adds and not ends and item_taps[feed[F_ITEM]] < 0
    for pe in range(count):
        addressed = not to_none and (not to_one or pe == feed[F_TARGET])
        if addressed and pes[pe, P_WORDS] == fifo_depth:
            return SIBLING
    push[1] = feed[F_ITEM]
    push[2] = segment
    push[3] = feed[F_QUEUE + 2]
    push[4] = feed[F_TARGET] if to_one else -1
    if ends:
        push[0] = END
        for index in range(F_QUEUE, F_QUEUE + 3 * (F_DEPTH - 1)):
            feed[index] = feed[index + 3]
        feed[F_LEVEL] -= 1
        feed[F_STATE] = F_WAIT
    else:
        if not to_none:
            push[0] = ADD if adds else MAC
        # of two items in a chunk the second takes it away, or the last of the segment
        second = (segments[segment, SEG_ITEMS] - feed[F_ITEMS_LEFT]) % 2 == 1
        if adds or second or feed[F_ITEMS_LEFT] == 1:
            stream_event[R_MOVED] = 1
        feed[F_ITEM] += 1
        feed[F_TARGET] = (feed[F_TARGET] + 1) % count
        feed[F_ITEMS_LEFT] -= 1
        if feed[F_ITEMS_LEFT] == 0:
            feed[F_STATE] = F_END
    return STREAM


@compiled
def step_pe(
    pe, number, words, fibers, push, segments, tiles, item_keys, item_taps, tap_keys, tap_last,
    fiber_lengths, sum_cycles,
):  # fmt: skip
    """Advance a PE; return its cause, or -1 if it has nothing queued.

    `sum_cycles` cycles after it was issued an entry's sum is stored.
    """
    word_depth, fiber_depth = words.shape[0], fibers.shape[0]
    pipe = pe[P_PIPE]
    fiber_level = pe[P_FIBERS]
    pending = pe[P_WORDS] or pe[P_FOUND] or fiber_level or pipe >> 1
    cause = LOOKUP if pending else -1

    # walker: bits move one place per cycle; bit 0 is the report of the accumulator
    enters = 1 << sum_cycles - 1
    pipe >>= 1
    ends = pe[P_ENDS] >> 1
    job_ends = pe[P_JOB_ENDS] >> 1
    if fiber_level:
        head = pe[P_FIBER_HEAD]
        kind = fibers[head, 0]
        pops = True
        pipe |= enters
        if kind == MAC:
            cause = BUSY
            pe[P_POSITION] += 1
            if pe[P_POSITION] == fibers[head, 1]:
                pe[P_POSITION] = 0
            else:
                pops = False
        elif kind == ADD:
            cause = ADDS
        else:
            ends |= enters
            job_ends |= enters * fibers[head, 2]
        if pops:
            pe[P_FIBER_HEAD] = (head + 1) % fiber_depth
            pe[P_FIBERS] -= 1
    pe[P_PIPE] = pipe
    pe[P_ENDS] = ends
    pe[P_JOB_ENDS] = job_ends

    # look-up
    found = pe[P_FOUND] and not (pe[P_FOUND_KIND] == MAC and pe[P_FOUND_LENGTH] == 0)
    advances = not found or fiber_level < fiber_depth
    if found and advances:
        tail = (pe[P_FIBER_HEAD] + pe[P_FIBERS]) % fiber_depth
        fibers[tail, 0] = pe[P_FOUND_KIND]
        fibers[tail, 1] = pe[P_FOUND_LENGTH]
        fibers[tail, 2] = pe[P_FOUND_JOB_END]
        pe[P_FIBERS] += 1
    if advances:
        pe[P_FOUND] = 0
        if pe[P_WORDS]:
            head = pe[P_WORD_HEAD]
            kind = words[head, Q_KIND]
            pe[P_FOUND] = 1
            pe[P_FOUND_KIND] = kind
            pe[P_FOUND_JOB_END] = words[head, Q_JOB_END]
            last = True
            if kind == MAC:
                word, segment = words[head, Q_WORD], words[head, Q_SEGMENT]
                tap = pe[P_TAP] if pe[P_RESUMED] else item_taps[word]
                index = segments[segment, SEG_TAP0] + tap
                key = item_keys[word] + tap_keys[index]
                last = tap_last[index] != 0
                pe[P_TAP] = tap + 1
                pe[P_RESUMED] = 0 if last else 1
                pe[P_FOUND_LENGTH] = 0
                if 0 <= key < tiles[segment, number, TILE_ENTRIES]:
                    entry = tiles[segment, number, TILE_ENTRY0] + key
                    pe[P_FOUND_LENGTH] = fiber_lengths[entry]
            if last:
                pe[P_WORD_HEAD] = (head + 1) % word_depth
                pe[P_WORDS] -= 1

    if push[0] >= 0 and (push[4] < 0 or push[4] == number):
        tail = (pe[P_WORD_HEAD] + pe[P_WORDS]) % word_depth
        words[tail, Q_KIND] = push[0]
        words[tail, Q_WORD] = push[1]
        words[tail, Q_SEGMENT] = push[2]
        words[tail, Q_JOB_END] = push[3]
        pe[P_WORDS] += 1
    return cause


def state_arrays(clusters: int, pes: int, fifo_depth: int, match_depth: int, read_beats: int):
    """Return the state after reset, as the tuple that `cycles.model` unpacks."""
    readers = np.zeros((2 * clusters, READER_COLUMNS), np.int64)
    readers[:, R_ROOM] = read_beats
    loaders = np.zeros((clusters, LOADER_COLUMNS), np.int64)
    feeds = np.zeros((clusters, FEED_COLUMNS), np.int64)
    feeds[:, F_BANKS] = 2
    return (
        readers,
        np.zeros((2 * clusters, EVENT_COLUMNS), np.int64),
        loaders,
        feeds,
        np.zeros((clusters, pes, PE_COLUMNS), np.int64),
        np.zeros((clusters, pes, fifo_depth, 4), np.int64),
        np.zeros((clusters, pes, match_depth, 3), np.int64),
        np.zeros((clusters, DRAIN_COLUMNS), np.int64),
    )
