"""The RTL table says what the co-simulation measured."""

import pytest

from benchmarks.rtl import STALLS, compute, render
from gscn.conv import Pass

pytestmark = pytest.mark.cosim


def test_every_pass_is_exact_and_keeps_six_multipliers_in_ten_busy():
    rows = compute()
    assert [row["pass"] for row in rows] == [str(which) for which in Pass]
    for row in rows:
        assert row["mismatches"] == 0
        assert row["model_cycles"] == row["cycles"]
        assert row["utilization"] >= 0.6
        assert sum(row["shares"].values()) == pytest.approx(1)
    lines = render(rows).splitlines()
    assert len(lines) == 4 + len(rows)
    for line, row in zip(lines[4:], rows, strict=True):
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        assert len(cells) == 5 + len(STALLS)
        assert cells[3] == f"{row['cycles']} ({row['model_cycles']})"
        assert float(cells[4].rstrip(" %")) == pytest.approx(100 * row["utilization"], abs=0.05)
