"""Every decision has a date and a status, in one form, and stands in the index."""

from __future__ import annotations

import re
from datetime import date

import pytest

from tests.docs.test_names import anchors

STATUS = re.compile(
    r"\*(\d{4}-\d\d-\d\d), (accepted|proposed|rejected|superseded by \[([^\]]+)\]\(([^)]+)\))\*"
)


TABLE = re.compile(r"Superseded on (\d{4}-\d\d-\d\d)")
"""Heading of a table of decisions about what is gone."""
ROW = re.compile(r"^\| ([^|]+) \| (\d{4}-\d\d-\d\d) \| [^|]{10,} \| \[([^\]]+)\]\(([^)]+)\) \|$")


@pytest.fixture
def folder(repository):
    return repository / "docs" / "decisions"


def sections(text):
    """Return (title, first paragraph, the rest) of every section of a page but its table."""
    found = []
    for section in re.split(r"^## ", text, flags=re.MULTILINE)[1:]:
        title, blank, status, *rest = section.split("\n")
        assert blank == "", title
        if TABLE.fullmatch(title):
            continue
        paragraph = [status]
        while rest and rest[0]:
            paragraph.append(rest.pop(0))
        found.append((title, " ".join(paragraph), "\n".join(rest).strip()))
    return found


def gone(text):
    """Return (title, date, title and place of what superseded it, date of that) of a table."""
    found = []
    for section in re.split(r"^## ", text, flags=re.MULTILINE)[1:]:
        title, _, body = section.partition("\n")
        if when := TABLE.fullmatch(title):
            rows = [line for line in body.splitlines() if line.startswith("|")][2:]
            assert rows, title
            for row in rows:
                form = ROW.fullmatch(row)
                assert form, f"{row} must be of a title, a date, what it said, and a link"
                found.append((*form.groups(), when[1]))
    return found


def test_every_decision_says_when_it_was_made_and_whether_it_stands(folder):
    decisions = {
        (path.name, title): (status, body)
        for path in sorted(folder.glob("*.md"))
        for title, status, body in sections(path.read_text(encoding="utf-8"))
    }
    titles = {title for _, title in decisions}
    assert len(titles) == len(decisions) > 45
    for (name, title), (status, body) in decisions.items():
        form = STATUS.fullmatch(status)
        assert form, f"{name}: {title}: the status must be like *2026-11-20, accepted*"
        date.fromisoformat(form[1])
        assert body, f"{name}: {title} must say why"
        if form[3]:
            target, _, anchor = form[4].partition("#")
            assert form[3] in titles - {title}, f"{name}: {title} names no other decision"
            assert anchor in anchors(folder / (target or name))
            other = STATUS.fullmatch(decisions[target or name, form[3]][0])
            assert form[1] <= other[1], f"{title} must be older than what superseded it"


def test_what_superseded_decisions_of_a_table_stands_since_then(folder):
    titles, count = set(), 0
    for path in sorted(folder.glob("*.md")):
        text = path.read_text(encoding="utf-8")
        titles |= {title for title, *_ in sections(text)}
        for title, made, by, place, when in gone(text):
            assert title not in titles
            assert date.fromisoformat(made) <= date.fromisoformat(when)
            name, _, anchor = place.partition("#")
            assert anchor in anchors(folder / name)
            others = {title: status for title, status, _ in sections((folder / name).read_text())}
            assert others[by] == f"*{when}, accepted*"
            count += 1
    assert count > 20


def test_the_index_has_every_decision_with_its_date_and_status(folder):
    rows = []
    for path in folder.glob("*.md"):
        text = path.read_text(encoding="utf-8")
        for title, status, _ in sections(text):
            when, how, *_ = STATUS.fullmatch(status).groups()
            rows.append((path.stem, title, when, how.split(" [")[0]))
        rows += [(path.stem, title, made, "superseded by") for title, made, *_ in gone(text)]
    index = (folder.parent / "decisions.md").read_text(encoding="utf-8")
    found = re.findall(
        r"^\| \[([^\]]+)\]\(decisions/(\w+)\.md#[^)]+\) \| ([\d-]+) \| ([a-z ]+?)(?: \[.*)? \|$",
        index,
        re.MULTILINE,
    )
    assert sorted((stem, title, when, how) for title, stem, when, how in found) == sorted(rows)
    assert index.count("\n| [") == len(rows)
    assert re.findall(r"^## \[.+\]\(decisions/(\w+)\.md\)$", index, re.MULTILINE) == list(
        dict.fromkeys(stem for _, stem, *_ in found)
    )
