"""Layers one by one: rows as computed, and what has no zeros counted apart."""

from __future__ import annotations

import pytest

from gscn.conv import Pass
from gscn.perf.report.drawing.page import Figure
from gscn.perf.report.sections.layer_by_layer import (
    amdahl_table,
    layer_by_layer_section,
    layer_table,
)


def test_a_table_has_a_row_of_every_pass(swat):
    table = layer_table(swat)
    assert not table.shown
    rows = [dict(zip(table.header, row, strict=True)) for row in table.rows]
    assert len(rows) == len(swat.passes)
    for row, p in zip(rows, swat.passes, strict=True):
        assert (row["layer"], row["pass"], row["K"]) == (p.layer, str(p.which), p.shape.k)
        assert row["speed-up"] == pytest.approx(p.dense_cycles / p.cycles)
        assert row["bytes read"] >= row["bytes read, compulsory"]


def test_passes_without_zeros_are_those_that_the_method_leaves_dense(swat, resprop):
    table = amdahl_table([swat, resprop])
    own, other = (dict(zip(table.header, row, strict=True)) for row in table.rows)
    forward = [p for p in resprop.passes if p.which is Pass.FORWARD]
    assert other["passes without zeros"] >= len(forward) > own["passes without zeros"]
    for row, result in ((own, swat), (other, resprop)):
        dense = [p for p in result.passes if min(p.densities) >= 1]
        cycles = sum(p.cycles for p in result.passes)
        share = 100 * sum(p.cycles for p in dense) / cycles
        assert row["of our cycles, %"] == pytest.approx(share)
        assert row["speed-up of the others"] > row["training speed-up"]


def test_the_figure_has_a_column_of_every_layer_and_names_the_extremes(swat):
    section = layer_by_layer_section([swat])
    (figure,) = (part for part in section.content if isinstance(part, Figure))
    layers = {p.layer for p in swat.passes}
    assert f"the {len(layers)} layers" in figure.caption
    fastest = max(swat.passes, key=lambda p: p.speedup)
    assert f"Fastest: {fastest.layer}, " in figure.caption
    drawn = figure.draw(760, "wide")
    # One column for each pass; the first layer has no input gradient.
    assert drawn.count("</rect>") == len(swat.passes)
    assert f"{fastest.layer}, " in drawn
