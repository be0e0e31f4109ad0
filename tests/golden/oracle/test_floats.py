"""Codes and values of the formats, against ml_dtypes, numpy and exact fractions."""

from __future__ import annotations

from fractions import Fraction

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gscn.errors import InputError
from gscn.formats import BF16, FLOAT32, FP8_E4M3, FP8_E5M2, FP16
from gscn.golden.oracle.floats import decode, encode, round_scaled, scale_exponent, storage_type

OTHERS = {
    "bf16": ml_dtypes.bfloat16,
    "fp16": np.float16,
    "fp8_e4m3": ml_dtypes.float8_e4m3fn,
    "fp8_e5m2": ml_dtypes.float8_e5m2,
    "float32": np.float32,
}
OPERANDS = (BF16, FP16, FP8_E4M3, FP8_E5M2)
every_operand_format = pytest.mark.parametrize("fmt", OPERANDS, ids=lambda f: f.name)
every_format = pytest.mark.parametrize("fmt", [*OPERANDS, FLOAT32], ids=lambda f: f.name)


def all_codes(fmt):
    return np.arange(1 << fmt.width).astype(storage_type(fmt))


def as_other(values, fmt):
    """Return the codes that the other implementation gives."""
    with np.errstate(over="ignore", invalid="ignore", under="ignore"):
        return values.astype(OTHERS[fmt.name]).view(storage_type(fmt))


def same_codes(codes, other, fmt):
    """Whether codes are equal, but for the sign and payload of NaN."""
    nan = np.isnan(decode(other, fmt))
    plain = codes & ((1 << (fmt.width - 1)) - 1)
    return np.array_equal(codes[~nan], other[~nan]) and bool((plain[nan] == fmt.nan).all())


@every_operand_format
def test_every_code_has_the_value_of_the_other_implementation(fmt):
    codes = all_codes(fmt)
    values = decode(codes, fmt)
    with np.errstate(invalid="ignore"):
        expected = codes.view(OTHERS[fmt.name]).astype(np.float64)
    assert np.array_equal(values, expected, equal_nan=True)
    numbers = ~np.isnan(values)
    assert np.array_equal(np.signbit(values[numbers]), np.signbit(expected[numbers]))


@every_operand_format
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_every_code_comes_back_from_its_value(fmt, dtype):
    codes = all_codes(fmt)
    values = decode(codes, fmt)
    nan = np.isnan(values)
    result = encode(values.astype(dtype), fmt)
    assert np.array_equal(result.codes[~nan], codes[~nan])
    assert (result.codes[nan] == fmt.nan).all()
    assert not result.saturated.any()


@every_operand_format
def test_random_float32_of_every_exponent_are_rounded_as_by_the_other(fmt, rng):
    values = rng.integers(0, 1 << 32, size=500_000, dtype=np.uint32).view(np.float32)
    near = decode(all_codes(fmt), fmt)
    near = near[np.isfinite(near)] * (1 + rng.uniform(-0.1, 0.1, np.isfinite(near).sum()))
    with np.errstate(over="ignore"):
        near = near.astype(np.float32)
    for sample in (values, near):
        assert same_codes(encode(sample, fmt).codes, as_other(sample, fmt), fmt)


@every_operand_format
def test_every_tie_and_its_neighbours_are_rounded_as_by_the_other(fmt):
    numbers = np.sort(decode(all_codes(fmt), fmt))
    numbers = numbers[np.isfinite(numbers)]
    step = numbers[-1] - numbers[-2]
    # The last ties are those of overflow.
    numbers = np.concatenate([[numbers[0] - step], numbers, [numbers[-1] + step]])
    ties = ((numbers[1:] + numbers[:-1]) / 2).astype(np.float32)
    assert np.array_equal(ties, (numbers[1:] + numbers[:-1]) / 2), "ties must be exact"
    for sample in (ties, np.nextafter(ties, np.inf), np.nextafter(ties, -np.inf)):
        sample = sample.astype(np.float32)
        assert same_codes(encode(sample, fmt).codes, as_other(sample, fmt), fmt)


def test_float64_are_rounded_to_float32_once_as_by_numpy(rng):
    values = rng.standard_normal(200_000) * 2.0 ** rng.integers(-160, 140, 200_000)
    special = np.array([0.0, -0.0, np.inf, -np.inf, np.nan, 2.0**-149, 2.0**-150, 1.5 * 2**-149])
    values = np.concatenate([values, special, (1 + 2.0**-24) * np.array([1.0, 1 + 2.0**-50])])
    assert same_codes(encode(values, FLOAT32).codes, as_other(values, FLOAT32), FLOAT32)


@pytest.mark.parametrize(
    ("value", "fmt", "code", "saturated"),
    [
        (1.0, BF16, 0x3F80, False),
        (1 + 2.0**-8, BF16, 0x3F80, False),  # tie to even, down
        (1 + 3 * 2.0**-8, BF16, 0x3F82, False),  # tie to even, up
        (2.0**-133, BF16, 0x0001, False),  # smallest subnormal number
        (2.0**-134, BF16, 0x0000, False),  # half of it: tie to zero
        (-(2.0**-135), BF16, 0x8000, False),
        (65519.0, FP16, 0x7BFF, False),
        (65520.0, FP16, 0x7C00, True),  # tie to the even, which is infinity
        (-65520.0, FP16, 0xFC00, True),
        (464.0, FP8_E4M3, 0x7E, False),  # tie to 448, which is even
        (464.5, FP8_E4M3, 0x7F, True),
        (-1e30, FP8_E4M3, 0xFF, True),
        (float("inf"), FP8_E4M3, 0x7F, False),
        (61439.0, FP8_E5M2, 0x7B, False),
        (61440.0, FP8_E5M2, 0x7C, True),
        (2.0**-17, FP8_E5M2, 0x00, False),
        (1.5 * 2.0**-17, FP8_E5M2, 0x01, False),
    ],
)
def test_rounding_by_hand(value, fmt, code, saturated):
    result = encode(np.array([value]), fmt)
    assert (result.codes.tolist(), result.saturated.tolist()) == ([code], [saturated])


def rounded_exactly(value: Fraction, fmt) -> tuple[int, bool]:
    """Round a fraction by comparing it with the two codes next to it; magnitude 0 is +0."""
    magnitude = abs(value)
    sign = (value < 0) << (fmt.width - 1)
    largest = (fmt.infinity if fmt.has_infinity else fmt.nan) - 1

    def number(code):
        exponent, fraction = code >> fmt.mantissa_width, code & ((1 << fmt.mantissa_width) - 1)
        significand = fraction + ((exponent > 0) << fmt.mantissa_width)
        return significand * Fraction(2) ** (max(exponent, 1) - fmt.bias - fmt.mantissa_width)

    low, high = 0, largest + 1  # number(low) <= magnitude < number(high), or beyond
    if magnitude >= number(high):
        return fmt.infinity | sign, True
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if number(middle) <= magnitude else (low, middle)
    twice = 2 * magnitude - number(low) - number(high)
    code = high if twice > 0 or (twice == 0 and low & 1) else low
    return (fmt.infinity | sign, True) if code > largest else (code | sign, False)


@every_format
@given(data=st.data())
def test_integers_of_64_bits_are_rounded_once(fmt, data):
    width = data.draw(st.integers(1, 63))
    integer = data.draw(
        st.one_of(
            st.integers(-(1 << width), (1 << width) - 1),
            st.sampled_from([0, 1, -1, -(1 << 63), (1 << 63) - 1, (1 << 62) + 1]),
            # Just next to a tie, in a bit far below it.
            st.integers(1, 62).map(lambda n: (1 << 62) + (1 << n) - 1),
        )
    )
    integer = max(-(1 << 63), min(integer, (1 << 63) - 1))
    exponent = data.draw(st.integers(-fmt.bias - fmt.mantissa_width - 70, fmt.bias + 5))
    result = round_scaled(np.array([integer]), exponent, fmt)
    expected = rounded_exactly(integer * Fraction(2) ** exponent, fmt)
    assert (int(result.codes[0]), bool(result.saturated[0])) == expected


@pytest.mark.parametrize(
    ("largest", "fmt", "exponent"),
    [
        (1.0, FP16, 15),  # 32768 of 65504
        (448.0, FP8_E4M3, 0),
        (449.0, FP8_E4M3, -1),
        (1.75 * 2.0**-140, FP8_E4M3, 148),  # a subnormal float32
        (0.0, FP16, 0),
    ],
)
def test_tensors_are_scaled_just_under_the_largest_number(largest, fmt, exponent):
    values = np.array([0.1 * largest, -largest, np.inf, np.nan], np.float32)
    assert scale_exponent(values, fmt) == exponent


@every_operand_format
@given(largest=st.floats(min_value=1e-300, max_value=1e300))
def test_one_power_more_would_leave_the_format(fmt, largest):
    most = Fraction(float(decode(np.array([fmt.largest], storage_type(fmt)), fmt)[0]))
    scaled = Fraction(largest) * Fraction(2) ** scale_exponent(np.array([largest]), fmt)
    assert scaled <= most < 2 * scaled


def test_shapes_and_types_are_kept():
    values = np.zeros((2, 0, 3), np.float32)
    assert encode(values, BF16).codes.shape == (2, 0, 3)
    assert encode(np.float32([[1.0]]), FP8_E4M3).codes.dtype == np.uint8
    strided = np.arange(12.0).reshape(3, 4).T[::2]
    assert np.array_equal(decode(encode(strided, BF16).codes, BF16), strided)


def test_bad_arguments_are_named():
    with pytest.raises(InputError, match="values must be of type float32 or float64, not int64"):
        encode(np.array([1]), BF16)
    with pytest.raises(InputError, match="integers must be of type int64, not float64"):
        round_scaled(np.array([1.0]), 0, BF16)
    with pytest.raises(InputError, match="codes of an unsigned integer type, not int16"):
        decode(np.array([1], np.int16), BF16)
    with pytest.raises(InputError, match="codes of fp8_e4m3, under 256, not 256"):
        decode(np.array([256], np.uint16), FP8_E4M3)
