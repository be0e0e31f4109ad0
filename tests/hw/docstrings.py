"""The facts that a component's docstring states, read from its text."""

from __future__ import annotations

import inspect
import re
from dataclasses import dataclass

from amaranth.lib import wiring

FACTS = ("Latency", "Throughput", "Combinational", "Reset")
"""Items of the section `Timing`, in this order."""
NAME = r"`([\w.*]+)`"
NAMES = rf"{NAME}(?:, {NAME})*"


def sections(component: type[wiring.Component]) -> dict[str, list[str]]:
    """Return the lines of each section of the docstring, by its underlined title."""
    lines = (inspect.getdoc(component) or "").splitlines()
    found: dict[str, list[str]] = {}
    own: list[str] = []
    for line, below in zip(lines, [*lines[1:], ""], strict=True):
        if line and below == "-" * len(line):
            own = found.setdefault(line, [])
        elif line.strip("-"):
            own.append(line)
    return found


def lineage(component: type[wiring.Component]) -> list[type[wiring.Component]]:
    """Return what a component extends, the first one first, and itself.

    A docstring of one that extends another says what is different: the rest is that of the other.
    """
    found = [
        one
        for one in component.__mro__
        if issubclass(one, wiring.Component) and one is not wiring.Component
    ]
    return found[::-1]


def described(lines: list[str]) -> dict[str, tuple[str, str]]:
    """Return type and text of each name that a section describes: `a, b : type`, then its text."""
    found: dict[str, tuple[str, str]] = {}
    names: list[str] = []
    for line in lines:
        if line.startswith(" "):
            for name in names:
                found[name] = found[name][0], f"{found[name][1]} {line.strip()}".strip()
        else:
            head, _, kind = line.partition(" : ")
            names = head.split(", ")
            found |= {name: (kind, "") for name in names}
    return found


def facts(component: type[wiring.Component]) -> dict[str, str]:
    """Return the items of the section `Timing`."""
    found: dict[str, str] = {}
    for one in lineage(component):
        text = " ".join(line.strip() for line in sections(one).get("Timing", ()))
        items = re.split(r"(?:^|(?<=\.) )- (?=\w+: )", text)[1:]
        found |= dict(item.split(": ", 1) for item in items)
    return found


def first_sentence(text: str) -> str:
    """Return what an item says for machines too; what follows is for the reader."""
    return re.split(r"\.(?= |$)", text)[0]


@dataclass(frozen=True, kw_only=True, slots=True)
class Latency:
    """Cycles, by a constant's name, between members."""

    constant: str
    sources: tuple[str, ...]
    targets: tuple[str, ...]
    with_floats: str | None
    """Constant that holds with float formats instead, or in addition."""
    adds: bool
    memories: bool
    """Ways through memories count."""

    def cycles(self, component: type[wiring.Component], *, floats: bool) -> int:
        """Return what the constants say."""
        cycles = getattr(component, self.constant)
        if floats and self.with_floats:
            more = getattr(component, self.with_floats)
            return cycles + more if self.adds else more
        return cycles


def latencies(text: str) -> list[Latency]:
    """Return the latencies named: "`NAME` from `a` to `b`[, and from `c` to `d`]".

    Ways through memories do not count of one that ends with ", not through memories".
    """
    found = []
    for part in first_sentence(text).split("; "):
        constant = re.match(r"`(\w+)` from ", part)
        assert constant, f"no constant: {part!r}"
        floats = re.search(r", `(\w+)`( more)? with float formats", part)
        ways = re.findall(r"from ((?:`[\w.]+`(?:, )?)+) to ((?:`[\w.]+`(?:, )?)+)", part)
        assert ways, f"no way: {part!r}"
        found += [
            Latency(
                constant=constant[1],
                sources=tuple(re.findall(NAME, sources)),
                # a constant after the last comma is no member
                targets=tuple(name for name in re.findall(NAME, targets) if not name.isupper()),
                with_floats=floats[1] if floats else None,
                adds=bool(floats and floats[2]),
                memories=not part.endswith(", not through memories"),
            )
            for sources, targets in ways
        ]
    return found


def arrows(text: str) -> list[tuple[list[str], list[str]]]:
    """Return the paths named up to the first full stop: "`a`, `b` -> `c`; `d` -> `e`", or none."""
    statement = first_sentence(text)
    if statement == "none":
        return []
    found = []
    for part in statement.split("; "):
        assert re.fullmatch(rf"{NAMES} -> {NAMES}", part), f"no path: {part!r}"
        sources, targets = part.split(" -> ")
        found.append((re.findall(NAME, sources), re.findall(NAME, targets)))
    return found


@dataclass(frozen=True, kw_only=True, slots=True)
class AfterReset:
    """Outputs that are not 0 after a reset."""

    values: dict[str, int]
    undefined: dict[str, bool | None]
    """Name to whether that is so with float formats only, without only, or always (None)."""
    meaningless: tuple[str, ...]


def after_reset(text: str) -> AfterReset:
    """Return what "outputs 0, but `a` = 1 and `b`, `c` undefined" says."""
    said = re.search(r"outputs (.*?)(?:\.(?= |$)|$)", text)
    assert said, f"nothing of outputs: {text!r}"
    undefined: dict[str, bool | None] = {}
    pattern = rf"((?:{NAME}, )*{NAME}) undefined( with(out)? float formats)?"
    for match in re.finditer(pattern, said[1]):
        only = None if match[4] is None else match[5] is None
        undefined |= dict.fromkeys(re.findall(NAME, match[1]), only)
    meaningless = re.search(rf"((?:{NAME}, )*{NAME}) meaningless", said[1])
    return AfterReset(
        values={name: int(value, 0) for name, value in re.findall(rf"{NAME} = (\w+)", said[1])},
        undefined=undefined,
        meaningless=tuple(re.findall(NAME, meaningless[1])) if meaningless else (),
    )
