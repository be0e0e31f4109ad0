"""Random magnitudes for a selection, and the choice as docs/contract/encode.md has it."""

from __future__ import annotations

import random
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class Bits:
    """Which bits of magnitudes a pass of a selection finds."""

    shift: int
    width: int
    prefix: int
    wide: bool
    """Of float32, else of bf16."""


def magnitudes(source: random.Random, bits: Bits, count: int, lanes: int) -> list[dict]:
    """Return vectors of magnitudes of 31 bits, most of which have the prefix."""
    narrow = 0 if bits.wide else 16
    above = bits.shift + bits.width + narrow
    vectors = []
    for _ in range(count):
        codes = [source.getrandbits(31) for _ in range(lanes)]
        alike = [source.random() < 0.8 for _ in codes]
        codes = [
            code % (1 << above) | bits.prefix << above & 0x7FFFFFFF if one else code
            for code, one in zip(codes, alike, strict=True)
        ]
        codes = [code >> narrow << narrow for code in codes]
        vectors.append({"magnitudes": codes, "there": source.getrandbits(lanes)})
    return vectors


def histogram(vectors: list[dict], bits: Bits) -> list[int]:
    """Return how many magnitudes each bin has."""
    counts = [0] * (1 << bits.width)
    for vector in vectors:
        for lane, code in enumerate(vector["magnitudes"]):
            code >>= 0 if bits.wide else 16
            if vector["there"] >> lane & 1 and code >> bits.shift + bits.width == bits.prefix:
                counts[code >> bits.shift & (1 << bits.width) - 1] += 1
    return counts


def choice(counts: list[int], rank: int) -> dict[str, int]:
    """Return the bin in which so many are reached from the highest on, and what is left for it."""
    found = len(counts) - 1
    while found > 0 and counts[found] < rank:
        rank -= counts[found]
        found -= 1
    return {"bin": found, "rank": rank}
