"""Which lines of the generated Verilog the default tests execute, and which bits change in them.

Tests of the default tier that simulate an array and a machine run on simulators that count
(`gscn.cosim.builds.coverage`), docs/results/coverage.md. What need not be covered,
and why, is in `benchmarks.coverage_waivers`.
"""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
import textwrap
from collections import Counter
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any, NamedTuple

from benchmarks.coverage_machine import MACHINE, MACHINE_WAIVERS
from benchmarks.coverage_waivers import ALL, FLOATS, WAIVERS, Waiver, bit_of
from benchmarks.markdown import percent, table
from benchmarks.pages import ROOT, Page
from gscn.array import array
from gscn.cosim.builds import coverage as builds
from gscn.cosim.coverage import KINDS, LINE, Point, gather, simulators
from gscn.errors import InputError
from gscn.rtl_gen import AXI_TOP_MODULE, TOP_MODULE
from gscn.system.cache import VARIABLE as CACHE_VARIABLE

CACHE = ROOT / "build" / "coverage"
"""Simulators that count, and what they counted."""


class Part(NamedTuple):
    """Designs whose modules are counted together."""

    name: str
    designs: tuple[str, ...]
    files: tuple[str, ...]
    """Tests that simulate them."""
    components: tuple[str, ...]
    """Patterns of the components that count."""
    waivers: tuple[Waiver, ...]
    exact: bool
    """Whether no waiver may match a point that is covered."""
    title: str
    what: str
    """The designs, in words."""


PARTS = (
    Part(
        "array",
        (
            f"{array('tiny').digest()}/{AXI_TOP_MODULE}",
            f"{FLOATS.digest()}/{TOP_MODULE}",
        ),
        (
            *("launch", "long_passes", "wild_passes", "damaged_lists", "places"),
            *("axi", "axi_runs", "registers"),
        ),
        ("*",),
        WAIVERS,
        False,
        "Array",
        "The preset `tiny` behind AXI, and the array `tiny` with all formats of floating point.",
    ),
    Part(
        "machine",
        (f"{MACHINE.digest()}/{TOP_MODULE}",),
        ("wild_lists", "lists"),
        ("top.encode*", "top.listed", "top.listed.[!a]*"),
        MACHINE_WAIVERS,
        True,
        "Machine",
        "The machine of the tests of lists: 16 multipliers, bf16. Its encode unit, its sequencer "
        "of lists, and what joins them count; its array is that of above in another size.",
    ),
)
TESTS = (
    *(f"tests/cosim/test_{name}.py" for part in PARTS for name in part.files),
    *("-m", "cosim and not slow"),
)
"""For pytest: tests of the default tier that simulate the designs with random and wrong lists."""
COLUMNS = 100
"""Of a line of text."""
MOST = 20
"""Signals of which the page names what is not covered."""


def run(tests: Sequence[str] = TESTS) -> None:
    """Run tests on simulators that count, from nothing.

    Raises
    ------
    InputError
        A test fails.
    """
    for folder in simulators(CACHE):
        for path in (folder / builds.FOLDER).glob("*.dat"):
            path.unlink()
    environment = {**os.environ, builds.VARIABLE: "1", CACHE_VARIABLE: str(CACHE)}
    command = [sys.executable, "-m", "pytest", "-q", *tests]
    status = subprocess.run(command, cwd=ROOT, env=environment, check=False).returncode
    if status:
        raise InputError(f"tests must pass on simulators that count: pytest exited with {status}")


def _signal(point: Point) -> tuple[str, ...]:
    return point.component, point.text, point.kind, point.source


def waived(
    counts: Mapping[Point, int], waivers: Sequence[Waiver], *, exact: bool
) -> tuple[dict[Point, Waiver], Counter[Waiver]]:
    """Return the waiver of each point that is not covered and has one, and how many each has.

    Raises
    ------
    InputError
        A waiver has no point that is not covered; or has one that is, if they are `exact`.
    """
    widths: Counter[tuple[str, ...]] = Counter()
    for point in counts:
        widths[_signal(point)] = max(widths[_signal(point)], bit_of(point) + 1)
    found: dict[Point, Waiver] = {}
    concerned: dict[tuple[str, ...], list[Waiver]] = {}
    for point, count in counts.items():
        signal = _signal(point)
        if signal not in concerned:
            concerned[signal] = [one for one in waivers if one.concerns(point, widths[signal])]
        waiver = next(
            (one for one in concerned[signal] if one.matches(point, widths[signal])), None
        )
        if waiver is not None and not count:
            found[point] = waiver
        elif waiver is not None and exact:
            raise InputError(f"a waiver must match no point that is covered, not {point}: {waiver}")
    uses = Counter(found.values())
    for waiver in waivers:
        if waiver not in uses:
            raise InputError(f"a waiver must match a point that is not covered, not none: {waiver}")
    return found, uses


def figures(counts: Mapping[Point, int], part: Part) -> dict[str, Any]:
    """Return what the page shows of a part, plain JSON values.

    Parameters
    ----------
    counts
        How often each point was seen.
    part
        What counts, and what need not be covered.

    Raises
    ------
    InputError
        Waivers are not as `waived` wants them.
    """
    counts = {
        point: count
        for point, count in counts.items()
        if any(fnmatchcase(point.component, one) for one in part.components)
    }
    excused, uses = waived(counts, part.waivers, exact=part.exact)
    states = {
        point: "covered" if count else "waived" if point in excused else "missed"
        for point, count in counts.items()
    }
    components = {}
    ordered = sorted(counts, key=lambda point: (point.component, point.kind))
    for component, group in itertools.groupby(ordered, key=lambda point: point.component):
        tally = Counter((point.kind, states[point]) for point in group)
        components[component] = {
            kind: {state: tally[kind, state] for state in ("covered", "waived", "missed")}
            for kind in KINDS
        }
    most = Counter(
        (one.component, one.source) for one, state in states.items() if state == "missed"
    )
    return {
        "designs": sorted(part.designs),
        "components": components,
        "tests": list(part.files),
        "most": [[*names, count] for names, count in most.most_common(MOST)],
        "waivers": [{**waiver._asdict(), "points": uses[waiver]} for waiver in part.waivers],
    }


def _sum(components: Mapping[str, Any], kind: str) -> Counter[str]:
    total: Counter[str] = Counter()
    for one in components.values():
        total.update(one[kind])
    return total


def _share(tally: Mapping[str, int], *, excused: bool) -> str:
    """Write which share of points is covered; of none, a dash."""
    known = tally["covered"] + tally["missed"] + (0 if excused else tally["waived"])
    return percent(tally["covered"] / known) if known else "-"


def _cells(name: str, tallies: Mapping[str, Mapping[str, int]]) -> list[str]:
    cells = [name]
    for kind in KINDS:
        tally = tallies[kind]
        cells += [
            str(sum(tally.values())), _share(tally, excused=False), _share(tally, excused=True)
        ]  # fmt: skip
    return cells


def _place(waiver: Mapping[str, Any]) -> str:
    """Write what a waiver is about."""
    if waiver["kind"] == LINE:
        return f"line `{waiver['place']}`"
    width = waiver.get("width")
    place = f"`{waiver['place']}`" + (f" of {width} bits," if width else "")
    if [*map(tuple, waiver["bits"])] == [*ALL]:
        return place.rstrip(",")
    bits = [f"{first} to {last}" if first < last else f"{first}" for first, last in waiver["bits"]]
    return f"{place} {', '.join(bits)}"


def _rendered(data: dict[str, Any], part: Part) -> tuple[str, ...]:
    """Return the paragraphs of a part."""
    components = data["components"]
    header = ["component"]
    for kind in ("lines", "bits"):
        header += [kind, "covered", "without waived"]
    total = {kind: _sum(components, kind) for kind in KINDS}
    rows = [_cells("**all**", total)]
    rows += [_cells(f"`{name}`", one) for name, one in components.items()]
    waivers = [
        [f"`{one['component']}`", _place(one), str(one["points"]), one["why"]]
        for one in data["waivers"]
    ]
    paragraphs = (
        f"## {part.title}",
        textwrap.fill(
            _TEXT.format(
                what=part.what,
                tests=", ".join(f"`test_{name}`" for name in data["tests"]),
                line=_share(total["line"], excused=True),
                toggle=_share(total["toggle"], excused=True),
            ),
            COLUMNS,
        ),
        table(header, rows),
        "### Where most is missing",
        table(
            ["component", "signal or line", "points"],
            [[f"`{component}`", f"`{name}`", str(n)] for component, name, n in data["most"]],
        ),
    )
    if not waivers:
        return paragraphs
    return (
        *paragraphs,
        "### What need not be covered",
        "Patterns are of the shell; `points` are those that match and were not covered.",
        table(["component", "what", "points", "why"], waivers),
    )


def render(data: dict[str, Any]) -> str:
    """Return the page."""
    parts = [paragraph for part in PARTS for paragraph in _rendered(data[part.name], part)]
    return "\n\n".join(("# What the default tests cover of the Verilog", _INTRODUCTION, *parts))


_INTRODUCTION = """\
How much of the generated Verilog those tests of the default tier execute that give designs random,
long and wrong lists (`tests/cosim`), and which changes of its bits they make.

A *line* is a block, a branch of an `if` (also one that is not written), or an arm of a `case`; a
*bit* counts twice, for its change to 1 and for that to 0. Counted are ports, registers and named
nets up to 4096 bits; not nets without a name (`$1`), which are parts of expressions, nor what
memories hold, which is seen at their ports. Instances of a module count together, and modules of
several designs count as one if their Verilog is the same; otherwise each counts by itself.

Nothing is said here of the machine behind AXI, nor of what the other tests of the default tier
cover besides."""
_TEXT = """\
{what} The tests {tests} executed {line} of the lines, and {toggle} of the changes of bits, but \
for those that are waived below, if any."""


def quoted(data: dict[str, Any]) -> dict[str, str]:
    """Return figures by name, as texts take them."""
    return {
        f"{part.name}-{kind}": _share(_sum(data[part.name]["components"], kind), excused=True)
        for part in PARTS
        for kind in KINDS
    }


def compute() -> dict[str, Any]:
    """Run the tests and return what the page shows."""
    run()
    return {part.name: figures(gather(CACHE, part.designs)[0], part) for part in PARTS}


PAGE = Page(
    name="coverage",
    make=compute,
    render=render,
    parts=("hardware",),
    configs=("tiny",),
    quotes=quoted,
)
