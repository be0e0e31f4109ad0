"""Sections as a document: texts wrapped, tables in full, figures and files left out."""

from __future__ import annotations

import json

from gscn.perf.report.drawing.markdown import LONGEST_TABLE, blocks, render_blocks
from gscn.perf.report.drawing.page import Figure, Items, Paragraph, Section, Table


def table(name, rows, **changed):
    return Table(name=name, caption=f"Of {name}", header=("what", "n"), rows=rows, **changed)


def test_a_document_has_texts_and_tables():
    content = (
        Paragraph("word " * 40),
        Items(["one", "two " * 40]),
        table("seen", (("a", 1.5), ("b", None))),
        table("folded", (("c", 1),), folded=True),
        table("file", (("d", 1),), shown=False),
        table("long", tuple(("e", i) for i in range(LONGEST_TABLE + 1))),
        Figure(name="f", caption="not here", draw="{}{}".format),
    )
    shown = json.loads(json.dumps(blocks([Section(key="k", title="T", content=content)])))
    text = render_blocks("Title", "First.\n\nSecond.", shown)
    assert text.startswith("# Title\n\nFirst.\n\nSecond.\n\n## T\n\nword word")
    assert max(map(len, text.splitlines())) <= 100
    assert "* one\n* two two" in text
    assert "not here" not in text
    assert [line for line in text.splitlines() if line.startswith("|")] == [
        *("| what | n |", "| --- | ---: |", "| a | 1.50 |", "| b | \N{EN DASH} |"),
        *("| what | n |", "| --- | ---: |", "| c | 1 |"),
    ]
