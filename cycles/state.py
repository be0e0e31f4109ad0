"""State of the cycle model: structured arrays, one record per instance of a component of hw/."""

from __future__ import annotations

import numpy as np


def record(*names: str, **queues: int) -> np.dtype:
    """Return a record of 64-bit integers.

    Parameters
    ----------
    names
        Of registers.
    queues
        Of short queues and of registers that there are several of, with their lengths.
    """
    fields = [(name, np.int64) for name in names]
    return np.dtype([*fields, *((name, np.int64, (size,)) for name, size in queues.items())])


WRITTEN_BURSTS = 4096
"""Bursts that can wait for their acknowledgement."""
