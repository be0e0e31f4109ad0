"""Prose is wrapped, so that it reads well in an editor and in a diff."""

from __future__ import annotations

import re

import pytest

from benchmarks.docs import registry
from tests.test_structure import ROOT

WIDTH = 100
GENERATED = {
    "docs/contract/registers.md",
    "docs/results/README.md",
    "docs/results/proofs.md",
    *(f"docs/results/{page.name}.md" for page in registry().values() if page.render is not None),
}
"""Pages that programs write."""
PAGES = [
    pytest.param(page, id=page.relative_to(ROOT).as_posix())
    for page in (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")))
    if page.relative_to(ROOT).as_posix() not in GENERATED
]
ATOM = re.compile(r"(?:<!-- = .*?-->.*?<!-- / -->|`[^`]*`|\S)+")
"""What does not break: a quotation, code, a word, with what touches them."""


def prose(text):
    """Yield (number, line) of a page without its code and tables."""
    fenced = False
    for number, line in enumerate(text.splitlines(), 1):
        if line.startswith("```"):
            fenced = not fenced
        elif not fenced and not line.lstrip().startswith("|"):
            yield number, line


def overlong(line):
    """Whether a line is too long though it could be broken."""
    # Figures may grow when they are made again.
    if len(re.sub(r"-->[^<]*<!-- / -->", "--><!-- / -->", line)) <= WIDTH:
        return False
    # A quotation must not begin a line: Markdown would end the paragraph there.
    words = ATOM.findall(re.sub(r" (?=<!-- =)", "\0", line.strip()))
    return len([word for word in words if word not in ("*", "-", "!")]) > 1


def test_there_are_pages_that_are_written_by_hand():
    assert len(PAGES) > 20
    assert all((ROOT / name).exists() for name in GENERATED)


@pytest.mark.parametrize("page", PAGES)
def test_no_line_of_prose_is_longer_than_100_columns(page):
    text = page.read_text(encoding="utf-8")
    assert [(number, line) for number, line in prose(text) if overlong(line)] == []


@pytest.mark.parametrize("page", PAGES)
def test_no_line_begins_with_a_quotation(page):
    text = page.read_text(encoding="utf-8")
    assert [number for number, line in prose(text) if re.match(r"\s*<!-- =", line)] == []


def test_long_lines_are_found():
    word = "x" * 60
    assert overlong(f"{word} {word}")
    assert not overlong(f"* [{word}]({word})")
    assert not overlong(f"is <!-- = {word}.{word} -->1<!-- / -->")
    assert not overlong(f"{word} y")
