"""Vias that qrouter's clean-up takes away though nothing else joins the wires that meet there.

It takes one of two vias that lie side by side for superfluous. Its own trees of a net still have
it (`parasitics`), so that only the DEF is to be mended; Magic judges what comes of it.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence

import numpy as np
from scipy.sparse.csgraph import connected_components

from gscn.rtl_gen.layout.def_file import Via, Wire, read_routes

_NETS = re.compile(r"^NETS .*?^END NETS$", re.MULTILINE | re.DOTALL)
_ROUTED = re.compile(r"^(\s*- (\S+)[^;]*\+ ROUTED)([^;]*);", re.MULTILINE)
_DIGITS = re.compile(r"\d+")


def with_lost_vias(text: str, nets: Collection[str]) -> str:
    """Return a DEF in which some nets have the vias that they have lost.

    Parameters
    ----------
    text
        The DEF, as qrouter writes it: layers `metal1` up, vias `M2_M1` up.
    nets
        Names of nets that are in pieces. In others pins may join wires that meet, or metal of vias
        beside them, and another via there may be too close to these.
    """

    def mended(net: re.Match[str]) -> str:
        if net[2] not in nets:
            return net[0]
        new = [
            f"NEW metal{_layers(via)[0]} ( {via.at[0]} {via.at[1]} ) {via.name}"
            for via in lost_vias(*read_routes(net[3]))
        ]
        return net[1] + "\n  ".join([net[3].rstrip(), *new]) + " ;"

    return _NETS.sub(lambda section: _ROUTED.sub(mended, section[0]), text)


def lost_vias(wires: Sequence[Wire], vias: Sequence[Via]) -> list[Via]:
    """Return what joins the wires of a net that meet on neighbouring layers and are not joined.

    Of the places where two pieces meet, that where most wires end.
    """
    found: list[Via] = []
    ends = [point for wire in wires for point in (wire.start, wire.end)]
    while places := _meetings([*wires, *vias, *found]):
        found.append(max(places, key=lambda via: (ends.count(via.at), via.name, via.at)))
    return found


def _layers(part: Wire | Via) -> tuple[int, int]:
    """Return the lowest and the highest layer that a wire or via is on."""
    name = part.layer if isinstance(part, Wire) else part.name
    numbers = [int(digits) for digits in _DIGITS.findall(name)]
    return min(numbers), max(numbers)


def _meetings(parts: Sequence[Wire | Via]) -> list[Via]:
    """Return vias at the ends of all that two pieces of a net have in common but for the layer."""
    corners = [(one.start, one.end) if isinstance(one, Wire) else (one.at, one.at) for one in parts]
    # boxes in layers, x and y: part, axis, lowest and highest
    boxes = np.array(
        [
            (_layers(part), *zip(*ends, strict=True))
            for part, ends in zip(parts, corners, strict=True)
        ]
    )
    if len(boxes) < 2:
        return []
    low = np.maximum(boxes.min(axis=2)[:, None], boxes.min(axis=2))
    high = np.minimum(boxes.max(axis=2)[:, None], boxes.max(axis=2))
    pieces = connected_components((low <= high).all(axis=2), directed=False)[1]
    meets = (low <= high)[..., 1:].all(axis=2) & (low - high == 1)[..., 0]
    return [
        Via(
            name=f"M{low[pair][0]}_M{high[pair][0]}",
            at=(int(corner[pair][1]), int(corner[pair][2])),
        )
        for pair in zip(*np.nonzero(meets & (pieces[:, None] != pieces)), strict=True)
        for corner in (low, high)
    ]
