"""Tables of documents are read back as they were written."""

from __future__ import annotations

from pathlib import Path

import pytest

from gscn.errors import InputError
from perf.report.documents import number, read_tables

DOCS = Path(__file__).resolve().parents[3] / "docs"
TEXT = """\
# Title

| a | b |
|---|---:|
| x | 1,234 |
| y | - |

Not | a table

## Second

| c |
| --- |
| 7.5 % |
"""


def test_tables_are_read_with_their_headings(tmp_path):
    path = tmp_path / "doc.md"
    path.write_text(TEXT, encoding="utf-8")
    first, second = read_tables(path)
    assert (first.heading, first.header) == ("Title", ("a", "b"))
    assert first.rows == (("x", "1,234"), ("y", "-"))
    assert first.column("b") == ["1,234", "-"]
    assert first.row("y") == {"a": "y", "b": "-"}
    assert (second.heading, second.rows) == ("Second", (("7.5 %",),))


@pytest.mark.parametrize(
    ("cell", "value"),
    [("1,234", 1234), ("-", None), ("99.9 %", 99.9), ("833004 (833004)", 833004), ("**5**", 5)],
)
def test_cells_begin_with_their_number(cell, value):
    assert number(cell) == value


def test_what_is_not_there_is_named(tmp_path):
    path = tmp_path / "doc.md"
    path.write_text(TEXT, encoding="utf-8")
    table, _ = read_tables(path)
    with pytest.raises(InputError, match="must have a column 'z', not only a, b"):
        table.column("z")
    with pytest.raises(InputError, match="must have a row 'z'"):
        table.row("z")
    with pytest.raises(InputError, match="must begin with a number, not 'x'"):
        number("x")
    with pytest.raises(InputError, match=r"none\.md must be readable"):
        read_tables(tmp_path / "none.md")
    path.write_text("| a | b |\n|---|---|\n| 1 |\n", encoding="utf-8")
    with pytest.raises(InputError, match="line 3: a row must have 2 cells, not 1"):
        read_tables(path)


def test_the_documents_that_the_report_reads_have_what_it_reads():
    utilization = read_tables(DOCS / "utilization.md")
    assert {"layer", "pass", "mismatches", "cycles (model)"} <= set(utilization[0].header)
    assert {row[:2] for row in utilization[0].rows} == {row[:2] for row in utilization[1].rows}
    area = [table for table in read_tables(DOCS / "area.md") if table.heading == "small int16"]
    assert [table.header[0] for table in area] == ["component", "component"]
    assert number(area[0].row("Accelerator")["instances"]) == 1
