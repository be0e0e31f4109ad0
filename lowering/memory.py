"""Memory while an image is laid out: what is stored in it, and what is written behind it."""

from __future__ import annotations

import hashlib

import numpy as np

from gscn.config import ALIGNMENT_BYTES


def align(count: int) -> int:
    """Round a byte count up to the alignment of addresses."""
    return -(-count // ALIGNMENT_BYTES) * ALIGNMENT_BYTES


class Memory:
    """Grows by aligned blocks; equal blocks are stored once."""

    def __init__(self) -> None:
        self.blocks: list[np.ndarray] = []
        self.size = 0
        self._known: dict[bytes, int] = {}

    def store(self, data: np.ndarray) -> int:
        """Store bytes (uint8) and return their address."""
        if data.size == 0:
            return 0
        digest = hashlib.blake2b(data.tobytes(), digest_size=16).digest()
        if digest not in self._known:
            self._known[digest] = self.append(data)
        return self._known[digest]

    def append(self, data: np.ndarray) -> int:
        """Store bytes at a new address."""
        address = self.size
        self.blocks.append(data)
        self.blocks.append(np.zeros(align(data.size) - data.size, dtype=np.uint8))
        self.size += align(data.size)
        return address


class Outputs:
    """Memory behind the image, where jobs write.

    Parameters
    ----------
    first
        Its aligned address.
    """

    def __init__(self, first: int) -> None:
        self.first = self.end = first
        self.ranges: list[tuple[int, int]] = []

    def reserve(self, size: int) -> int:
        """Return the address of so many bytes."""
        address = self.end
        self.end += align(size)
        self.ranges.append((address, address + size))
        return address
