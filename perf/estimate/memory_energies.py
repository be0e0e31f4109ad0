"""Energies of memories on the chip, from a published tool, and of the wires to them.

Memories of many rows are made of subarrays, of which one is read or written (`rtl_gen.rams` writes
such modules). CACTI says what a subarray takes; what moves a row between it and the memory's ports
are wires as long as the side of a square of all subarrays. Rows of many bits lie in memories side
by side. All of it is as good for whatever is compared with the array.

Implements: R. Balasubramonian et al., "CACTI 7: New Tools for Interconnect Exploration in
Innovative Off-Chip Memories", ACM TACO 14(2), 2017: energies and areas of
`memory_energies.json`, written by `python -m benchmarks.memory_energies`; S. Keckler et al., "GPUs
and the Future of Parallel Computing", IEEE Micro 31(5), 2011, Table 1: wires of 40 nm.
Differs: CACTI would lay out a memory of many rows as one macro, which takes more energy.
"""

from __future__ import annotations

import bisect
import functools
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources

from gscn.errors import InputError

MOST_BITS = 64
"""Of a row of one memory; wider ones lie side by side."""
SUBARRAY_ROWS = 64
"""Of a memory of more rows, those of each subarray (`rtl_gen.rams.SUBARRAY_ROWS`)."""
WIRE_PJ = 310 / (256 * 10)
"""Picojoules that a bit takes per millimetre: 256 bits over 10 mm take 310 pJ."""
_TABLE = "memory_energies.json"


@dataclass(frozen=True, kw_only=True, slots=True)
class Point:
    """A memory as CACTI has it."""

    rows: int
    bits: int
    """Of a row."""
    read: float
    """Picojoules of a row that is read; `write` of one that is written."""
    write: float
    area: float
    """Square millimetres."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Access:
    """Picojoules of a row."""

    read: float
    write: float

    @property
    def both(self) -> float:
        """Of a row that is read and one that is written."""
        return self.read + self.write


@dataclass(frozen=True, kw_only=True, slots=True)
class MemoryEnergies:
    """Energies of memories of any size."""

    source: str
    """What the points are of."""
    small: tuple[Point, ...]
    """Of a read and a write port each: subarrays and what has no more rows than they."""
    large: tuple[Point, ...]
    """Buffers of many kilobytes, 64 bits a row, one port for both."""

    def access(self, depth: int, width: int) -> Access:
        """Return the energies of a memory of a port each way.

        Parameters
        ----------
        depth
            Rows. Fewer than the fewest of the table are counted as so many.
        width
            Bits of a row. Fewer than the fewest of the table are counted as so many, but for wires.
        """
        if depth < 1 or width < 1:
            raise InputError(f"rows and bits must be positive, not {depth} and {width}")
        rows = min(depth, SUBARRAY_ROWS)
        count = -(-depth // SUBARRAY_ROWS)
        parts = -(-width // MOST_BITS)
        own = self._interpolated(rows, width / parts)
        distance = math.sqrt(count * own.area) if count > 1 else 0.0
        wires = WIRE_PJ * distance * width / parts
        return Access(read=parts * (own.read + wires), write=parts * (own.write + wires))

    def _interpolated(self, rows: int, bits: float) -> Point:
        """Return a memory between those of the table: lines through the nearest."""
        depths = sorted({point.rows for point in self.small})
        rows = max(rows, depths[0])
        known = {(point.rows, point.bits): point for point in self.small}
        widths = sorted({point.bits for point in self.small})
        around = [
            [known[depth, one] for one in _neighbours(widths, bits)]
            for depth in _neighbours(depths, rows)
        ]

        def value(name: str) -> float:
            lines = [_line([(p.bits, getattr(p, name)) for p in row], bits) for row in around]
            return _line([(row[0].rows, y) for row, y in zip(around, lines, strict=True)], rows)

        return Point(
            rows=rows, bits=math.ceil(bits),
            read=value("read"), write=value("write"), area=value("area"),
        )  # fmt: skip

    def buffer_pj(self, capacity_bytes: float, bits: float) -> float:
        """Return the energy of reading or writing bits of a buffer, the mean of both.

        Beyond the table's ends it grows with the root of the capacity, as its wires do.
        """
        if capacity_bytes <= 0:
            raise InputError(f"bytes must be positive, not {capacity_bytes}")
        sizes = [point.rows * point.bits / 8 for point in self.large]
        energies = [(point.read + point.write) / 2 for point in self.large]
        within = min(max(capacity_bytes, sizes[0]), sizes[-1])
        nearest = [
            (size, energy)
            for size, energy in zip(sizes, energies, strict=True)
            if size in _neighbours(sizes, within)
        ]
        return math.sqrt(capacity_bytes / within) * _line(nearest, within) * bits / MOST_BITS


def _neighbours(values: Sequence[float], x: float) -> list[float]:
    """Return the ascending values next to x: two, or the one that is x, or an end."""
    at = bisect.bisect_left(values, x)
    if at == len(values):
        return [values[-1]]
    return [values[at]] if values[at] == x or at == 0 else [values[at - 1], values[at]]


def _line(points: Sequence[tuple[float, float]], x: float) -> float:
    """Return the value at x of a line through two points, or of one point."""
    (x0, y0), (x1, y1) = points[0], points[-1]
    return y0 if x0 == x1 else y0 + (y1 - y0) * (x - x0) / (x1 - x0)


@functools.cache
def memory_energies() -> MemoryEnergies:
    """Return the energies of 45 nm."""
    table = json.loads(resources.files(__package__).joinpath(_TABLE).read_text(encoding="utf-8"))
    kinds = {
        kind: tuple(Point(**dict(zip(table["columns"], row, strict=True))) for row in table[kind])
        for kind in ("small", "large")
    }
    return MemoryEnergies(source=table["source"], **kinds)
