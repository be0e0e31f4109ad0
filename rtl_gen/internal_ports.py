"""Names of the ports within generated Verilog that the converter has no name for."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from gscn.rtl_gen.modules import MODULE

_PORT = re.compile(r"^  (?:input|output) (?:\[\d+:0\] )?(\\port\$\S+) ;$", re.MULTILINE)
_WIDTH = re.compile(
    r"^  (?:input|output|wire|reg) (?:\[(\d+):0\] )?(\\\S+|\w+)\s*(?:= .*)?;$", re.MULTILINE
)
_ASSIGN = re.compile(r"^  assign (\\\S+|\w+)\s+= (.*);$", re.MULTILINE)
_INSTANCE = re.compile(
    r"^  (\\\S+|\w+) +(?:\\\S+|\w+) +\(\n((?:    \.[^\n]*\n)+)  \);$", re.MULTILINE
)
_CONNECTION = re.compile(r"^    \.(\\port\$\S+) \((.*)\),?$", re.MULTILINE)
_UNNAMED = re.compile(r"\\port\$[\w$]+ ")
_TERM = re.compile(
    r"(?P<name>\\\S+|[A-Za-z_]\w*)\s*(?:\[(?P<high>\d+)(?::(?P<low>\d+))?\])?|(?P<bits>\d+)'h\S+"
)
_ANONYMOUS = ("\\$", "\\port$")
"""How the converter begins names of its own."""


@dataclass(kw_only=True)
class _Module:
    """A module, and what is known of its ports without a name."""

    text: str
    ports: list[str]
    """Those without a name."""
    connections: dict[str, tuple[_Module, str]]
    """Of each port, where it is connected: the module around, and with what."""

    @property
    def assigns(self) -> list[tuple[str, str]]:
        """What each whole wire with a name is."""
        return [(to, of.strip()) for to, of in _ASSIGN.findall(self.text) if _is_named(to)]

    @property
    def widths(self) -> dict[str, int]:
        """Bits of each port, wire and register."""
        return {name: int(high or 0) + 1 for high, name in _WIDTH.findall(self.text)}


def _is_named(name: str) -> bool:
    return not name.startswith(_ANONYMOUS)


def name_ports(text: str) -> str:
    """Give ports of modules within a design the name of the signal that they carry.

    The converter makes a port for each run of bits that a module takes from another, and names it
    by a signal of just these bits; if there is none, by numbers that change with everything else
    (`port$996$146`). Here such a port gets the name of the signal of its module that it is a part
    of, with the number of its lowest bit there, or of that of the module around. Nothing else
    changes.

    Parameters
    ----------
    text
        Verilog as Amaranth writes it, with all its wires.
    """
    if not _UNNAMED.search(text):
        return text
    modules = {
        found["name"]: _Module(text=found[0], ports=_PORT.findall(found[0]), connections={})
        for found in MODULE.finditer(text)
    }
    for around in modules.values():
        for child, connections in _INSTANCE.findall(around.text):
            for port, value in _CONNECTION.findall(connections):
                modules[child].connections[port] = around, value
    names = {name: _names(module) for name, module in modules.items()}
    return MODULE.sub(lambda found: _renamed(found[0], names[found["name"]], names), text)


def _names(module: _Module) -> dict[str, str]:
    """Return the new name of each port without one, as far as there is one."""
    found: dict[str, str] = {}
    taken = {name.removeprefix("\\") for name in module.widths}
    for port in module.ports:
        name = next(_candidates(module, port), None)
        if name is None:
            continue
        unique, number = name, 1
        while unique in taken:
            number += 1
            unique = f"{name}_{number}"
        taken.add(unique)
        found[port] = unique
    return found


def _candidates(module: _Module, port: str) -> Iterator[str]:
    """Yield what a port may be called, the best name first."""
    yield from _carriers(module, port)
    if port in module.connections:
        around, value = module.connections[port]
        for name, low, _ in _terms(value, {}):
            if name is not None and _is_named(name):
                yield _plain(name, low)
        yield from _carriers(around, value)


def _carriers(module: _Module, value: str) -> Iterator[str]:
    """Yield the names of signals of a module that are a value, or have it among their bits."""
    value = value.strip()
    assigns = module.assigns
    # an output is assigned what the signal is that it is of
    same = {value, *(of for to, of in _ASSIGN.findall(module.text) if to == value)}
    yield from (_plain(to, None) for to, of in assigns if of in same)
    widths = module.widths
    for to, of in assigns:
        if of.startswith("{") and any(one in of for one in same):
            for name, low, place in _terms(of, widths):
                if name in same and low is None:
                    yield _plain(to, place)


def _terms(value: str, widths: Mapping[str, int]) -> Iterator[tuple[str | None, int | None, int]]:
    """Yield the parts of a name, or of names side by side: name, lowest bit, place in the whole.

    Nothing of a value that is anything else, or in which a width is not known.
    """
    inner = value.strip().removeprefix("{").removesuffix("}")
    found, place = [], 0
    for part in reversed(inner.split(",")):
        term = _TERM.fullmatch(part.strip())
        if term is None:
            return
        name, low = term["name"], term["low"] or term["high"]
        found.append((name, None if low is None else int(low), place))
        if term["bits"]:
            place += int(term["bits"])
        elif term["high"]:
            place += int(term["high"]) - int(low) + 1
        elif name in widths:
            place += widths[name]
        elif "," in inner:
            return
    yield from found


def _plain(name: str, low: int | None) -> str:
    """Return a name that needs no escape: fields of records are set off by two underscores."""
    if re.fullmatch(r"\\\w+", name):
        name += "_signal"  # a word of the language
    name = re.sub(r"\$\d+$", "", name.removeprefix("\\"))
    name = re.sub(r"\W+", "_", name.replace(".", "__")).strip("_")
    return name if low is None else f"{name}_{low}"


def _renamed(
    module: str, own: Mapping[str, str], all_names: Mapping[str, Mapping[str, str]]
) -> str:
    """Return a module with the new names of its own ports, and of those of its instances."""

    def connect(found: re.Match[str]) -> str:
        inner = all_names.get(found[1], {})
        return re.sub(
            r"(?<=^    \.)\\port\$\S+ (?=\()",
            lambda port: inner.get(port[0][:-1], port[0]),
            found[0],
            flags=re.MULTILINE,
        )

    # ports of instances first: they may be called as those of the module around
    module = _INSTANCE.sub(connect, module)
    return re.sub(
        r"(?<!\.)" + _UNNAMED.pattern, lambda one: own.get(one[0][:-1], one[0][:-1]) + " ", module
    )
