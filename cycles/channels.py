"""State machines of the memory channels, one step per clock cycle, compiled.

Mirrors `hw.port.reader`, `hw.cluster.drain`, `hw.port.writer` and `hw.port.arbiter`, as
`cycles.machine` mirrors the rest.
"""

from __future__ import annotations

from gscn.cycles.columns import (
    D_COL,
    D_FLIGHT,
    D_FLUSH,
    D_JOBS,
    D_LEFT,
    D_PLANE,
    D_QUEUE,
    D_ROW,
    D_SETTLE,
    D_SETTLING,
    D_SLOT,
    D_STATE,
    D_WAIT,
    D_WALK,
    D_WRITER_BEAT,
    D_WRITER_COMMITTED,
    D_WRITER_LEVEL,
    JOB_GUARD_COLS,
    JOB_GUARD_ROWS,
    JOB_OUT,
    JOB_PITCH,
    JOB_PLANES,
    JOB_RESULT,
    JOB_ROWS,
    JOB_WALK,
    L_REQUEST,
    L_REQUESTS,
    P_DRAIN_ENDS,
    P_JOB_ENDS,
    R_ARRIVED,
    R_BEAT,
    R_ISSUED,
    R_LEFT,
    R_LENGTH0,
    R_LENGTHS,
    R_LEVEL,
    R_MOVED,
    R_REQUEST_BEAT,
    R_REQUEST_CHUNKS,
    R_REQUEST_DEPTH,
    R_REQUEST_SHARERS,
    R_REQUEST_URGENT_ROOM,
    R_REQUESTED,
    R_ROOM,
    R_SHARERS,
    R_TAKEN,
    R_URGENT_ROOM,
    SEG_STREAM,
    SEG_STREAM_CHUNKS,
    SEG_STREAM_SHARERS,
    SEG_URGENT_ROOM,
)
from gscn.system.compiled import compiled


@compiled(inline="always")
def reader_can_request(reader):
    """Whether a request is taken in this cycle."""
    return reader[R_LEFT] == 0 and reader[R_LENGTHS] < R_REQUEST_DEPTH


@compiled(inline="always")
def reader_has_chunk(reader):
    """Whether a chunk is offered in this cycle."""
    return reader[R_LEVEL] > 0 and reader[R_LENGTHS] > 0


@compiled(inline="always")
def burst_length(beat, left, burst):
    """Beats up to the next multiple of the burst, or what is left."""
    return min(left, burst - beat % burst)


@compiled
def request(event, beat, chunks, urgent_room=0, sharers=0):
    """Hand a request to a reader that can take it; see `hw.layouts.read_request_layout`."""
    event[R_REQUESTED] = 1
    event[R_REQUEST_BEAT] = beat
    event[R_REQUEST_CHUNKS] = chunks
    event[R_REQUEST_URGENT_ROOM] = urgent_room
    event[R_REQUEST_SHARERS] = sharers


@compiled
def request_stream(event, loader, segments):
    """Hand the oldest stream that waits to be requested to a reader that can take it."""
    segment = segments[loader[L_REQUEST]]
    beat, chunks = segment[SEG_STREAM], segment[SEG_STREAM_CHUNKS]
    request(event, beat, chunks, segment[SEG_URGENT_ROOM], segment[SEG_STREAM_SHARERS])
    loader[L_REQUEST] = loader[L_REQUEST + 1]
    loader[L_REQUESTS] -= 1


@compiled
def step_reader(reader, event, chunks_per_beat):
    """Advance a ChunkReader; `event` says what happened to its ports and is cleared."""
    leaves = 0
    pops = 0
    if event[R_MOVED]:
        last = reader[R_TAKEN] + 1 == reader[R_LENGTH0]
        if last or reader[R_TAKEN] % chunks_per_beat == chunks_per_beat - 1:
            leaves = 1
        if last:
            reader[R_TAKEN] = 0
            pops = 1
        else:
            reader[R_TAKEN] += 1
    if pops:
        for index in range(R_LENGTH0, R_LENGTH0 + R_REQUEST_DEPTH - 1):
            reader[index] = reader[index + 1]
        reader[R_LENGTHS] -= 1
    issued = event[R_ISSUED]
    reader[R_BEAT] += issued
    reader[R_LEFT] -= issued
    reader[R_ROOM] += leaves - issued
    reader[R_LEVEL] += event[R_ARRIVED] - leaves
    if event[R_REQUESTED]:
        chunks = event[R_REQUEST_CHUNKS]
        reader[R_BEAT] = event[R_REQUEST_BEAT]
        reader[R_URGENT_ROOM] = event[R_REQUEST_URGENT_ROOM]
        reader[R_SHARERS] = event[R_REQUEST_SHARERS]
        reader[R_LEFT] = (chunks + chunks_per_beat - 1) // chunks_per_beat
        if chunks > 0:
            reader[R_LENGTH0 + reader[R_LENGTHS]] = chunks
            reader[R_LENGTHS] += 1
    event[R_REQUESTED] = event[R_MOVED] = event[R_ISSUED] = event[R_ARRIVED] = 0


@compiled
def drainer_is_busy(drain, pes):
    """Whether a finished job's results have not all been handed on."""
    if drain[D_STATE] != D_WAIT:
        return True
    ended = 0
    for pe in range(pes.shape[0]):
        ended += pes[pe, P_DRAIN_ENDS] + (pes[pe, P_JOB_ENDS] & 1)
    return ended != 0


@compiled
def step_drainer(drain, pes, jobs, beat_left, pes_per_beat16, burst, drain_cycles, report):
    """Advance a Drainer with its Packer and BurstWriter.

    `beat_left` is 1 if the write arbiter takes a beat in this cycle; `report` holds the beats of a
    burst taken in this cycle and returns (bank cleared, job done).
    """
    issued = report[0]
    report[0] = report[1] = 0
    state = drain[D_STATE]
    job = drain[D_QUEUE]
    level = drain[D_WRITER_LEVEL]
    room = level < 2 * burst
    per_beat = pes_per_beat16 >> jobs[job, JOB_RESULT]
    top = 1 << (drain_cycles - 1)
    packs = (drain[D_FLIGHT] & top) != 0
    full = drain[D_SLOT] == per_beat - 1
    advances = not packs or not full or room
    pushes = 0
    writes = 0
    starts = False
    takes = 0

    flushes = state == D_FLUSH
    if packs and advances:
        if full:
            drain[D_SLOT] = 0
            pushes = 1
        else:
            drain[D_SLOT] += 1
    elif flushes and drain[D_SLOT] != 0:
        if room:
            drain[D_SLOT] = 0
            pushes = 1
    elif flushes and level == 0:
        report[1] = 1
        for index in range(D_QUEUE, D_QUEUE + 3):
            drain[index] = drain[index + 1]
        drain[D_JOBS] -= 1
        drain[D_STATE] = D_WAIT

    if state == D_WAIT:
        all_finished = True
        for pe in range(pes.shape[0]):
            if pes[pe, P_DRAIN_ENDS] == 0:
                all_finished = False
        if all_finished:
            takes = 1
            starts = True
            drain[D_LEFT] = jobs[job, JOB_WALK]
            drain[D_STATE] = D_WALK
    elif state == D_WALK:
        if advances:
            if (
                drain[D_COL] >= jobs[job, JOB_GUARD_COLS]
                and drain[D_ROW] >= jobs[job, JOB_GUARD_ROWS]
                and drain[D_PLANE] < jobs[job, JOB_PLANES]
            ):
                writes = 1
            drain[D_COL] += 1
            if drain[D_COL] == jobs[job, JOB_PITCH]:
                drain[D_COL] = 0
                drain[D_ROW] += 1
                if drain[D_ROW] == jobs[job, JOB_ROWS]:
                    drain[D_ROW] = 0
                    drain[D_PLANE] += 1
            drain[D_LEFT] -= 1
            if drain[D_LEFT] == 0:
                drain[D_SETTLING] = drain_cycles
                drain[D_STATE] = D_SETTLE
    elif state == D_SETTLE and advances:
        drain[D_SETTLING] -= 1
        if drain[D_SETTLING] == 0:
            report[0] = 1
            drain[D_COL] = drain[D_ROW] = drain[D_PLANE] = 0
            drain[D_STATE] = D_FLUSH
    if advances:
        drain[D_FLIGHT] = (drain[D_FLIGHT] << 1 | writes) & (2 * top - 1)

    if starts:
        drain[D_WRITER_BEAT] = jobs[job, JOB_OUT]
    else:
        drain[D_WRITER_BEAT] += issued
    drain[D_WRITER_LEVEL] += pushes - beat_left
    drain[D_WRITER_COMMITTED] += issued - beat_left
    for pe in range(pes.shape[0]):
        pes[pe, P_DRAIN_ENDS] += (pes[pe, P_JOB_ENDS] & 1) - takes


@compiled
def writer_offer(drain, burst):
    """Beats of the burst that a BurstWriter offers in this cycle, or 0."""
    available = drain[D_WRITER_LEVEL] - drain[D_WRITER_COMMITTED]
    to_boundary = burst - drain[D_WRITER_BEAT] % burst
    if available >= to_boundary:
        return to_boundary
    if drain[D_STATE] == D_FLUSH and drain[D_SLOT] == 0:
        return available
    return 0
