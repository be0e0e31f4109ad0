"""The order in which a pass reads lines for the first time, as its tables tell it.

A memory that reads ahead (`cycles.port.dram`) has the descriptor and walks through both tables:
weights, then the stream strip by strip; of a weight gradient both maps sample by sample. Clusters
read nearly so. A line that comes at another time is read when it is asked for.
"""

from __future__ import annotations

import numpy as np

from gscn.dram import LINE_BYTES
from gscn.passes import HALFWORD_BYTES, Mode

ENTRY_BYTES = 4
"""Of a table."""


def _pieces(one: np.void, side: str, rows: int, entries: np.ndarray) -> tuple[np.ndarray, ...]:
    """Return first and last lines of an operand's pieces, int64 (rows, groups)."""
    groups = int(one[f"{side}_groups"])
    begin = int(one[f"{side}_table"]) // ENTRY_BYTES
    table = entries[begin : begin + (rows + 1) * groups].reshape(rows + 1, groups)
    starts = int(one[f"{side}_data"]) + HALFWORD_BYTES * table.astype(np.int64)
    return starts[:-1] // LINE_BYTES, (starts[1:] - 1) // LINE_BYTES


def _table_lines(one: np.void, side: str, rows: int) -> np.ndarray:
    begin = int(one[f"{side}_table"])
    end = begin + ENTRY_BYTES * (rows + 1) * int(one[f"{side}_groups"])
    return np.arange(begin // LINE_BYTES, -(-end // LINE_BYTES))


def read_order(one: np.void, entries: np.ndarray) -> np.ndarray:
    """Return the lines that a pass reads, each once.

    Parameters
    ----------
    one
        Its descriptor, `cycles.descriptors.PASS`.
    entries
        uint32: the memory.

    Returns
    -------
    numpy.ndarray
        int32, numbers of lines of `LINE_BYTES`.
    """
    samples = int(one["samples"])
    rows = {"s": int(one["s_chunks"]), "t": samples * int(one["t_strips"])}
    if one["mode"] == Mode.CORRELATE:
        rows["s"] *= samples
    found = {side: _pieces(one, side, count, entries) for side, count in rows.items()}
    if one["mode"] == Mode.CORRELATE:
        found = {
            side: tuple(lines.reshape(samples, -1) for lines in pieces)
            for side, pieces in found.items()
        }
        firsts, lasts = (np.hstack([found["s"][end], found["t"][end]]).ravel() for end in (0, 1))
    else:
        firsts, lasts = (
            np.concatenate([found["s"][end].T.ravel(), found["t"][end].ravel()]) for end in (0, 1)
        )
    counts = np.maximum(lasts - firsts + 1, 0)
    within = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
    lines = [_table_lines(one, side, count) for side, count in rows.items()]
    every = np.concatenate([*lines, np.repeat(firsts, counts) + within])
    _, where = np.unique(every, return_index=True)
    return every[np.sort(where)].astype(np.int32)
