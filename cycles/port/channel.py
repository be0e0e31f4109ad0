"""Read channels of a cluster: what they say to the arbiter, and it to them, in each cycle."""

from __future__ import annotations

from gscn.cycles.state import record

LOAD, STREAM, TABLE = CHANNELS = tuple(range(3))
"""Read channels of a cluster, in this order."""

CHANNEL = record(
    "beat", "beats",  # the burst that is offered: address in beats, and its beats or 0
    # what happens to it in this cycle: its burst is taken; a beat of one before arrives
    "granted", "arrived",
)  # fmt: skip
