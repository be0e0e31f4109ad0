"""Whether a layout is what it should be: its geometry, as Magic extracts it, and its cells."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping

from gscn.errors import InputError
from gscn.rtl_gen.layout.block import Gate
from gscn.rtl_gen.layout.def_file import Net, Placed

POWER = ("vdd", "gnd")
"""Nets of power, which no router routes: rows of cells abut."""
_BUFFER = re.compile(r"(CLK)?BUFX?\d+")
_STRENGTH = re.compile(r"X\d+$")
FILLER = "FILL"
"""Cell that fills rows, and nothing else."""


def read_spice(text: str, top: str) -> dict[str, set[tuple[str, str]]]:
    """Return the pins on each net of a circuit, (cell, pin); ports are pins of the cell `PIN`.

    Parameters
    ----------
    text
        SPICE with a `.subckt` of every kind of cell, whose pins it names, and of the circuit.
    top
        Name of the circuit.

    Raises
    ------
    InputError
        It has no such circuit, or a cell whose kind it does not have or of other pins.
    """
    lines = re.sub(r"\n\+ ?", " ", text).splitlines()
    kinds: dict[str, list[str]] = {}
    nets: dict[str, set[tuple[str, str]]] = defaultdict(set)
    inside = None
    for line in lines:
        words = line.split()
        if not words or words[0].startswith("*"):
            continue
        if words[0].lower() == ".subckt":
            inside, *kinds[words[1]] = words[1:]
        elif words[0].lower() == ".ends":
            inside = None
        elif inside == top and words[0][0] in "Xx":
            name, *connected, kind = words
            pins = kinds.get(kind)
            if pins is None or len(pins) != len(connected):
                raise InputError(f"{name} must be a cell of known pins, not {kind}")
            for pin, net in zip(pins, connected, strict=True):
                nets[net].add((name[1:], pin))
    if top not in kinds:
        raise InputError(f"SPICE must have a circuit {top}")
    for port in kinds[top]:
        nets[port].add(("PIN", port))
    return dict(nets)


def broken(
    extracted: Mapping[str, Collection[tuple[str, str]]], nets: Mapping[str, Net]
) -> dict[str, int]:
    """Return how many pieces each net is in that is not whole.

    Parameters
    ----------
    extracted
        Pins on each net, from geometry, whatever the nets are called.
    nets
        The nets that there should be, without power.
    """
    counts = {name: len(pieces) for name, pieces in _pieces(extracted, nets).items()}
    return {name: count for name, count in counts.items() if count > 1}


def differences(
    extracted: Mapping[str, Collection[tuple[str, str]]], nets: Mapping[str, Net]
) -> list[str]:
    """Return what wires connect that nets do not, or do not that nets do; a sentence each.

    Parameters
    ----------
    extracted, nets
        As in `broken`.
    """
    found = [f"{name} is in {count} pieces" for name, count in broken(extracted, nets).items()]
    holders: dict[str, str] = {}
    for name, pieces in _pieces(extracted, nets).items():
        for piece in pieces:
            if piece in POWER:
                found.append(f"{name} is shorted to {piece}")
            elif holders.setdefault(piece, name) != name:
                found.append(f"{name} is shorted to {holders[piece]}")
    return found


def _pieces(
    extracted: Mapping[str, Collection[tuple[str, str]]], nets: Mapping[str, Net]
) -> dict[str, set[str]]:
    """Return what nets of the geometry the pins of each net are on."""
    where = {pin: name for name, pins in extracted.items() for pin in pins}
    return {
        name: {where.get(pin, f"nothing at {'/'.join(pin)}") for pin in net.pins}
        for name, net in nets.items()
    }


def gates_of(placed: Placed) -> dict[str, Gate]:
    """Return the cells of a placed block by name, with the nets at their pins; no fillers."""
    pins: dict[str, dict[str, str]] = {
        cell: {} for cell, kind in placed.cells.items() if kind != FILLER
    }
    for name, net in placed.nets.items():
        for cell, pin in net.pins:
            if cell != "PIN":
                pins[cell][pin] = name
    return {cell: Gate(kind=placed.cells[cell], pins=own) for cell, own in pins.items()}


def changes(gates: Iterable[Gate], placed: Iterable[Gate]) -> list[str]:
    """Return how placed cells differ from a netlist, a sentence each.

    Buffers, and how strong a cell is, are no difference.

    Parameters
    ----------
    gates
        The netlist.
    placed
        What became of it; nets have their names, and others those behind buffers.
    """
    before, after = (_functions([*cells]) for cells in (gates, placed))
    return [
        f"{kind} of {', '.join(f'{pin} {net}' for pin, net in sorted(pins))} is {what}"
        for what, found in (("lost", before - after), ("new", after - before))
        for kind, pins in found
    ]


def _functions(gates: list[Gate]) -> Counter[tuple[str, frozenset[tuple[str, str]]]]:
    """Count cells that are no buffers, each with the nets at its pins as before all buffers."""
    behind = {gate.pins["Y"]: gate.pins["A"] for gate in gates if _BUFFER.fullmatch(gate.kind)}

    def root(net: str) -> str:
        seen = set()
        while net in behind and net not in seen:
            seen.add(net)
            net = behind[net]
        return net

    return Counter(
        (
            _STRENGTH.sub("", gate.kind),
            frozenset((pin, root(net)) for pin, net in gate.pins.items()),
        )
        for gate in gates
        if not _BUFFER.fullmatch(gate.kind)
    )
