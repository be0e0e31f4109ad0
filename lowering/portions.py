"""Divide items into portions that each have their share of many quantities at once."""

from __future__ import annotations

import numpy as np

from gscn.system.compiled import compiled

_ROUNDS = 3
"""Times that every item may change its portion; most that do, do in the first two."""


@compiled
def _best(missing: np.ndarray, room: np.ndarray, vector: np.ndarray) -> int:
    """Return the portion with room that misses most of what an item has, or -1."""
    best, most = -1, 0.0
    for portion in range(missing.shape[0]):
        gain, fits = 0.0, True
        for index in range(vector.size):
            gain += missing[portion, index] * vector[index]
            fits = fits and vector[index] <= room[portion, index]
        if fits and (best < 0 or gain > most):
            best, most = portion, gain
    return best


@compiled
def _portions(
    vectors: np.ndarray, order: np.ndarray, missing: np.ndarray, room: np.ndarray, rounds: int
) -> np.ndarray:
    """Give out items, then let each go where it is missed most; -1 for one that fits nowhere.

    `missing` and `room` are (portions, quantities), changed in place.
    """
    chosen = np.full(order.size, -1)
    for turn in range(rounds + 1):
        moves = 0
        for item in order:
            before = chosen[item]
            if before >= 0:
                missing[before] += vectors[item]
                room[before] += vectors[item]
            after = _best(missing, room, vectors[item])
            if after < 0:
                return chosen
            missing[after] -= vectors[item]
            room[after] -= vectors[item]
            chosen[item] = after
            moves += after != before
        if turn and not moves:
            break
    return chosen


def portions(vectors: np.ndarray, shares: np.ndarray, most: np.ndarray) -> np.ndarray | None:
    """Divide items so that every portion has its share of every quantity, as nearly as can be.

    An item goes where its vector has the largest inner product with what is still missing, which
    makes the sum of the squares of all deviations smallest; heavy items first, then all again.
    Dividing by chance would leave deviations that grow with the root of the number of items; these
    stay about as large as single items.

    Parameters
    ----------
    vectors
        float64 (items, quantities), not negative.
    shares
        float64 (portions,), not negative; they sum to 1.
    most
        float64 (quantities,): what a portion can hold of each, `inf` if any amount.

    Returns
    -------
    numpy.ndarray or None
        int64 portion of each item; None if they were not made to fit.
    """
    order = np.argsort(-vectors.sum(axis=1), kind="stable")
    missing = shares[:, None] * vectors.sum(axis=0)
    room = np.tile(most, (shares.size, 1))
    chosen = _portions(np.ascontiguousarray(vectors), order, missing, room, _ROUNDS)
    return None if (chosen < 0).any() else chosen
