"""What simulators have counted of the generated Verilog: lines executed, bits changed.

A *point* is a line or a branch, or a change of a bit of a signal in one direction. Modules of
several designs are the same if their Verilog is, but for the names of the modules around them; then
their points are, and a point is covered if any simulation of any of these designs covers it.
"""

from __future__ import annotations

import hashlib
import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from gscn.cosim.builds.coverage import FOLDER
from gscn.errors import InputError
from gscn.rtl_gen.modules import MODULE

LINE, TOGGLE = KINDS = ("line", "toggle")
"""Kinds of points."""
_HEAD = "# SystemC::Coverage-3"
_TOP = re.compile(r"gscn_(?:axi_)?top(?:\.core(?=[.$ ]|\Z))?")
_NUMBERS = re.compile(r"\d+")
_AROUND = re.compile(r"\\gscn_\S+|\\\$auto\S+|(?<=\w)\$\d+")
"""What differs between modules that are the same: paths of modules, numbers of names."""
_CODED = re.compile(r"__0([0-9A-F]{2})")
"""A character of a name that C++ does not take, as Verilator writes it."""


class Point(NamedTuple):
    """What can be covered, in a module."""

    component: str
    """Path of the module from the top, without numbers of instances."""
    text: str
    """First hexadecimal digits of the SHA-256 of the module's Verilog."""
    kind: str
    """`LINE` or `TOGGLE`."""
    place: str
    """Of a line: its number in the module, and what of it; of a bit: signal[bit]:0->1."""
    source: str
    """Of a line: its text; of a bit: the signal."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Module:
    """A module of a Verilog file."""

    component: str
    text: str
    """As in `Point`."""
    first: int
    """Number of its first line in the file."""
    lines: tuple[str, ...]


def component_of(module: str) -> str:
    """Return the path of a module from the top, without numbers of instances and of names."""
    path = _TOP.sub("top", module.removeprefix("\\"), count=1)
    steps = [re.sub(r"\$\d+", "", step) for step in path.split(".")]
    return ".".join(_NUMBERS.sub("", step) or step for step in steps)


def modules(verilog: str) -> dict[str, Module]:
    """Return the modules of a file that `rtl_gen` wrote, by name without the backslash."""
    found, line, place = {}, 1, 0
    for match in MODULE.finditer(verilog):
        line += verilog.count("\n", place, match.start())
        place = match.start()
        name = match[1].removeprefix("\\")
        plain = _AROUND.sub("", match[0].partition("(")[2])
        found[name] = Module(
            component=component_of(name),
            text=hashlib.sha256(plain.encode()).hexdigest()[:12],
            first=line,
            lines=tuple(match[0].splitlines()),
        )
    return found


def read(path: Path) -> Iterator[tuple[str, int]]:
    """Yield keys of points and how often each was seen, from what a process of a simulator left.

    Raises
    ------
    InputError
        The file is not of that kind.
    """
    text = path.read_text(encoding="utf-8")
    if not text.startswith(_HEAD):
        raise InputError(f"{path} must begin with {_HEAD!r}, not {text[: len(_HEAD)]!r}")
    for line in text.splitlines()[1:]:
        key, quote, count = line.rpartition("' ")
        if not (quote and key.startswith("C '") and count.isdigit()):
            raise InputError(f"{path} must have lines C 'KEY' COUNT, not {line!r}")
        yield key[3:], int(count)


def merged(paths: Iterable[Path]) -> dict[str, int]:
    """Return how often each point was seen by processes of one simulator together.

    Raises
    ------
    InputError
        There is none, or they have different points.
    """
    keys: list[str] = []
    totals = np.zeros(0, np.int64)
    for path in paths:
        one = [*read(path)]
        names = [key for key, _ in one]
        if not keys:
            keys, totals = names, np.zeros(len(names), np.int64)
        if names != keys:
            raise InputError(f"{path} must have the points of the other files of its simulator")
        totals += np.array([count for _, count in one], np.int64)
    if not keys:
        raise InputError("a simulator must have left a file with points to be read")
    return dict(zip(keys, totals.tolist(), strict=True))


def _fields(key: str) -> dict[str, str]:
    return dict(field.partition("\2")[::2] for field in key.split("\1")[1:])


def points(counts: dict[str, int], verilog: str) -> dict[Point, int]:
    """Return the points of a design and how often each was seen.

    Parameters
    ----------
    counts
        Of keys, as `merged` returns them. Points of modules that are not of the design are left
        out: those of the testbench.
    verilog
        All modules of the design.
    """
    known = modules(verilog)
    found: dict[Point, int] = defaultdict(int)
    for key, count in counts.items():
        fields = _fields(key)
        page, _, name = fields["page"].partition("/")
        module = known.get(name)
        if module is None:
            continue
        if page == "v_toggle":
            place = _CODED.sub(lambda code: chr(int(code[1], 16)), fields["o"])
            kind, source = TOGGLE, place.partition("[")[0].partition(":")[0]
        else:
            number = int(fields["l"]) - module.first
            kind, source = LINE, module.lines[number].strip()
            place = f"{number}.{fields['n']}: {fields['o']}"
        found[Point(module.component, module.text, kind, place, source)] += count
    return dict(found)


def simulators(cache: Path) -> Iterator[Path]:
    """Yield the folders of simulators whose processes have counted something."""
    for folder in sorted(cache.glob(f"*/*/{FOLDER}")):
        if any(folder.glob("*.dat")):
            yield folder.parent


def gather(cache: Path, designs: Collection[str] = ()) -> tuple[dict[Point, int], list[str]]:
    """Return all points of the simulators in a cache, and the names of what they simulated.

    Parameters
    ----------
    cache
        Folder of simulators.
    designs
        Names of those whose modules are counted, digest of the configuration and top module with a
        slash between; by default all. Simulations of others count where a module is the same.

    Raises
    ------
    InputError
        A simulator has no Verilog beside it, its files are wrong, or one of the designs was not
        simulated.
    """
    found: dict[Point, int] = defaultdict(int)
    simulated, counted = set(), set()
    for folder in simulators(cache):
        verilog = next(folder.glob("gscn_*.v"), None)
        if verilog is None:
            raise InputError(f"{folder} must have the Verilog that it simulates beside it")
        name = f"{folder.parent.name}/{verilog.stem}"
        simulated.add(name)
        counts = points(merged(sorted((folder / FOLDER).glob("*.dat"))), verilog.read_text())
        for point, count in counts.items():
            found[point] += count
        if not designs or name in designs:
            counted.update((point.component, point.text) for point in counts)
    if missing := sorted(set(designs) - simulated):
        raise InputError(f"designs must have been simulated, not {', '.join(missing)}")
    kept = {one: n for one, n in found.items() if (one.component, one.text) in counted}
    return kept, sorted(simulated)
