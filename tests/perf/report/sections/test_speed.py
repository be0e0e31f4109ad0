"""Speed-ups stand beside the published ones, with their baselines."""

from __future__ import annotations

from gscn.perf.report.sections.speed import speedup_section
from tests.sections import table


def test_published_values_stand_beside_the_network_that_they_are_of(swat, resprop):
    rows = {row[0]: row for row in table(speedup_section([swat, resprop]), "speedups").rows}
    assert rows["ResNet-50, SWAT 90 %"][10:] == (5.6, 6.3, None)
    assert rows["ResNet-34, ReSprop 90 %"][10:] == (None, None, None)


def test_figures_over_a_gpu_do_not_stand_unexplained_beside_those_over_dense(swat, resprop):
    shown = table(speedup_section([swat, resprop]), "speedups")
    assert "Times faster than the dense array" in shown.caption
    assert "The published 8.0x (ResNet-34, ReSprop, backward) and 7.2x" in shown.caption
    assert "over a GTX 1080 Ti" in shown.caption
