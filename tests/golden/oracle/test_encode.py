"""The golden arithmetic of encode passes, against torch, exact fractions and numbers by hand."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gscn.formats import BF16, FLOAT32, INT8, INT16
from gscn.golden.methods.dst import step_slope
from gscn.golden.oracle.encode import (
    as_coefficients,
    combine_floats,
    combine_integers,
    first_maximum,
    is_kept,
    kth_magnitude,
    rectified,
    sloped,
    stepped,
    sums_in_order,
    window_sum,
    wrapped,
)
from gscn.golden.oracle.floats import decode, encode

ONE = np.ones(1)


def combined(values, coefficients, fmt=FLOAT32, width=32):
    found = combine_floats(
        [np.array([[value]]) for value in values],
        [np.array([value]) for value in coefficients],
        fmt,
        width,
    )
    return found, decode(found.codes, fmt)[0, 0]


def test_a_coefficient_keeps_16_bits():
    codes = np.array([1 + 2**-15, 1 + 2**-16, -1 - 2**-15 - 2**-20], dtype=np.float32)
    cut = as_coefficients(codes.view(np.uint32))
    assert cut.tolist() == [1 + 2**-15, 1.0, -1 - 2**-15]
    assert as_coefficients(np.array([0xFF, 0x100, 0x1FF], dtype=np.uint32)).tolist() == [
        0.0, 2.0**-141, 2.0**-141,
    ]  # fmt: skip


def test_products_are_cut_one_by_one_below_the_largest():
    # Exponents add up to 0; the sum has 31 bits below 4, so that its least one is 2**-29.
    tiny = 2.0**-30
    assert combined([1.0, tiny], [1.0, 1.0])[1] == 1.0
    assert combined([1.0, -1.0, tiny], [1.0, 1.0, 1.0])[1] == 0.0
    assert combined([1.0, -1.0, 2 * tiny], [1.0, 1.0, 1.0])[1] == 2 * tiny
    assert combined([1.0, -1.0, -3 * tiny], [1.0, 1.0, 1.0])[1] == -2 * tiny
    # Nothing is lost beside a product of zero.
    assert combined([0.0, tiny], [2.0**100, 1.0])[1] == tiny


def test_no_window_ends_below_that_of_the_least_numbers():
    # Its least bit is 2**-158: what lies below does not decide a tie of subnormal numbers.
    tie, tiny = [1.5 * 2.0**-140, 2.0**-9], [2.0**-140, -(2.0**-20)]
    assert combined(*zip(tie, tiny, strict=True))[1] == 2.0**-148
    assert combined(*zip(tie, [2.0**-140, -(2.0**-18)], strict=True))[1] == 2.0**-149


def test_specials_count_and_zeros_do_not():
    assert combined([np.inf, 1.0], [2.0, 1.0])[1] == np.inf
    assert np.isnan(combined([np.inf, np.inf], [2.0, -1.0])[1])
    assert np.isnan(combined([np.nan, 1.0], [1.0, 1.0])[1])
    found, value = combined([np.nan, np.inf, 1.0], [0.0, 0.0, 1.0])
    assert value == 1.0
    assert not found.nonfinite
    found, value = combined([3e38, 3e38], [1.0, 1.0])
    assert (value, found.saturated, found.nonfinite) == (np.inf, True, False)


@settings(deadline=None)
@given(st.lists(st.floats(-(2.0**60), 2.0**60, width=32), min_size=4, max_size=4))
def test_combinations_are_nearly_exact(values):
    coefficients = as_coefficients(
        np.array([1.5, -0.3, 2.0**-9, 1], dtype=np.float32).view(np.uint32)
    ).tolist()
    exact = sum(Fraction(a) * Fraction(b) for a, b in zip(values, coefficients, strict=True))
    _, found = combined(values, coefficients)
    largest = max(abs(a * b) for a, b in zip(values, coefficients, strict=True))
    # A product is below four times the unit of its exponents' sum, at most four are cut.
    assert abs(Fraction(found) - exact) <= 4 * Fraction(largest) / 2**29 + abs(exact) / 2**24 + (
        Fraction(1, 2**149)
    )


@settings(deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_one_tensor_times_one_is_rounded_as_torch_rounds(seed):
    values = np.random.default_rng(seed).standard_normal((5, 16)).astype(np.float32)
    found = combine_floats([values.astype(np.float64)], [ONE], BF16, 32)
    wanted = torch.from_numpy(values).to(torch.bfloat16).view(torch.int16).numpy().view(np.uint16)
    assert np.array_equal(found.codes, wanted)


def test_integers_are_rounded_to_even_and_saturated():
    values = np.array([[5, 6, 7, -5, -6, -7, 2000, -2000]])
    found = combine_integers([values], [np.array([1])], 2, INT8)
    assert found.codes.tolist() == [[1, 2, 2, -1, -2, -2, 127, -128]]
    assert found.saturated
    assert combine_integers([values], [np.array([3])], 0, INT16).codes[0, 0] == 15


def test_relu_keeps_nan_and_makes_all_other_zeros_positive():
    codes = np.array([0x8000, 0, 0xFF80, 0x7F80, 0x7FC0, 0xBF80, 0x3F80], dtype=np.uint16)
    assert rectified(codes, BF16).tolist() == [0, 0, 0, 0x7F80, 0x7FC0, 0, 0x3F80]
    assert rectified(np.array([-3, 0, 3]), INT8).tolist() == [0, 0, 3]


@pytest.mark.parametrize("strict", [False, True])
def test_magnitudes_are_compared_as_their_codes_are(strict):
    codes = np.arange(1 << 16).astype(np.uint16)
    codes = codes[(codes & 0x7FFF) <= 0x7FC0]
    for threshold in (0, 1, 0x80, 0x3F80, 0x7F80, 0x7F81, 0x7FC0, 0x7FC1, 0xFFFFFFFF):
        magnitudes = (codes & 0x7FFF).astype(np.int64)
        wanted = magnitudes > threshold if strict else magnitudes >= threshold
        limits = np.full(codes.shape, threshold)
        assert np.array_equal(is_kept(codes, limits, BF16, strict=strict), wanted)


def test_the_kth_magnitude_counts_ties():
    codes = encode(np.array([3.0, -3.0, 1.0, 0.0]), BF16).codes
    assert [decode(np.array([kth_magnitude(codes, k, BF16)], dtype=np.uint16), BF16)[0]
            for k in (1, 2, 3, 4)] == [3.0, 3.0, 1.0, 0.0]  # fmt: skip


def test_sums_are_cut_and_wrap():
    values = np.array([[1.0, np.inf], [1.5, 1.0], [-(2.0**-60), np.nan]])
    sums, plus, minus = window_sum(values, 1.0, 254, 48)
    # Least bit: 254 - 45 - 254.
    assert sums[0] == 5 * 2**44
    assert plus.tolist() == [False, True]
    assert minus.tolist() == [False, True]
    assert wrapped(1 << 47, 48) == -(1 << 47)


def test_thresholds_step_between_the_least_normal_number_and_the_largest():
    step = 1 << 7
    assert stepped(0x3F80, 3, (4, 5), step, BF16) == 0x3F00
    assert stepped(0x3F80, 6, (4, 5), step, BF16) == 0x4000
    assert stepped(0x3F80, 4, (4, 5), step, BF16) == 0x3F80
    assert stepped(0x0081, 0, (4, 5), step, BF16) == 0x0080
    assert stepped(0x7F7F, 9, (4, 5), step, BF16) == 0x7F7F
    assert stepped(3, 9, (4, 5), 200, INT8) == 127


def test_sums_are_rounded_once_and_specials_stay():
    values = np.array([[1.0, np.inf, np.inf], [2.0**-9, 1.0, -np.inf], [2.0**-9, 1.0, 1.0]])
    found = sums_in_order(encode(values, BF16).codes, 254 + 3, 48, BF16)
    got = decode(found.codes, BF16)
    # Each addend alone is below half a unit of bf16's last place, both are half of one.
    assert got[0] == 1.0
    assert got[1] == np.inf
    assert np.isnan(got[2])
    assert found.nonfinite
    assert sums_in_order(np.array([[100], [100]]), 0, 48, INT8).codes.tolist() == [127]


def test_the_slope_is_that_of_dst():
    sizes = torch.tensor([0.0, -0.1, 0.4, -0.5, 1.0, 1.5, torch.nan])
    falling = (2 - 4 * sizes.abs()).float().numpy().view(np.uint32)
    found = sloped(falling, sizes.double().numpy(), FLOAT32).view(np.float32)
    wanted = step_slope(sizes).numpy()
    wanted[-1] = 0
    assert found.tolist() == wanted.tolist()


def test_a_clamp_from_above_is_a_second_combination_and_its_bits_a_product():
    codes = np.arange(BF16.infinity, dtype=np.uint16)
    rectified_map = decode(codes, BF16)[:, None]
    above = combine_floats([rectified_map, np.full((1, 1), -6.0)], [ONE, ONE], BF16, 32)
    above = decode(rectified(above.codes, BF16), BF16)
    clamped = decode(combine_floats([rectified_map, above], [ONE, -ONE], BF16, 32).codes, BF16)
    wanted = torch.nn.functional.relu6(torch.from_numpy(rectified_map)).numpy()
    exact = rectified_map < 520
    assert (clamped == wanted)[exact].all()
    assert set(clamped[~exact]) == {0.0, 4.0, 8.0}
    product = combine_floats([wanted, wanted], [-6 * ONE, wanted], BF16, 32)
    assert ((decode(product.codes, BF16) != 0) == ((wanted > 0) & (wanted < 6))).all()


def test_the_maximum_is_torchs():
    codes = encode(np.array([1.0, 3.0, 3.0, -np.inf]), BF16).codes
    assert first_maximum(codes, BF16) == 1
    assert first_maximum(np.append(codes, np.uint16(BF16.nan)), BF16) == 4
    assert first_maximum(np.array([-3, -2, -2]), INT8) == 1
