"""Cycle model of `hw.core.sequencer`: the descriptors of the phases of a list."""

from __future__ import annotations

from gscn.cycles.state import record
from gscn.system.compiled import borrowing

SEQUENCER = record(
    "asks", "due",  # bursts of a descriptor to ask for, beats of it that are due
    "burst",  # beats of a burst
    "waits",  # for a phase's descriptor
)  # fmt: skip


@borrowing
def fetch(sequencer, sizes):
    """Begin to fetch the descriptor of the next phase."""
    sequencer.burst = sizes.descriptor_beats // sizes.descriptor_bursts
    sequencer.asks = sizes.descriptor_bursts
    sequencer.due = sizes.descriptor_beats
