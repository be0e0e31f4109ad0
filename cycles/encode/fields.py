"""Fields of the record of an encode pass, and what they come to."""

from __future__ import annotations

import numpy as np

from gscn.encode import ENCODE_DESCRIPTOR, ENCODE_DESCRIPTOR_BYTES, GROUP_LOOPS, LOOPS

INNER = LOOPS - GROUP_LOOPS
"""Loops that number positions."""


def record_fields(record: object) -> dict[str, int]:
    """Return the fields of a record: bytes, a mapping, or an object that has them by name."""
    names = ENCODE_DESCRIPTOR.dtype.names
    if isinstance(record, bytes) or (isinstance(record, np.ndarray) and record.dtype.names is None):
        content = np.frombuffer(bytes(record)[:ENCODE_DESCRIPTOR_BYTES], dtype=np.uint8)
        record = ENCODE_DESCRIPTOR.unpack(content)[0]
    elif isinstance(record, np.ndarray):
        record = record.reshape(-1)[0]
    if isinstance(record, dict):
        return {name: int(record.get(name, 0)) for name in names}
    if isinstance(record, np.void):
        return {name: int(record[name]) for name in names}
    return {name: int(getattr(record, name)) for name in names}


def has(f: dict[str, int], part: str) -> bool:
    """Return whether a pass has a result: dense, second, bits, sums, a or b."""
    return f[f"{part}_end"] != f[f"{part}_data" if part in ("a", "b") else f"{part}_addr"]


def positions_of(f: dict[str, int]) -> int:
    """Return the positions of a group."""
    found = 1
    for loop in range(INNER):
        found *= f[f"count{loop}"]
    return found


def groups_of(f: dict[str, int]) -> int:
    """Return the groups of a pass."""
    found = 1
    for loop in range(INNER, LOOPS):
        found *= f[f"count{loop}"]
    return found


def vectors_of(f: dict[str, int]) -> int:
    """Return the vectors of a pass."""
    return positions_of(f) * groups_of(f) << f["vectors"]
