"""Cycle model of `hw.core.pass_sequencer`: descriptors are read and checked one ahead."""

from __future__ import annotations

from gscn.cycles.state import record
from gscn.system.compiled import borrowing

PASS_SEQUENCER = record(
    "left",  # passes to be started
    "number",  # of the pass under way, -1 before the first
    "start",  # the output of that name
    "checking", "checked",  # cycles until the next descriptor is checked; it is
    "asks", "beats",  # bursts and beats of a descriptor
)  # fmt: skip


@borrowing
def fetch(sequencer, reader):
    """Begin to read a descriptor."""
    sequencer.checked = 0
    reader.asks = sequencer.asks
    reader.due = sequencer.beats


@borrowing
def step_sequencer(sequencer, reader, running, due, check_cycles):
    """Advance a PassSequencer, after its port.

    Parameters
    ----------
    sequencer
        `PASS_SEQUENCER`.
    reader
        `cycles.port.channels.LIST_READER`.
    running
        A pass is under way.
    due
        Beats of the descriptor that were to come at the beginning of the cycle.
    check_cycles
        int64 (passes,): of `cycles.core.pass_checker.check_cycles`.
    """
    idle = not running and not sequencer.start
    starts = sequencer.left != 0 and sequencer.checked and idle
    sequencer.start = starts
    if sequencer.checking:
        sequencer.checking -= 1
        sequencer.checked = sequencer.checking == 0
    if due == 1 and reader.due == 0:
        # the verdict is there that many cycles after this one
        sequencer.checking = check_cycles[sequencer.number + 1] - 1
    if starts:
        sequencer.left -= 1
        sequencer.number += 1
        if sequencer.left:
            fetch(sequencer, reader)
