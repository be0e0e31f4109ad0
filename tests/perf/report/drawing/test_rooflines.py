"""Rooflines put points and roofs where their numbers are."""

from __future__ import annotations

import pytest

from gscn.errors import InputError
from gscn.perf.report.drawing.rooflines import Point, Roof, roofline
from tests.drawings import NAMESPACE, parsed, tipped

ROOF = Roof(label="a port of some width", short="port", bytes_per_cycle=64)
POINT = Point(x=0.1, y=6.4, series=0, label="p")


def drawn(points, width=760):
    return parsed(
        roofline(
            points, ["forward"], [ROOF], ("64 multipliers", 64.0), width=width, title="t",
            axes=("across", "upwards"),
        )
    )  # fmt: skip


def test_points_of_a_roofline_lie_on_its_roofs_where_they_should():
    points = [Point(x=0.1, y=6.4, series=0, label="bound by bytes"),
              Point(x=10, y=64, series=0, label="bound by products")]  # fmt: skip
    root = drawn(points)
    low, high = (e for _, e in tipped(root, "circle"))
    (slope,) = root.iter(NAMESPACE + "polyline")
    (x1, y1), (x2, y2) = (
        tuple(map(float, pair.split(","))) for pair in slope.get("points").split()
    )
    share = (float(low.get("cx")) - x1) / (x2 - x1)
    assert float(low.get("cy")) == pytest.approx(y1 + share * (y2 - y1), abs=0.2)
    (roof,) = (e for e in root.iter(NAMESPACE + "line") if e.get("class") == "roof")
    assert float(high.get("cy")) == pytest.approx(float(roof.get("y1")), abs=0.02)


@pytest.mark.parametrize(("width", "name"), [(760, ROOF.label), (340, ROOF.short)])
def test_names_of_roofs_and_axes_stand_in_the_drawing(width, name):
    root = drawn([POINT], width)
    words = [e.text for e in root.iter(NAMESPACE + "text")]
    assert {name, "64 multipliers", "across", "upwards"} <= set(words)
    assert len({ROOF.label, ROOF.short} & set(words)) == 1


def test_lines_stand_at_every_power_of_ten():
    root = drawn([POINT, Point(x=20.0, y=64.0, series=0, label="q")])
    grid = [e for e in root.iter(NAMESPACE + "line") if e.get("class") == "grid"]
    xs = [float(e.get("x1")) for e in grid if e.get("x1") == e.get("x2")]
    words = [e.text for e in root.iter(NAMESPACE + "text")]
    # From 0.0625, what the point at 0.1 leaves room for, to 32; up from 64 / 30 or less to 96.
    assert words[1:4] == ["0.1", "1", "10"]
    assert xs[1] - xs[0] == pytest.approx(xs[2] - xs[1], abs=0.02)


def test_points_are_marked_by_their_series_and_told_by_a_tip():
    points = [POINT, Point(x=1.0, y=32.0, series=1, label="other")]
    root = drawn(points)
    (circle,), (square,) = tipped(root, "circle"), tipped(root, "polygon")
    assert circle[0] == "p: 6.4 products per cycle, 0.1 per byte"
    assert square[0] == "other: 32 products per cycle, 1 per byte"
    assert circle[1].get("fill") != square[1].get("fill")


@pytest.mark.parametrize("points", [[], [Point(x=0.0, y=1.0, series=0, label="")]])
def test_points_that_logarithms_do_not_have_are_refused(points):
    with pytest.raises(InputError, match="'t' must have points, all positive"):
        drawn(points)
