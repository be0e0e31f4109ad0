"""The page holds what it is given, escaped, and asks for nothing."""

from __future__ import annotations

import csv
import dataclasses
import io
from html.parser import HTMLParser

import jinja2
import pytest

from gscn.errors import InputError
from gscn.perf.report.drawing.page import (
    Figure,
    Items,
    Paragraph,
    Section,
    Table,
    cell_text,
    csv_text,
    markup,
    render,
    templates,
)

TABLE = Table(
    name="numbers", caption="Of **all**", header=("a <b>", "n", "not shown"),
    rows=(("x, y", 1234.5678, 1), ("z", None, 2)), columns=2,
)  # fmt: skip


def section(*content, key="one"):
    return Section(key=key, title="A & B", content=content)


def shown(*content):
    """Return a page of those parts, without its breaks of lines."""
    return render("t", "s", [section(*content)], "").replace("\n", "")


def test_markup_is_escaped_code_and_bold():
    assert markup("a < b & `c < d` **e**") == (
        "a &lt; b &amp; <code>c &lt; d</code> <strong>e</strong>"
    )
    page = shown(Paragraph("x", "note"), Paragraph("plain"), Items(["<", "y"]))
    assert '<p class="note">x</p><p>plain</p><ul><li>&lt;</li><li>y</li></ul>' in page


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "\N{EN DASH}"), (1234567, "1,234,567"), (3.14159, "3.14"), (0.5, "0.50"),
     (123456.7, "123,457"), (12.345, "12.3"), (0.00012345, "1.23e-04"), (True, "yes"),
     ("word", "word"), (0.0, "0.00")],
)  # fmt: skip
def test_cells_have_three_significant_digits(value, text):
    assert cell_text(value) == text


def test_a_csv_file_has_every_column_in_full():
    rows = list(csv.reader(io.StringIO(csv_text(TABLE))))
    assert rows == [["a <b>", "n", "not shown"], ["x, y", "1234.5678", "1"], ["z", "", "2"]]


def test_the_page_shows_the_columns_asked_for_and_the_title_escaped():
    page = render("T & t", "sub", [section(TABLE)], "foot")
    assert "<title>T &amp; t</title>" in page
    assert "a &lt;b&gt;" in page
    assert "not shown" not in page
    assert '<td class="n">1,235</td>' in page
    assert '<td class="n">\N{EN DASH}</td>' in page
    assert 'href="numbers.csv"' in page


def test_nothing_that_is_given_becomes_markup_of_the_page():
    hostile = "<script>alert('no')</script> & \"quoted\""
    table = Table(
        name="t", caption=hostile, header=(hostile, "n"), rows=((hostile, 1),), folded=True
    )
    figure = Figure(name="f", caption=hostile, draw=lambda *_: "<svg></svg>")
    content = (table, figure, Paragraph(hostile), Items([hostile]))
    page = render(hostile, hostile, [Section(key="k", title=hostile, content=content)], hostile)
    assert "<script" not in page
    # Title, heading, subtitle, contents, heading of the section, six in the parts, footer.
    assert page.count("&lt;script&gt;") == 12
    assert page.count("<svg></svg>") == 2


def test_long_tables_are_links_and_folded_ones_open():
    linked = dataclasses.replace(TABLE, name="linked", shown=False)
    page = shown(dataclasses.replace(TABLE, folded=True), linked)
    assert "<details><summary>2 rows</summary>" in page
    assert '<a class="csv" href="linked.csv">linked.csv</a>: Of <strong>all</strong></p>' in page
    assert page.count("<table>") == 1


def test_a_template_that_names_what_is_not_there_fails():
    with pytest.raises(jinja2.UndefinedError):
        templates().from_string("{{ nothing }}").render()


def test_a_figure_is_drawn_for_both_widths():
    asked = []

    def draw(width, class_):
        asked.append((width, class_))
        return f'<svg class="{class_}"></svg>'

    page = render("t", "s", [section(Figure(name="f", caption="c", draw=draw))], "")
    assert asked == [(760, "wide"), (340, "narrow")]
    assert page.count("<svg") == 2


class Links(HTMLParser):
    def __init__(self):
        super().__init__()
        self.found = []
        self.open = []

    def handle_starttag(self, tag, attrs):
        self.found += [value for name, value in attrs if name in ("href", "src")]
        if tag not in ("meta", "link", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_tags_are_closed_in_order_and_links_stay_in_the_folder():
    page = render("t", "s", [section(TABLE, Paragraph("p")), section(key="two")], "foot")
    links = Links()
    links.feed(page)
    assert links.open == []
    assert set(links.found) == {"data:,", "#one", "#two", "numbers.csv"}
    assert "<script" not in page


@pytest.mark.parametrize(
    ("sections", "message"),
    [
        ([section(), section()], "section 'one' must be there once"),
        ([section(TABLE, TABLE)], "table 'numbers' must be there once"),
    ],
)
def test_a_name_that_is_there_twice_is_refused(sections, message):
    with pytest.raises(InputError, match=message):
        render("t", "s", sections, "")
