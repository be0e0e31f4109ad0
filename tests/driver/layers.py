"""All passes of a small layer, for tests of drivers and images."""

from __future__ import annotations

from gscn.array import ARRAYS, ArrayConfig
from gscn.conv import ConvShape, Pass
from gscn.golden.oracle.synthetic import random_operands
from gscn.lowering.pass_image import PassImage, lower_pass
from gscn.outputs import OutputFormat

CONFIG = ARRAYS["tiny"]
SHAPE = ConvShape(n=1, c=3, h=6, w=5, k=4, r=3, s=3, padding=(1, 1))


def layer_passes(config: ArrayConfig = CONFIG) -> list[PassImage]:
    """Return the three passes, lowered to a configuration."""
    out = OutputFormat(width=32)
    return [
        lower_pass(
            config, SHAPE, which, *random_operands(SHAPE, which, 0.4, 0.4, config.format, 3), out
        )
        for which in Pass
    ]
