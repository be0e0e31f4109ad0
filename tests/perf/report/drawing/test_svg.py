"""SVG elements: escaped texts, short coordinates, marks around their middle."""

from __future__ import annotations

import pytest

from gscn.perf.report.drawing import svg
from tests.drawings import parsed


def test_values_are_escaped_and_names_of_attributes_mended():
    words = svg.text(1, 2.50, "a < b", class_='x & "y"', text_anchor=None)
    assert words == '<text x="1" y="2.5" class="x &amp; &quot;y&quot;">a &lt; b</text>'
    assert svg.element("g", stroke_width=1.0) == '<g stroke-width="1"/>'


@pytest.mark.parametrize(
    ("value", "text"), [(1.0, "1"), (0.126, "0.13"), (10.0, "10"), (100.0, "100"), (-0.5, "-0.5")]
)
def test_coordinates_are_short(value, text):
    assert svg.number(value) == text


def test_a_rectangle_is_never_of_negative_size_and_has_a_tip_if_asked():
    assert svg.rect(0, 0, -1, 2) == '<rect x="0" y="0" width="0" height="2"/>'
    assert "<title>t &amp; u</title>" in svg.rect(0, 0, 1, 1, tip="t & u")


@pytest.mark.parametrize("shape", svg.MARKS)
def test_marks_are_around_their_middle(shape):
    element = parsed(svg.mark(shape, 10, 20, 4, tip="t"))
    assert element.findtext("title") == "t"
    if shape == "circle":
        assert (element.get("cx"), element.get("cy"), element.get("r")) == ("10", "20", "4")
        return
    corners = [tuple(map(float, pair.split(","))) for pair in element.get("points").split()]
    xs, ys = zip(*corners, strict=True)
    assert min(xs) + max(xs) == pytest.approx(20)
    assert min(ys) < 20 < max(ys)
    assert max(max(xs) - 10, max(ys) - 20) < 4 * 1.4


def test_a_drawing_says_what_it_is():
    root = parsed(svg.drawing(100, 50, svg.line(0, 0, 1, 1), title="A & B", class_="wide"))
    assert root.get("viewBox") == "0 0 100 50"
    assert (root.get("role"), root.get("class")) == ("img", "wide")
    assert root.findtext("{http://www.w3.org/2000/svg}title") == "A & B"
