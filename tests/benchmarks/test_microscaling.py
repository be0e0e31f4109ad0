"""The study of operands of 8 bits: what it measures, and what it says of it."""

from __future__ import annotations

import math

import numpy as np
import pytest

from benchmarks import microscaling
from benchmarks.float_error import Case, recorded_layers
from benchmarks.microscaling import BLOCKS, CLAMPED, CONTRACTED, WAYS, exact_width, stored_bytes
from gscn.conv import ConvShape, Pass
from gscn.formats import BF16
from gscn.golden.oracle.floats import encode
from gscn.golden.recipe import Recipe
from gscn.golden.traces.arrays import LayerTrace, PassTrace

ONE = ConvShape(n=1, c=2, h=1, w=1, k=1, r=1, s=1)


def forward(weights, inputs) -> PassTrace:
    first, second = (np.array(o, np.float32).reshape(1, 2, 1, 1) for o in (weights, inputs))
    result = (first * second).sum().reshape(1, 1, 1, 1)
    return PassTrace(
        which=Pass.FORWARD, first=first, second=second, result=result, precomputed=None
    )


def test_errors_and_zeros_are_those_worked_out_by_hand():
    # Of 1.7 e4m3 has 1.75; of 2**-20 nothing below a scale for 1.
    found = microscaling.measure(ONE, forward([1.0, 1.0], [1.7, 2.0**-20]), windows=True)
    for name in ("fp8, amax", "fp8_e4m3, amax", BLOCKS, CLAMPED, CONTRACTED):
        assert found["errors"][name] == pytest.approx((1.75 - 1.7) / 1.7, rel=1e-3)
        assert found["zeroed"][name] == 0.25
    assert found["errors"]["bf16"] == pytest.approx((1.703125 - 1.7) / 1.7, rel=1e-3)
    assert found["zeroed"]["bf16"] == 0
    assert found["windows"] == {"32": 0.0, "48": 0.0}
    assert (found["numbers"], found["nonzeros"]) == (4, 4)


def test_the_specifications_scale_clamps_what_the_other_does_not():
    # 2 x 0.97 has the power of two of 1, by which 448 stands for 1.75.
    found = microscaling.measure(ONE, forward([1.0, 1.0], [1.94, 0.0]), windows=False)
    assert found["errors"][CLAMPED] == pytest.approx((1.94 - 1.75) / 1.94, rel=1e-3)
    assert found["errors"][BLOCKS] == pytest.approx((2.0 - 1.94) / 1.94, rel=1e-3)
    assert "windows" not in found


def test_what_leaves_its_format_has_no_error_to_speak_of():
    found = microscaling.measure(ONE, forward([1.0, 1.0], [1e6, 1.0]), windows=False)
    assert found["errors"]["fp8"] == found["errors"]["fp16"] == math.inf
    assert found["errors"]["fp16, amax"] < 1e-3


@pytest.mark.parametrize(("second", "bits"), [([1.0, 2.0**-10], 13), ([1.0, 0.0], 3)])
def test_an_accumulator_is_as_wide_as_top_and_least_bit_say(second, bits):
    codes = tuple(
        encode(np.array(values).reshape(1, 2, 1, 1), BF16).codes for values in ([1.0, 1.0], second)
    )
    operands = microscaling.Operands(values=(np.zeros(1), np.zeros(1)), codes=codes, fmt=BF16)
    # A sign, what the sum of two is at most, and down to the least bit.
    assert exact_width(ONE, Pass.FORWARD, operands) == bits


def test_scales_take_a_halfword_where_values_are_even_in_number():
    position = np.zeros((3, 40))
    position[0, :3] = 1  # 3 values and the scale: two halfwords, as without
    position[1, 16:18] = 1  # 2 values of the second vector: one halfword more
    position[1, 32] = 1  # a block of the next group, with room
    found = stored_bytes(position.reshape(3, 40, 1, 1), 1)
    # Two groups of a block of 6 vectors: one halfword each; a mask and values for each vector.
    assert found["bf16"] == 2 * (2 + (1 + 3) + (1 + 2) + (1 + 1))
    assert found["fp8"] == 2 * (2 + (1 + 2) + (1 + 1) + (1 + 1))
    assert found[BLOCKS] == found["fp8"] + 2


def test_layers_of_the_digits_network_are_reported_in_full():
    case = Case(name="step", recipe=Recipe(method="resprop", batch_size=8), iterations=3)
    layers = [layer for layer in recorded_layers(case) if layer.name in ("stem", "block3.conv1")]
    rows = microscaling.compute(case, iter(layers))
    found = [(row["layer"], row["pass"]) for row in rows]
    right = [("block3.conv1", str(which)) for which in Pass]
    assert sorted(found) == sorted([("stem", "forward"), ("stem", "weight-grad"), *right])
    for row in rows:
        errors = row["errors"]
        assert set(errors) == {*WAYS, CLAMPED, CONTRACTED}
        assert (
            errors["fp16, amax"] < errors["bf16"] < errors[BLOCKS] < errors["fp8_e5m2, amax"] * 1.01
        )
    text = microscaling.PAGE.render({"blocks": microscaling.report(rows)})
    assert text.count("| step | weight-grad |") == 3
    assert "in 32 by at most" in text


def test_passes_without_results_are_left_out():
    layer = LayerTrace(
        name="conv", shape=ONE, passes={Pass.FORWARD: forward([0.0, 0.0], [1.0, 1.0])}
    )
    assert microscaling.compute(microscaling.CASES[0], iter([layer])) == []
