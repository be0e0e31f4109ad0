"""The test plan names tests that exist, in the stage in which they run, and every test file."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parent
STAGES = ("default", "cosim", "slow")
HEADER = ("feature", "source of truth", "tests", "stage")


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """A row of one of the plan's tables."""

    line: int
    feature: str
    tests: str
    stages: frozenset[str]


def marks(nodes: list[ast.expr]) -> set[str]:
    """Return the names of those expressions that are `pytest.mark.NAME`, called or not."""
    bare = [node.func if isinstance(node, ast.Call) else node for node in nodes]
    return {
        node.attr
        for node in bare
        if isinstance(node, ast.Attribute) and ast.unparse(node.value) == "pytest.mark"
    }


def stage(marked: set[str]) -> str:
    """Return when a test with these marks runs: what is slow waits, whatever else it is."""
    return next((name for name in ("slow", "cosim") if name in marked), "default")


def stages_of_tests(source: str) -> dict[str, str]:
    """Return the stage of each test function in the text of a test file."""
    tree = ast.parse(source)
    common = set()
    for node in tree.body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "pytestmark":
            value = node.value
            common = marks(value.elts if isinstance(value, ast.List | ast.Tuple) else [value])
    return {
        node.name: stage(common | marks(node.decorator_list))
        for node in tree.body
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    }


def rows(text: str) -> Iterator[Row | str]:
    """Yield the rows of all tables of a plan, and as text what is wrong with the others."""
    for line, content in enumerate(text.splitlines(), 1):
        if not content.startswith("|"):
            continue
        cells = tuple(cell.strip() for cell in content.strip().strip("|").split("|"))
        if cells == HEADER or not content.strip("|- "):
            continue
        if len(cells) != len(HEADER) or not all(cells):
            yield f"line {line}: a row must have {len(HEADER)} cells, none empty"
            continue
        feature, _, tests, stages = cells
        yield Row(line=line, feature=feature, tests=tests, stages=frozenset(stages.split(", ")))


def references(tests: str) -> Iterator[tuple[str, str]]:
    """Yield (file, name) for each test in a cell; the name is empty for a whole file.

    `::name` alone is another test of the file before it.
    """
    file = ""
    for reference in re.findall(r"`([^`]+)`", tests):
        before, _, name = reference.partition("::")
        file = before or file
        yield file, name


def problems(text: str, root: Path) -> list[str]:
    """Return what is wrong with a plan for the tests in the directory `root`."""
    known = {
        path.relative_to(root).as_posix(): stages_of_tests(path.read_text(encoding="utf-8"))
        for path in sorted(root.rglob("test_*.py"))
    }
    found, mentioned = [], set()
    for row in rows(text):
        if isinstance(row, str):
            found.append(row)
            continue
        where = f"line {row.line}, {row.feature}"
        if re.sub(r"`[^`]+`", "", row.tests).strip(", "):
            found.append(f"{where}: tests must be given between backticks, separated by commas")
        actual = set()
        for file, name in references(row.tests):
            mentioned.add(file)
            if file not in known:
                found.append(f"{where}: there is no file {file or '(none named)'}")
            elif not name:
                actual |= set(known[file].values())
            elif name not in known[file]:
                found.append(f"{where}: there is no test {file}::{name}")
            else:
                actual.add(known[file][name])
        wrong = sorted(row.stages.difference(STAGES))
        if wrong:
            found.append(f"{where}: stage must be of {', '.join(STAGES)}, not {', '.join(wrong)}")
        elif actual and row.stages != actual:
            run = ", ".join(name for name in STAGES if name in actual)
            found.append(f"{where}: stage must be {run}, as its tests are marked")
    found += [f"no row mentions {file}" for file in known if file not in mentioned]
    return found


def test_the_plan_fits_the_tests():
    text = (TESTS / "TESTPLAN.md").read_text(encoding="utf-8")
    assert sum(isinstance(row, Row) for row in rows(text)) > 100, "the tables are not found"
    found = problems(text, TESTS)
    assert not found, "\n".join(["TESTPLAN.md:", *found])


GOOD = "| one | torch | `test_a.py::test_fast`, `::test_sum`, `sub/test_b.py` | default, cosim |"


@pytest.fixture
def small(tmp_path):
    """A directory of two test files."""
    (tmp_path / "test_a.py").write_text(
        "def test_fast(): ...\n"
        "@pytest.mark.parametrize('n', [1])\ndef test_sum(n): ...\n"
        "@pytest.mark.slow\n@pytest.mark.cosim\ndef test_long(): ...\n"
        "def helper(): ...\n"
    )
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "test_b.py").write_text(
        "pytestmark = pytest.mark.cosim\ndef test_rtl(): ...\n"
    )
    return tmp_path


@pytest.mark.parametrize(
    "row",
    [
        GOOD,
        "| one | law | `test_a.py::test_long`, `sub/test_b.py::test_rtl` | slow, cosim |",
        "| one | law | `test_a.py`, `sub/test_b.py` | default, cosim, slow |",
    ],
)
def test_the_check_accepts_right_rows(small, row):
    header = "| " + " | ".join(HEADER) + " |\n|---|---|---|---|\n"
    assert problems(header + row, small) == []


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("| two | law | `test_a.py::test_gone` | default |", "no test test_a.py::test_gone"),
        ("| two | law | `test_a.py::helper` | default |", "no test test_a.py::helper"),
        ("| two | law | `sub/test_c.py` | default |", "there is no file sub/test_c.py"),
        ("| two | law | `::test_fast` | default |", "there is no file (none named)"),
        ("| two | law | `test_a.py::test_fast` | cosim |", "stage must be default, as"),
        ("| two | law | `test_a.py::test_long` | cosim |", "stage must be slow, as"),
        ("| two | law | `test_a.py` | default |", "stage must be default, slow, as"),
        ("| two | law | `test_a.py::test_fast` | night |", "not night"),
        ("| two | law | test_a.py::test_fast | default |", "between backticks"),
        ("| two | `test_a.py::test_fast` | default |", "must have 4 cells"),
        ("| two | law |  | default |", "must have 4 cells, none empty"),
    ],
)
def test_the_check_names_a_wrong_row(small, row, message):
    (found,) = problems(f"{GOOD}\n{row}", small)
    assert message in found
    assert "line 2" in found


def test_the_check_names_a_file_that_no_row_mentions(small):
    row = "| one | law | `test_a.py::test_fast` | default |"
    assert problems(row, small) == ["no row mentions sub/test_b.py"]
