"""Blocks with shared scales, against the specification's words in ml_dtypes' numbers."""

from __future__ import annotations

import math

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from gscn.formats import FP8_E4M3, FP8_E5M2
from gscn.golden.oracle.microscaling import BLOCK, to_blocks

E8M0 = ml_dtypes.float8_e8m0fnu
OTHERS = {"fp8_e4m3": ml_dtypes.float8_e4m3fn, "fp8_e5m2": ml_dtypes.float8_e5m2}
LARGEST = {"fp8_e4m3": (448.0, 8), "fp8_e5m2": (57344.0, 15)}
"""Largest number, and its power of two: table 1 of the specification."""
every_format = pytest.mark.parametrize("fmt", [FP8_E4M3, FP8_E5M2], ids=lambda fmt: fmt.name)


def block_by_the_words(block: np.ndarray, name: str) -> tuple[int, np.ndarray]:
    """Return (scale's code, elements' codes) of a block of finite numbers, one by one."""
    most, power = LARGEST[name]
    largest = max(abs(float(value)) for value in block)
    exponent = -127 if largest == 0 else max(-127, math.floor(math.log2(largest)) - power)
    scale = np.array(2.0**exponent, np.float64).astype(E8M0)
    clamped = [max(-most, min(most, float(value) / 2.0**exponent)) for value in block]
    # A float32 number divided by a power of two may be beyond float32, but is exact in float64.
    return int(scale.view(np.uint8)), np.array(clamped).astype(OTHERS[name]).view(np.uint8)


FLOATS = st.one_of(
    st.floats(width=32, allow_nan=False, allow_infinity=False),
    st.floats(-500, 500, width=32),
    st.sampled_from([0.0, -0.0, 448.0, 464.0, 480.0, -(2.0**-149), 3.4e38, 57344.0, 61440.0]),
)


@every_format
@given(values=hnp.arrays(np.float32, st.integers(1, 70), elements=FLOATS))
def test_blocks_are_those_of_the_specification(fmt, values):
    blocks = to_blocks(values, fmt, 0)
    assert blocks.scales.size == -(-values.size // BLOCK)
    for number, scale in enumerate(blocks.scales):
        part = slice(number * BLOCK, (number + 1) * BLOCK)
        right_scale, right = block_by_the_words(values[part], fmt.name)
        assert scale == right_scale
        assert blocks.codes[part].tolist() == right.tolist()
    scales = np.repeat(blocks.scales.view(E8M0).astype(np.float64), BLOCK)[: values.size]
    numbers = blocks.codes.view(OTHERS[fmt.name]).astype(np.float64) * scales
    assert np.array_equal(blocks.values(), numbers)


@every_format
@pytest.mark.parametrize("axis", [0, 1, 2, -1])
def test_blocks_lie_along_any_axis(fmt, axis, rng):
    values = rng.standard_normal((33, 40, 5)) * 2.0 ** rng.integers(-20, 20, (33, 40, 5))
    blocks = to_blocks(values, fmt, axis)
    rows = np.moveaxis(values, axis, -1)
    found = np.moveaxis(blocks.values(), axis, -1)
    assert np.moveaxis(blocks.scales, axis, -1).shape[-1] == -(-rows.shape[-1] // BLOCK)
    for place in np.ndindex(rows.shape[:-1]):
        assert np.array_equal(to_blocks(rows[place], fmt, 0).values(), found[place])


def test_blocks_by_hand():
    # Largest 3 x 2**10: the scale is 2**(11 - 8); 1 becomes 1/8, 2**-8 is lost.
    values = np.zeros(64)
    values[:4] = [3 * 2.0**10, -1.0, 2.0**-8, 500.0 * 2.0**3]
    values[32] = -511.0  # 2**8 <= 511: scale 1, clamped to 448
    blocks = to_blocks(values, FP8_E4M3, 0)
    assert (blocks.scales.astype(int) - 127).tolist() == [3, 0]
    assert blocks.values()[:4].tolist() == [3 * 2.0**10, -1.0, 0.0, 448 * 2.0**3]
    assert blocks.values()[32] == -448.0
    assert not blocks.values()[33:].any()


@every_format
@given(values=hnp.arrays(np.float32, st.integers(1, 40), elements=FLOATS))
def test_scales_that_clamp_nothing_are_twice_as_large_where_it_would(fmt, values):
    clamped, covering = (to_blocks(values, fmt, 0, clamps=clamps) for clamps in (True, False))
    most = LARGEST[fmt.name][0]
    for number in range(clamped.scales.size):
        part = slice(number * BLOCK, (number + 1) * BLOCK)
        largest = float(np.abs(values[part]).max())
        beyond = largest > most * 2.0 ** (int(clamped.scales[number]) - 127)
        assert covering.scales[number] == clamped.scales[number] + beyond
        if not beyond:
            assert np.array_equal(covering.codes[part], clamped.codes[part])
        assert largest <= most * 2.0 ** (int(covering.scales[number]) - 127)


@every_format
def test_infinities_and_nan_stay_and_decide_no_scale(fmt):
    values = np.array([1.0, np.inf, -np.inf, np.nan], np.float32)
    blocks = to_blocks(values, fmt, 0)
    assert blocks.scales.tolist() == to_blocks(values[:1], fmt, 0).scales.tolist()
    found = blocks.values()
    assert found[0] == 1.0
    assert np.isnan(found[3])
    if fmt.has_infinity:
        assert found[1:3].tolist() == [np.inf, -np.inf]
    else:
        assert np.isnan(found[1:3]).all()
