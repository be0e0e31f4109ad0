"""Cycle model of `hw.cluster.fetcher`: descriptors, and what is asked for and announced by them."""

from __future__ import annotations

from gscn.config import BANKS
from gscn.cycles.cluster.broadcast import announce_segment
from gscn.cycles.cluster.drain import announce_drain
from gscn.cycles.cluster.filler import (
    DESCRIPTORS,
    FILL,
    HELD,
    NONE,
    pop_step,
    push_step,
    step_filler,
)
from gscn.cycles.port.reader import can_request, request
from gscn.cycles.state import record
from gscn.cycles.tables import ADD
from gscn.latencies import (
    DESCRIPTOR_CHUNKS,
    ENTRY_CHUNKS,
    LOAD_STEPS,
    STREAM_REQUESTS,
)
from gscn.records import AT_ONCE
from gscn.system.compiled import borrowing

FETCHER = record(
    "state",
    "job", "segment", "segments_left", "first",
    "last_bank", "bank",
    "loads",  # the announced segment's block is to be asked for
    "lead", "hurry",  # of the request taken last; whether its block is needed soon
    "requests",
    # in this cycle: room for a segment, a job, a stream
    "queue_room", "drain_room", "stream_room",
    tags=BANKS,  # beat addresses of the blocks in the banks, -1 for none
    stream=STREAM_REQUESTS,  # segments whose streams are to be requested
)  # fmt: skip
IDLE, READ_JOB, ASK_STREAM, ANNOUNCE, NEXT, LOAD = range(6)
"""States."""


@borrowing
def forget(fetchers):
    """Begin a phase: memory may have changed, so that banks hold nothing."""
    for cluster in range(fetchers.shape[0]):
        for bank in range(BANKS):
            fetchers[cluster].tags[bank] = -1


@borrowing
def takes_job(fetcher, filler, reader):
    """Whether a Fetcher takes a job in this cycle."""
    return fetcher.state == IDLE and can_request(reader) and filler.steps < LOAD_STEPS


@borrowing
def request_stream(fetcher, reader, segments):
    """Hand the oldest stream that waits to be requested to a reader that can take it."""
    segment = segments[fetcher.stream[0]]
    request(
        reader, segment.stream_beat, segment.stream_chunks, segment.urgent_room,
        segment.stream_sharers,
    )  # fmt: skip
    for index in range(STREAM_REQUESTS - 1):
        fetcher.stream[index] = fetcher.stream[index + 1]
    fetcher.requests -= 1


@borrowing
def announce(fetcher, filler, feed, segments, steps_room):
    """Announce a segment; return kind and bank of the step that it needs, -1 for none yet."""
    segment = segments[fetcher.segment]
    is_add = segment.kind == ADD
    tag = segment.load_beat
    held = not is_add and (fetcher.tags[0] == tag or fetcher.tags[1] == tag)
    if not fetcher.queue_room or not (steps_room or not (is_add or held)):
        return -1, 0
    kind, bank = -1, 0
    announce_segment(feed, fetcher.segment, fetcher.first, fetcher.segments_left == 1)
    if is_add:
        kind = NONE
    else:
        bank = 1 - fetcher.last_bank
        if held:
            bank = 1 if fetcher.tags[1] == tag else 0
            kind = HELD
        fetcher.last_bank = bank
        fetcher.bank = bank
        fetcher.tags[bank] = tag
    fetcher.loads = 0 if is_add or held else 1
    filler.collected = 0
    fetcher.segment += 1
    fetcher.segments_left -= 1
    fetcher.first = 0
    if fetcher.segments_left != 0:
        fetcher.state = NEXT
    else:
        fetcher.state = LOAD if fetcher.loads else IDLE
    return kind, bank


@borrowing
def read_job(fetcher, filler, drain, jobs):
    """Take a job's descriptor, and announce its drain."""
    job = jobs[fetcher.job]
    announce_drain(drain, fetcher.job)
    filler.collected = 0
    fetcher.segment = job.first_segment
    fetcher.segments_left = job.segments
    fetcher.first = 1
    fetcher.state = ASK_STREAM


@borrowing
def ask(fetcher, reader, tables):
    """Ask for the next descriptor or load block; return kind, value and bank of its step."""
    if fetcher.state == NEXT:
        beat = tables.segments[fetcher.segment].descriptor_beat
        request(reader, beat, DESCRIPTOR_CHUNKS)
        fetcher.lead = AT_ONCE
        fetcher.state = LOAD if fetcher.loads else ASK_STREAM
        return DESCRIPTORS, DESCRIPTOR_CHUNKS, 0
    number = fetcher.segment - 1
    segment = tables.segments[number]
    request(reader, segment.load_beat, segment.load_chunks, 0, segment.load_sharers)
    fetcher.lead = segment.load_lead
    fetcher.state = IDLE if fetcher.segments_left == 0 else ASK_STREAM
    return FILL, number, fetcher.bank


@borrowing
def step_loader(given, fetcher, filler, reader, feed, drain, tables, segment_end):
    """Advance a Loader, Fetcher and Filler, after what it announces segments and drains to.

    `given` is the job handed over in this cycle, or -1.
    """
    state, collected, number = fetcher.state, filler.collected, fetcher.segment
    steps_room = filler.steps < LOAD_STEPS
    asks = steps_room and can_request(reader)
    pops, loaded = step_filler(filler, reader, segment_end, tables)
    kind, value, bank = -1, number, 0
    if state == IDLE:
        if given >= 0:
            request(reader, tables.jobs[given].entry_beat, ENTRY_CHUNKS)
            fetcher.lead = AT_ONCE
            fetcher.job = given
            fetcher.state = READ_JOB
            kind, value = DESCRIPTORS, ENTRY_CHUNKS
    elif state == READ_JOB:
        if collected and fetcher.drain_room:
            read_job(fetcher, filler, drain, tables.jobs)
    elif state == ASK_STREAM:
        if collected and fetcher.stream_room:
            fetcher.stream[fetcher.requests] = number
            fetcher.requests += 1
            fetcher.state = ANNOUNCE
    elif state == ANNOUNCE:
        kind, bank = announce(fetcher, filler, feed, tables.segments, steps_room)
    elif asks:
        kind, value, bank = ask(fetcher, reader, tables)
    if pops:
        pop_step(filler)
    if kind >= 0:
        push_step(filler, kind, value, bank)
    if loaded:
        feed.tiles += 1
