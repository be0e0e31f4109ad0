"""Cycle model of `hw.cluster.cluster`: PEs that share a stream."""

from __future__ import annotations

from gscn.cycles.cluster import tally
from gscn.cycles.cluster.broadcast import hurries, near_end, step_broadcaster
from gscn.cycles.cluster.drain import drain_is_busy, step_drain
from gscn.cycles.cluster.fetcher import IDLE, request_stream, step_loader, takes_job
from gscn.cycles.pe.pe import NOTHING, step_pe
from gscn.cycles.port.reader import can_request, step_reader
from gscn.latencies import DRAINS_ANNOUNCED, SEGMENTS_ANNOUNCED, STREAM_REQUESTS
from gscn.system.compiled import borrowing


@borrowing
def is_ready(machine, c, prefetch_words):
    """Whether cluster `c` takes a job in this cycle."""
    asks = near_end(machine.feeds[c], prefetch_words)
    return asks and takes_job(machine.fetchers[c], machine.fillers[c], machine.readers[2 * c])


@borrowing
def take_segment_end(pes):
    """Whether every PE has ended the oldest segment, which is then forgotten."""
    ended = 1
    for pe in range(pes.shape[0]):
        if pes[pe].segment_ends == 0:
            ended = 0
    for pe in range(pes.shape[0]):
        pes[pe].segment_ends += (pes[pe].ends & 1) - ended
    return ended


@borrowing
def step_pes(machine, c, tables, causes, sum_cycles):
    """Advance the PEs of cluster `c`; return whether any has something queued."""
    any_pending = False
    feed = machine.feeds[c]
    for pe in range(causes.size):
        causes[pe] = step_pe(
            machine.pes[c, pe], pe, machine.words[c, pe], machine.fibers[c, pe], feed, tables,
            sum_cycles,
        )  # fmt: skip
        any_pending = any_pending or causes[pe] != NOTHING
    return any_pending


@borrowing
def step_cluster(machine, c, given, tables, sizes, account, window):
    """Advance cluster `c`, to which the job `given`, or -1, is handed.

    Return the job whose last results were handed on, or -1.
    """
    load_reader, stream_reader = machine.readers[2 * c], machine.readers[2 * c + 1]
    fetcher, feed, drain = machine.fetchers[c], machine.feeds[c], machine.drains[c]
    pes = machine.pes[c]
    fetcher.hurry = hurries(feed, fetcher.lead)
    segment_end = take_segment_end(pes)
    fetcher.stream_room = fetcher.requests < STREAM_REQUESTS
    if fetcher.requests > 0 and can_request(stream_reader):
        request_stream(fetcher, stream_reader, tables.segments)
    fetcher.queue_room = feed.segments < SEGMENTS_ANNOUNCED
    fetcher.drain_room = drain.jobs < DRAINS_ANNOUNCED
    loads = fetcher.state != IDLE or given >= 0
    drains = drain_is_busy(drain, pes)

    cause = step_broadcaster(feed, stream_reader, pes, tables, machine.words.shape[2])
    job = drain.job[0]
    step_drain(drain, machine.writers[c], pes, tables.jobs, sizes)
    feed.banks += drain.cleared
    step_loader(given, fetcher, machine.fillers[c], load_reader, feed, drain, tables, segment_end)
    drains = step_pes(machine, c, tables, account.causes, sizes.sum_cycles) or drains
    tally.count(account, c, tally.cause_of_nothing(cause, loads, drains), window)
    step_reader(load_reader, sizes.chunks_per_beat)
    step_reader(stream_reader, sizes.chunks_per_beat)
    return job if drain.done else -1
