"""Passes on the Verilog of an array are measured, and a wrong result is never published."""

from __future__ import annotations

import pytest

from benchmarks import arrays
from gscn.array import array
from gscn.config import preset
from gscn.conv import ConvShape, Pass
from gscn.cosim.layer import PassInput
from gscn.errors import MismatchError
from gscn.golden.oracle.synthetic import random_operands
from gscn.lowering.pass_image import PassImage

SHAPE = ConvShape(n=1, c=5, h=6, w=6, k=4, r=3, s=3, padding=(1, 1))


@pytest.fixture
def one():
    first, second = random_operands(SHAPE, Pass.FORWARD, 0.5, 0.5, preset("tiny").format, 0)
    return PassInput(layer="one", shape=SHAPE, which=Pass.FORWARD, first=first, second=second)


def test_a_measured_pass_has_its_results_right_and_its_cycles_accounted_for(one):
    found = arrays.measure(array("tiny"), one)
    assert found["results"] == SHAPE.n * SHAPE.k * SHAPE.p * SHAPE.q
    assert sum(found["shares"].values()) == pytest.approx(1)
    assert 0 < found["utilization"] <= found["shares"]["busy"]
    assert found["read_per_operand"] >= 1
    assert len(arrays.row(found)) == len(arrays.HEADER)


def test_a_wrong_result_is_an_error(one, monkeypatch):
    right = PassImage.result

    def wrong(self, memory):
        result = right(self, memory)
        result.flat[0] += 1
        return result

    monkeypatch.setattr(PassImage, "result", wrong)
    with pytest.raises(MismatchError, match="one forward: 1 results differ"):
        arrays.measure(array("tiny"), one)
