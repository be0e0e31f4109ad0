"""A stretch of parts on the cycle model."""

from __future__ import annotations

from benchmarks import parts
from gscn.array import array
from gscn.conv import ConvShape, Pass
from gscn.dram import Dram
from gscn.perf.estimate.in_parts import Cost, Part
from gscn.perf.workload.work import Work

DRAM = Dram(bytes_per_cycle=2.0, buffer_bytes=256 << 10, ahead_bytes=128 << 10)


def test_a_stretch_is_run_with_work_ahead_and_without():
    shape = ConvShape(n=1, c=64, h=28, w=28, k=64, r=1, s=1)
    wide = ConvShape(n=1, c=64, h=14, w=14, k=64, r=3, s=3, padding=(1, 1))
    works = [
        Work(shape=one, which=Pass.INPUT_GRAD, first_density=density, second_density=1.0)
        for one, density in ((shape, 0.1), (wide, 0.5), (shape, 0.1))
    ]
    stretch = [
        Part("layer", work.which, Cost(10.0, 20.0, 30.0), (work,), follows=False) for work in works
    ]
    rows = parts.compute(array("large"), stretch, DRAM)
    assert [row["buffer"] for row in rows] == ["nothing ahead", "128 KiB ahead"]
    assert rows[1]["cycles"] < 0.95 * rows[0]["cycles"]
    assert rows[0]["expected"] == 150
    assert len(parts.render(rows).splitlines()) == 4
