"""Other accelerators are compared where all passes have them."""

from __future__ import annotations

import pytest

from gscn.perf.report.data import cases
from gscn.perf.report.data.estimated import Estimated
from gscn.perf.report.data.measured import Documents
from gscn.perf.report.data.rows import pass_rows
from gscn.perf.report.sections import energy_and_area, other_accelerators
from tests.estimates import RIVAL_FACTORS, made_up_row, smaller
from tests.sections import table, words


def test_rivals_are_compared_where_all_passes_have_them(swat, resprop):
    assert other_accelerators.rival_names([swat, resprop]) == list(RIVAL_FACTORS)
    section = other_accelerators.other_accelerators_section(
        [swat, resprop], {"ideal": "Ideal bound"}, {"ideal": "None."}
    )
    rows = table(section, "rivals").rows
    header = table(section, "rivals").header
    assert header[2:] == ("dense", "scnn+", "ant", "Ideal bound")
    assert rows[0][3:] == pytest.approx((6.0, 2.0, 0.5))
    assert rows[-1][:2] == ("geometric mean", "training")
    assert "**Ideal bound**: None." in words(section)


def test_sections_say_what_a_mode_does_not_count():
    case = smaller(cases.SWAT_80)
    bare = Estimated.of(case, made_up_row(case, counted=False))
    assert "does not compute other" in words(
        other_accelerators.other_accelerators_section([bare], {}, {})
    )
    section = energy_and_area.energy_and_area_section([bare], bare.config, Documents.read().area)
    assert "needs the accesses" in words(section)
    assert pass_rows(bare.row)[0].accesses is None
