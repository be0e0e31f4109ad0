"""Slots of a beat, as bytes."""

from __future__ import annotations

from gscn.array import ArrayConfig


def slot_bytes(config: ArrayConfig) -> int:
    """Return how many bytes a row of 16-bit results takes."""
    return 2 * config.drain_width


def strobe_of(slots: int, config: ArrayConfig) -> int:
    """Return the strobe of each byte of a beat whose slots have one bit each."""
    ones = (1 << slot_bytes(config)) - 1
    return sum(ones << n * slot_bytes(config) for n in range(slots.bit_length()) if slots >> n & 1)
