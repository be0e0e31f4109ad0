"""Lowering to a tiling that was found for other operands."""

from dataclasses import replace

import numpy as np
import pytest

from gscn.config import PRESETS
from gscn.conv import ConvShape, Pass
from gscn.emulator.functional import execute
from gscn.errors import InputError
from gscn.golden.oracle.integers import conv_integers
from gscn.golden.oracle.synthetic import random_operands
from gscn.lowering import LoweringOptions, lower, lower_again
from gscn.program import OutputFormat

CONFIG = PRESETS["tiny"]
SHAPES = (
    ConvShape(n=3, c=6, h=9, w=8, k=5, r=3, s=3, stride=(2, 2), padding=(1, 1)),
    ConvShape(n=2, c=5, h=6, w=6, k=7, r=1, s=1),
)
OUT = OutputFormat(shift=4)


@pytest.mark.parametrize("shape", SHAPES, ids=["3x3", "1x1"])
@pytest.mark.parametrize("which", list(Pass))
@pytest.mark.parametrize("stationary", ["first", "second"])
@pytest.mark.parametrize("fold", [False, True])
def test_other_operands_on_the_same_tiling_give_their_own_exact_result(
    shape, which, stationary, fold
):
    options = LoweringOptions(stationary=stationary, fold=fold)
    found = lower(CONFIG, shape, which, *_operands(shape, which, 0.2, 1), OUT, options)
    for density, seed in ((0.2, 2), (0.9, 3), (0.0, 4)):
        first, second = _operands(shape, which, density, seed)
        program = lower_again(found.tiling, first, second, OUT)
        assert program.plan == found.plan
        assert program.stationary == stationary
        done = execute(program)
        sums = conv_integers(shape, which, first, second)
        rounded = np.rint(sums / 2**OUT.shift).astype(np.int64)
        assert np.array_equal(program.result(done.memory), rounded)
        assert program.useful_products == _useful(shape, which, first, second)


def test_the_same_operands_give_the_same_program():
    shape = SHAPES[0]
    for which in Pass:
        operands = _operands(shape, which, 0.3, 1)
        found = lower(CONFIG, shape, which, *operands, OUT)
        again = lower_again(found.tiling, *operands, OUT)
        assert np.array_equal(again.image, found.image)
        assert again.jobs == found.jobs


def test_what_does_not_fit_the_plan_is_refused():
    shape = SHAPES[0]
    operands = _operands(shape, Pass.FORWARD, 0.3, 1)
    plan = lower(CONFIG, shape, Pass.FORWARD, *operands, OUT).tiling
    with pytest.raises(InputError, match="results must have the plan's 32 bits, not 16"):
        lower_again(plan, *operands, replace(OUT, width=16))
    with pytest.raises(InputError, match="shape"):
        lower_again(plan, operands[0][:-1], operands[1], OUT)


def _operands(shape, which, density, seed):
    return random_operands(shape, which, density, density, CONFIG.format, seed)


def _useful(shape, which, first, second):
    counts = conv_integers(shape, which, (first != 0).astype("i2"), (second != 0).astype("i2"))
    return int(counts.sum())
