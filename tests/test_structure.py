"""The floor plan: imports point one way, and heavy libraries stay where they are used."""

from __future__ import annotations

import ast
import functools
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

ALLOWED = {
    "system": set(),
    "gscn": {"system"},
    "lowering": {"gscn", "system"},
    "emulator": {"gscn", "system"},
    "cycles": {"gscn", "system"},
    "hw": {"gscn"},
    "golden": {"gscn", "system"},
    "driver": {"gscn", "system", "lowering"},
    "rtl_gen": {"gscn", "system", "hw", "driver"},
    "perf": {"gscn", "system", "lowering", "cycles", "golden"},
    "cosim": {"gscn", "system", "lowering", "cycles", "hw", "golden", "rtl_gen"},
    "command": {
        *("gscn", "system", "lowering", "emulator", "cycles", "golden", "rtl_gen", "perf"),
        *("cosim", "driver"),
    },
    "formal": {"gscn", "system", "hw"},
    "soc": {
        *("gscn", "system", "lowering", "emulator", "rtl_gen", "cosim", "command", "driver"),
    },
    "benchmarks": {
        *("gscn", "system", "lowering", "emulator", "cycles", "hw", "golden", "rtl_gen", "perf"),
        *("cosim", "command", "driver"),
    },
}
"""What each folder may import besides itself."""
NOT_INSTALLED = ("formal", "soc", "benchmarks")
"""Imported by the name of their folder, from the root of the repository."""

ROOMS = {
    "lowering": ("step",),
    "hw": ("dense", "pe", "port", "encode", "cluster", "core", "host"),
    "cycles": ("pe", "port", "encode", "cluster", "core"),
    "rtl_gen": ("layout",),
    "formal": ("pe", "cluster", "port", "encode", "core", "host"),
    "cosim": ("builds", "devices", "inside"),
    "golden": ("oracle", "methods", "data", "networks", "training", "traces", "operands"),
    "perf": ("workload", "rivals", "estimate", "report"),
    "perf.report": ("data", "drawing", "sections"),
}
"""Rooms of a folder, from the ground up: each may import those before it, none after it."""

AT_IMPORT, LAZILY = "at import", "inside a function"
HEAVY = {
    "torch": {
        "golden": AT_IMPORT, "command": LAZILY, "cosim": LAZILY, "benchmarks": AT_IMPORT
    },
    "cocotb": {"cosim": AT_IMPORT},
    "amaranth": {
        "hw": AT_IMPORT, "rtl_gen": AT_IMPORT, "cosim": AT_IMPORT, "formal": AT_IMPORT,
        "benchmarks": LAZILY,
    },
    "sklearn": {"golden": AT_IMPORT},
    "torchvision": {"golden": LAZILY},
    "onnx": {"perf": LAZILY},
    "yaml": {"perf": LAZILY},
    "timm": {"golden": LAZILY},
    "numba": {"system": AT_IMPORT},
    "matplotlib": {"command": LAZILY, "benchmarks": AT_IMPORT},
    "rich": {"command": LAZILY},
    "jinja2": {"perf": AT_IMPORT},
    "dask": {"cosim": LAZILY},
    "distributed": {"cosim": LAZILY},
    "litex": {"soc": AT_IMPORT},
    "migen": {"soc": AT_IMPORT},
}  # fmt: skip
"""Who may import each heavy library, and from where."""
LAZY_MODULES = ("gscn.cosim.quiet_cluster",)
"""These have classes of heavy libraries' classes, and are themselves imported inside functions."""


def module_of(path: Path) -> str:
    """Return the name by which a source is imported."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    parts = parts[:-1] if parts[-1] == "__init__" else parts
    return ".".join(parts if parts[0] in ("gscn", *NOT_INSTALLED) else ("gscn", *parts))


def package_of(module: str) -> str | None:
    """Return the folder of `ALLOWED` that a module belongs to; None if it is not ours."""
    first, *rest = module.split(".")
    if first in NOT_INSTALLED:
        return first
    if first != "gscn":
        return None
    return rest[0] if rest and rest[0] in ALLOWED else "gscn"


@functools.cache  # every rule asks for those of every file
def imports(source: str) -> tuple[tuple[str, bool, int], ...]:
    """Return (module, whether inside a function, line) of every import in a Python source."""
    found = []

    def visit(node: ast.AST, lazy: bool) -> None:
        if isinstance(node, ast.Import):
            found.extend((alias.name, lazy, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"line {node.lineno}: imports are absolute"
            # `from gscn import command` imports a folder that `gscn` alone does not name.
            found.extend((f"{node.module}.{alias.name}", lazy, node.lineno) for alias in node.names)
        elif isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            # Types for the reader; nothing is loaded when the program runs.
            for child in node.body:
                visit(child, True)
            for child in node.orelse:
                visit(child, lazy)
            return
        inner = lazy or isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        for child in ast.iter_child_nodes(node):
            if not isinstance(child, ast.expr):  # in which no statement is
                visit(child, inner)

    visit(ast.parse(source), False)
    return tuple(found)


def violations(module: str, source: str) -> list[str]:
    """Return what is wrong with the imports of one module."""
    package, wrong = package_of(module), []
    assert package is not None
    for target, inside, line in imports(source):
        lazy = inside or module in LAZY_MODULES
        if target.startswith(LAZY_MODULES) and not lazy:
            wrong.append(f"line {line}: {package} imports {target} only {LAZILY}")
        other = package_of(target)
        if other is None and target.split(".")[0] in ALLOWED:
            wrong.append(f"line {line}: {target} is imported as gscn.{target}")
        elif other not in (None, package) and other not in ALLOWED[package]:
            wrong.append(f"line {line}: {package} must not import {other}")
        wrong += [f"line {line}: {what}" for what in rooms_above(module, target)]
        library = target.split(".")[0]
        if library in HEAVY:
            where = HEAVY[library].get(package)
            if where is None:
                wrong.append(f"line {line}: {package} must not import {library}")
            elif where == LAZILY and not lazy:
                wrong.append(f"line {line}: {package} imports {library} only {LAZILY}")
    return wrong


def rooms_above(module: str, target: str) -> list[str]:
    """Return what is wrong with an import between two rooms of one folder."""
    wrong = []
    for folder, rooms in ROOMS.items():
        stem = f"{folder}." if folder in NOT_INSTALLED else f"gscn.{folder}."
        here, there = (
            name.removeprefix(stem).split(".")[0] if name.startswith(stem) else None
            for name in (module, target)
        )
        if here in rooms and there in rooms and rooms.index(there) > rooms.index(here):
            wrong.append(f"{folder}: {here} must not import {there}")
    return wrong


def circles(arrows: Mapping[str, Iterable[str]]) -> list[list[str]]:
    """Return the names that reach themselves, along arrows; those of one circle together."""
    reach: dict[str, set[str]] = {}
    for start in arrows:
        seen: set[str] = set()
        waiting = list(arrows[start])
        while waiting:
            one = waiting.pop()
            if one not in seen:
                seen.add(one)
                waiting.extend(arrows.get(one, ()))
        reach[start] = seen
    rings = {
        tuple(sorted(two for two in reach[one] if one in reach.get(two, ())))
        for one in arrows
        if one in reach[one]
    }
    return [list(ring) for ring in sorted(rings)]


@functools.cache
def sources() -> tuple[Path, ...]:
    """Return every source file of the project, tests excluded."""
    return tuple(path for top in ALLOWED for path in sorted((ROOT / top).rglob("*.py")))


def offenders(paths: Iterable[Path], wrong: Callable[[Path], list[str]]) -> dict[str, list[str]]:
    """Return what is wrong with each file, by its path; files with which nothing is are left out.

    A test per file, of thousands, would take longer than what it looks at.
    """
    found = ((path.relative_to(ROOT).as_posix(), wrong(path)) for path in paths)
    return {name: what for name, what in found if what}


def test_there_are_sources_in_every_folder_and_room():
    assert {package_of(module_of(path)) for path in sources()} == set(ALLOWED)
    folders = {path.parent.relative_to(ROOT).as_posix() for path in sources()}
    rooms = {f"{top.replace('.', '/')}/{room}" for top, names in ROOMS.items() for room in names}
    assert rooms <= folders


def test_every_folder_with_rooms_has_its_place_in_the_plan():
    rooms = {f"{top.replace('.', '/')}/{room}" for top, names in ROOMS.items() for room in names}
    inner = {path.parent.relative_to(ROOT).as_posix() for path in sources()}
    assert {name for name in inner if "/" in name} == rooms


def test_imports_point_one_way():
    def wrong(path):
        return violations(module_of(path), path.read_text(encoding="utf-8"))

    assert offenders(sources(), wrong) == {}


def arrows_between(names: Mapping[str, str]) -> dict[str, set[str]]:
    """Return which of `names`' values import which; names are of modules, values their places."""
    found: dict[str, set[str]] = {place: set() for place in names.values()}
    for path in sources():
        module = module_of(path)
        for target, _, _ in imports(path.read_text(encoding="utf-8")):
            known = target if target in names else target.rpartition(".")[0]
            if module in names and known in names and names[known] != names[module]:
                found[names[module]].add(names[known])
    return found


def test_no_file_imports_itself_through_others():
    # A package's face hands names of its files on.
    files = {
        module_of(path): path.relative_to(ROOT).as_posix()
        for path in sources()
        if path.name != "__init__.py"
    }
    assert circles(arrows_between(files)) == []


def test_no_room_imports_itself_through_others():
    rooms = {}
    for path in sources():
        if path.name == "__init__.py":
            continue
        place = path.parent.relative_to(ROOT).as_posix()
        # What lies beside rooms is a room of its own.
        alone = place.replace("/", ".") in ROOMS
        rooms[module_of(path)] = f"{place}/{path.stem}" if alone else place
    assert circles(arrows_between(rooms)) == []


def test_circles_are_found():
    assert circles({"a": ["b"], "b": ["c"], "c": ["b", "d"], "d": []}) == [["b", "c"]]
    assert circles({"a": ["b"], "b": []}) == []


@pytest.mark.parametrize(
    ("module", "source", "message"),
    [
        ("gscn.conv", "import gscn.lowering.plan", "gscn must not import lowering"),
        ("gscn.conv", "from gscn import command", "gscn must not import command"),
        ("gscn.system.files", "from gscn.conv import Pass", "system must not import gscn"),
        ("gscn.system.files", "from gscn.errors import InputError", "system must not import gscn"),
        ("gscn.lowering.plan", "from gscn.hw import pe", "lowering must not import hw"),
        ("gscn.lowering.plan", "def f():\n    import torch", "lowering must not import torch"),
        ("gscn.emulator.passes", "from gscn.lowering import lower_pass", "not import lowering"),
        ("gscn.command.main", "import torch", "command imports torch only inside a function"),
        ("formal.run", "import gscn.rtl_gen", "formal must not import rtl_gen"),
        ("gscn.hw.fifo", "from formal import probe", "hw must not import formal"),
        ("gscn.hw.pe.worker", "from gscn.hw.port import pieces", "hw: pe must not import port"),
        ("gscn.perf.workload.flops", "from gscn.perf.report import build", "not import report"),
        ("gscn.perf.dense_array", "import cocotb", "perf must not import cocotb"),
        ("gscn.perf.dense_array", "import hw.fifo", "hw.fifo is imported as gscn.hw.fifo"),
        ("gscn.cosim.layer", "from gscn.cosim.quiet_cluster import x", "only inside a function"),
        (
            "gscn.golden.oracle.floats",
            "if TYPE_CHECKING:\n    from gscn.golden.traces.trace import Trace",
            "golden: oracle must not import traces",
        ),
    ],
)
def test_the_check_sees_a_wrong_import(module, source, message):
    (found,) = violations(module, source)
    assert message in found


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("gscn.command.train", "def run():\n    import torch\n    from gscn.cosim import run"),
        ("gscn.golden.oracle.floats", "import torch\nfrom gscn.conv import ConvShape"),
        ("gscn.cosim.layer", "from gscn.cycles import passes"),
        ("gscn.system.files", "from gscn.system.errors import InputError"),
    ],
)
def test_the_check_accepts_a_right_import(module, source):
    assert violations(module, source) == []


def test_every_module_opens_with_one_sentence():
    def wrong(path):
        docstring = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
        first = docstring.splitlines()[0] if docstring else "no module docstring"
        return [] if first.endswith(".") else [first]

    assert offenders(sources(), wrong) == {}


def test_no_file_is_called_utils_or_old():
    names = [path.stem for path in sources()]
    assert [n for n in names if n in {"utils", "util", "helpers"} or n.endswith("_old")] == []
