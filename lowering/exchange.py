"""Exchange channels between bins until no exchange makes the blocks of work more equal."""

from __future__ import annotations

import numpy as np

from gscn.lowering.balance import bin_of_item
from gscn.system.compiled import compiled

_ROUNDS = 8
"""Times that rows and columns take turns, at most."""


@compiled
def _exchange(chosen: np.ndarray, vectors: np.ndarray, sums: np.ndarray) -> int:
    """Exchange items of different bins while that makes the sum of squares smaller; return swaps.

    `sums` holds each bin's sum of its items' vectors.
    """
    swaps = 0
    for one in range(chosen.size):
        for other in range(one + 1, chosen.size):
            here, there = chosen[one], chosen[other]
            if here == there:
                continue
            growth = 0.0
            for index in range(vectors.shape[1]):
                moved = vectors[other, index] - vectors[one, index]
                growth += moved * (sums[here, index] - sums[there, index] + moved)
            # less than rounding could feign
            if growth < -1e-6:
                for index in range(vectors.shape[1]):
                    moved = vectors[other, index] - vectors[one, index]
                    sums[here, index] += moved
                    sums[there, index] -= moved
                chosen[one], chosen[other] = there, here
                swaps += 1
    return swaps


def exchange_pairs(
    work: np.ndarray, row_bins: list[np.ndarray], col_bins: list[np.ndarray]
) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Make the blocks of a matrix that is cut by bins of rows and columns more equal.

    Single rows, then single columns, are exchanged between bins wherever the sum of the squares of
    all blocks becomes smaller, until none does. Bins keep their sizes.

    Parameters
    ----------
    work
        float64 (rows, columns), not negative: work of each row with each column.
    row_bins, col_bins
        Members of each bin, int64, as `lowering.balance.pack_pairs` returns them.

    Returns
    -------
    tuple of list[numpy.ndarray]
        Members of each bin of rows and of columns, in ascending order.
    """

    def improve(items: np.ndarray, bins: list, others: list) -> tuple[list, int]:
        vectors = np.stack([items[:, members].sum(axis=1) for members in others], axis=1)
        chosen = bin_of_item(bins, items.shape[0])
        sums = np.stack([vectors[members].sum(axis=0) for members in bins])
        swaps = _exchange(chosen, np.ascontiguousarray(vectors), sums)
        return [np.flatnonzero(chosen == number) for number in range(len(bins))], swaps

    for _ in range(_ROUNDS):
        row_bins, row_swaps = improve(work, row_bins, col_bins)
        col_bins, col_swaps = improve(work.T, col_bins, row_bins)
        if not row_swaps + col_swaps:
            break
    return row_bins, col_bins
