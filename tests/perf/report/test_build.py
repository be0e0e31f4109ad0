"""The report as files, and as a browser shows it."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path

import pytest

from gscn.perf.report.build import report_files
from gscn.perf.report.data import cases
from gscn.perf.report.data.measured import Documents
from gscn.system.files import write_files
from tests.browser import Browser, find_browser
from tests.estimates import made_up_row, smaller

ROOT = Path(__file__).resolve().parents[3]
SHOTS = ROOT / "build" / "report-check"
CHOSEN = [smaller(case) for case in cases.CASES[:4]]


@pytest.fixture(scope="module")
def rows():
    return {case.key: made_up_row(case) for case in CHOSEN}


def write(rows, documents, out):
    texts = report_files(rows, CHOSEN, documents, out)
    write_files(texts)
    return list(texts)


@pytest.fixture(scope="module")
def written(rows, tmp_path_factory):
    out = tmp_path_factory.mktemp("report")
    return write(rows, Documents.read(), out)


def test_the_page_links_to_files_that_were_written_and_to_nothing_else(written):
    page = written[0].read_text(encoding="utf-8")
    folder = written[0].parent
    links = set(re.findall(r'(?:href|src)="([^"]*)"', page))
    names = {link for link in links if not link.startswith("#")} - {"data:,"}
    assert names <= {path.name for path in written}
    assert {path.name for path in written} == {path.name for path in folder.iterdir()}
    assert not re.search(r"url\(|@import|<script|<iframe", page)
    for anchor in links - names - {"data:,"}:
        assert f'id="{anchor[1:]}"' in page


def test_tables_have_as_many_cells_in_every_row(written):
    for path in written:
        if path.suffix == ".csv":
            with path.open(newline="", encoding="utf-8") as file:
                header, *body = csv.reader(file)
            assert body, path.name
            assert {len(row) for row in body} == {len(header)}, path.name


def test_rows_are_kept_beside_the_page(written, rows):
    (path,) = (path for path in written if path.name == "report.json")
    kept = json.loads(path.read_text(encoding="utf-8"))
    assert kept == {"networks": rows, "launches": []}


def test_a_report_is_replaced_file_by_file(rows, tmp_path):
    documents = Documents.read()
    first = write(rows, documents, tmp_path)
    text = first[0].read_text(encoding="utf-8")
    again = write(rows, documents, tmp_path)
    assert again == first
    assert again[0].read_text(encoding="utf-8") == text
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


DRAWN = """
[...document.querySelectorAll('figure.drawing')].map(figure => {
  const shown = [...figure.querySelectorAll('svg')]
    .map(svg => svg.getBoundingClientRect()).filter(box => box.width > 0 && box.height > 0);
  const marks = [...figure.querySelectorAll('svg rect, svg circle, svg polygon')]
    .filter(e => { const b = e.getBoundingClientRect(); return b.width > 0 && b.height > 0; });
  return [figure.id, shown.length, marks.length];
})
"""
SIDES = "[document.documentElement.scrollWidth, document.documentElement.clientWidth]"


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    if find_browser() is None:
        pytest.skip("no browser: install Debian's chromium")
    with Browser(tmp_path_factory.mktemp("profile")) as opened:
        yield opened


@pytest.mark.parametrize(
    ("name", "width", "height"), [("desktop", 1280, 900), ("phone", 390, 844), ("small", 320, 600)]
)
def test_a_browser_draws_every_figure_without_complaint(browser, written, name, width, height):
    page = written[0]
    browser.complaints.clear()
    browser.requests.clear()
    browser.open(page, width, height)
    figures = browser.evaluate(DRAWN)
    assert len(figures) == page.read_text(encoding="utf-8").count('<figure class="drawing"') > 5
    for figure, shown, marks in figures:
        assert shown == 1, f"{figure} must be drawn once at {width} pixels"
        assert marks > 2, figure
    inner, window = browser.evaluate(SIDES)
    assert inner <= window, f"the page is {inner} pixels wide in a window of {window}"
    browser.screenshot(SHOTS / f"{name}.png")
    assert (SHOTS / f"{name}.png").read_bytes().startswith(b"\x89PNG")
    assert browser.complaints == []
    assert set(browser.requests) == {page.resolve().as_uri()}


def test_the_page_prints_within_its_margins_and_opens_what_is_folded(browser, written):
    # A4 less two margins of 14 mm is 688 pixels wide; the window has a bar of 15 to scroll.
    browser.media("print")
    browser.open(written[0], 703, 1000)
    inner, window = browser.evaluate(SIDES)
    folded = browser.evaluate(
        "[...document.querySelectorAll('details table')].map(t => t.getBoundingClientRect().height)"
    )
    browser.screenshot(SHOTS / "print.png")
    browser.media("")
    assert inner <= window, f"the page is {inner} pixels wide on paper of {window}"
    assert folded
    assert min(folded) > 20
    browser.open(written[0], 1280, 900)
    browser.print(SHOTS / "print.pdf")
    assert (SHOTS / "print.pdf").read_bytes().startswith(b"%PDF")


def test_the_browser_notices_what_is_wrong(browser, tmp_path):
    broken = tmp_path / "broken.html"
    broken.write_text(
        '<figure class="drawing" id="f"><svg width="0"></svg></figure><img src="gone.png">'
        "<script>console.error('no')</script><div style='width:3000px'>x</div>"
    )
    browser.complaints.clear()
    browser.open(broken, 390, 844)
    assert browser.evaluate(DRAWN) == [["f", 0, 0]]
    inner, window = browser.evaluate(SIDES)
    assert inner > window
    assert len(browser.complaints) >= 2
