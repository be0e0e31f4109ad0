"""A self-contained HTML page of sections, figures and tables, and the tables as CSV.

The page needs no network and no script. Every figure is drawn twice, for a screen or paper and for
a phone, and a media query shows one of the two.
"""

from __future__ import annotations

import csv
import functools
import io
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import jinja2
from markupsafe import Markup, escape

from gscn.errors import raise_problems

TEMPLATES = Path(__file__).with_name("templates")
"""What the page looks like: HTML by Jinja, and its style sheet; files of the package."""

WIDE, NARROW = 760, 340
"""Widths in pixels for which figures are drawn."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Table:
    """Rows for the page and for a CSV file."""

    name: str
    """Of the CSV file, without its ending."""
    caption: str
    header: tuple[str, ...]
    """One phrase per column, units included."""
    rows: tuple[tuple[object, ...], ...]
    """Numbers, texts, or None where there is no value."""
    shown: bool = True
    """Whether the page shows it; long tables of layers are CSV files alone."""
    columns: int | None = None
    """How many columns the page shows, from the left; None: all. The CSV file has all."""
    folded: bool = False
    """Whether the page shows it only when it is opened (and on paper)."""

    @property
    def shown_header(self) -> tuple[str, ...]:
        """The names of the columns that the page shows."""
        return self.header[: self.columns]

    @property
    def shown_rows(self) -> tuple[tuple[object, ...], ...]:
        """The rows, of the columns that the page shows."""
        return tuple(row[: self.columns] for row in self.rows)

    @property
    def numeric(self) -> tuple[bool, ...]:
        """Whether each column that the page shows is set to the right, as numbers are."""
        rows = self.shown_rows
        return tuple(
            all(is_number(row[index]) for row in rows) for index in range(len(self.shown_header))
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Figure:
    """A drawing for each of both widths."""

    name: str
    caption: str
    draw: Callable[[int, str], str] = field(repr=False)
    """Called with a width and a CSS class, returns an SVG element."""


@dataclass(frozen=True, slots=True)
class Paragraph:
    """A text; what is between backticks is set as code, what is between ** bold."""

    words: str
    kind: str = ""
    """CSS class."""


@dataclass(frozen=True, slots=True)
class Items:
    """A list of such texts."""

    entries: Sequence[str]


Part = Paragraph | Items | Table | Figure


@dataclass(frozen=True, kw_only=True, slots=True)
class Section:
    """A heading and what stands below it, in order."""

    key: str
    """Of links to it."""
    title: str
    content: tuple[Part, ...]

    @property
    def tables(self) -> tuple[Table, ...]:
        """Its tables."""
        return tuple(part for part in self.content if isinstance(part, Table))


def markup(words: str) -> Markup:
    """Escape a text, and set what is between backticks in the type of code, between ** in bold."""
    text = re.sub(r"`([^`]+)`", r"<code>\1</code>", str(escape(words)))
    return Markup(re.sub(r"\*\*([^*]+)\*\*", r"<strong>\1</strong>", text))


def cell_text(value: object) -> str:
    """Write a cell: numbers with four significant digits, thousands apart, None as a dash."""
    if value is None:
        return "\N{EN DASH}"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        if value and abs(value) < 0.001:
            return f"{value:.2e}"
        digits = max(0, 3 - len(str(int(abs(value)))))
        return f"{value:,.{digits}f}"
    return str(value)


def is_number(value: object) -> bool:
    """Whether a cell is set to the right."""
    return value is None or (isinstance(value, int | float) and not isinstance(value, bool))


def csv_text(table: Table) -> str:
    """Return a table as CSV, numbers in full, None as nothing."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(table.header)
    writer.writerows(["" if value is None else value for value in row] for row in table.rows)
    return out.getvalue()


def render(title: str, subtitle: str, sections: Sequence[Section], footer: str) -> str:
    """Return the page.

    Parameters
    ----------
    title, subtitle
        Plain texts.
    sections
        In order.
    footer
        A text as of a paragraph.

    Raises
    ------
    InputError
        Two sections, tables or figures of one name.
    """
    parts = [part for section in sections for part in section.content]
    problems = []
    for what, names in (
        ("section", [section.key for section in sections]),
        ("table", [part.name for part in parts if isinstance(part, Table)]),
        ("figure", [part.name for part in parts if isinstance(part, Figure)]),
    ):
        problems += [
            f"{what} {name!r} must be there once" for name in set(names) if names.count(name) > 1
        ]
    raise_problems("page", problems)
    template = templates().get_template("page.html")
    return template.render(title=title, subtitle=subtitle, sections=sections, footer=footer)


@functools.cache
def templates() -> jinja2.Environment:
    """Return what reads the templates; it has what they use of this module."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.globals |= {"wide": WIDE, "narrow": NARROW}
    environment.filters |= {
        "markup": markup,
        "cell_text": cell_text,
        "kind": lambda part: type(part).__name__,
    }
    return environment
