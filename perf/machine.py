"""State machines of loader, broadcaster and PE, one step per clock cycle, compiled.

Each function mirrors one component of `hw/` register by register: it sees the values that registers
had at the start of the cycle and leaves those they have at its end. Operand values are absent: time
depends on keys only.
"""

from __future__ import annotations

import numpy as np

from gscn.compiled import compiled
from perf.channels import (
    reader_can_request,
    reader_has_chunk,
    request,
)
from perf.columns import (
    ADD,
    ADDS,
    BUSY,
    DESCRIPTOR_CHUNKS,
    DRAIN,
    DRAIN_COLUMNS,
    END,
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
    JOB_FIRST,
    JOB_SEGMENTS,
    L_A,
    L_ANNOUNCE,
    L_ANNOUNCE_DRAIN,
    L_BANK,
    L_BANKS,
    L_DIRECTORY,
    L_FIRST,
    L_HEADER,
    L_IDLE,
    L_JOB,
    L_NEXT,
    L_PE,
    L_READ_JOB,
    L_READ_SEGMENT,
    L_REQUEST_LOAD,
    L_REQUEST_STREAM,
    L_ROWS,
    L_SEGMENT,
    L_SEGMENTS_LEFT,
    L_STATE,
    L_TAKEN,
    L_TAPS,
    LOAD,
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
    SEG_LOAD,
    SEG_TAP0,
    SEG_TAPS,
    SIBLING,
    STREAM,
    TILE_A_ROWS,
    TILE_DIRECTORY_ROWS,
    TILE_ENTRIES,
    TILE_ENTRY0,
)


@compiled
def step_loader(
    loader, given, load_reader, load_event, stream_room, queue_room, drain_room, bank_free, jobs,
    segments, tiles, addresses, announce,
):  # fmt: skip
    """Advance a Loader.

    `given` is the job handed over in this cycle, or -1; `addresses` holds beat addresses of job and
    segment descriptors. `announce` returns (segment or -1, first, last, drained job or -1, tile
    loaded, stream requested).
    """
    state = loader[L_STATE]
    takes_bank = 0
    finishes = False
    announce[0] = announce[3] = -1
    announce[4] = announce[5] = 0
    segment = loader[L_SEGMENT]
    has_chunk = reader_has_chunk(load_reader)
    if state == L_IDLE:
        if given >= 0:
            request(load_event, addresses[0, given], DESCRIPTOR_CHUNKS)
            loader[L_JOB] = given
            loader[L_STATE] = L_READ_JOB
    elif state in (L_READ_JOB, L_READ_SEGMENT):
        if has_chunk:
            load_event[R_MOVED] = 1
            loader[L_TAKEN] += 1
            if loader[L_TAKEN] == DESCRIPTOR_CHUNKS:
                loader[L_TAKEN] = 0
                loader[L_STATE] = L_ANNOUNCE_DRAIN if state == L_READ_JOB else L_REQUEST_STREAM
    elif state == L_ANNOUNCE_DRAIN:
        if drain_room:
            job = loader[L_JOB]
            announce[3] = job
            loader[L_SEGMENT] = jobs[job, JOB_FIRST]
            loader[L_SEGMENTS_LEFT] = jobs[job, JOB_SEGMENTS]
            loader[L_FIRST] = 1
            loader[L_STATE] = L_NEXT
    elif state == L_NEXT:
        if reader_can_request(load_reader):
            request(load_event, addresses[1, segment], DESCRIPTOR_CHUNKS)
            loader[L_STATE] = L_READ_SEGMENT
    elif state == L_REQUEST_STREAM:
        if stream_room:
            announce[5] = 1
            loader[L_STATE] = L_ANNOUNCE
    elif state == L_ANNOUNCE:
        if queue_room:
            announce[0] = segment
            announce[1] = loader[L_FIRST]
            announce[2] = 1 if loader[L_SEGMENTS_LEFT] == 1 else 0
            loader[L_STATE] = L_REQUEST_LOAD
    elif state == L_REQUEST_LOAD:
        if reader_can_request(load_reader):
            request(load_event, segments[segment, SEG_LOAD], segments[segment, SEG_CHUNKS])
            loader[L_STATE] = L_BANK
    elif state == L_BANK:
        if loader[L_BANKS] != 0:
            takes_bank = 1
            loader[L_ROWS] = segments[segment, SEG_TAPS]
            if segments[segment, SEG_KIND] == ADD:
                finishes = True
            else:
                loader[L_STATE] = L_TAPS
    elif state == L_HEADER:
        if has_chunk:
            load_event[R_MOVED] = 1
            loader[L_ROWS] = tiles[segment, loader[L_PE], TILE_DIRECTORY_ROWS]
            loader[L_STATE] = L_DIRECTORY
    elif loader[L_ROWS] != 0:  # L_TAPS, L_DIRECTORY, L_A
        if has_chunk:
            load_event[R_MOVED] = 1
            loader[L_ROWS] -= 1
    elif state == L_TAPS:
        loader[L_STATE] = L_HEADER
    elif state == L_DIRECTORY:
        loader[L_ROWS] = tiles[segment, loader[L_PE], TILE_A_ROWS]
        loader[L_STATE] = L_A
    elif loader[L_PE] == tiles.shape[1] - 1:
        loader[L_PE] = 0
        finishes = True
    else:
        loader[L_PE] += 1
        loader[L_STATE] = L_HEADER
    if finishes:
        announce[4] = 1
        loader[L_STATE] = L_IDLE if loader[L_SEGMENTS_LEFT] == 1 else L_NEXT
        loader[L_SEGMENT] += 1
        loader[L_SEGMENTS_LEFT] -= 1
        loader[L_FIRST] = 0
    loader[L_BANKS] += bank_free - takes_bank


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
    fiber_lengths,
):  # fmt: skip
    """Advance a PE; return its cause, or -1 if it has nothing queued."""
    word_depth, fiber_depth = words.shape[0], fibers.shape[0]
    pipe = pe[P_PIPE]
    fiber_level = pe[P_FIBERS]
    pending = pe[P_WORDS] or pe[P_FOUND] or fiber_level or pipe & 7
    cause = LOOKUP if pending else -1

    # walker: bits move one place per cycle; bit 3 is the report of the accumulator
    pipe = pipe << 1 & 15
    ends = pe[P_ENDS] << 1 & 15
    job_ends = pe[P_JOB_ENDS] << 1 & 15
    if fiber_level:
        head = pe[P_FIBER_HEAD]
        kind = fibers[head, 0]
        pops = True
        pipe |= 1
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
            ends |= 1
            job_ends |= fibers[head, 2]
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
    """Return the state after reset, as the tuple that `perf.cycles` unpacks."""
    readers = np.zeros((2 * clusters, READER_COLUMNS), np.int64)
    readers[:, R_ROOM] = read_beats
    loaders = np.zeros((clusters, LOADER_COLUMNS), np.int64)
    loaders[:, L_BANKS] = 2
    feeds = np.zeros((clusters, FEED_COLUMNS), np.int64)
    feeds[:, F_BANKS] = 2
    return (
        readers,
        np.zeros((2 * clusters, 6), np.int64),
        loaders,
        feeds,
        np.zeros((clusters, pes, PE_COLUMNS), np.int64),
        np.zeros((clusters, pes, fifo_depth, 4), np.int64),
        np.zeros((clusters, pes, match_depth, 3), np.int64),
        np.zeros((clusters, DRAIN_COLUMNS), np.int64),
    )
