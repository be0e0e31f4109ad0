"""Cycle model of `hw.port.writer`: a write channel, from beats to bursts."""

from __future__ import annotations

from gscn.cycles.state import record
from gscn.system.compiled import borrowing

WRITER = record(
    "level", "committed",  # beats in the buffer, and of bursts taken
    "beat",  # address of the next that is not committed
    "flushes",  # the drain hands on nothing more of its job
    # what happens to it in this cycle: beats of the burst that is taken, and that leave
    "issued", "leaves",
)  # fmt: skip


@borrowing
def writer_offer(writer, burst):
    """Beats of the burst that a BurstWriter offers in this cycle, or 0."""
    available = writer.level - writer.committed
    to_boundary = burst - writer.beat % burst
    if available >= to_boundary:
        return to_boundary
    return available if writer.flushes else 0


@borrowing
def step_writer(writer, pushes):
    """Advance a BurstWriter, to which `pushes` beats are handed."""
    writer.beat += writer.issued
    writer.level += pushes - writer.leaves
    writer.committed += writer.issued - writer.leaves
    writer.issued = 0
    writer.leaves = 0
