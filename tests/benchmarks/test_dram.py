"""Whole convolutions behind DRAM take the longer of the array's cycles and DRAM's."""

from __future__ import annotations

from benchmarks import dram
from gscn.array import array
from gscn.conv import ConvShape, Pass
from gscn.dram import Dram
from gscn.perf.workload.work import Work

POINTWISE = ConvShape(n=4, c=64, h=14, w=14, k=64, r=1, s=1)


def test_convolutions_of_a_network_are_named_by_channels_and_kernel():
    found = dram.works("resnet50", 32)
    assert len(found) == len(set(found))
    names = {dram.label(work) for work in found if work.which is Pass.WEIGHT_GRAD}
    assert {"3x64x7", "64x64x3", "256x1024x1", "2048x1000x1"} <= names


def test_slow_dram_is_the_bound_and_operands_are_read_once():
    works = [
        Work(shape=POINTWISE, which=which, first_density=first, second_density=second)
        for which, first, second in (
            (Pass.FORWARD, 0.1, 1.0), (Pass.INPUT_GRAD, 0.1, 1.0), (Pass.WEIGHT_GRAD, 1.0, 0.1)
        )
    ]  # fmt: skip
    rows = dram.compute(array("large"), works, Dram(bytes_per_cycle=0.5, buffer_bytes=128 << 10))
    for row in rows:
        assert row["multipliers"] < row["once"]
        assert abs(row["cycles"] / row["dram"] - 1) < 0.02
        assert abs(row["expected"] / row["dram"] - 1) < 0.05
        assert row["reads"] < 1.05
    text = dram.render(rows)
    assert text.splitlines()[0].startswith("| pass | layer | million cycles |")
    assert len(text.splitlines()) == 5
