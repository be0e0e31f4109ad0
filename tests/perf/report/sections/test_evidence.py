"""What was measured is counted, and errors are worked out from cycles."""

from __future__ import annotations

import pytest

from gscn.perf.report.data.measured import Documents
from gscn.perf.report.sections.evidence import error_tables, largest_errors, measured_summary


def test_the_summary_counts_what_was_measured_in_rtl():
    rows = [
        {"by": "RTL", "mismatches": 2, "cycles": 5, "model_cycles": 5},
        {"by": "RTL", "mismatches": 0, "cycles": 5, "model_cycles": 6},
        {"by": "model", "mismatches": None, "cycles": None, "model_cycles": 6},
    ]
    assert measured_summary({"passes": rows}) == (2, 2, 1)
    passes, mismatches, differing = measured_summary(Documents.read().utilization)
    assert passes > 0
    assert (mismatches, differing) == (0, 0)


def test_errors_are_worked_out_from_cycles():
    def step(title, trace, analytic):
        of = {"forward": trace, "input-grad": trace, "weight-grad": trace}
        mode = {"forward": analytic, "input-grad": analytic, "weight-grad": analytic}
        return {
            **{"title": title, "method": "swat", "passes": 3, "how": "model"},
            "trace": {"all": 3 * trace, **of},
            "analytic": {"all": 3 * analytic, **mode},
        }

    errors = {"steps": [step("resnet20", 1000, 1015), step("vgg", 1000, 980)]}
    totals, by_pass = error_tables(errors)
    assert totals.header[-1] == "analytic, %"
    assert [row[-1] for row in totals.rows] == pytest.approx([1.5, -2.0])
    assert [row[1] for row in by_pass.rows[:3]] == ["forward", "input-grad", "weight-grad"]
    assert largest_errors(errors) == {"analytic": pytest.approx(2.0)}
    assert largest_errors(None) == largest_errors({"steps": []}) == {}
    assert error_tables(None) == []
