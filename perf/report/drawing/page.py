"""A self-contained HTML page of sections, figures and tables, and the tables as CSV.

The page needs no network and no script. Every figure is drawn twice, for a screen or paper and for
a phone, and a media query shows one of the two.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from html import escape

from gscn.errors import raise_problems

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


def markup(words: str) -> str:
    """Escape a text, and set what is between backticks in the type of code, between ** in bold."""
    text = escape(words, quote=False)
    text = re.sub(r"`([^`]+)`", r"<code>\1</code>", text)
    return re.sub(r"\*\*([^*]+)\*\*", r"<strong>\1</strong>", text)


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


def _table_html(table: Table) -> str:
    header = table.header[: table.columns]
    rows = [row[: table.columns] for row in table.rows]
    numeric = [all(is_number(row[index]) for row in rows) for index in range(len(header))]

    def cell(tag: str, content: str, index: int) -> str:
        kind = ' class="n"' if numeric[index] else ""
        return f"<{tag}{kind}>{content}</{tag}>"

    head = "".join(cell("th", markup(name), i) for i, name in enumerate(header))
    body = "".join(
        "<tr>" + "".join(cell("td", markup(cell_text(v)), i) for i, v in enumerate(row)) + "</tr>"
        for row in rows
    )
    source = f'<a class="csv" href="{table.name}.csv">CSV</a>'
    caption = f"<figcaption>{markup(table.caption)} {source}</figcaption>"
    inner = (
        f'<div class="scroll" tabindex="0"><table><thead><tr>{head}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )
    if table.folded:
        inner = f"<details><summary>{len(rows)} rows</summary>{inner}</details>"
    return f'<figure class="table">{caption}{inner}</figure>'


def _figure_html(figure: Figure) -> str:
    drawn = figure.draw(WIDE, "wide") + figure.draw(NARROW, "narrow")
    return (
        f'<figure class="drawing" id="figure-{figure.name}">{drawn}'
        f"<figcaption>{markup(figure.caption)}</figcaption></figure>"
    )


def part_html(part: Part) -> str:
    """Return what stands in a section as HTML."""
    if isinstance(part, Paragraph):
        attribute = f' class="{part.kind}"' if part.kind else ""
        return f"<p{attribute}>{markup(part.words)}</p>"
    if isinstance(part, Items):
        entries = "".join(f"<li>{markup(entry)}</li>" for entry in part.entries)
        return f"<ul>{entries}</ul>"
    if isinstance(part, Table):
        if not part.shown:
            link = f'<a class="csv" href="{part.name}.csv">{part.name}.csv</a>'
            return f'<p class="file">{link}: {markup(part.caption)}</p>'
        return _table_html(part)
    return _figure_html(part)


def render(title: str, subtitle: str, sections: Sequence[Section], footer: str) -> str:
    """Return the page.

    Parameters
    ----------
    title, subtitle
        Plain texts.
    sections
        In order.
    footer
        Markup.

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
    contents = "".join(
        f'<li><a href="#{section.key}">{escape(section.title)}</a></li>' for section in sections
    )
    body = "".join(
        f'<section id="{section.key}"><h2>{number}. {escape(section.title)}</h2>'
        + "".join(map(part_html, section.content))
        + "</section>"
        for number, section in enumerate(sections, 1)
    )
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        # an icon of no bytes keeps browsers from asking for one
        '<link rel="icon" href="data:,">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head><body><main>"
        f'<header><h1>{escape(title)}</h1><p class="subtitle">{escape(subtitle)}</p></header>'
        f"<nav><ol>{contents}</ol></nav>{body}<footer>{footer}</footer></main></body></html>\n"
    )


_STYLE = """
:root{--ink:#1a1a1a;--soft:#5b6168;--line:#d9dde1;--link:#0b5394;--back:#fff;--tint:#f4f6f8}
*{box-sizing:border-box}
html{-webkit-text-size-adjust:100%}
body{margin:0;background:var(--back);color:var(--ink);font:16px/1.55 system-ui,-apple-system,
"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif}
main{max-width:51rem;margin:0 auto;padding:1.5rem 1.25rem 4rem}
h1{font-size:1.9rem;line-height:1.2;margin:.5rem 0 .25rem}
h2{font-size:1.35rem;line-height:1.25;margin:2.8rem 0 .6rem;padding-top:.6rem;
border-top:2px solid var(--ink)}
h3{font-size:1.05rem;margin:1.6rem 0 .3rem}
p{margin:.6rem 0}
.subtitle{color:var(--soft);font-size:1.05rem;margin:0}
.lead{font-size:1.05rem}
.note{background:var(--tint);border-left:3px solid var(--link);padding:.5rem .8rem}
.file{font-size:.85rem;color:var(--soft);margin:.15rem 0}
a{color:var(--link)}
nav ol{columns:2;column-gap:2rem;padding:.7rem 1rem .7rem 2.4rem;background:var(--tint);
font-size:.92rem;margin:1.2rem 0}
ul{padding-left:1.3rem}
li{margin:.2rem 0}
code{font:.88em ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;overflow-wrap:anywhere}
figure{margin:1.2rem 0 1.6rem}
figcaption{font-size:.88rem;line-height:1.45;color:var(--soft);margin:.35rem 0}
.csv{font-size:.78rem;white-space:nowrap}
.scroll{overflow-x:auto;-webkit-overflow-scrolling:touch}
table{border-collapse:collapse;font-size:.86rem;line-height:1.35;
font-variant-numeric:tabular-nums;min-width:100%}
td:first-child{padding-right:.8rem}th,td{padding:.32rem .5rem;text-align:left;vertical-align:top;
border-bottom:1px solid var(--line)}
th{vertical-align:bottom;border-bottom:1.5px solid var(--ink);font-weight:600}
th:first-child,td:first-child{padding-left:0}
th.n,td.n{text-align:right}
td.n{white-space:nowrap}td:first-child{min-width:11.5rem}
svg{max-width:100%;height:auto;display:block}
svg text{font:12px system-ui,-apple-system,"Segoe UI",Roboto,Arial,sans-serif;fill:var(--ink)}
svg .tick{font-size:11px;fill:#444}
svg .number{font-size:11px}
svg .grid{stroke:#e3e6e9;stroke-width:1}
svg .axis{stroke:#444;stroke-width:1}
svg .roof{stroke:#222;stroke-width:1.6}
svg .reference{stroke:#222;stroke-width:1;stroke-dasharray:3 3}
.narrow{display:none}
summary{cursor:pointer;color:var(--link);font-size:.88rem}
footer{margin-top:3rem;border-top:1px solid var(--line);font-size:.84rem;color:var(--soft)}
@media (max-width:640px){
body{font-size:15.5px}main{padding:.8rem .9rem 3rem}h1{font-size:1.5rem}h2{font-size:1.2rem}
nav ol{columns:1}.wide{display:none}.narrow{display:block}table{font-size:.82rem}
.scroll table{width:max-content;max-width:none}.scroll td{max-width:15rem}}
@media print{
@page{size:A4;margin:14mm}
body{font-size:10pt}main{max-width:none;padding:0}nav,.csv,.file,summary{display:none}
h2,h3{break-after:avoid}figure.drawing,tr,.note{break-inside:avoid}
figcaption,.file,footer{font-size:8.5pt}a{color:inherit;text-decoration:none}
.scroll{overflow:visible}table{font-size:7pt}th,td{padding:.15rem .2rem}
th{overflow-wrap:anywhere}
td:first-child{min-width:0;padding-right:.4rem}thead{display:table-header-group}
details::details-content{content-visibility:visible;display:block}
.wide{display:block!important}.narrow{display:none!important}
*{-webkit-print-color-adjust:exact;print-color-adjust:exact}}
"""
