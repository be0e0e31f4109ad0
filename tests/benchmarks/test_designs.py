"""Designs of weight gradients are compared with what the driver plans."""

from __future__ import annotations

import numpy as np

from benchmarks import designs
from gscn.conv import ConvShape, Pass
from gscn.cosim.layer import PassInput

SHAPE = ConvShape(n=2, c=16, h=6, w=6, k=16, r=3, s=3, padding=(1, 1))


def test_every_design_does_the_same_products():
    rng = np.random.default_rng(1)
    first, second = (
        (rng.random(size) < 0.2).astype(np.int16) for size in SHAPE.operand_shapes(Pass.WEIGHT_GRAD)
    )
    rows = designs.measure(
        PassInput(layer="a", shape=SHAPE, which=Pass.WEIGHT_GRAD, first=first, second=second)
    )
    assert [row["design"] for row in rows] == [
        designs.AS_PLANNED, "inputs held", "output gradients held where possible",
        "without teams", "a tap row to a pass", "a tap to a pass",
    ]  # fmt: skip
    assert len({row["products"] for row in rows}) == 1
    cycles = {row["design"]: row["cycles"] for row in rows}
    held = (cycles["inputs held"], cycles["output gradients held where possible"])
    assert cycles[designs.AS_PLANNED] in held
    assert cycles["a tap to a pass"] > cycles["a tap row to a pass"] > min(held)


def test_cycles_are_compared_by_kernel():
    rows = [
        {"design": design, "kernel": kernel, "products": 64_000, "cycles": cycles}
        for design, cycles in ((designs.AS_PLANNED, 1250), ("without teams", 2500))
        for kernel in ("3x3", "1x1")
    ]
    lines = [line.strip("| ").split(" | ") for line in designs.render(rows).splitlines()]
    assert lines[2] == [designs.AS_PLANNED, "80.0 %", "+0.0 %", "80.0 %", "+0.0 %"]
    assert lines[3] == ["without teams", "40.0 %", "+100.0 %", "40.0 %", "+100.0 %"]
