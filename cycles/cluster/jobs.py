"""Queues of a cluster's jobs, one for each part of its input that takes them at its own pace."""

from __future__ import annotations

from gscn.cycles.state import record
from gscn.system.compiled import borrowing

TABLE_LOADS, TABLE_STREAMS, WINDOW_JOBS, STREAM_JOBS = QUEUES = tuple(range(4))
"""Queues; the last one takes all jobs, the others those that contract."""

JOB_QUEUES = record(level=len(QUEUES), head=len(QUEUES))
"""Of each queue, a ring of `cycles.descriptors.JOB`: jobs, and the place of the oldest."""


@borrowing
def have_room(queues, depth):
    """Return whether another job may be taken in the next cycle, at the beginning of a cycle.

    All queues have room, and of no job before are there pieces of the stream to be found.
    """
    most = 0
    for queue in range(len(QUEUES)):
        most = max(most, queues.level[queue])
    return most < depth and queues.level[TABLE_STREAMS] == 0


@borrowing
def put_job(queues, jobs, job):
    """Put a job into the places behind all queues; nobody sees it before `push_job`."""
    for queue in range(len(QUEUES)):
        jobs[queue, (queues.head[queue] + queues.level[queue]) % jobs.shape[1]] = job


@borrowing
def push_job(queues, jobs):
    """Let the queues have the job that was put behind them."""
    queue = STREAM_JOBS
    streams = jobs[queue, (queues.head[queue] + queues.level[queue]) % jobs.shape[1]].streams
    for queue in range(len(QUEUES)):
        if streams or queue == STREAM_JOBS:
            queues.level[queue] += 1


@borrowing
def pop_job(queues, jobs, queue):
    """Take the oldest job off a queue."""
    queues.head[queue] = (queues.head[queue] + 1) % jobs.shape[1]
    queues.level[queue] -= 1
