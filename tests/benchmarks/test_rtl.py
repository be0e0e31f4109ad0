"""The RTL tables say what the co-simulation measured."""

from types import SimpleNamespace

import pytest

import benchmarks.rtl
from benchmarks.rtl import BOUNDS, STALLS, measure, pass_table, random_inputs
from gscn.config import preset
from gscn.conv import ConvShape, Pass
from gscn.errors import MismatchError

pytestmark = pytest.mark.cosim

LAYER = ConvShape(n=1, c=64, h=28, w=28, k=64, r=3, s=3, padding=(1, 1))


def test_every_pass_is_exact_and_keeps_eight_multipliers_in_ten_busy():
    config = preset("small")
    rows = measure(config, random_inputs(config, LAYER), latency=20)
    assert [row["pass"] for row in rows] == [str(which) for which in Pass]
    for row in rows:
        assert row["mismatches"] == 0
        assert row["model_cycles"] == row["cycles"]
        assert row["utilization"] >= 0.8
        assert sum(row["shares"].values()) == pytest.approx(1)
        assert row["bound"] in BOUNDS
        assert row["bound_share"] == max(row["utilization"], *row["port_shares"])
        assert 0 < row["port_shares"][0] < 1
        assert 0 < row["port_shares"][1] < 1
    lines = pass_table(rows).splitlines()
    assert len(lines) == 2 + len(rows)
    for line, row in zip(lines[2:], rows, strict=True):
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        assert len(cells) == 5 + len(STALLS)
        assert cells[3] == f"{row['cycles']} ({row['model_cycles']})"
        assert float(cells[4].rstrip(" %")) == pytest.approx(100 * row["utilization"], abs=0.05)


def test_a_counter_that_differs_from_the_model_is_no_figure(monkeypatch):
    config = preset("small")
    inputs = random_inputs(config, LAYER)[:1]
    comparison = SimpleNamespace(good=False, details=("counter busy of cluster 1: 2 in RTL",))
    outcome = SimpleNamespace(source=inputs[0], comparison=comparison)
    monkeypatch.setattr(benchmarks.rtl, "check_passes", lambda *_, **__: [outcome])
    with pytest.raises(MismatchError, match="forward: counter busy of cluster 1: 2 in RTL"):
        measure(config, inputs)
