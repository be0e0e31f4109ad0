"""Cycle model of `hw.cluster.drain` and `hw.cluster.packer`: accumulators to beats of results."""

from __future__ import annotations

from gscn.cycles.port.writer import step_writer
from gscn.cycles.state import record
from gscn.latencies import DRAINS_ANNOUNCED
from gscn.system.compiled import borrowing

DRAIN = record(
    "state",
    "left", "col", "row", "plane",  # of the walk through the accumulators
    "flight",  # bits follow a set of results from its address to the packer
    "settling",
    "slot",  # of the packer's beat
    "jobs",
    "cleared", "done",  # in this cycle: a bank is free again; a job's results are handed on
    job=DRAINS_ANNOUNCED,
)  # fmt: skip
WAIT, WALK, SETTLE, FLUSH = range(4)
"""States."""


@borrowing
def announce_drain(drain, job):
    """Queue a job."""
    drain.job[drain.jobs] = job
    drain.jobs += 1


@borrowing
def drain_is_busy(drain, pes):
    """Whether a finished job's results have not all been handed on."""
    if drain.state != WAIT:
        return True
    ended = 0
    for pe in range(pes.shape[0]):
        ended += pes[pe].drain_ends + (pes[pe].job_ends & 1)
    return ended != 0


@borrowing
def all_have_ended(pes):
    """Whether every PE has ended the oldest job."""
    ended = 0
    for pe in range(pes.shape[0]):
        ended += pes[pe].drain_ends > 0
    return ended == pes.shape[0]


@borrowing
def walk(drain, job):
    """Address the next accumulator; return whether its results are written."""
    writes = (
        drain.col >= job.guard_cols and drain.row >= job.guard_rows and drain.plane < job.planes
    )
    drain.col += 1
    if drain.col == job.pitch:
        drain.col = 0
        drain.row += 1
        if drain.row == job.plane_rows:
            drain.row = 0
            drain.plane += 1
    drain.left -= 1
    return writes


@borrowing
def end_job(drain):
    """Take the oldest job off, all of whose results are handed on."""
    drain.done = 1
    for index in range(DRAINS_ANNOUNCED - 1):
        drain.job[index] = drain.job[index + 1]
    drain.jobs -= 1
    drain.state = WAIT


@borrowing
def step_packer(drain, job, writer, packs, sizes):
    """Advance a Packer; return whether the drain may go on, and the beats that are pushed."""
    room = writer.level < 2 * sizes.burst
    full = drain.slot == (sizes.narrow_results >> job.size) - 1
    advances = not packs or not full or room
    pushes = 0
    flushes = drain.state == FLUSH
    if packs and advances:
        if full:
            drain.slot = 0
            pushes = 1
        else:
            drain.slot += 1
    elif flushes and drain.slot != 0:
        if room:
            drain.slot = 0
            pushes = 1
    elif flushes and writer.level == 0:
        end_job(drain)
    return advances, pushes


@borrowing
def step_drain(drain, writer, pes, jobs, sizes):
    """Advance a Drainer with its Packer and BurstWriter."""
    drain.cleared = 0
    drain.done = 0
    state = drain.state
    job = jobs[drain.job[0]]
    top = 1 << (sizes.drain_cycles - 1)
    packs = (drain.flight & top) != 0
    advances, pushes = step_packer(drain, job, writer, packs, sizes)
    writes = 0
    takes = 0
    if state == WAIT:
        if all_have_ended(pes):
            takes = 1
            drain.left = job.walk
            drain.state = WALK
    elif state == WALK:
        if advances:
            writes = 1 if walk(drain, job) else 0
            if drain.left == 0:
                drain.settling = sizes.drain_cycles
                drain.state = SETTLE
    elif state == SETTLE and advances:
        drain.settling -= 1
        if drain.settling == 0:
            drain.cleared = 1
            drain.col = 0
            drain.row = 0
            drain.plane = 0
            drain.state = FLUSH
    if advances:
        drain.flight = (drain.flight << 1 | writes) & (2 * top - 1)
    step_writer(writer, pushes)
    if takes:
        writer.beat = job.out_beat
    writer.flushes = drain.state == FLUSH and drain.slot == 0
    for pe in range(pes.shape[0]):
        pes[pe].drain_ends += (pes[pe].job_ends & 1) - takes
