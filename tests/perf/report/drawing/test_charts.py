"""Charts put marks where the numbers are."""

from __future__ import annotations

import pytest

from gscn.errors import InputError
from gscn.perf.report.drawing import charts, svg
from gscn.perf.report.drawing.charts import Bar
from tests.drawings import NAMESPACE, outside, parsed, tipped


def bars(width, **changed):
    rows = [Bar(label="one & only", values=(2.0, 4.0), marks=(None, 3.0)),
            Bar(label="two", values=(1.0, None))]  # fmt: skip
    options = {"title": "t", "axis": "times", "mark_label": "published"} | changed
    return parsed(charts.grouped_bars(rows, ["first", "second"], width=width, **options))


@pytest.mark.parametrize("width", [760, 340])
def test_bars_are_as_long_as_their_values(width):
    root = bars(width)
    found = {tip: float(e.get("width")) for tip, e in tipped(root, "rect")}
    assert list(found) == ["one & only, first: 2", "one & only, second: 4", "two, first: 1"]
    one, four, half = found.values()
    assert four == pytest.approx(2 * one, rel=1e-3)
    assert half == pytest.approx(one / 2, rel=1e-3)


@pytest.mark.parametrize("width", [760, 340])
def test_a_published_value_is_marked_on_the_scale_of_its_bar(width):
    root = bars(width)
    (_, bar), *_ = tipped(root, "rect")
    start, unit = float(bar.get("x")), float(bar.get("width")) / 2
    (tip, diamond), *others = tipped(root, "polygon")
    xs = [float(pair.split(",")[0]) for pair in diamond.get("points").split()]
    assert tip == "one & only, second: published 3"
    assert (min(xs) + max(xs)) / 2 == pytest.approx(start + 3 * unit, abs=0.1)
    assert not others


@pytest.mark.parametrize("width", [760, 340])
def test_nothing_lies_outside_the_drawing(width):
    root = bars(width, reference=1.0)
    _, _, right, bottom = map(float, root.get("viewBox").split())
    assert right == width
    for element in root.iter(NAMESPACE + "rect"):
        assert float(element.get("x")) >= 0
        assert float(element.get("x")) + float(element.get("width")) <= right
        assert float(element.get("y")) + float(element.get("height")) <= bottom
    assert outside(root) == []


@pytest.mark.parametrize("width", [760, 340])
def test_a_long_name_in_a_legend_is_broken_and_not_cut(width):
    name = "published, over dense on the simulated accelerator of those who published it"
    assert outside(bars(width, mark_label=name)) == []
    drawing, height = charts.legend(["a", name], charts.COLOURS, width)
    words = parsed(svg.drawing(width, height, drawing, title="", class_=""))
    texts = [e.text for e in words.iter(NAMESPACE + "text")]
    assert " ".join(texts) == f"a {name}"
    assert len(texts) == (2 if width == 760 else 3)
    assert max(float(e.get("y")) for e in words.iter(NAMESPACE + "text")) < height


def test_parts_of_a_stack_follow_one_another():
    rows = [("a", {"x": 1.0, "y": 3.0}), ("b", {"y": 2.0})]
    root = parsed(charts.stacked_bars(rows, ["x", "y", "never"], width=760, title="t", axis="mJ"))
    parts = {tip: (float(e.get("x")), float(e.get("width"))) for tip, e in tipped(root, "rect")}
    (x, one), (x2, three) = parts["a: x 1"], parts["a: y 3"]
    assert x2 == pytest.approx(x + one, abs=0.02)
    assert three == pytest.approx(3 * one, rel=1e-3)
    words = [e.text for e in root.iter(NAMESPACE + "text")]
    assert "never" not in words
    assert {"x", "y", "a", "b", "4", "2"} <= set(words)


def test_columns_are_as_high_as_their_values_and_miss_where_there_is_none():
    panels = [("forward", [("l1", 2.0, "port"), ("l2", 1.0, "multipliers")]),
              ("input", [("l1", None, "port"), ("l2", 4.0, "multipliers")])]  # fmt: skip
    root = parsed(
        charts.layer_columns(
            panels, ["multipliers", "port"], width=340, title="t", axis="times",
            groups=[("stage", 2)], reference=1.0,
        )
    )  # fmt: skip
    found = {tip: e for tip, e in tipped(root, "rect")}
    assert set(found) == {
        "l1, forward: 2 (port)", "l2, forward: 1 (multipliers)", "l2, input: 4 (multipliers)"
    }  # fmt: skip
    heights = [float(e.get("height")) for e in found.values()]
    assert heights[0] == pytest.approx(2 * heights[1], rel=1e-3)
    assert heights[2] == pytest.approx(4 * heights[1], rel=1e-3)
    fills = [e.get("fill") for e in found.values()]
    assert fills[1] == fills[2] != fills[0]


@pytest.mark.parametrize(
    ("most", "ticks"), [(4.0, [0, 1, 2, 3, 4]), (0.9, [0, 0.2, 0.4, 0.6, 0.8, 1])]
)
def test_ticks_are_round_and_reach_the_largest_value(most, ticks):
    assert charts.nice_ticks(most) == pytest.approx(ticks)


@pytest.mark.parametrize(
    ("draw", "message"),
    [
        (lambda: charts.grouped_bars([], ["a"], width=340, title="t", axis=""), "'t' must have"),
        (lambda: charts.stacked_bars([], ["a"], width=340, title="t", axis=""), "'t' must have"),
        (lambda: charts.layer_columns([], ["a"], width=340, title="t", axis=""), "'t' must have"),
        (lambda: charts.nice_ticks(0.0), "must be positive, not 0"),
    ],
)  # fmt: skip
def test_nothing_to_draw_is_refused(draw, message):
    with pytest.raises(InputError, match=message):
        draw()
