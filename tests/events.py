"""Reads TensorBoard's event files."""

from __future__ import annotations

import struct
from pathlib import Path

from tensorboardX.proto.event_pb2 import Event


def events(path: Path) -> list[Event]:
    """Return the events of a file: records of a length, its checksum, data and theirs."""
    data, found = path.read_bytes(), []
    while data:
        (length,) = struct.unpack_from("<Q", data)
        found.append(Event.FromString(data[12 : 12 + length]))
        data = data[16 + length :]
    return found


def scalars(path: Path) -> list[tuple[int, str, float]]:
    """Return step, tag and value of the scalars of a file."""
    return [(e.step, v.tag, v.simple_value) for e in events(path) for v in e.summary.value]
