"""Causes of lost cycles add up."""

from __future__ import annotations

import pytest

from gscn.perf.report.data.measured import Documents
from gscn.perf.report.sections.lost_cycles import measured_causes


def test_measured_causes_add_up_to_all_cycles():
    causes = measured_causes(Documents.read().utilization)
    assert causes
    for label, shares in causes:
        assert label.split(",")[0] in ("forward", "input gradient", "weight gradient")
        assert sum(shares.values()) == pytest.approx(100, abs=0.3)
        assert shares["utilization"] > 50
