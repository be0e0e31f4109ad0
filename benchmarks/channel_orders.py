"""What an order of channels by their nonzeros is worth, chosen once and kept."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from benchmarks.forced import cycles_of
from benchmarks.markdown import table
from benchmarks.rtl import CONFIG
from gscn.array import array
from gscn.conv import Pass
from gscn.cosim.layer import PassInput
from gscn.passes import VECTOR

NATURAL = "as they are"


def alike(nonzeros: np.ndarray) -> np.ndarray:
    """Return channels by their nonzeros, most first: alike ones are neighbours."""
    return np.argsort(-nonzeros, kind="stable")


def dealt(nonzeros: np.ndarray) -> np.ndarray:
    """Return channels dealt to groups of a vector, there and back, most first."""
    order = alike(nonzeros)
    groups = max(1, -(-len(order) // VECTOR))
    turns = np.arange(len(order)) % (2 * groups)
    group = np.where(turns < groups, turns, 2 * groups - 1 - turns)
    return order[np.argsort(group, kind="stable")]


ORDERS: dict[str, Callable[[np.ndarray], np.ndarray]] = {"alike together": alike, "dealt": dealt}


def axes(which: Pass) -> tuple[tuple[int | None, int | None], tuple[int | None, int | None]]:
    """Return the axes of filters and of channels in the first operand, and in the second.

    A map of inputs has no axis of filters, one of output gradients none of channels.
    """
    weights, inputs, outputs = (0, 1), (None, 1), (1, None)
    if which is Pass.FORWARD:
        return weights, inputs
    return (weights, outputs) if which is Pass.INPUT_GRAD else (outputs, inputs)


def counted(one: PassInput) -> tuple[np.ndarray, np.ndarray]:
    """Return nonzeros of each filter and of each channel, in a map if there is one."""
    found: list[np.ndarray | None] = [None, None]
    for operand, places in zip((one.first, one.second), axes(one.which), strict=True):
        for kind, axis in enumerate(places):
            if axis is not None:
                others = tuple(other for other in range(4) if other != axis)
                found[kind] = np.count_nonzero(operand, axis=others)
    filters, channels = found
    assert filters is not None
    assert channels is not None
    return filters, channels


def permuted(one: PassInput, filters: np.ndarray, channels: np.ndarray) -> PassInput:
    """Return a pass with its filters and channels in another order."""
    orders = (filters, channels)
    first, second = (
        _taken(operand, [*zip(places, orders, strict=True)])
        for operand, places in zip((one.first, one.second), axes(one.which), strict=True)
    )
    return dataclasses.replace(one, first=first, second=second)


def _taken(operand: np.ndarray, orders: Sequence[tuple[int | None, np.ndarray]]) -> np.ndarray:
    for axis, order in orders:
        if axis is not None:
            operand = np.take(operand, order, axis=axis)
    return operand


def measure(one: PassInput, earlier: PassInput) -> list[dict[str, Any]]:
    """Return cycles of a pass by every order, chosen by the same pass of an earlier iteration."""
    config = array(CONFIG)
    filters, channels = counted(earlier)
    rows = [{"order": NATURAL, "cycles": cycles_of(config, one)}]
    for name, choose in ORDERS.items():
        other = permuted(one, choose(filters), choose(channels))
        rows.append({"order": name, "cycles": cycles_of(config, other)})
    return rows


def render(rows: Sequence[dict[str, Any]]) -> str:
    """Return the table."""
    found = {(row["order"], row["pass"]): row["cycles"] for row in rows}
    kinds = [str(which) for which in Pass if (NATURAL, str(which)) in found]
    lines = []
    for order in (NATURAL, *ORDERS):
        own = [found[order, kind] for kind in kinds]
        natural = [found[NATURAL, kind] for kind in kinds]
        gains = [
            f"{100 * (mine / theirs - 1):+.1f} %"
            for mine, theirs in zip((*own, sum(own)), (*natural, sum(natural)), strict=True)
        ]
        lines.append((order, f"{sum(own):,}", *gains))
    return table(("channels", "cycles", *kinds, "all"), lines)
