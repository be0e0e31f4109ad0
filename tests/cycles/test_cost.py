"""The tuned lowering is the best of those the estimate proposes, by the cycle model."""

import numpy as np
import pytest

from gscn.config import PRESETS
from gscn.conv import ConvShape, Pass
from gscn.cycles.cost import cycle_cost
from gscn.cycles.model import simulate
from gscn.emulator.functional import execute
from gscn.formats import INT16
from gscn.golden.oracle.integers import conv_integers
from gscn.golden.oracle.synthetic import random_operands
from gscn.lowering import LoweringOptions, lower
from gscn.program import OutputFormat

SHAPE = ConvShape(n=2, c=6, h=9, w=9, k=8, r=3, s=3, padding=(1, 1))
OUT = OutputFormat(width=32, shift=0)


@pytest.mark.parametrize("which", Pass)
def test_the_cycle_model_decides_and_the_result_stays_exact(which):
    config = PRESETS["tiny"]
    first, second = random_operands(SHAPE, which, 0.3, 0.3, INT16, 5)
    seen = []

    def cost(program):
        seen.append(simulate(program, latency=60).cycles)
        return float(seen[-1])

    options = LoweringOptions(candidates=5)
    lower(config, SHAPE, which, first, second, OUT, options, cost=cost)
    assert len(seen) == 5
    tuned = lower(config, SHAPE, which, first, second, OUT, options, cost=cycle_cost(60))
    assert simulate(tuned, latency=60).cycles == min(seen)
    result = tuned.result(execute(tuned).memory)
    exact = conv_integers(SHAPE, which, first, second)
    np.testing.assert_array_equal(result, np.clip(exact, -(1 << 31), (1 << 31) - 1))
