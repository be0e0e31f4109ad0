"""What a placed and routed block is, from its DEF and the LEF of its cells."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from gscn.errors import InputError

_SIZE = re.compile(r"^\s*SIZE\s+([\d.]+)\s+BY\s+([\d.]+)\s*;", re.MULTILINE)
_MACRO = re.compile(r"^MACRO\s+(\S+)$(.*?)^END\s+\1\s*$", re.MULTILINE | re.DOTALL)
_UNITS = re.compile(r"^UNITS DISTANCE MICRONS (\d+) ;", re.MULTILINE)
_AREA = re.compile(r"^DIEAREA((?: \( -?\d+ -?\d+ \)){2}) ;", re.MULTILINE)
_STEP = re.compile(r"\(\s*(-?\d+|\*)\s+(-?\d+|\*)\s*\)|([A-Za-z]\w*)")
_PIN = re.compile(r"\(\s*(\S+)\s+(\S+)\s*\)")


@dataclass(frozen=True, kw_only=True, slots=True)
class Wire:
    """A straight wire, in units of the DEF."""

    layer: str
    start: tuple[int, int]
    end: tuple[int, int]

    @property
    def length(self) -> int:
        """From end to end, between the middles of both."""
        return sum(abs(b - a) for a, b in zip(self.start, self.end, strict=True))


@dataclass(frozen=True, kw_only=True, slots=True)
class Via:
    """Where a net goes from one layer to the next."""

    name: str
    """As the technology calls it: `M2_M1`."""
    at: tuple[int, int]


@dataclass(frozen=True, kw_only=True, slots=True)
class Net:
    """A net that connects two pins or more."""

    pins: tuple[tuple[str, str], ...]
    """Cell and its pin; ports are pins of the cell `PIN`."""
    length: Mapping[str, float] = field(default_factory=dict)
    """Micrometres of wire by layer."""
    vias: int = 0
    """Changes from one layer to the next."""
    is_routed: bool = False
    """Whether there is any wire of it; a net of one pin needs none."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Placed:
    """A block as it lies."""

    width: float
    """Of the die, micrometres; its pins are at the border."""
    height: float
    cells: Mapping[str, str]
    """Name of each cell, fillers included, to its kind."""
    nets: Mapping[str, Net]
    """Those that the router sees: not power."""

    @property
    def unrouted(self) -> list[str]:
        """Names of nets that have pins to be connected and no wire."""
        return [name for name, net in self.nets.items() if len(net.pins) > 1 and not net.is_routed]

    def wire_length(self) -> dict[str, float]:
        """Return the micrometres of wire by layer."""
        found: Counter[str] = Counter()
        for net in self.nets.values():
            found.update(net.length)
        return dict(sorted(found.items()))

    @property
    def vias(self) -> int:
        """Changes of layer, of all nets."""
        return sum(net.vias for net in self.nets.values())


def read_sizes(lef: str) -> dict[str, tuple[float, float]]:
    """Return width and height of each cell, micrometres, from a LEF.

    Raises
    ------
    InputError
        It has no cells, or one without a size.
    """
    found = {}
    for name, body in _MACRO.findall(lef):
        size = _SIZE.search(body)
        if size is None:
            raise InputError(f"cell {name} must have a SIZE in its LEF")
        found[name] = (float(size[1]), float(size[2]))
    if not found:
        raise InputError("LEF must have cells (MACRO)")
    return found


def read_def(text: str) -> Placed:
    """Read a DEF of placed cells and routed nets.

    Parameters
    ----------
    text
        The DEF, as qrouter writes it.

    Raises
    ------
    InputError
        It has no units, die, components or nets, or another number of them than it says.
    """
    units, die = _UNITS.search(text), _AREA.search(text)
    if units is None or die is None:
        raise InputError("DEF must have UNITS and DIEAREA")
    scale = int(units[1])
    corners = [int(value) for value in re.findall(r"-?\d+", die[1])]
    cells = dict(one.split()[:2] for one in _section(text, "COMPONENTS"))
    nets = {}
    for one in _section(text, "NETS"):
        head, _, routes = one.partition("+ ROUTED")
        name, _, pins = head.partition(" ")
        wires, vias = read_routes(routes)
        length: Counter[str] = Counter()
        for wire in wires:
            length[wire.layer] += wire.length / scale
        nets[name.strip()] = Net(
            pins=tuple(_PIN.findall(pins)),
            length=dict(length),
            vias=len(vias),
            is_routed=bool(routes),
        )
    return Placed(
        width=(corners[2] - corners[0]) / scale,
        height=(corners[3] - corners[1]) / scale,
        cells=cells,
        nets=nets,
    )


def _section(text: str, name: str) -> Iterator[str]:
    """Yield what each item of a section says, between `-` and `;`."""
    found = re.search(rf"^{name} (\d+) ;(.*?)^END {name}$", text, re.MULTILINE | re.DOTALL)
    if found is None:
        raise InputError(f"DEF must have a section {name}")
    items = re.findall(r"^\s*- (.*?);", found[2], re.MULTILINE | re.DOTALL)
    if len(items) != int(found[1]):
        raise InputError(f"{name} of a DEF must be {found[1]} as it says, not {len(items)}")
    yield from (" ".join(item.split()) for item in items)


def read_routes(routes: str) -> tuple[list[Wire], list[Via]]:
    """Return the wires and vias of a net, from what follows `+ ROUTED`."""
    wires, vias = [], []
    for path in re.split(r"\bNEW\b", routes):
        layer, _, rest = path.strip().partition(" ")
        here: tuple[int, int] | None = None
        for x, y, via in _STEP.findall(rest):
            if via:
                if here is not None:  # else it says how wide the wire is
                    vias.append(Via(name=via, at=here))
                continue
            there = (_coordinate(x, 0, here), _coordinate(y, 1, here))
            if here is not None:
                wires.append(Wire(layer=layer, start=here, end=there))
            here = there
    return wires, vias


def _coordinate(text: str, axis: int, before: tuple[int, int] | None) -> int:
    return before[axis] if text == "*" and before is not None else int(text)
