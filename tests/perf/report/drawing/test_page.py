"""The page holds what it is given, escaped, and asks for nothing."""

from __future__ import annotations

import csv
import io
from html.parser import HTMLParser

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
    part_html,
    render,
)

TABLE = Table(
    name="numbers", caption="Of **all**", header=("a <b>", "n", "not shown"),
    rows=(("x, y", 1234.5678, 1), ("z", None, 2)), columns=2,
)  # fmt: skip


def section(*content, key="one"):
    return Section(key=key, title="A & B", content=content)


def test_markup_is_escaped_code_and_bold():
    assert markup("a < b & `c < d` **e**") == (
        "a &lt; b &amp; <code>c &lt; d</code> <strong>e</strong>"
    )
    assert part_html(Paragraph("x", "note")) == '<p class="note">x</p>'
    assert part_html(Items(["<", "y"])) == "<ul><li>&lt;</li><li>y</li></ul>"


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
