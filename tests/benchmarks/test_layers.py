"""Single layers on the cycle model: what is told of one follows from its cycles."""

from __future__ import annotations

import pytest

from benchmarks import __main__ as command
from benchmarks import layers
from gscn.array import array
from gscn.conv import ConvShape, Pass

SMALL = ConvShape(n=1, c=8, h=6, w=6, k=8, r=3, s=3, padding=(1, 1))


@pytest.mark.parametrize("which", Pass)
def test_figures_of_a_layer_follow_from_its_cycles(monkeypatch, which):
    monkeypatch.setitem(layers.LAYERS, "small", SMALL)
    monkeypatch.setattr(layers, "CONFIG", "tiny")
    found = layers.compute("small", which)
    multipliers = array("tiny").multipliers
    assert (found["layer"], found["pass"]) == ("small", str(which))
    busy = found["useful_products"] / multipliers
    assert found["utilization"] == pytest.approx(busy / found["cycles"])
    speedup = found["speedup_vs_one_product_per_multiplier"]
    assert speedup == pytest.approx(SMALL.dense_macs / multipliers / found["cycles"])
    # A tenth of both operands: about a hundredth of the products, and not all cycles are busy.
    assert 0 < found["useful_products"] < 0.03 * SMALL.dense_macs
    again = layers.compute("small", which)
    assert {**found, "seconds": 0} == {**again, "seconds": 0}


def test_a_sample_has_no_more_products_than_asked_for(monkeypatch):
    monkeypatch.setattr(layers, "CONFIG", "tiny")
    found = layers.sample_size(20_000)
    assert found["at_most"] == 20_000
    assert 0 < found["useful_products"] < 1.2 * 20_000
    assert 0 < found["utilization"] <= 1


def test_the_command_prints_a_row_for_each_layer_and_pass_and_each_size(monkeypatch, capsys):
    asked = []

    def compute(name, which):
        asked.append((name, which))
        return {"layer": name, "pass": str(which)}

    monkeypatch.setattr(layers, "compute", compute)
    monkeypatch.setattr(layers, "sample_size", lambda products: {"at_most": products})
    command.main()
    # The first is asked for once more, to compile the model.
    assert asked[1:] == [(name, which) for name in layers.LAYERS for which in Pass]
    lines = [line.rstrip() for line in capsys.readouterr().out.splitlines()]
    rows = [line for line in lines if line.startswith(tuple(layers.LAYERS))]
    assert [row.split()[-1] for row in rows] == [str(which) for _, which in asked[1:]]
    sizes = lines[-len(layers.SAMPLE_SIZES) :]
    assert [size.strip() for size in sizes] == [str(products) for products in layers.SAMPLE_SIZES]
