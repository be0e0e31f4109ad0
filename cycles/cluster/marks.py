"""Cycle model of `hw.cluster.marks`: reports of MARKs and ENDs that all PEs have passed."""

from __future__ import annotations

from gscn.cycles.state import record
from gscn.latencies import MARKS_UNDER_WAY
from gscn.system.compiled import borrowing

MOST_PES = 16
"""PEs of a cluster, at most."""

MARKS = record(
    "reports", "head",
    finished=MARKS_UNDER_WAY, uses=MARKS_UNDER_WAY, ends_job=MARKS_UNDER_WAY,  # of each, a ring
    passed=MOST_PES,  # words of that kind that each PE has passed and not all have
)  # fmt: skip


@borrowing
def is_reporting(marks, pes):
    """Return whether the oldest report is true in this cycle."""
    if marks.reports == 0:
        return False
    least = marks.passed[0]
    for pe in range(1, pes):
        least = min(least, marks.passed[pe])
    return least > 0


@borrowing
def push_report(marks, finished, uses, ends_job):
    """Add a report, for which there is room."""
    tail = (marks.head + marks.reports) % MARKS_UNDER_WAY
    marks.finished[tail] = finished
    marks.uses[tail] = uses
    marks.ends_job[tail] = ends_job
    marks.reports += 1


@borrowing
def step_marks(marks, workers, reports):
    """Advance a MarkJoiner, which `reports` in this cycle or not."""
    if marks.reports == 0:
        return
    if reports:
        marks.head = (marks.head + 1) % MARKS_UNDER_WAY
        marks.reports -= 1
    for pe in range(workers.shape[0]):
        marks.passed[pe] += workers[pe].mark - reports
