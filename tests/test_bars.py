"""The bars: no function, list of parameters or file is beyond them without saying why.

A comment `# Long: reason` or `# Wide: reason` says it, first in the function's body, after the
docstring; `# Long: reason` outside functions says it of the file.
"""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Iterable
from pathlib import Path

import pytest

from tests.test_structure import ROOT, offenders, sources

LINES, ELABORATE_LINES, PARAMETERS, FILE_LINES = 80, 100, 8, 400
"""Most of a function, of `elaborate`, of a list of parameters without `self`, of a file."""
REASON = re.compile(r"# (Long|Wide): (?=\S)")


def reasons(source: str) -> dict[int, str]:
    """Return "Long" or "Wide" of the comments that say why something is so, by their lines."""
    if not REASON.search(source):
        return {}
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    found = {
        token.start[0]: REASON.match(token.string)
        for token in tokens
        if token.type == tokenize.COMMENT
    }
    return {line: match[1] for line, match in found.items() if match}


def beyond_bars(source: str) -> list[str]:
    """Return what is too long or wide without a reason, and reasons that are not needed."""
    given, wrong, used, inside = reasons(source), [], set(), set()

    def need(kind: str, size: int, most: int, lines: Iterable[int], what: str) -> None:
        found = [line for line in lines if given.get(line) == kind]
        used.update(found[:1])
        if size > most and not found:
            wrong.append(f"{what} must be at most {most}, or say why, not {size}")
        elif size <= most and found:
            wrong.append(f"line {found[0]}: {what} is only {size} and needs no reason")

    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        inside.update(range(node.lineno, node.end_lineno + 1))
        names = [one.arg for one in (*node.args.posonlyargs, *node.args.args)]
        count = len(names) + len(node.args.kwonlyargs) - (names[:1] in (["self"], ["cls"]))
        first = node.body[0]
        if ast.get_docstring(node) is not None:
            after = node.body[1].lineno if len(node.body) > 1 else node.end_lineno + 1
            head = range(first.end_lineno + 1, after)
        else:
            head = range(node.lineno + 1, first.lineno)
        most = ELABORATE_LINES if node.name == "elaborate" else LINES
        name = f"{node.name}, line {node.lineno}"
        need("Long", node.end_lineno - node.lineno + 1, most, head, f"lines of {name}")
        need("Wide", count, PARAMETERS, head, f"parameters of {name}")
    rest = sorted(set(given) - inside)
    need("Long", len(source.splitlines()), FILE_LINES, rest, "lines of the file")
    wrong += [f"line {line}: a reason for nothing" for line in sorted(set(given) - used)]
    return wrong


def every_file() -> list[Path]:
    """Return every Python file of the project."""
    return [*sources(), *sorted((ROOT / "tests").rglob("*.py"))]


def test_nothing_is_longer_or_wider_than_one_can_read_or_says_why():
    def wrong(path):
        return beyond_bars(path.read_text(encoding="utf-8"))

    assert offenders(every_file(), wrong) == {}


BODY = "    x = 0\n" * 79
NINE = "self, a, b, c, d, e, f, g, h, i"


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (f"def f():\n{BODY}    y = 1\n", "lines of f, line 1 must be at most 80"),
        (f"def elaborate():\n{BODY}{BODY}", "lines of elaborate, line 1 must be at most 100"),
        (f"class C:\n  def f({NINE}): ...", "parameters of f, line 2 must be at most 8"),
        ("def f(a, b, c, d, e, *, f, g, h, i): ...", "parameters of f, line 1 must be at most 8"),
        ("x = 0\n" * 401, "lines of the file must be at most 400"),
        ("def f():\n    # Long: a table.\n    x = 0\n", "line 2: lines of f, line 1 is only 3"),
        ("def f():\n    # Wide: rows.\n    x = 0\n", "line 2: parameters of f, line 1 is only 0"),
        ("# Long: a table.\nx = 0\n", "line 1: lines of the file is only 2"),
        ("def f():\n    x = 0\n    # Long: a table.\n    y = 0\n", "line 3: a reason for nothing"),
        ("# Wide: a table.\n", "line 1: a reason for nothing"),
        (f"def f():\n    # Long:\n{BODY}", "lines of f, line 1 must be at most 80"),
    ],
)
def test_the_check_sees_what_is_too_long(source, message):
    (found,) = beyond_bars(source)
    assert message in found


@pytest.mark.parametrize(
    "source",
    [
        f"def f():\n{BODY}",
        f'def f():\n    """Do."""\n    # Long: a table.\n{BODY}',
        f"def f():\n    # Long: a table.\n{BODY}",
        "def elaborate():\n" + "    x = 0\n" * 99,
        f"def f({NINE[6:-3]}): ...",
        f"def f({NINE}):\n    # Wide: one row.\n    # Of a table.\n    x = 0\n",
        "# Long: a table.\n" + "x = 0\n" * 400,
        'x = "# Long: a table."\n',
    ],
)
def test_the_check_accepts_what_is_short_or_says_why(source):
    assert beyond_bars(source) == []
