"""Resistances and capacitances of wires: from the trees that qrouter writes to SPEF."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator
from dataclasses import dataclass

from gscn.errors import InputError

_TOKEN = re.compile(r"[(),]|[^\s(),]+")
_LOST = "ERROR"
_EDGE = re.compile(r"(?<=EDGECAPACITANCE )\s*([-+.\deE]+)")

_HEAD = """\
*SPEF "IEEE 1481-1998"
*DESIGN "{name}"
*DATE "-"
*VENDOR "-"
*PROGRAM "-"
*VERSION "-"
*DESIGN_FLOW "NETLIST_TYPE_VERILOG"
*DIVIDER /
*DELIMITER :
*BUS_DELIMITER [ ]
*T_UNIT 1 NS
*C_UNIT 1 PF
*R_UNIT 1 OHM
*L_UNIT 1 HENRY

*PORTS
{ports}
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Branch:
    """A wire, and what is at its end."""

    ohm: float
    picofarad: float
    parent: int
    """Number of the branch at whose end it begins; -1: at the driver."""
    pin: str | None = None
    """CELL/PIN or PIN/PORT at its end."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Tree:
    """The wires of one net."""

    net: str
    driver: str
    """CELL/PIN or PIN/PORT."""
    branches: tuple[Branch, ...]
    is_lost: bool = False
    """Whether qrouter lost its way where wires meet twice, and wrote some of them again."""

    @property
    def picofarad(self) -> float:
        """Capacitance of all its wires."""
        return sum(branch.picofarad for branch in self.branches)


def both_edges(lef: str) -> str:
    """Return a LEF whose capacitances of edges are doubled.

    LEF gives the capacitance of an edge per length, and a wire has two; qrouter adds one.
    """
    return _EDGE.sub(lambda found: f"{2 * float(found[1]):g}", lef)


def read_trees(text: str) -> list[Tree]:
    """Read the resistances (ohm) and capacitances (pF) that qrouter writes.

    Parameters
    ----------
    text
        A line a net: name, number of drivers, driver, number of sinks, and a tree in parentheses:
        `( ohm pF what, what )`, `what` being such a tree or the name of a pin. Where
        qrouter has gone round in a circle it writes pins again, or `ERROR`: then the first place
        of a pin counts, and capacitance is too high by what is written again.

    Raises
    ------
    InputError
        A line is no such net, has another number of sinks than it says, or several drivers.
    """
    return [_read_tree(line) for line in text.splitlines() if line.strip()]


def _read_tree(line: str) -> Tree:
    tokens = _TOKEN.findall(line)
    try:
        name, drivers, driver, sinks = tokens[0], int(tokens[1]), tokens[2], int(tokens[3])
        branches: list[Branch] = []
        path = [-1]
        values = iter(tokens[4:])
        for token in values:
            if token == "(":
                ohm, picofarad = float(next(values)), float(next(values))
                branches.append(Branch(ohm=ohm, picofarad=picofarad, parent=path[-1]))
                path.append(len(branches) - 1)
            elif token == ")":
                path.pop()
            elif token != ",":
                # No wire between them and the end of the last one.
                branches.append(Branch(ohm=0.0, picofarad=0.0, parent=path[-1], pin=token))
        pins = [driver, *(branch.pin for branch in branches if branch.pin is not None)]
        is_lost = _LOST in pins or len(set(pins)) < len(pins)
        if is_lost:
            branches = _first_places(branches, driver)
    except (ValueError, IndexError, StopIteration) as error:
        raise InputError(f"net must be what qrouter writes, not {line[:40]!r}") from error
    found = sum(branch.pin is not None for branch in branches)
    if drivers != 1 or len(path) != 1 or found != sinks:
        raise InputError(
            f"net {name} must have one driver and {sinks} sinks as it says, not {drivers} and "
            f"{found}"
        )
    return Tree(net=name, driver=driver, branches=tuple(branches), is_lost=is_lost)


def _first_places(branches: list[Branch], driver: str) -> list[Branch]:
    """Return branches that have each sink once, where it is first, no driver and no `ERROR`."""
    seen = {_LOST, driver}
    found = []
    for branch in branches:
        repeats = branch.pin in seen
        seen.add(branch.pin or _LOST)
        found.append(dataclasses.replace(branch, pin=None) if repeats else branch)
    return found


def to_spef(name: str, trees: list[Tree], inputs: tuple[str, ...], outputs: tuple[str, ...]) -> str:
    """Return the wires of a block as SPEF.

    Parameters
    ----------
    name
        Of the block.
    trees
        Its nets.
    inputs, outputs
        Its ports.
    """
    ports = [f"{port} I" for port in inputs] + [f"{port} O" for port in outputs]
    parts = [_HEAD.format(name=name, ports="\n".join(ports))]
    for tree in trees:
        parts.append("\n".join(_net_lines(tree)))
    return "\n".join(parts) + "\n"


def _net_lines(tree: Tree) -> Iterator[str]:
    """Yield a net: its pins, capacitors at the ends of branches, resistors."""

    def node(number: int) -> str:
        if number == -1:
            return _pin_name(tree.driver)
        pin = tree.branches[number].pin
        return f"{tree.net}:{number + 1}" if pin is None else _pin_name(pin)

    yield f"\n*D_NET {tree.net} {tree.picofarad:.6g}"
    yield "*CONN"
    yield _connection(tree.driver, "I" if tree.driver.startswith("PIN/") else "O")
    for branch in tree.branches:
        if branch.pin is not None:
            yield _connection(branch.pin, "O" if branch.pin.startswith("PIN/") else "I")
    yield "*CAP"
    for number, branch in enumerate(tree.branches):
        if branch.picofarad:
            yield f"{number + 1} {node(number)} {branch.picofarad:.6g}"
    yield "*RES"
    for number, branch in enumerate(tree.branches):
        yield f"{number + 1} {node(branch.parent)} {node(number)} {max(branch.ohm, 1e-3):.6g}"
    yield "*END"


def _pin_name(pin: str) -> str:
    cell, _, own = pin.partition("/")
    return own if cell == "PIN" else f"{cell}:{own}"


def _connection(pin: str, side: str) -> str:
    return f"*{'P' if pin.startswith('PIN/') else 'I'} {_pin_name(pin)} {side}"
