"""Sections as a Markdown document: texts and tables, without figures."""

from __future__ import annotations

from collections.abc import Sequence
from textwrap import fill
from typing import Any

from gscn.perf.report.drawing.page import (
    Items,
    Paragraph,
    Part,
    Section,
    Table,
    cell_text,
    is_number,
)

_COLUMNS = 100
LONGEST_TABLE = 40
"""Rows of a table that are shown; longer ones are in the report's CSV files alone."""


def _part(part: Part) -> dict[str, Any] | None:
    if isinstance(part, Paragraph):
        return {"paragraph": part.words}
    if isinstance(part, Items):
        return {"items": list(part.entries)}
    if isinstance(part, Table) and part.shown and len(part.rows) <= LONGEST_TABLE:
        return {
            "table": part.name,
            "caption": part.caption,
            "header": list(part.shown_header),
            "rows": [list(row) for row in part.shown_rows],
        }
    return None


def blocks(sections: Sequence[Section]) -> list[dict[str, Any]]:
    """Return what a document shows of sections as plain JSON values; drawings are left out."""
    return [
        {
            "title": section.title,
            "content": [block for block in map(_part, section.content) if block],
        }
        for section in sections
    ]


def _table(block: dict[str, Any]) -> str:
    header, rows = block["header"], block["rows"]
    rule = ["---:" if all(is_number(row[i]) for row in rows) else "---" for i in range(len(header))]
    lines = [header, rule, *([cell_text(value) for value in row] for row in rows)]
    body = "\n".join("| " + " | ".join(cells) + " |" for cells in lines)
    return f"{fill(block['caption'], _COLUMNS)}\n\n{body}"


def _text(block: dict[str, Any]) -> str:
    if "paragraph" in block:
        return fill(block["paragraph"], _COLUMNS)
    if "items" in block:
        return "\n".join(
            fill(entry, _COLUMNS, initial_indent="* ", subsequent_indent="  ")
            for entry in block["items"]
        )
    return _table(block)


def render_blocks(title: str, introduction: str, shown: Sequence[dict[str, Any]]) -> str:
    """Return the document.

    Parameters
    ----------
    title
        Of the document.
    introduction
        Paragraphs of Markdown, apart by empty lines.
    shown
        What `blocks` returned.
    """
    parts = [f"# {title}", *(fill(words, _COLUMNS) for words in introduction.split("\n\n"))]
    for section in shown:
        parts.append(f"## {section['title']}")
        parts += map(_text, section["content"])
    return "\n\n".join(parts) + "\n"
