"""Quantisation, and rounding of accumulators against Python's unbounded integers."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gscn.errors import InputError
from gscn.formats import INT8, INT16, INT32
from gscn.golden.oracle.quantize import check_range, choose_shift, quantize, requantize

INT64 = st.integers(-(1 << 63), (1 << 63) - 1)


def rounded(value: int, shift: int) -> int:
    return round(Fraction(value, 1 << shift))  # To nearest, ties to even.


def near_ties(shift: int):
    """Values whose part below the shift is a half, or next to it."""
    highest = (1 << (62 - shift)) - 1 if shift < 62 else 0
    return st.builds(
        lambda high, near: (high << shift) + (1 << shift >> 1) + near,
        st.integers(-highest - 1, highest),
        st.integers(-1, 1),
    )


@given(st.data(), st.integers(0, 63), st.sampled_from([INT8, INT16, INT32]))
def test_requantize_equals_unbounded_integers(data, shift, fmt):
    values = data.draw(st.lists(INT64 | near_ties(min(shift, 61)), max_size=20))
    found, saturated_count = requantize(np.array(values, dtype=np.int64), shift, fmt)
    exact = [rounded(value, shift) for value in values]
    assert found.dtype == np.dtype(fmt.name)
    assert found.tolist() == [min(max(v, fmt.minimum), fmt.maximum) for v in exact]
    assert saturated_count == sum(not fmt.minimum <= v <= fmt.maximum for v in exact)


def test_requantize_by_hand():
    values = np.array([5, 6, 7, -5, -6, -7, 2, -2, 1 << 40, -(1 << 40)], dtype=np.int64)
    found, saturated_count = requantize(values, 2, INT16)
    assert found.tolist() == [1, 2, 2, -1, -2, -2, 0, 0, 32767, -32768]
    assert saturated_count == 2


def test_requantize_saturates_after_rounding():
    values = np.array([(32767 << 4) + 7, (32767 << 4) + 8, -(32768 << 4) - 8], dtype=np.int64)
    found, saturated_count = requantize(values, 4, INT16)
    assert found.tolist() == [32767, 32767, -32768]
    assert saturated_count == 1


def test_requantize_refuses_bad_arguments():
    with pytest.raises(InputError, match="shift must be 0 to 63, not 64"):
        requantize(np.zeros(1, np.int64), 64, INT16)
    with pytest.raises(InputError, match="accumulators must be of type int64, not int32"):
        requantize(np.zeros(1, np.int32), 1, INT16)


@given(INT64, INT64, st.integers(2, 48))
def test_choose_shift_is_the_smallest_that_never_saturates(one, other, width):
    low, high = sorted((one, other))
    shift = choose_shift(low, high, width)

    def fits(candidate: int) -> bool:
        limit = 1 << (width - 1)
        return -limit <= rounded(low, candidate) and rounded(high, candidate) < limit

    assert fits(shift)
    assert shift == 0 or not fits(shift - 1)


def test_choose_shift_refuses_bad_arguments():
    with pytest.raises(InputError, match=r"ordered and 64-bit, not \[1, 0\]"):
        choose_shift(1, 0, 16)
    with pytest.raises(InputError, match="width must be at least 2 bits, not 1"):
        choose_shift(0, 1, 1)


@pytest.mark.parametrize("fmt", [INT8, INT16])
@pytest.mark.parametrize("magnitude", [1e-30, 1.0, 3e38])
def test_quantisation_error_is_at_most_half_a_step(fmt, magnitude, rng):
    values = (magnitude * rng.uniform(-1, 1, size=(3, 4, 5))).astype(np.float32)
    values[0] = 0
    quantized = quantize(values, fmt)
    assert quantized.values.dtype == np.dtype(fmt.name)
    assert np.abs(quantized.values).max() == fmt.maximum
    assert not quantized.values[0].any()
    error = np.abs(quantized.values * quantized.scale - values.astype(np.float64))
    assert error.max() <= quantized.scale * (0.5 + 1e-9)
    assert error.max() > 0


def test_all_zero_and_empty_tensors_stay_zero():
    quantized = quantize(np.zeros((2, 3), np.float32), INT8)
    assert quantized.scale == 1.0
    assert not quantized.values.any()
    assert quantize(np.zeros((0, 3), np.float32), INT8).values.shape == (0, 3)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_values_that_are_not_finite_are_counted_and_refused(bad):
    with pytest.raises(InputError, match="block1 must be finite to be quantised, but 2 values"):
        quantize(np.array([1.0, bad, bad], dtype=np.float32), INT8, name="block1")


def test_values_too_small_for_a_scale_are_refused():
    with pytest.raises(InputError, match="too small"):
        quantize(np.array([5e-324]), INT8)
    smallest = np.array([np.finfo(np.float32).smallest_subnormal])
    assert quantize(smallest, INT16).values.tolist() == [32767]


def test_check_range_names_tensor_format_and_values():
    kept = check_range(np.array([-128, 127]), INT8, "weights")
    assert kept.dtype == np.int8
    assert kept.tolist() == [-128, 127]
    with pytest.raises(InputError, match=r"weights must lie in \[-128, 127\] .* \[-129, 5\]"):
        check_range(np.array([-129, 5]), INT8, "weights")
    with pytest.raises(InputError, match=r"\[-32768, 32767\] to be int16, not \[0, 32768\]"):
        check_range(np.array([0, 32768], dtype=np.uint16), INT16, "inputs")
    with pytest.raises(InputError, match="must be of an integer type, not float32"):
        check_range(np.zeros(1, np.float32), INT16, "inputs")
