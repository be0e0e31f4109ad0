"""Reading sections of the report back."""

from __future__ import annotations

from gscn.perf.report.drawing.page import Items, Paragraph, Table


def table(section, name):
    """Return a table of a section."""
    (found,) = (part for part in section.content if isinstance(part, Table) and part.name == name)
    return found


def words(section):
    """Return the texts of a section."""
    texts = [part.words for part in section.content if isinstance(part, Paragraph)]
    lists = [part.entries for part in section.content if isinstance(part, Items)]
    return "\n".join([*texts, *(entry for entries in lists for entry in entries)])
