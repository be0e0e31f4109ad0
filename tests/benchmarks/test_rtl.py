"""The RTL tables say what the co-simulation measured."""

from types import SimpleNamespace

import pytest

import benchmarks.rtl
from benchmarks import recorded
from benchmarks.consecutive import model_pass
from benchmarks.rtl import (
    BOUNDS,
    conditions,
    measure,
    pass_table,
    random_inputs,
    render,
    stalls,
)
from gscn.array import array
from gscn.conv import ConvShape, Pass
from gscn.errors import MismatchError

pytestmark = pytest.mark.cosim

LAYER = ConvShape(n=1, c=64, h=28, w=28, k=64, r=3, s=3, padding=(1, 1))


def test_every_pass_is_exact_and_keeps_three_multipliers_in_four_busy():
    config = array("small")
    inputs = random_inputs(config, LAYER)
    rows = measure(config, inputs, latency=20)
    assert [row["pass"] for row in rows] == [str(which) for which in Pass]
    for one, row in zip(inputs, rows, strict=True):
        assert row["mismatches"] == 0
        assert row["model_cycles"] == row["cycles"]
        assert row["utilization"] >= 0.75
        assert sum(row["shares"].values()) == pytest.approx(1)
        assert row["bound"] in BOUNDS
        assert row["bound_share"] == max(row["utilization"], *row["port_shares"])
        assert 0 < row["port_shares"][0] < 1
        assert 0 < row["port_shares"][1] < 1
        assert row["read_per_operand"] >= 1
        assert len(recorded.cells(one, row)) == len(recorded.HEADER)
        model = model_pass(config, one, latency=20)
        same = ("model_cycles", "utilization", "port_shares", "useful_products", "plan")
        assert {name: model[name] for name in same} == {name: row[name] for name in same}
        assert model["shares"] == pytest.approx(row["shares"])
        read = model["read_bytes"]["0"] / model["operand_bytes"]
        assert read == row["read_per_operand"]
    lines = pass_table(rows).splitlines()
    assert len(lines) == 2 + len(rows)
    for line, row in zip(lines[2:], rows, strict=True):
        found = [cell.strip() for cell in line.strip("|").split("|")]
        assert len(found) == 5 + len(stalls(rows))
        assert found[3] == f"{row['cycles']} ({row['model_cycles']})"
        assert float(found[4].rstrip(" %")) == pytest.approx(100 * row["utilization"], abs=0.05)
    text = render({"conditions": conditions(config), "passes": rows})
    assert "16 multipliers in 4 clusters, one port of 512 bits" in text


def test_a_counter_that_differs_from_the_model_is_no_figure(monkeypatch):
    config = array("small")
    inputs = random_inputs(config, LAYER)[:1]
    comparison = SimpleNamespace(good=False, details=("counter busy of cluster 1: 2 in RTL",))
    outcome = SimpleNamespace(source=inputs[0], comparison=comparison)
    monkeypatch.setattr(benchmarks.rtl, "check_passes", lambda *_, **__: [outcome])
    with pytest.raises(MismatchError, match="forward: counter busy of cluster 1: 2 in RTL"):
        measure(config, inputs)
