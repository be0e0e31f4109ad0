"""The window: exponents by hand, and that no sum of so many products leaves the accumulator."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gscn.conv import ConvShape, Pass
from gscn.conv_groups import group_operands
from gscn.errors import InputError
from gscn.formats import BF16, FLOAT_OPERAND_FORMATS, FP8_E4M3, FP8_E5M2, FP16
from gscn.window import (
    MOST_CONTRACTION,
    contraction_length,
    guard_bits,
    largest_exponent,
    lsb_exponent,
    pass_top,
    window_top,
)

FORMATS = tuple(FLOAT_OPERAND_FORMATS.values())


def added(first, second, top, fmt, acc_width):
    """Return the magnitude that a product of (significand, exponent) pairs adds, by its formula."""
    (ma, ea), (mb, eb) = first, second
    shift = acc_width - 1 - 2 * fmt.significand_width - (top - ea - eb)
    return (ma * mb << shift) if shift >= 0 else (ma * mb >> -shift)


def largest_significand(fmt, exponent):
    """Return the largest significand of a finite code of this exponent field."""
    full = (1 << fmt.significand_width) - 1
    return full - 1 if not fmt.has_infinity and exponent == fmt.top_exponent else full


@pytest.mark.parametrize(
    ("length", "bits"),
    [(1, 0), (2, 1), (3, 2), (4, 2), (5, 3), (576, 10), (1 << 23, 23), ((1 << 23) + 1, 24)],
)
def test_guard_bits_are_the_logarithm_rounded_up(length, bits):
    assert guard_bits(length) == bits
    assert guard_bits(MOST_CONTRACTION) == 24


@pytest.mark.parametrize("length", [0, -1, MOST_CONTRACTION + 1])
def test_a_contraction_out_of_range_is_named(length):
    with pytest.raises(InputError, match=rf"contraction length must be 1 to .*, not {length}"):
        guard_bits(length)


@pytest.mark.parametrize(
    ("codes", "fmt", "exponent"),
    [
        ([], BF16, 1),
        ([0x0000, 0x8000], BF16, 1),  # zeros
        ([0x0001, 0x807F], BF16, 1),  # subnormal numbers
        ([0x3F80, 0x0080], BF16, 127),  # 1.0
        ([0xC000, 0x3F80], BF16, 128),  # -2.0
        ([0x7F80, 0xFF80, 0x7FC1, 0x0100], BF16, 2),  # infinities and NaN do not count
        ([0x7BFF], FP16, 30),  # 65504
        ([0x7E], FP8_E4M3, 15),  # 448: finite, in the highest exponent
        ([0x7F, 0xFF, 0x38], FP8_E4M3, 7),  # NaN do not count; 1.0
        ([0x7B, 0x7C, 0x7E], FP8_E5M2, 30),  # 57344, infinity, NaN
    ],
)
def test_the_largest_exponent_is_that_of_finite_nonzero_codes(codes, fmt, exponent):
    for dtype in (np.uint16, np.uint32) if fmt.width == 16 else (np.uint8, np.uint16):
        assert largest_exponent(np.array(codes, dtype), fmt) == exponent


def test_top_and_least_bit_by_hand():
    one, two = np.array([0x3F80], np.uint16), np.array([0x4000], np.uint16)
    # Exponents 127 and 128, and 10 bits for 576 products.
    top = window_top(one, two, BF16, 576)
    assert top == 265
    # 1.0 * 2.0 adds 128 * 128 * 2**(47 - 16) / 2**10 = 2**35, so the least bit is 2 / 2**35.
    assert added((128, 127), (128, 128), top, BF16, 48) == 1 << 35
    assert lsb_exponent(top, BF16, 48) == -34


@pytest.mark.parametrize("fmt", FORMATS, ids=lambda f: f.name)
@pytest.mark.parametrize("acc_width", [32, 40, 48, 62, 64])
def test_the_least_bit_is_what_a_product_adds_divided_by_its_value(fmt, acc_width):
    top = 2 * fmt.top_exponent + 3
    ea, eb = fmt.top_exponent, fmt.top_exponent - 1
    first = (1 << fmt.mantissa_width, ea)
    second = (1 << fmt.mantissa_width, eb)
    # Both have the significand 1.0, so the value is a power of two.
    value_exponent = ea + eb - 2 * fmt.bias
    product = added(first, second, top, fmt, acc_width)
    assert product == 1 << (value_exponent - lsb_exponent(top, fmt, acc_width))


@pytest.mark.parametrize("fmt", [FP8_E4M3, FP8_E5M2], ids=lambda f: f.name)
@pytest.mark.parametrize("acc_width", [32, 40, 48, 62, 64])
@pytest.mark.parametrize("guard", [0, 1, 7, 24])
def test_no_sum_leaves_the_accumulator_whatever_the_exponents(fmt, acc_width, guard):
    exponents = range(1, fmt.top_exponent + 1)
    # Operands whose largest exponents are these give this top; all products below it are checked.
    for highest in {a + b for a, b in itertools.product(exponents, exponents)}:
        top = highest + guard
        for ea, eb in itertools.product(exponents, exponents):
            if ea + eb <= highest:
                first, second = ((largest_significand(fmt, e), e) for e in (ea, eb))
                worst = added(first, second, top, fmt, acc_width)
                assert worst << guard < 1 << (acc_width - 1)


@given(
    fmt=st.sampled_from(FORMATS),
    acc_width=st.sampled_from([32, 40, 48, 62, 64]),
    length=st.one_of(st.integers(1, MOST_CONTRACTION), st.sampled_from([1, MOST_CONTRACTION])),
    data=st.data(),
)
def test_no_sum_leaves_the_accumulator_at_the_limits_of_any_format(fmt, acc_width, length, data):
    field = st.one_of(st.integers(1, fmt.top_exponent), st.sampled_from([1, fmt.top_exponent]))
    exponents = [data.draw(field), data.draw(field)]
    codes = [
        np.array([(e << fmt.mantissa_width) | (1 << fmt.mantissa_width) - 1]) for e in exponents
    ]
    if not fmt.has_infinity:
        codes = [np.where(c == fmt.nan, c - 1, c) for c in codes]
    codes = [c.astype(f"uint{fmt.width}") for c in codes]
    top = window_top(*codes, fmt, length)
    first, second = ((largest_significand(fmt, e), e) for e in exponents)
    worst = added(first, second, top, fmt, acc_width)
    assert worst * length < 1 << (acc_width - 1)
    # The window is tight to two bits and the guard's rounding: a wider one would waste them.
    assert worst * length * 16 > 1 << (acc_width - 1)


def test_contractions_by_hand():
    shape = ConvShape(n=2, c=3, h=6, w=5, k=4, r=3, s=2)
    assert [contraction_length(shape, which) for which in Pass] == [18, 24, 2 * 4 * 4]
    grouped = ConvShape(n=2, c=6, h=6, w=5, k=8, r=3, s=2, groups=2)
    assert [contraction_length(grouped, which) for which in Pass] == [18, 24, 2 * 4 * 4]


def parts(code, fmt):
    """Return (significand, exponent) of a finite code."""
    field, fraction = (code >> fmt.mantissa_width) & ((1 << fmt.exponent_width) - 1), code
    fraction &= (1 << fmt.mantissa_width) - 1
    return fraction + ((field > 0) << fmt.mantissa_width), max(field, 1)


def test_the_top_of_a_pass_by_hand():
    shape = ConvShape(n=1, c=4, h=1, w=1, k=1, r=1, s=1)
    one, eighth = 0x3F80, 0x3E00
    second = np.array([one] * 4, np.uint16).reshape(1, 4, 1, 1)
    # By count: 127 + 127 and two bits. Sums stay under 2**(top + 2 - 254).
    alike = np.array([one] * 4, np.uint16).reshape(1, 4, 1, 1)
    assert pass_top(shape, Pass.FORWARD, alike, second, BF16) == 255  # 4 < 2**3
    apart = np.array([one, eighth, eighth, eighth], np.uint16).reshape(1, 4, 1, 1)
    assert pass_top(shape, Pass.FORWARD, apart, second, BF16) == 254  # 1.375; no lower
    infinite = np.array([one, 0x7F80, 0x7FC0, 0], np.uint16).reshape(1, 4, 1, 1)
    assert pass_top(shape, Pass.FORWARD, infinite, second, BF16) == 254


@given(
    fmt=st.sampled_from(FORMATS),
    which=st.sampled_from(tuple(Pass)),
    seed=st.integers(0, 1 << 20),
    spread=st.integers(0, 7),
)
def test_no_sum_of_magnitudes_leaves_the_accumulator_at_the_top_of_a_pass(fmt, which, seed, spread):
    # 1x1 kernels: results are sums along one axis, formed here with Python's integers.
    shape = ConvShape(n=3, c=5, h=2, w=2, k=4, r=1, s=1)
    rng = np.random.default_rng(seed)
    low = max(fmt.top_exponent - (1 << spread), 0)
    operands = []
    for size in shape.operand_shapes(which):
        fields = rng.integers(low, fmt.top_exponent + 1, size)
        fractions = rng.integers(0, 1 << fmt.mantissa_width, size) | (rng.integers(0, 4) == 0)
        codes = np.minimum(fields << fmt.mantissa_width | fractions, fmt.infinity - 1)
        operands.append(codes.astype(f"uint{fmt.width}"))
    top = pass_top(shape, which, *operands, fmt)
    first, second = operands
    count = window_top(first, second, fmt, contraction_length(shape, which))
    highest = largest_exponent(first, fmt) + largest_exponent(second, fmt)
    assert highest <= top <= count
    pixels = np.moveaxis(second, 1, 0).reshape(second.shape[1], -1)
    if which is Pass.FORWARD:
        pairs = [(row, pixel) for row in first[:, :, 0, 0] for pixel in pixels.T]
    elif which is Pass.INPUT_GRAD:
        pairs = [(row, pixel) for row in first[:, :, 0, 0].T for pixel in pixels.T]
    else:
        grads = np.moveaxis(first, 1, 0).reshape(shape.k, -1)
        pairs = [(row, pixel) for row in grads for pixel in pixels]
    for acc_width in (32, 48, 64):
        for row, pixel in pairs:
            total = sum(
                added(parts(int(a), fmt), parts(int(b), fmt), top, fmt, acc_width)
                for a, b in zip(row, pixel, strict=True)
            )
            assert total < 1 << (acc_width - 1)


@pytest.mark.parametrize("which", Pass)
@pytest.mark.parametrize("seed", range(4))
def test_the_top_of_groups_is_the_highest_of_theirs(which, seed):
    shape = ConvShape(n=2, c=6, h=4, w=3, k=4, r=3, s=2, groups=2)
    rng = np.random.default_rng(seed)
    operands = [
        (rng.standard_normal(size).astype(np.float32).view(np.uint32) >> 16).astype(np.uint16)
        for size in shape.operand_shapes(which)
    ]
    # The first group has the largest of both operands, so that both are judged by the same.
    first, second = next(group_operands(shape, which, *operands))
    first.flat[0] = second.flat[0] = 0x4180
    tops = [
        pass_top(shape.group, which, *pair, BF16)
        for pair in group_operands(shape, which, *operands)
    ]
    assert pass_top(shape, which, *operands, BF16) >= max(tops)
    assert pass_top(shape, which, *operands, BF16) <= max(tops) + 1


def test_the_top_of_a_long_contraction_is_lower_where_few_operands_are_large():
    shape = ConvShape(n=4, c=2, h=32, w=32, k=2, r=1, s=1)
    rng = np.random.default_rng(0)
    codes = []
    for size in (shape.y_shape, shape.x_shape):
        values = rng.standard_normal(size).astype(np.float32)
        values[0, :, 0, 0] = 64.0
        codes.append((values.view(np.uint32) >> 16).astype(np.uint16))
    by_count = window_top(*codes, BF16, contraction_length(shape, Pass.WEIGHT_GRAD))
    # The mean magnitude is some six bits below the largest, and largest numbers are powers of two.
    assert by_count - 8 <= pass_top(shape, Pass.WEIGHT_GRAD, *codes, BF16) <= by_count - 6
