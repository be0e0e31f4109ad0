"""What may lie behind the memory ports of an array: DRAM, and a buffer before it."""

from __future__ import annotations

from dataclasses import dataclass

from gscn.enums import takes_text
from gscn.errors import raise_problems

LINE_BYTES = 64
"""Unit in which DRAM is read; strips, tables and descriptors begin with one."""


@takes_text
@dataclass(frozen=True, kw_only=True, slots=True)
class Dram:
    """What is behind the memory ports.

    It is none of an array (`gscn.array`): no result depends on it, and the same array has another
    one on another board. A driver that knows it cuts passes so that they read less
    (`lowering.plan`).

    Raises
    ------
    InputError
        Naming every number that is out of range.
    """

    bytes_per_cycle: float
    """Both directions together; over 0."""
    buffer_bytes: int = 0
    """Of the buffer between ports and DRAM, at least 0; 0: there is none. It holds lines of
    `LINE_BYTES`, of which the one that was used longest ago is replaced; results pass it by."""

    def __post_init__(self) -> None:
        """Collect every problem and raise them together."""
        problems = []
        if not self.bytes_per_cycle > 0:
            problems.append(f"bytes per cycle must be over 0, not {self.bytes_per_cycle}")
        if self.buffer_bytes < 0:
            problems.append(f"buffer_bytes must be at least 0, not {self.buffer_bytes}")
        raise_problems("DRAM", problems)

    def cycles(self, moved_bytes: float) -> float:
        """Return the cycles that so many bytes take."""
        return moved_bytes / self.bytes_per_cycle
