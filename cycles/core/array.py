"""Cycle model of `hw.core.array` and `hw.cluster.worker_cluster`: a list of passes, by cycles."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from gscn.cycles.cluster.cluster_input import Image, InputSizes, begin_pass, is_ready
from gscn.cycles.cluster.streamer import STATE_EMPTY
from gscn.cycles.cluster.summing import has_tile_room
from gscn.cycles.cluster.worker_cluster import is_written, step_cluster
from gscn.cycles.core.cutter import CHOOSE, GIVE, IDLE, LOOK, begin_cut, step_cutter
from gscn.cycles.core.pass_sequencer import fetch, step_sequencer
from gscn.cycles.port.channels import step_reads, step_writes
from gscn.cycles.port.dram import Memory, has_write_room, read_lines, write_beats
from gscn.cycles.state import record
from gscn.system.compiled import borrowing

QUIET_CYCLES = 64
"""After which clusters without a pass have nothing under way."""

CORE = record(
    "now", "start",  # of the pass
    "head", "acknowledgements",  # of their ring
    "read_beats", "write_beats",
    "quiet",  # cycles without a pass
    "noted",  # bursts in `Ports.noted`
    "error",  # of `gscn.pass_errors.PassError`
)  # fmt: skip


class ArraySizes(NamedTuple):
    """What a configuration and a memory decide, in bits, beats and cycles."""

    input: InputSizes
    burst: int
    """Longest burst."""
    beat_bits: int
    """log2 of the bytes of a beat."""
    row_bits: int
    """log2 of the results of a row."""
    row_bytes: tuple[int, ...]
    """Of the results of a row, by output format."""
    sum_levels: int
    """Registers in which the rows of all PEs are added."""
    result_cycles: int
    """From a row of sums to its results."""
    end_cycles: int
    """`gscn.latencies.job_end_cycles`."""
    latency: int
    write_latency: int
    limit: int
    """Cycles that a pass may take."""


class Core(NamedTuple):
    """What the array has once."""

    cores: np.ndarray
    """`CORE` (1,)."""
    sequencers: np.ndarray
    """`cycles.core.pass_sequencer.PASS_SEQUENCER` (1,)."""
    cutters: np.ndarray
    """`cycles.core.cutter.CUTTER` (1,)."""
    tile_lists: np.ndarray
    """`cycles.core.tiles.TILE_LIST` (1,)."""
    jobs: np.ndarray
    """`cycles.descriptors.JOB` (1,): that the cutter makes."""
    teams: np.ndarray
    """`cycles.core.cutter.TEAM` (clusters,)."""
    cursors: np.ndarray
    """`cycles.core.tiles.CURSOR` (clusters,): of the gangs, by their first clusters."""
    members: np.ndarray
    """`cycles.core.cutter.MEMBER` (clusters,)."""
    acknowledged: np.ndarray
    """int64 (written bursts,): cycle in which the end of a burst is reported, a ring."""


class Ports(NamedTuple):
    """Memory ports."""

    arbiters: np.ndarray
    """`cycles.port.channels.ARBITER` (ports,)."""
    readers: np.ndarray
    """`cycles.port.channels.LIST_READER` (ports,): the first is at work, the others never ask."""
    bursts: np.ndarray
    """`cycles.port.channels.BURST` (ports, outstanding)."""
    owners: np.ndarray
    """bool (ports, outstanding, channels)."""
    channels: np.ndarray
    """`cycles.port.channel.CHANNEL` (channels,): the same as in `inputs`."""
    requests: np.ndarray
    """int64 (channels,): space to work in."""
    noted: np.ndarray
    """int64 (bursts, 3): of read bursts in the order in which they are taken their address in
    beats, -1 of the list of passes, their beats, and the channels that share them; (0, 3) if
    nobody asks for them."""
    memory: Memory


class Clusters(NamedTuple):
    """The clusters but for their inputs."""

    drains: np.ndarray
    """`cycles.cluster.summing.DRAIN` (clusters,)."""
    tiles: np.ndarray
    """`cycles.cluster.summing.TILE` (clusters, announced)."""
    writers: np.ndarray
    """`cycles.cluster.result_writer.RESULT_WRITER` (clusters,)."""
    written: np.ndarray
    """int64 (clusters, depth): beats of complete bursts."""
    workers: np.ndarray
    """`cycles.pe.worker.WORKER` (clusters, pes)."""
    words: np.ndarray
    """`cycles.pe.worker.WORD` (clusters, pes, depth)."""
    fibers: np.ndarray
    """`cycles.pe.worker.FIBER` (clusters, pes, depth)."""
    events: np.ndarray
    """int64 (clusters, events)."""
    counters: np.ndarray
    """int64 (clusters, causes): PE-cycles."""
    causes: np.ndarray
    """int64 (pes,): space to work in."""


class Passes(NamedTuple):
    """What is to be done."""

    descriptors: np.ndarray
    """`cycles.descriptors.PASS` (passes,)."""
    check_cycles: np.ndarray
    """int64 (passes,): of `cycles.core.pass_checker.check_cycles`."""
    cycles: np.ndarray
    """int64 (passes,): from the end of the one before to its own, set by `run`."""
    image: Image


@borrowing
def last_burst(ports, port):
    """Return where the read burst is that a port took last."""
    arbiter = ports.arbiters[port]
    outstanding = ports.bursts.shape[1]
    # a burst that a beat was delivered of may have left the ring: the last one is where it was
    return (arbiter.head + arbiter.level + outstanding - 1) % outstanding


@borrowing
def note_burst(core, ports, port, last):
    """Note a read burst of a port."""
    arbiter = ports.arbiters[port]
    burst = ports.bursts[port, last]
    sharers = 0
    for channel in range(arbiter.first, arbiter.end):
        sharers += ports.owners[port, last, channel]
    ports.noted[core.noted, 0] = burst.beat
    ports.noted[core.noted, 1] = burst.beats
    ports.noted[core.noted, 2] = sharers
    core.noted += 1


@borrowing
def step_ports(core, ports, clusters, acknowledged, sizes):
    """Advance the memory ports and the memory; return bursts written less acknowledged."""
    bursts = 0
    for port in range(ports.arbiters.size):
        arbiter = ports.arbiters[port]
        taken = arbiter.taken
        core.read_beats += step_reads(
            arbiter, ports.bursts[port], ports.owners[port], ports.channels, ports.requests,
            ports.readers[port], sizes.latency, core.now,
        )  # fmt: skip
        if arbiter.taken != taken:
            last = last_burst(ports, port)
            burst = ports.bursts[port, last]
            read_lines(ports.memory, burst, sizes.beat_bits, sizes.latency, core.now)
            if ports.noted.shape[0]:
                note_burst(core, ports, port, last)
        sends, ends, takes = step_writes(
            arbiter, clusters.writers, clusters.written, ports.requests,
            has_write_room(ports.memory, core.now),
        )  # fmt: skip
        if sends:
            write_beats(ports.memory, 1, sizes.beat_bits, core.now)
        core.write_beats += sends
        bursts += takes
        if ends:
            tail = (core.head + core.acknowledgements) % acknowledged.size
            acknowledged[tail] = core.now + max(sizes.write_latency, 1)
            core.acknowledgements += 1
    while core.acknowledgements > 0 and acknowledged[core.head] <= core.now:
        core.head = (core.head + 1) % acknowledged.size
        core.acknowledgements -= 1
        bursts -= 1
    return bursts


@borrowing
def look_for_room(members, inputs, clusters):
    """Note which clusters take a job in this cycle, before they are stepped."""
    for c in range(members.shape[0]):
        members[c].ready = is_ready(inputs, c) and has_tile_room(clusters.drains[c])


@borrowing
def are_written(clusters):
    """Return whether all clusters have handed on all bursts of jobs that are done."""
    written = True
    for c in range(clusters.writers.shape[0]):
        written = written and is_written(clusters, c)
    return written


@borrowing
def step_clusters(parts, inputs, clusters, given, d, passes, sizes):
    """Advance all clusters, of which `given` is given a job; return the jobs that are done."""
    core, members, job = parts.cores[0], parts.members, parts.jobs[0]
    done = 0
    # from the last one on: each hands rows of sums to the one before
    for c in range(members.shape[0] - 1, -1, -1):
        done += clusters.drains[c].done
        step_cluster(inputs, clusters, c, c == given, job, d, passes.image, sizes)
        members[c].hungry = inputs.inputs[c].state == STATE_EMPTY
        if inputs.inputs[c].error:
            core.error = inputs.inputs[c].error
    return done


@borrowing
def rest(clusters):
    """Count a cycle in which no cluster has anything to do."""
    idle = clusters.counters.shape[1] - 1
    for c in range(clusters.counters.shape[0]):
        clusters.counters[c, idle] += clusters.causes.shape[0]


@borrowing
def step_array(parts, inputs, ports, clusters, passes, sizes):
    """Advance the array by a cycle in which it is busy."""
    core, sequencer, cutter = parts.cores[0], parts.sequencers[0], parts.cutters[0]
    members = parts.members
    state, begins, due = cutter.state, sequencer.start, ports.readers[0].due
    # nothing looks at it before the first one begins
    d = passes.descriptors[max(sequencer.number, 0)]
    if state in (CHOOSE, LOOK, GIVE):
        look_for_room(members, inputs, clusters)
    empty = state == CHOOSE and are_written(clusters)
    written = step_ports(core, ports, clusters, parts.acknowledged, sizes)
    done = 0
    given = cutter.given if state == GIVE else -1
    if state == IDLE and not begins and core.quiet >= QUIET_CYCLES:
        rest(clusters)
    else:
        done = step_clusters(parts, inputs, clusters, given, d, passes, sizes)
    core.quiet = core.quiet + 1 if state == IDLE and not begins else 0
    if begins:
        for c in range(members.shape[0]):
            begin_pass(inputs, c)
        begin_cut(parts, d)
    step_cutter(parts, empty, done, written, d)
    step_sequencer(sequencer, ports.readers[0], state != IDLE, due, passes.check_cycles)
    core.now += 1
    if state != IDLE and cutter.state == IDLE:
        passes.cycles[sequencer.number] = core.now - core.start
        core.start = core.now


@borrowing
def run(parts, inputs, ports, clusters, passes, sizes):
    """Walk through a list; return whether every pass ends within its limit, without an error.

    Where bursts are noted it stops when there is no more room for them, to be called again.
    """
    core, sequencer, cutter = parts.cores[0], parts.sequencers[0], parts.cutters[0]
    room = ports.noted.shape[0] - ports.arbiters.size
    if core.now == 0:
        fetch(sequencer, ports.readers[0])
    while sequencer.left or sequencer.start or cutter.state != IDLE:
        if core.now - core.start > sizes.limit or core.error:
            return False
        if core.noted > max(room, 0):
            return False
        step_array(parts, inputs, ports, clusters, passes, sizes)
    return True
