"""Imports point one way, and the heavy libraries are imported only where they are used."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

ALLOWED = {
    "gscn": set(),
    "lowering": {"gscn"},
    "hw": {"gscn"},
    "golden": {"gscn"},
    "rtl_gen": {"gscn", "lowering", "hw", "golden"},
    "perf": {"gscn", "lowering", "hw", "golden"},
    "cosim": {"gscn", "lowering", "hw", "golden", "rtl_gen", "perf"},
    "gscn.cli": {"gscn", "lowering", "hw", "golden", "rtl_gen", "perf", "cosim"},
    "formal": {"gscn", "hw"},
}
"""What each package may import besides itself."""

AT_IMPORT, LAZILY = "at import", "inside a function"
HEAVY = {
    "torch": {"golden": AT_IMPORT, "gscn.cli": LAZILY, "cosim": LAZILY},
    "cocotb": {"cosim": AT_IMPORT},
    "amaranth": {"hw": AT_IMPORT, "rtl_gen": AT_IMPORT, "cosim": AT_IMPORT, "formal": AT_IMPORT},
    "sklearn": {"golden": AT_IMPORT},
    "numba": {"gscn": AT_IMPORT, "perf": AT_IMPORT, "lowering": AT_IMPORT},
    "matplotlib": {"perf": LAZILY, "gscn.cli": LAZILY},
    "rich": {"gscn.cli": LAZILY},
    "dask": {"cosim": LAZILY},
    "distributed": {"cosim": LAZILY},
}
"""Who may import each heavy library, and from where."""
LAZY_MODULES = ("cosim.quiet_cluster",)
"""These have classes of heavy libraries' classes, and are themselves imported inside functions."""


def package_of(module: str) -> str:
    """Return the package, of those in `ALLOWED`, that a dotted module name belongs to."""
    command = (["gscn", "cli"], ["gscn", "__main__"])
    return "gscn.cli" if module.split(".")[:2] in command else module.split(".")[0]


def imports(source: str) -> list[tuple[str, bool, int]]:
    """Return (module, whether inside a function, line) of every import in a Python source."""
    found = []

    def visit(node: ast.AST, lazy: bool) -> None:
        if isinstance(node, ast.Import):
            found.extend((alias.name, lazy, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"line {node.lineno}: imports are absolute"
            # `from gscn import cli` imports a package that `gscn` alone does not name.
            found.extend((f"{node.module}.{alias.name}", lazy, node.lineno) for alias in node.names)
        elif isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            # Types for the reader; nothing is loaded when the program runs.
            for child in node.body:
                visit(child, True)
            for child in node.orelse:
                visit(child, lazy)
            return
        inner = lazy or isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        for child in ast.iter_child_nodes(node):
            visit(child, inner)

    visit(ast.parse(source), False)
    return found


def violations(package: str, source: str, *, lazy_module: bool = False) -> list[str]:
    """Return what is wrong with the imports of one file of `package`."""
    wrong = []
    for module, inside, line in imports(source):
        lazy = inside or lazy_module
        if module.startswith(LAZY_MODULES) and not lazy:
            wrong.append(f"line {line}: {package} imports {module} only {LAZILY}")
        target = package_of(module)
        if target in ALLOWED and target != package and target not in ALLOWED[package]:
            wrong.append(f"line {line}: {package} must not import {target}")
        library = module.split(".")[0]
        if library in HEAVY:
            where = HEAVY[library].get(package)
            if where is None:
                wrong.append(f"line {line}: {package} must not import {library}")
            elif where == LAZILY and not lazy:
                wrong.append(f"line {line}: {package} imports {library} only {LAZILY}")
    return wrong


def sources() -> list[tuple[str, Path]]:
    """Return (package, file) of every source file of the project, tests excluded."""
    return [
        (package_of(".".join(path.relative_to(ROOT).with_suffix("").parts)), path)
        for top in ALLOWED
        if "." not in top
        for path in sorted((ROOT / top).rglob("*.py"))
    ]


def test_there_are_sources_in_the_shared_vocabulary_and_the_command():
    packages = {package for package, _ in sources()}
    assert {"gscn", "gscn.cli"} <= packages


@pytest.mark.parametrize(
    ("package", "path"), [pytest.param(*s, id=str(s[1].relative_to(ROOT))) for s in sources()]
)
def test_imports_point_one_way(package, path):
    name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
    source = path.read_text(encoding="utf-8")
    assert violations(package, source, lazy_module=name in LAZY_MODULES) == []


@pytest.mark.parametrize(
    ("package", "source", "message"),
    [
        ("gscn", "import lowering.tiles", "gscn must not import lowering"),
        ("gscn", "from gscn import cli", "gscn must not import gscn.cli"),
        ("lowering", "from hw import pe", "lowering must not import hw"),
        ("lowering", "def f():\n    import torch", "lowering must not import torch"),
        ("gscn.cli", "import torch", "gscn.cli imports torch only inside a function"),
        ("formal", "import rtl_gen", "formal must not import rtl_gen"),
        ("hw", "from formal import probe", "hw must not import formal"),
        ("perf", "import cocotb", "perf must not import cocotb"),
        ("cosim", "from cosim.quiet_cluster import x", "quiet_cluster.x only inside a function"),
    ],
)
def test_the_check_sees_a_wrong_import(package, source, message):
    (found,) = violations(package, source)
    assert message in found


@pytest.mark.parametrize(
    ("package", "source"),
    [
        ("gscn.cli", "def run():\n    import torch\n    from cosim import run"),
        ("golden", "import torch\nfrom gscn.conv import ConvShape"),
        ("cosim", "from perf import cycles"),
    ],
)
def test_the_check_accepts_a_right_import(package, source):
    assert violations(package, source) == []


@pytest.mark.parametrize(
    "path", [pytest.param(p, id=str(p.relative_to(ROOT))) for _, p in sources()]
)
def test_every_module_opens_with_one_sentence(path):
    docstring = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
    assert docstring, "no module docstring"
    assert docstring.splitlines()[0].endswith("."), docstring.splitlines()[0]


def test_no_file_is_called_utils_or_old():
    names = [path.stem for _, path in sources()]
    assert [n for n in names if n in {"utils", "util", "helpers"} or n.endswith("_old")] == []
