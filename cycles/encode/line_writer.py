"""Cycle model of `hw.encode.line_writer`, and of the memory that it writes to."""

from __future__ import annotations

from gscn.cycles.encode.state import A_DATA, B_DATA, RING, WRITE_CHANNELS, calling
from gscn.system.compiled import borrowing

UNDER_WAY = 255
"""Bursts that are not in memory yet, at most."""


@borrowing
def channel_offers(unit, channel):
    """Return whether a channel has a line; of registers as they are when a cycle begins."""
    if channel in (A_DATA, B_DATA):
        return unit.packers[(channel - A_DATA) // 2].offers
    return unit.gatherers[channel].level > 0


@borrowing
def _choose(unit, writer):
    """Return the channel whose turn it is, -1: no line."""
    lowest = -1
    for channel in range(WRITE_CHANNELS):
        if channel_offers(unit, channel):
            if channel > writer.below:
                return channel
            if lowest < 0:
                lowest = channel
    return lowest


@calling
def step_writer(unit, now):
    """Advance by a cycle; return the channel whose line leaves, -1: none."""
    writer, settings = unit.writer, unit.settings
    done = writer.level > 0 and unit.acknowledged[writer.head] <= now
    if done:
        writer.head = (writer.head + 1) % RING
        writer.level -= 1
    at_hand = writer.sender if writer.held else _choose(unit, writer)
    if at_hand < 0:
        writer.under_way -= done
        return -1
    if not writer.held:
        writer.below = at_hand
    writer.sender = at_hand
    command = not writer.commanded and writer.under_way != UNDER_WAY
    beat = not writer.sent and (not settings.write_lag or writer.expected > 0)
    ends_burst = writer.beat % settings.beats == settings.beats - 1
    if beat:
        writer.beats += 1
        if ends_burst:
            unit.acknowledged[(writer.head + writer.level) % RING] = now + settings.write_latency
            writer.level += 1
    writer.expected += command * settings.beats - beat
    advances = (writer.commanded or command) and (writer.sent or (beat and ends_burst))
    ends_line = advances and writer.beat == settings.beats * settings.bursts - 1
    if advances or (beat and not ends_burst):
        writer.beat = 0 if ends_line else writer.beat + 1
    writer.commanded = (writer.commanded or command) and not advances
    writer.sent = (writer.sent or (beat and ends_burst)) and not advances
    writer.under_way += command - done
    writer.held = not ends_line
    return at_hand if ends_line else -1
