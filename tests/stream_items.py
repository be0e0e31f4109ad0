"""Items of MAC streams in plain Python, from the text of docs/contract/execution.md."""

from __future__ import annotations

import random


def unsigned(value: int) -> int:
    """Return the 16 bits of a signed number."""
    assert -(1 << 15) <= value < 1 << 15
    return value % (1 << 16)


def encode(
    words: list[tuple[int, int, int, int]], offset_bits: int, rng: random.Random
) -> list[int]:
    """Return the 32-bit items of words (value, offset, key, first tap), in their order.

    Bases are set only where a word needs it, each to a random one of those that can express it.
    """
    key_span, offset_span = 1 << (16 - offset_bits), 1 << offset_bits
    key_base = offset_base = tap_start = 0
    items = []
    for value, offset, key, tap in words:
        assert value, "a word of value 0 cannot be streamed"
        in_reach = 0 <= key - key_base < key_span and 0 <= offset - offset_base < offset_span
        if not in_reach or tap != tap_start:
            key_base = rng.randint(max(key - key_span + 1, -(1 << 15)), key)
            offset_base = rng.randint(max(offset - offset_span + 1, -(1 << 15)), offset)
            tap_start = tap
            items += [tap << 16, unsigned(key_base) | unsigned(offset_base) << 16]
        code = offset - offset_base | key - key_base << offset_bits
        items.append(unsigned(value) | code << 16)
    return items


def chunks(items: list[int]) -> list[int]:
    """Return the 64-bit chunks of items, two in each, an odd last one padded by zeros."""
    padded = [*items, 0] if len(items) % 2 else items
    return [low | high << 32 for low, high in zip(padded[::2], padded[1::2], strict=True)]
