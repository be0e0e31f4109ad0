"""Passes in floating point, lowered and executed on codes, against the golden model."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gscn.config import PRESETS
from gscn.conv import ConvShape, Pass
from gscn.emulator.functional import execute
from gscn.errors import InputError
from gscn.formats import BF16, FLOAT32, FLOAT_OPERAND_FORMATS, FP8_E4M3, FP16
from gscn.golden.oracle.float_conv import conv_windowed, round_sums
from gscn.golden.oracle.synthetic import random_codes
from gscn.lowering import LoweringOptions, lower
from gscn.program import FloatOutput
from gscn.records import queue_entries
from tests.lowering.layers import PADDED

TINY = dataclasses.replace(PRESETS["tiny"], float_formats=",".join(FLOAT_OPERAND_FORMATS))
FORMATS = tuple(FLOAT_OPERAND_FORMATS.values())
STRIDED = ConvShape(n=2, c=5, h=7, w=6, k=3, r=3, s=2, stride=(2, 1), padding=(1, 0))


def check(shape, which, operands, out, options=None, config=TINY):
    """Lower, execute and compare with the golden model; return the program and the execution."""
    program = lower(config, shape, which, *operands, out, options)
    executed = execute(program)
    sums = conv_windowed(shape, which, *operands, out.operands, top=program.out.top)
    codes, saturated, nonfinite = round_sums(sums, out.result)
    np.testing.assert_array_equal(program.result(executed.memory), codes.astype(np.int64))
    assert executed.saturated == (saturated > 0)
    assert executed.nonfinite == (nonfinite > 0)
    assert not executed.accumulator_overflow
    return program, executed


@settings(max_examples=25)
@given(
    fmt=st.sampled_from(FORMATS),
    which=st.sampled_from(list(Pass)),
    shape=st.sampled_from([PADDED, STRIDED]),
    every_code=st.booleans(),
    result=st.sampled_from([FLOAT32, BF16, None]),
    seed=st.integers(0, 1000),
    stationary=st.sampled_from(["first", "second"]),
    parts=st.sampled_from([None, 2, 3]),
)
def test_any_pass_equals_the_golden_model(
    fmt, which, shape, every_code, result, seed, stationary, parts
):
    operands = random_codes(shape, which, 0.4, 0.5, fmt, seed, every_code=every_code)
    options = LoweringOptions(stationary=stationary, contraction_parts=parts)
    check(shape, which, operands, FloatOutput(operands=fmt, result=result or fmt), options)


@pytest.mark.parametrize("which", Pass)
def test_dense_extremes_stay_inside_the_window(which):
    largest = BF16.infinity - 1
    operands = [np.full(size, largest, np.uint16) for size in PADDED.operand_shapes(which)]
    _, executed = check(PADDED, which, operands, FloatOutput(operands=BF16))
    assert executed.saturated  # the sums are far beyond float32


def test_all_jobs_of_a_pass_have_one_window():
    operands = random_codes(PADDED, Pass.FORWARD, 0.4, 0.5, FP16, 3)
    options = LoweringOptions(contraction_parts=2)
    out = FloatOutput(operands=FP16, result=BF16)
    program, _ = check(PADDED, Pass.FORWARD, operands, out, options)
    assert len(program.phases) == 2
    jobs = np.concatenate(
        [queue_entries(program.image, p.queue_addr, p.job_count)["job"] for p in program.phases]
    )
    assert set(jobs["number_format"].tolist()) == {2}
    assert set(jobs["window"].tolist()) == {program.out.top}
    assert not jobs["shift"].any()


def test_zeros_of_either_sign_are_left_out():
    first, second = random_codes(PADDED, Pass.FORWARD, 0.3, 0.3, BF16, 4)
    program = lower(TINY, PADDED, Pass.FORWARD, first, second, FloatOutput(operands=BF16))
    negative = np.where(first == 0, 0x8000, first).astype(np.uint16)
    same = lower(TINY, PADDED, Pass.FORWARD, negative, second, FloatOutput(operands=BF16))
    np.testing.assert_array_equal(same.image, program.image)
    assert same.useful_products == program.useful_products


def test_a_wider_window_is_taken_and_a_narrower_one_refused():
    operands = random_codes(PADDED, Pass.FORWARD, 0.3, 0.3, BF16, 4)
    safe = lower(TINY, PADDED, Pass.FORWARD, *operands, FloatOutput(operands=BF16)).out.top
    wider = FloatOutput(operands=BF16, top=safe + 7)
    program, _ = check(PADDED, Pass.FORWARD, operands, wider)
    assert program.out.top == safe + 7
    with pytest.raises(InputError, match=f"top must be at least {safe} for every sum"):
        lower(TINY, PADDED, Pass.FORWARD, *operands, FloatOutput(operands=BF16, top=safe - 1))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"dtype": np.int16}, "weights must hold codes of an unsigned type, not int16"),
        ({"shape": (1, 1, 1, 1)}, r"weights must have shape .*, not \(1, 1, 1, 1\)"),
        ({"value": 256}, r"weights must hold codes below 256 \(fp8_e4m3\), not 256"),
    ],
)
def test_bad_operands_are_named(change, message):
    first, second = random_codes(PADDED, Pass.FORWARD, 0.3, 0.3, FP8_E4M3, 4)
    first = first.astype(change.get("dtype", np.uint16))
    if "shape" in change:
        first = first[:1, :1, :1, :1]
    if "value" in change:
        first[0, 0, 0, 0] = change["value"]
    with pytest.raises(InputError, match=message):
        lower(TINY, PADDED, Pass.FORWARD, first, second, FloatOutput(operands=FP8_E4M3))


def test_formats_that_cannot_be_are_named():
    first, second = random_codes(PADDED, Pass.FORWARD, 0.3, 0.3, BF16, 4)
    with pytest.raises(InputError, match="float_formats must contain bf16, not be ''"):
        lower(PRESETS["tiny"], PADDED, Pass.FORWARD, first, second, FloatOutput(operands=BF16))
    with pytest.raises(InputError) as caught:
        FloatOutput(operands=FLOAT32, result=FP16, top=1024)
    for problem in (
        "operands must be one of bf16, fp16, fp8_e4m3, fp8_e5m2, not float32",
        "result must be float32, bf16 or float32, not fp16",
        "top must be 0 to 1023, not 1024",
    ):
        assert problem in str(caught.value)
