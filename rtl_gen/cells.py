"""Cells of a liberty file: functions, loads, delays, and the energy of a change.

Of the language all is read, of its contents what a two-dimensional library of gates and flip-flops
has. An energy in `internal_power` is in the unit of loads times the square of that of voltages.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from gscn.errors import InputError
from gscn.rtl_gen.liberty import liberty_text

_TOKEN = re.compile(r'"[^"]*"|[(){}:;,]|[^\s(){}:;,"]+')
_IGNORED = re.compile(r"/\*.*?\*/|\\\s*\n", re.DOTALL)
_TERM = re.compile(r"[()!'^*&+|]|\w+")
_LOAD = "total_output_net_capacitance"


@dataclass(frozen=True, kw_only=True, slots=True)
class Group:
    """A group of the language: `kind(names) { ... }`."""

    kind: str
    names: tuple[str, ...]
    values: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Attributes: `name : value;` and `name(value, ...);`."""
    groups: list[Group] = field(default_factory=list)

    def all(self, kind: str) -> Iterator[Group]:
        """Yield the groups of a kind in it."""
        return (one for one in self.groups if one.kind == kind)

    def value(self, name: str, default: str = "") -> str:
        """Return an attribute of one value."""
        return self.values.get(name, (default,))[0]


@dataclass(frozen=True, kw_only=True, slots=True)
class Table:
    """Values over a load and the transition of an input; one of either may have one point."""

    loads: tuple[float, ...]
    transitions: tuple[float, ...]
    values: tuple[tuple[float, ...], ...]
    """A row for each load."""

    def at(self, load: float, transition: float) -> float:
        """Return the value between the four points around; beyond the ends, that of the end."""
        row, above = _place(self.loads, load)
        column, right = _place(self.transitions, transition)
        first, second = self.values[row], self.values[min(row + 1, len(self.loads) - 1)]
        after = min(column + 1, len(self.transitions) - 1)
        return (1 - above) * ((1 - right) * first[column] + right * first[after]) + above * (
            (1 - right) * second[column] + right * second[after]
        )


def _place(points: tuple[float, ...], value: float) -> tuple[int, float]:
    """Return the point before a value, and the share of the way to the next."""
    if value <= points[0] or len(points) == 1:
        return 0, 0.0
    if value >= points[-1]:
        return len(points) - 1, 0.0
    index = bisect_right(points, value) - 1
    return index, (value - points[index]) / (points[index + 1] - points[index])


@dataclass(frozen=True, kw_only=True, slots=True)
class Edges:
    """What a rising and a falling edge of a pin have of something."""

    rise: Table
    fall: Table


@dataclass(frozen=True, kw_only=True, slots=True)
class Output:
    """Output of a cell."""

    function: str
    """Verilog expression of the cell's inputs; of a register, of its data inputs at the clock."""
    delays: tuple[Edges, ...]
    """Nanoseconds, by related input."""
    transitions: tuple[Edges, ...]
    energies: tuple[Edges, ...]
    """Picojoules of an edge, without that of the load."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Cell:
    """A gate, or a register without set or reset: a flip-flop or a latch."""

    name: str
    area: float
    loads: Mapping[str, float]
    """Picofarads of each input."""
    outputs: Mapping[str, Output]
    clock: str | None
    """Input at whose rising edge a flip-flop takes its data; None: it is no register."""
    latch: bool = False
    """It lets its data through as long as `clock` is high."""
    input_energies: Mapping[str, Edges]
    """Picojoules of an edge of an input, whatever the outputs do."""


@dataclass(frozen=True, kw_only=True, slots=True)
class CellLibrary:
    """The cells of a liberty file, those that are gates or plain registers."""

    cells: Mapping[str, Cell]
    voltage: float
    """Volts."""

    def __getitem__(self, name: str) -> Cell:
        """Return a cell; raise `InputError` if there is none of that name."""
        if name not in self.cells:
            raise InputError(f"cell must be a gate or register of the liberty, not {name!r}")
        return self.cells[name]

    @property
    def latch(self) -> Cell | None:
        """A latch of one data input and one output, if the library has any."""
        found = (one for one in self.cells.values() if one.latch)
        return next((one for one in found if len(one.loads) == 2 and len(one.outputs) == 1), None)


def parse_liberty(text: str) -> Group:
    """Return the outermost group of a liberty file.

    Raises
    ------
    InputError
        The text ends too early.
    """
    tokens = iter(_TOKEN.findall(_IGNORED.sub(" ", text)))
    outermost = Group(kind="", names=())
    try:
        _read_into(outermost, tokens)
    except StopIteration as error:
        raise InputError("liberty must have an end for each of its groups") from error
    if len(outermost.groups) != 1:
        raise InputError(f"liberty must be one library, not {len(outermost.groups)}")
    return outermost.groups[0]


def _read_into(group: Group, tokens: Iterator[str]) -> None:
    for token in tokens:
        if token == "}":
            return
        if token == ";":
            continue
        mark = next(tokens)
        if mark == ":":
            words = [*iter(lambda: next(tokens), ";")]
            group.values[token] = (" ".join(words).strip('"'),)
            continue
        if mark != "(":
            raise InputError(f"liberty must have : or ( behind {token!r}, not {mark!r}")
        names = tuple(word.strip('"') for word in iter(lambda: next(tokens), ")") if word != ",")
        # what follows belongs to the group or is the next statement
        behind = next(tokens)
        if behind == "{":
            inner = Group(kind=token, names=names)
            _read_into(inner, tokens)
            group.groups.append(inner)
        elif behind == ";":
            group.values[token] = names
        else:
            raise InputError(f"liberty must have {{ or ; behind {token}(...), not {behind!r}")
    if group.kind:
        raise StopIteration


def read_cells(liberty: Path) -> CellLibrary:
    """Read a liberty file.

    Parameters
    ----------
    liberty
        Its units must be nanoseconds, volts and picofarads.

    Raises
    ------
    InputError
        It is missing, in other units, or no liberty file.
    """
    library = parse_liberty(liberty_text(liberty))
    units = library.value("time_unit"), library.value("voltage_unit")
    load = library.values.get("capacitive_load_unit", ())
    if units != ("1ns", "1V") or (*map(str.lower, load),) not in (("1", "pf"), ("1.0", "pf")):
        raise InputError(f"liberty must be in ns, V and pF, not {', '.join((*units, *load))}")
    templates = {
        one.names[0]: tuple(one.value(f"variable_{place}") for place in (1, 2))
        for one in library.groups
        if one.kind in ("lu_table_template", "power_lut_template")
    }
    found = (_cell(group, templates) for group in library.all("cell"))
    return CellLibrary(
        cells={one.name: one for one in found if one is not None},
        voltage=float(library.value("nom_voltage")),
    )


def _cell(group: Group, templates: Mapping[str, tuple[str, ...]]) -> Cell | None:
    """Return a cell; None for one that is neither a gate nor a plain register."""
    pins = {one.names[0]: one for one in group.all("pin")}
    registers = [*group.all("ff"), *group.all("latch")]
    inputs = {name: one for name, one in pins.items() if one.value("direction") == "input"}
    clock, state, latch = None, {}, any(group.all("latch"))
    if registers:
        (held, *_) = registers
        clock = held.value("enable" if latch else "clocked_on")
        if clock not in inputs or {"clear", "preset"} & set(held.values):
            return None
        inverted = held.names[1:2]
        kept = held.value("data_in" if latch else "next_state")
        state = {held.names[0]: kept}
        state |= {name: f"!({kept})" for name in inverted}
    outputs = {}
    for name, one in pins.items():
        if name in inputs:
            continue
        function = one.value("function")
        function = state.get(function, function)
        if not function or "three_state" in one.values:
            return None
        expression = verilog_expression(function)
        if not set(re.findall(r"\w+", expression)) <= set(inputs):
            return None
        timing = [*one.all("timing")]
        outputs[name] = Output(
            function=expression,
            delays=_edges(timing, "cell_rise", "cell_fall", templates),
            transitions=_edges(timing, "rise_transition", "fall_transition", templates),
            energies=_edges(one.all("internal_power"), "rise_power", "fall_power", templates),
        )
    powers = {
        name: _edges(one.all("internal_power"), "rise_power", "fall_power", templates)
        for name, one in inputs.items()
    }
    return Cell(
        name=group.names[0],
        area=float(group.value("area", "0")),
        loads={name: float(one.value("capacitance", "0")) for name, one in inputs.items()},
        outputs=outputs,
        clock=clock,
        latch=latch,
        input_energies={name: own[0] for name, own in powers.items() if own},
    )


def _edges(groups, rise: str, fall: str, templates) -> tuple[Edges, ...]:
    """Return the tables of both edges, of each of the groups that has them."""
    return tuple(
        Edges(
            rise=_table(next(one.all(rise)), templates), fall=_table(next(one.all(fall)), templates)
        )
        for one in groups
        if any(one.all(rise)) and any(one.all(fall))
    )


def _numbers(text: str) -> tuple[float, ...]:
    return tuple(float(one) for one in text.replace(",", " ").split())


def _table(group: Group, templates: Mapping[str, tuple[str, ...]]) -> Table:
    rows = tuple(_numbers(row) for row in group.values["values"])
    variables = templates.get(group.names[0], ("", "")) if group.names else ("", "")
    axes = [_numbers(group.value(f"index_{place}", "0")) for place in (1, 2)]
    if variables[0] == _LOAD:
        return Table(loads=axes[0], transitions=axes[1], values=rows)
    if variables[1] == _LOAD:
        return Table(loads=axes[1], transitions=axes[0], values=tuple(zip(*rows, strict=True)))
    if not variables[1]:  # a number, or a row over the transition alone
        return Table(loads=(0.0,), transitions=axes[0], values=rows)
    raise InputError(f"table must be over loads and transitions, not over {', '.join(variables)}")


def verilog_expression(function: str) -> str:
    """Return a function of a liberty file as an expression of Verilog, all in parentheses.

    `!` and a quote behind bind closest, then `^`, then `*`, `&` or nothing, then `+` or `|`.

    Raises
    ------
    InputError
        It is no such function.
    """
    terms = _TERM.findall(function)
    place = 0

    def peek() -> str:
        return terms[place] if place < len(terms) else ""

    def take() -> str:
        nonlocal place
        place += 1
        return terms[place - 1] if place <= len(terms) else ""

    def factor() -> str:
        one = take()
        if one == "!":
            return f"(~{factor()})"
        if one == "(":
            inside = either()
            if take() != ")":
                raise InputError(f"function must close its parentheses: {function!r}")
            one = inside
        elif not re.fullmatch(r"\w+", one):
            raise InputError(f"function must be of pins, not {function!r}")
        while peek() == "'":
            take()
            one = f"(~{one})"
        return one

    def chain(operators: str, symbol: str, inner) -> str:
        found = [inner()]
        while peek() and peek() in operators:
            take()
            found.append(inner())
        return found[0] if len(found) == 1 else f"({symbol.join(found)})"

    def exclusive() -> str:
        return chain("^", " ^ ", factor)

    def both() -> str:
        found = [exclusive()]
        while peek() and peek() not in "+|)":
            if peek() in "*&":
                take()
            found.append(exclusive())
        return found[0] if len(found) == 1 else f"({' & '.join(found)})"

    def either() -> str:
        return chain("+|", " | ", both)

    expression = either()
    if place != len(terms):
        raise InputError(f"function must end behind {' '.join(terms[:place])!r}: {function!r}")
    return expression
