"""Beats taken apart and put together again, slot by slot."""

from __future__ import annotations

from collections.abc import Iterable

from gscn.array import ArrayConfig


def slot_bytes(config: ArrayConfig) -> int:
    """Return how many bytes one 16-bit result of each PE takes."""
    return 2 * config.drain_width


def parts_of(data: int, slots: Iterable[Iterable[int]], config: ArrayConfig) -> list[dict]:
    """Return the parts that write a beat: one for each group of slots, the last one ends it."""
    groups = list(slots)
    bits = 8 * slot_bytes(config)
    parts = []
    for number, group in enumerate(groups):
        words = [0] * 4
        for slot in group:
            words[slot % 4] = data >> slot * bits & ((1 << bits) - 1)
        mask = sum(1 << slot for slot in group)
        parts.append({"data": words, "slots": mask, "ends": int(number == len(groups) - 1)})
    return parts


def strobe_of(slots: int, config: ArrayConfig) -> int:
    """Return the strobe of each byte of a beat whose slots have one bit each."""
    ones = (1 << slot_bytes(config)) - 1
    return sum(ones << n * slot_bytes(config) for n in range(slots.bit_length()) if slots >> n & 1)


def put_together(parts: Iterable[dict], config: ArrayConfig) -> list[tuple[int, int]]:
    """Return the (data, strobe) of the beats that parts make up; each slot is written once."""
    bits = 8 * slot_bytes(config)
    beats, data, strobe = [], 0, 0
    for part in parts:
        for slot in range(config.mem_bytes // slot_bytes(config)):
            if part["slots"] >> slot & 1:
                strobed = ((1 << slot_bytes(config)) - 1) << slot * slot_bytes(config)
                assert not strobe & strobed, f"slot {slot} is written twice"
                data |= part["data"][slot % 4] << slot * bits
                strobe |= strobed
        if part["ends"]:
            beats.append((data, strobe))
            data = strobe = 0
    assert not strobe, "the last beat has no end"
    return beats
