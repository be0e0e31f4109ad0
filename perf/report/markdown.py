"""Sections as a Markdown document: texts and tables, without figures."""

from __future__ import annotations

from collections.abc import Sequence
from textwrap import fill

from perf.report.page import Items, Paragraph, Part, Section, Table, cell_text, is_number

_COLUMNS = 100
LONGEST_TABLE = 40
"""Rows of a table that are shown; longer ones are in the report's CSV files alone."""


def _table(table: Table) -> str:
    header = table.header[: table.columns]
    rows = [row[: table.columns] for row in table.rows]
    rule = ["---:" if all(is_number(row[i]) for row in rows) else "---" for i in range(len(header))]
    lines = [header, rule, *([cell_text(value) for value in row] for row in rows)]
    body = "\n".join("| " + " | ".join(cells) + " |" for cells in lines)
    return f"{fill(table.caption, _COLUMNS)}\n\n{body}"


def _part(part: Part) -> str | None:
    if isinstance(part, Paragraph):
        return fill(part.words, _COLUMNS)
    if isinstance(part, Items):
        return "\n".join(
            fill(entry, _COLUMNS, initial_indent="* ", subsequent_indent="  ")
            for entry in part.entries
        )
    if isinstance(part, Table) and part.shown and len(part.rows) <= LONGEST_TABLE:
        return _table(part)
    return None


def to_markdown(title: str, introduction: str, sections: Sequence[Section]) -> str:
    """Return the document.

    Parameters
    ----------
    title
        Of the document.
    introduction
        Paragraphs of Markdown, apart by empty lines.
    sections
        In order; what they draw is left out.
    """
    blocks = [f"# {title}", *(fill(block, _COLUMNS) for block in introduction.split("\n\n"))]
    for section in sections:
        blocks.append(f"## {section.title}")
        blocks += [text for text in map(_part, section.content) if text]
    return "\n\n".join(blocks) + "\n"
