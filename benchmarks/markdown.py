"""Markdown of the benchmarks' reports."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


Block = str | dict[str, list]
"""Markdown, or a table: its `header` and `rows` of cells."""


def table_block(header: Sequence[str], rows: Iterable[Sequence[str]]) -> Block:
    """Return a table as plain JSON values."""
    return {"header": list(header), "rows": [list(row) for row in rows]}


def text_of(blocks: Iterable[Block]) -> str:
    """Return blocks as a Markdown document, an empty line between any two."""
    parts = [one.strip() if isinstance(one, str) else table(**one) for one in blocks]
    return "\n\n".join(parts) + "\n"


def percent(share: float) -> str:
    """Write a share as a percentage with one decimal."""
    return f"{100 * share:.1f} %"
