"""How the weights that SWAT keeps are shared out among layers: SWAT-U, SWAT-ERK, SWAT-M.

Implements: Raihan and Aamodt, "Sparse Weight Activation Training", NeurIPS 2020, with the
Erdos-Renyi-Kernel densities of Evci et al., "Rigging the Lottery", ICML 2020, and the shares by
momentum of Dettmers and Zettlemoyer, "Sparse Networks from Scratch", 2019.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction

from gscn.errors import InputError

DENSE_SHARE = Fraction(99, 100)
"""SWAT-M: a layer that would keep more than this share of its weights keeps all of them."""


def erk_densities(shapes: Sequence[tuple[int, ...]], density: Fraction) -> list[Fraction]:
    """Return the Erdos-Renyi-Kernel density of each layer.

    A layer's is `eps * sum(shape) / prod(shape)`, with eps such that the layers together have the
    density asked for; layers that would pass 1 are dense, and eps is solved again for the others.

    Parameters
    ----------
    shapes
        Of the weights.
    density
        Of all layers together, more than 0 and at most 1.
    """
    sizes = [math.prod(shape) for shape in shapes]
    dense: set[int] = set()
    while True:
        others = [index for index in range(len(shapes)) if index not in dense]
        budget = density * sum(sizes) - sum(sizes[index] for index in dense)
        scale = budget / sum(sum(shapes[index]) for index in others) if others else Fraction(0)
        raw = {index: scale * sum(shapes[index]) / sizes[index] for index in others}
        over = {index for index in others if raw[index] > 1}
        if not over:
            return [raw.get(index, Fraction(1)) for index in range(len(shapes))]
        dense |= over


def momentum_budgets(
    sizes: Sequence[int], momenta: Sequence[float], total: int
) -> list[int] | None:
    """Return how many weights each layer keeps in proportion to its momentum.

    A layer that would keep more than `DENSE_SHARE` of its weights keeps all of them, and the others
    share evenly what was too much for it, until no other layer becomes full. Shares are rounded so
    that they add up to `total` (largest remainders first); every layer keeps at least one weight.

    Parameters
    ----------
    sizes
        Weights of each layer, at least 1.
    momenta
        Mean magnitude of the momentum of each layer's active weights, at least 0.
    total
        Weights that all layers keep together, from the number of layers to all weights.

    Returns
    -------
    list or None
        None if no layer has momentum: there is nothing to go by.

    Raises
    ------
    InputError
        A momentum that is negative or not finite, or a total out of range.
    """
    problems = [
        f"momentum of layer {index} must be at least 0 and finite, not {momentum}"
        for index, momentum in enumerate(momenta)
        if not 0 <= momentum < math.inf
    ]
    if not len(sizes) <= total <= sum(sizes):
        problems.append(f"total must be from {len(sizes)} to {sum(sizes)}, not {total}")
    if problems:
        raise InputError("; ".join(problems))
    pulls = [Fraction(momentum) for momentum in momenta]
    if not any(pulls):
        return None
    proportional = [total * pull / sum(pulls) for pull in pulls]
    kept = list(sizes)
    others, left = list(range(len(sizes))), total
    shares: dict[int, Fraction] = {}
    while others:
        more = (left - sum(proportional[index] for index in others)) / len(others)
        shares = {index: proportional[index] + more for index in others}
        over = [index for index in others if shares[index] > DENSE_SHARE * sizes[index]]
        if sum(sizes[index] for index in over) + len(others) - len(over) > left:
            # Rounding up to all of them would leave less than one weight for each other layer.
            over = [index for index in others if shares[index] >= sizes[index]]
        if not over:
            break
        left -= sum(sizes[index] for index in over)
        others = [index for index in others if index not in over]
    for index, count in _rounded({index: shares[index] for index in others}, left).items():
        kept[index] = min(count, sizes[index])
    while sum(kept) > total:
        # Full layers left less than one weight for each other.
        kept[max(range(len(kept)), key=kept.__getitem__)] -= 1
    return kept


def _rounded(shares: dict[int, Fraction], total: int) -> dict[int, int]:
    """Return whole numbers of at least 1 that add up to `total`, closest to the shares."""
    counts = {index: max(1, math.floor(share)) for index, share in shares.items()}
    by_remainder = sorted(shares, key=lambda index: counts[index] - shares[index])
    for index in by_remainder[: max(0, total - sum(counts.values()))]:
        counts[index] += 1
    while sum(counts.values()) > max(total, len(counts)):
        counts[max(counts, key=counts.__getitem__)] -= 1
    return counts
