"""Cycle model of `hw.cluster.worker_cluster`: input, PEs, drain and results, and their counters."""

from __future__ import annotations

from gscn.counters import CLUSTER_COUNTER_NAMES, CLUSTER_EVENT_NAMES
from gscn.cycles.cluster.cluster_input import deal, give_job, step_input
from gscn.cycles.cluster.dealer import NO_PE
from gscn.cycles.cluster.result_writer import is_empty, step_writer, takes_row
from gscn.cycles.cluster.streamer import (
    STATE_DRAIN,
    STATE_EMPTY,
    STATE_LOAD,
    STATE_STREAM,
)
from gscn.cycles.cluster.summing import announce, is_draining, step_drain
from gscn.cycles.pe import worker as pe
from gscn.passes import Mode
from gscn.system.compiled import borrowing

CORRELATE = int(Mode.CORRELATE)
BUSY, LOOKUP, DRAIN, LOAD, STREAM, EXPAND, TAIL, IDLE = range(len(CLUSTER_COUNTER_NAMES))
"""Causes, as `gscn.counters.CLUSTER_COUNTERS`."""
WORDS, LOOKUPS, ENTRIES, KEYS, ROWS = range(len(CLUSTER_EVENT_NAMES))
"""Events, as `gscn.counters.CLUSTER_EVENTS`."""


@borrowing
def is_written(clusters, c):
    """Return whether all bursts of jobs that are done have been handed on."""
    return is_empty(clusters.writers[c])


@borrowing
def step_results(clusters, c, d, sizes):
    """Advance drain and writer, before the PEs."""
    drain, writer = clusters.drains[c], clusters.writers[c]
    writes = takes_row(writer, clusters.written.shape[1])
    enters, place, last = step_drain(
        drain, clusters.tiles[c], clusters.workers[c], clusters.drains[max(c - 1, 0)], writes, d,
        sizes,
    )  # fmt: skip
    if enters or writer.taken or writer.leaves or writer.flushing:
        step_writer(writer, clusters.written[c], enters, place, last, sizes.beat_bits, sizes.burst)


@borrowing
def cause_of_state(state, others):
    """Return the cause for a PE with nothing queued, `others` being whether anything is."""
    if state == STATE_LOAD:
        return LOAD
    if state == STATE_DRAIN:
        return DRAIN
    if state == STATE_STREAM:
        return STREAM
    if state == STATE_EMPTY:
        return TAIL if others else IDLE
    return EXPAND


@borrowing
def step_cluster(inputs, clusters, c, given, job, d, image, sizes):
    """Advance cluster `c` by a cycle.

    Parameters
    ----------
    inputs
        `cycles.cluster.cluster_input.Inputs`.
    clusters
        `cycles.core.array.Clusters`; clusters above have been stepped, those below not.
    c
        Which one.
    given, job
        It is given a job, `cycles.descriptors.JOB`.
    d
        `cycles.descriptors.PASS`.
    image
        `cycles.cluster.cluster_input.Image`.
    sizes
        `cycles.core.array.ArraySizes`.
    """
    drain, workers, words = clusters.drains[c], clusters.workers[c], clusters.words[c]
    others = is_draining(drain) or not is_empty(clusters.writers[c])
    window, events, me = inputs.windows[c], clusters.events, inputs.inputs[c]
    entry = window.entry
    if given:
        give_job(inputs, c, job)
    step_input(inputs, c, workers, words.shape[1], drain.freed, d, image, sizes.input)
    step_results(clusters, c, d, sizes)
    if given and job.drains:
        announce(drain, clusters.tiles[c], job, d.mode == CORRELATE)
    causes, counters = clusters.causes, clusters.counters
    for number in range(workers.shape[0]):
        cause = pe.step_worker(
            workers[number], words[number], clusters.fibers[c, number], inputs.starts[c],
            d.row_keys, sizes.end_cycles,
        )  # fmt: skip
        causes[number] = cause
        others = others or cause != pe.NOTHING
    deal(inputs, c, workers, words)
    fed = cause_of_state(me.state, others)
    for number in range(workers.shape[0]):
        cause = causes[number]
        counters[c, fed if cause == pe.NOTHING else cause] += 1
    if me.pe != NO_PE and me.kind == pe.MAC:
        events[c, WORDS] += 1
        events[c, LOOKUPS] += me.rows + 1
    events[c, ENTRIES] += window.entry - entry
    events[c, KEYS] += window.tells
    events[c, ROWS] += drain.reads
