"""Passes for devices, without a simulator."""

from dataclasses import replace

import numpy as np
import pytest

from gscn.array import ARRAYS
from gscn.conv import ConvShape, Pass
from gscn.cosim.devices.jobs import PassJob, lower_job
from gscn.emulator.passes import run_passes
from gscn.errors import InputError
from gscn.formats import BF16, FLOAT32
from gscn.golden.oracle.float_conv import conv_windowed, round_sums
from gscn.golden.oracle.synthetic import random_codes
from gscn.outputs import FloatOutput

CONFIG = replace(ARRAYS["tiny"], float_formats="bf16")
SHAPE = ConvShape(n=4, c=8, h=8, w=8, k=8, r=3, s=3, padding=(1, 1))


def job(which):
    first, second = random_codes(SHAPE, which, 0.3, 0.3, BF16, 1)
    return PassJob(
        label=f"layer a, {which}",
        shape=SHAPE,
        which=which,
        first=first,
        second=second,
        out=FloatOutput(operands=BF16),
    )


@pytest.mark.parametrize("which", list(Pass))
def test_a_lowered_pass_gives_the_right_result(which):
    one = job(which)
    program, seconds = lower_job(CONFIG, one)
    done = run_passes(
        CONFIG, program.image, program.descriptors_addr, program.descriptor_count,
        program.memory_bytes,
    )  # fmt: skip
    sums = conv_windowed(SHAPE, which, one.first, one.second, BF16)
    assert np.array_equal(program.result(done.memory), round_sums(sums, FLOAT32)[0])
    assert seconds > 0


def test_operands_of_another_shape_are_refused():
    one = job(Pass.FORWARD)
    with pytest.raises(InputError, match="must have shape"):
        lower_job(CONFIG, replace(one, first=one.first[:-1]))
