"""Cycle model of `hw.core.dispatcher`: jobs to the first free cluster, or in turn."""

from __future__ import annotations

from gscn.cycles.state import record
from gscn.system.compiled import borrowing

DISPATCHER = record(
    "first_job", "jobs", "in_turn",  # of the phase
    "left", "active",  # jobs to be given, jobs under way
    "slowest",  # least of the clusters' rounds
    "gave",  # a job in this cycle
)  # fmt: skip


@borrowing
def begin(dispatcher, rounds, phase):
    """Begin a phase of `cycles.tables.PHASE`; `rounds` counts the jobs that a cluster has taken."""
    dispatcher.first_job += dispatcher.jobs
    dispatcher.jobs = phase.jobs
    dispatcher.in_turn = phase.in_turn
    dispatcher.left = 0
    dispatcher.slowest = 0
    for cluster in range(rounds.size):
        rounds[cluster] = 0


@borrowing
def due_job(dispatcher, rounds, cluster):
    """Index in the phase of the job that a cluster would be given, or -1."""
    if dispatcher.left == 0 or dispatcher.gave:
        return -1
    if not dispatcher.in_turn:
        return dispatcher.jobs - dispatcher.left
    job = rounds[cluster] * rounds.size + cluster
    is_due = job < dispatcher.jobs and rounds[cluster] <= dispatcher.slowest + 1
    return job if is_due else -1


@borrowing
def end_cycle(dispatcher, rounds, finished):
    """Take note of a job that was given, and of jobs that have ended."""
    if dispatcher.gave:
        dispatcher.left -= 1
        dispatcher.active += 1
        dispatcher.slowest = rounds[0]
        for cluster in range(rounds.size):
            dispatcher.slowest = min(dispatcher.slowest, rounds[cluster])
        dispatcher.gave = 0
    dispatcher.active -= finished
