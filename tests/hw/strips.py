"""Strips in plain Python: halfwords of dense vectors, and the items that an expander makes."""

from __future__ import annotations

import random
from dataclasses import dataclass

VECTOR = 16


@dataclass(frozen=True, kw_only=True, slots=True)
class Strip:
    """Rows of positions, each of some vectors of 16 values."""

    rows: list[list[list[list[int]]]]
    """Value by row, position, vector, lane; rows of `mid` belong to an outer position."""
    mid: int = 1

    def vectors(self) -> list[list[int]]:
        """Return the vectors in the order of the strip."""
        return [vector for row in self.rows for position in row for vector in position]


def halfwords(vectors: list[list[int]], *, narrow: bool) -> list[int]:
    """Return the halfwords of a strip of these vectors."""
    out = []
    for first in range(0, len(vectors), VECTOR):
        block = vectors[first : first + VECTOR]
        out.append(sum(any(vector) << n for n, vector in enumerate(block)))
        for vector in filter(any, block):
            out.append(sum((value != 0) << lane for lane, value in enumerate(vector)))
            values = [value for value in vector if value]
            if narrow:
                low = [value & 0xFF for value in values] + [0]
                out += [low[n] | low[n + 1] << 8 for n in range(0, len(values), 2)]
            else:
                out += [value & 0xFFFF for value in values]
    return out


def random_strip(
    rng: random.Random, *, outer: int, mid: int, inner: int, vectors: int, density: float,
    narrow: bool,
) -> Strip:  # fmt: skip
    """Return a strip of random values; a share of its positions is empty."""
    top = 127 if narrow else 32767

    def value(share):
        return rng.choice([-1, 1]) * rng.randint(1, top) if rng.random() < share else 0

    def position():
        share = density * rng.choice([0, 1, 2])
        return [[value(share) for _ in range(VECTOR)] for _ in range(1 << vectors)]

    return Strip(rows=[[position() for _ in range(inner)] for _ in range(outer * mid)], mid=mid)


@dataclass(frozen=True, kw_only=True, slots=True)
class Nonzero:
    """A nonzero of a strip and its place."""

    row: int
    position: int
    channel: int
    value: int


def nonzeros(strip: Strip) -> list[Nonzero]:
    """Return the nonzeros of a strip in its order."""
    return [
        Nonzero(row=y, position=x, channel=VECTOR * v + lane, value=value)
        for y, row in enumerate(strip.rows)
        for x, position in enumerate(row)
        for v, vector in enumerate(position)
        for lane, value in enumerate(vector)
        if value
    ]
