"""Cycle model of `hw.port.reader`: a read channel, from requests to chunks."""

from __future__ import annotations

from gscn.cycles.state import record
from gscn.latencies import READER_REQUESTS
from gscn.system.compiled import borrowing

READER = record(
    # the request whose bursts are being asked for
    "beat", "left", "urgent_room", "sharers",
    "room", "level",  # of the buffer, in beats
    "taken",  # chunks of the oldest request
    "requests",
    # what happens to it in this cycle
    "requested", "moved", "issued", "arrived",
    "next_beat", "next_chunks", "next_urgent_room", "next_sharers",
    chunks=READER_REQUESTS,  # of requests whose chunks are not all taken
)  # fmt: skip


@borrowing
def can_request(reader):
    """Whether a request is taken in this cycle."""
    return reader.left == 0 and reader.requests < READER_REQUESTS


@borrowing
def has_chunk(reader):
    """Whether a chunk is offered in this cycle."""
    return reader.level > 0 and reader.requests > 0


@borrowing
def request(reader, beat, chunks, urgent_room=0, sharers=0):
    """Hand a request to a reader that can take it; see `hw.layouts.read_request_layout`."""
    reader.requested = 1
    reader.next_beat = beat
    reader.next_chunks = chunks
    reader.next_urgent_room = urgent_room
    reader.next_sharers = sharers


@borrowing
def step_reader(reader, chunks_per_beat):
    """Advance a ChunkReader."""
    leaves = 0
    pops = 0
    if reader.moved:
        last = reader.taken + 1 == reader.chunks[0]
        if last or reader.taken % chunks_per_beat == chunks_per_beat - 1:
            leaves = 1
        if last:
            reader.taken = 0
            pops = 1
        else:
            reader.taken += 1
    if pops:
        for index in range(READER_REQUESTS - 1):
            reader.chunks[index] = reader.chunks[index + 1]
        reader.requests -= 1
    reader.beat += reader.issued
    reader.left -= reader.issued
    reader.room += leaves - reader.issued
    reader.level += reader.arrived - leaves
    if reader.requested:
        chunks = reader.next_chunks
        reader.beat = reader.next_beat
        reader.urgent_room = reader.next_urgent_room
        reader.sharers = reader.next_sharers
        reader.left = (chunks + chunks_per_beat - 1) // chunks_per_beat
        if chunks > 0:
            reader.chunks[reader.requests] = chunks
            reader.requests += 1
    reader.requested = 0
    reader.moved = 0
    reader.issued = 0
    reader.arrived = 0
