"""Published figures come with what they are over, and their source."""

from __future__ import annotations

import pytest

from gscn.perf.report.data import published


def test_every_published_figure_says_what_it_is_over_and_where_it_stands():
    assert len(published.BY_KEY) == len(published.FIGURES)
    for figure in published.FIGURES:
        assert figure.baseline
        assert figure.source
        assert figure.value > 0
    assert published.GTX_1080_TI.bytes_per_cycle_and_lane == pytest.approx(484e9 / 1582e6 / 3584)
