"""Windowed convolutions against a restatement in Python's integers, and against torch."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gscn.conv import ConvShape, Pass
from gscn.errors import InputError
from gscn.formats import BF16, FLOAT32, FLOAT_OPERAND_FORMATS, FP8_E4M3, FP8_E5M2, FP16, INT8
from gscn.golden.oracle import im2col
from gscn.golden.oracle.float_conv import conv_windowed, round_sums
from gscn.golden.oracle.floats import decode, encode, storage_type
from gscn.golden.oracle.integers import conv_integers, convolve
from gscn.golden.oracle.synthetic import random_operands
from gscn.window import contraction_length, pass_top
from tests.golden.oracle.restated import looped_sums

FORMATS = tuple(FLOAT_OPERAND_FORMATS.values())
every_format = pytest.mark.parametrize("fmt", FORMATS, ids=lambda f: f.name)
SHAPES = [
    ConvShape(n=2, c=2, h=4, w=3, k=2, r=3, s=3, padding=(1, 1)),
    ConvShape(n=1, c=3, h=7, w=6, k=2, r=3, s=2, stride=(2, 3), padding=(2, 0), dilation=(2, 1)),
    ConvShape(n=2, c=2, h=5, w=5, k=2, r=1, s=1, stride=(2, 2)),
    ConvShape(n=1, c=1, h=4, w=6, k=2, r=4, s=2, padding=(3, 1), dilation=(1, 3)),
    ConvShape(n=3, c=1, h=2, w=2, k=1, r=2, s=2, padding=(3, 2), stride=(3, 1)),
    ConvShape(n=2, c=6, h=4, w=3, k=4, r=3, s=2, stride=(2, 1), padding=(1, 1), groups=2),
    ConvShape(n=1, c=3, h=4, w=5, k=6, r=2, s=3, dilation=(2, 1), groups=3),
]
ONE = ConvShape(n=1, c=1, h=1, w=1, k=1, r=1, s=1)


def random_codes(shape, which, fmt, seed, specials=0.0, zeros=0.3):
    """Return operands of codes from the whole format, with shares of specials and of zeros."""
    rng = np.random.default_rng(seed)
    operands = []
    for size in shape.operand_shapes(which):
        codes = rng.integers(0, 1 << fmt.width, size).astype(storage_type(fmt))
        finite = np.isfinite(decode(codes, fmt))
        codes = np.where(finite | (rng.random(size) < specials), codes, codes & 0x83)
        sign = 1 << (fmt.width - 1)
        codes = np.where(rng.random(size) < zeros, codes & sign, codes)
        operands.append(codes.astype(storage_type(fmt)))
    return operands


def assert_equals_restatement(shape, which, first, second, fmt, acc_width, top=None):
    found = conv_windowed(shape, which, first, second, fmt, acc_width=acc_width, top=top)
    assert found.top == (pass_top(shape, which, first, second, fmt) if top is None else top)
    expected = looped_sums(shape, which, first, second, fmt, acc_width, found.top)
    assert found.sums.dtype == np.int64
    for got, want in zip((found.sums, found.plus, found.minus), expected, strict=True):
        assert np.array_equal(got, want)
    return found


@every_format
@pytest.mark.parametrize("which", Pass)
@settings(max_examples=25)
@given(data=st.data())
def test_any_codes_give_the_sums_of_the_restatement(fmt, which, data):
    shape = data.draw(st.sampled_from(SHAPES))
    first, second = random_codes(
        shape,
        which,
        fmt,
        seed=data.draw(st.integers(0, 1 << 20)),
        specials=data.draw(st.sampled_from([0.0, 0.5, 1.0])),
        zeros=data.draw(st.sampled_from([0.0, 0.5, 0.9])),
    )
    acc_width = data.draw(st.sampled_from([32, 40, 48, 62, 64]))
    safe = pass_top(shape, which, first, second, fmt)
    top = data.draw(st.sampled_from([None, safe, safe + 1, safe + 9]))
    assert_equals_restatement(shape, which, first, second, fmt, acc_width, top)


@every_format
@pytest.mark.parametrize("which", Pass)
@pytest.mark.parametrize("acc_width", [32, 48, 64])
def test_largest_and_smallest_codes_together(fmt, which, acc_width):
    # Products of full significands fill the window; those of subnormal numbers fall out of it.
    shape = SHAPES[0]
    largest = (fmt.infinity if fmt.has_infinity else fmt.nan) - 1
    choice = np.array([largest, 1, 0, largest >> 1, 1 << (fmt.width - 1)])
    for seed in range(4):
        rng = np.random.default_rng(seed)
        operands = [
            rng.choice(choice[: 1 + seed], size).astype(storage_type(fmt))
            for size in shape.operand_shapes(which)
        ]
        assert_equals_restatement(shape, which, *operands, fmt, acc_width)


@pytest.mark.parametrize("which", Pass)
def test_all_operands_at_once_or_in_small_blocks_give_equal_sums(which, monkeypatch):
    shape = ConvShape(n=5, c=3, h=9, w=8, k=4, r=3, s=3, padding=(1, 1), stride=(2, 1))
    operands = random_codes(shape, which, FP16, seed=3)
    whole = conv_windowed(shape, which, *operands, FP16)
    assert np.count_nonzero(whole.sums) > whole.sums.size / 2
    for elements in (1, 400, 5000):
        monkeypatch.setattr(im2col, "_BLOCK_ELEMENTS", elements)
        blocks = list(im2col.pass_matrices(shape, which, *operands).blocks())
        assert len(blocks) > 1
        assert np.array_equal(conv_windowed(shape, which, *operands, FP16).sums, whole.sums)


@pytest.mark.parametrize("which", Pass)
@pytest.mark.parametrize("shape", SHAPES)
def test_small_integers_give_the_sums_of_the_integer_oracle(shape, which):
    # Nothing is truncated, so the sums are those of integers in other units.
    integers = random_operands(shape, which, 0.7, 0.7, INT8, seed=8)
    codes = [encode(i.astype(np.float32), FP16).codes for i in integers]
    found = conv_windowed(shape, which, *codes, FP16, acc_width=64)
    expected = conv_integers(shape, which, *integers)
    assert np.array_equal(found.sums, expected << -found.lsb_exponent)


@pytest.mark.parametrize("which", Pass)
def test_traced_sizes_are_near_torch(which):
    shape = ConvShape(n=4, c=16, h=12, w=12, k=24, r=3, s=3, padding=(1, 1))
    rng = np.random.default_rng(1)
    codes = [
        encode(rng.standard_normal(size) * (rng.random(size) < 0.3), BF16).codes
        for size in shape.operand_shapes(which)
    ]
    found = conv_windowed(shape, which, *codes, BF16)
    exact = convolve(shape, which, *(torch.from_numpy(decode(c, BF16)) for c in codes)).numpy()
    values = np.ldexp(found.sums.astype(np.float64), found.lsb_exponent)
    # Each product loses less than one unit.
    bound = 2.0**found.lsb_exponent * contraction_length(shape, which)
    assert np.abs(values - exact).max() < bound < 1e-6
    assert round_sums(found, FLOAT32)[1:] == (0, 0)


@pytest.mark.parametrize(
    ("fmt", "guard"), [(FP8_E4M3, 11), (FP8_E5M2, 0)], ids=["fp8_e4m3", "fp8_e5m2"]
)
def test_products_of_8_bits_are_exact_as_far_as_stated(fmt, guard):
    shape = ConvShape(n=256, c=1, h=1, w=1, k=256, r=1, s=1)
    codes = np.arange(256, dtype=np.uint8).reshape(256, 1, 1, 1)
    top = 2 * fmt.top_exponent + guard
    found = conv_windowed(shape, Pass.FORWARD, codes, codes, fmt, top=top)
    values = decode(codes, fmt).reshape(-1)
    values[~np.isfinite(values)] = 0.0
    expected = np.multiply.outer(values, values)
    # A product is exact if its exponents are at most so far below the largest.
    exponents = np.maximum((codes.reshape(-1) & 0x7F) >> fmt.mantissa_width, 1).astype(int)
    below = 2 * fmt.top_exponent - np.add.outer(exponents, exponents)
    near = below <= 48 - 1 - 2 * fmt.significand_width - guard
    exact = np.ldexp(found.sums.astype(float), found.lsb_exponent).reshape(256, 256) == expected
    assert exact[near].all()
    assert near.all() == (fmt == FP8_E4M3)
    more = conv_windowed(shape, Pass.FORWARD, codes, codes, fmt, top=top + 1)
    unit = np.ldexp(more.sums.astype(float), more.lsb_exponent).reshape(256, 256)
    assert not (unit == expected).all()


def one_product(a, b, fmt, **options):
    operands = (np.full((1, 1, 1, 1), code, storage_type(fmt)) for code in (a, b))
    return conv_windowed(ONE, Pass.FORWARD, *operands, fmt, **options)


def test_a_product_by_hand():
    # 1.5 * -2.5: significands 192 and 160, exponents 127 and 128, no guard bits.
    found = one_product(0x3FC0, 0xC020, BF16)
    assert found.top == 255
    assert found.sums.item() == -(192 * 160 << 31)
    assert found.lsb_exponent == 255 - 45 - 254
    codes, saturated, nonfinite = round_sums(found, BF16)
    assert (codes.item(), saturated, nonfinite) == (0xC070, 0, 0)  # -3.75


def test_a_product_is_truncated_towards_zero_by_hand():
    # 1.1171875**2: the significand 143 * 143 ends in 1, and 32 bits at 17 under the top lose one.
    for sign, expected in ((0x0000, 143 * 143 >> 1), (0x8000, -(143 * 143 >> 1))):
        found = one_product(0x3F8F, 0x3F8F | sign, BF16, acc_width=32, top=254 + 16)
        assert found.sums.item() == expected


def test_the_sign_of_zero_by_hand():
    # -2**-133 * 2**-133 leaves nothing in the window: +0. In 8 bits -2**-18 rounds to -0.
    found = one_product(0x8001, 0x0001, BF16, top=60)
    assert found.sums.item() == 0
    assert round_sums(found, BF16)[0].item() == 0x0000
    found = one_product(0x04 | 0x80, 0x30, FP8_E5M2)  # -2**-14 * 2**-3
    assert found.sums.item() < 0
    assert round_sums(found, FP8_E5M2)[0].item() == 0x80
    assert round_sums(found, FLOAT32)[0].item() == 0xB7000000


INF, NAN, MAX = 0x7C, 0x7E, 0x7B


@pytest.mark.parametrize(
    ("a", "b", "flags", "code"),
    [
        (INF, 0x3C, (True, False), INF),
        (INF, 0xBC, (False, True), INF | 0x80),
        (0xBC, INF | 0x80, (True, False), INF),
        (INF, INF, (True, False), INF),
        (INF, NAN, (True, True), NAN),
        (NAN, 0x3C, (True, True), NAN),
        (NAN | 0x80, NAN, (True, True), NAN),
        (INF, 0x01, (True, False), INF),  # a subnormal number is no zero
        (INF, 0x00, (False, False), 0x00),  # a zero contributes nothing,
        (NAN, 0x80, (False, False), 0x00),  # whatever the other operand
        (0x80, INF, (False, False), 0x00),
        (MAX, MAX, (False, False), INF),  # finite, but saturated
        (MAX | 0x80, MAX, (False, False), INF | 0x80),
    ],
)
def test_specials_by_hand(a, b, flags, code):
    found = one_product(a, b, FP8_E5M2)
    assert (found.plus.item(), found.minus.item()) == flags
    codes, saturated, nonfinite = round_sums(found, FP8_E5M2)
    assert codes.item() == code
    assert nonfinite == any(flags)
    assert saturated == (a & 0x7F == MAX)


def test_a_format_without_infinity_gives_nan_by_hand():
    nan = one_product(0xFF, 0x38, FP8_E4M3)
    assert (nan.plus.item(), nan.minus.item()) == (True, True)
    assert round_sums(nan, FP8_E4M3) == (np.array(0x7F), 0, 1)
    assert round_sums(nan, FLOAT32) == (np.array(FLOAT32.nan), 0, 1)
    assert round_sums(one_product(0x7E, 0xFE, FP8_E4M3), FP8_E4M3) == (np.array(0xFF), 1, 0)


def test_infinities_of_both_signs_in_one_sum_give_nan():
    shape = ConvShape(n=1, c=2, h=1, w=1, k=1, r=1, s=1)
    first = np.array([0x3F80, 0x3F80], np.uint16).reshape(1, 2, 1, 1)
    second = np.array([0x7F80, 0xFF80], np.uint16).reshape(1, 2, 1, 1)
    found = conv_windowed(shape, Pass.FORWARD, first, second, BF16)
    assert round_sums(found, BF16) == (np.array(BF16.nan), 0, 1)
    assert round_sums(found, FLOAT32) == (np.array(FLOAT32.nan), 0, 1)


def test_raw_partial_sums_by_hand():
    minus_one = one_product(0x3F80, 0xBF80, BF16)
    assert minus_one.sums.item() == -(128 * 128 << 31)
    assert minus_one.raw_partial_sums().item() == (1 << 62) - (1 << 45)
    infinite = one_product(0x3F80, 0xFF80, BF16)
    assert infinite.raw_partial_sums().item() == 1 << 63
    assert one_product(0x3F80, 0x7FC0, BF16).raw_partial_sums().item() == 3 << 62
    with pytest.raises(InputError, match="acc_width must be at most 62"):
        one_product(0x3F80, 0x3F80, BF16, acc_width=63).raw_partial_sums()


@every_format
@pytest.mark.parametrize("out", ["own", "float32", "bf16"])
@settings(max_examples=20)
@given(seed=st.integers(0, 1 << 20))
def test_results_are_the_exact_sums_rounded_once(fmt, out, seed):
    target = {"own": fmt, "float32": FLOAT32, "bf16": BF16}[out]
    shape = SHAPES[2]
    first, second = random_codes(shape, Pass.FORWARD, fmt, seed)
    found = conv_windowed(shape, Pass.FORWARD, first, second, fmt)
    codes, saturated, nonfinite = round_sums(found, target)
    assert nonfinite == 0
    values = decode(codes, target)
    assert saturated == np.count_nonzero(~np.isfinite(values))
    half = Fraction(1, 2)
    for total, value, code in zip(
        found.sums.flat, values.flat, codes.astype(np.int64).flat, strict=True
    ):
        if not np.isfinite(value):
            continue
        exact = int(total) * Fraction(2) ** found.lsb_exponent
        exponent = max((code & ((1 << (target.width - 1)) - 1)) >> target.mantissa_width, 1)
        unit = Fraction(2) ** int(exponent - target.bias - target.mantissa_width)
        distance = abs(Fraction(float(value)) - exact)
        assert distance <= half * unit
        if distance == half * unit:
            assert code & 1 == 0 or (code & ((1 << target.mantissa_width) - 1)) == 0


def test_bad_arguments_are_named():
    shape = SHAPES[0]
    first, second = random_codes(shape, Pass.FORWARD, BF16, seed=0)
    with pytest.raises(InputError, match="second operand of forward must have the shape"):
        conv_windowed(shape, Pass.FORWARD, first, second[:1], BF16)
    with pytest.raises(InputError, match="first operand of forward must be codes of an unsigned"):
        conv_windowed(shape, Pass.FORWARD, first.astype(np.int16), second, BF16)
    with pytest.raises(InputError, match="second operand of forward must be codes of fp8_e4m3"):
        conv_windowed(shape, Pass.FORWARD, first & 0xFF, second | 0x100, FP8_E4M3)
    for width in (31, 65):
        with pytest.raises(InputError, match=f"acc_width must be 32 to 64, not {width}"):
            conv_windowed(shape, Pass.FORWARD, first, second, BF16, acc_width=width)
    safe = pass_top(shape, Pass.FORWARD, first, second, BF16)
    with pytest.raises(InputError, match=rf"top of forward must be at least {safe} .*{safe - 1}"):
        conv_windowed(shape, Pass.FORWARD, first, second, BF16, top=safe - 1)


def test_the_example_of_the_document_runs(repository):
    text = (repository / "docs" / "contract" / "floating-point.md").read_text(encoding="utf-8")
    section = text[text.index("## The golden model") :]
    lines = [line[4:] for line in section.splitlines() if line.startswith("    ")]
    names = {}
    exec("\n".join(lines), names)
    operands = (torch.from_numpy(decode(names[n], BF16)) for n in ("weights", "inputs"))
    exact = convolve(names["shape"], Pass.FORWARD, *operands).numpy()
    assert names["outputs"].shape == (2, 4, 6, 6)
    assert np.allclose(names["outputs"], exact, rtol=2.0**-23, atol=1e-9)
    assert (names["saturated_count"], names["nonfinite_count"]) == (0, 0)
