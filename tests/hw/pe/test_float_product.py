# amaranth: UnusedElaboratable=no
"""Products in every number format, against fractions (`tests/floats.py`)."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gscn.array import ARRAYS
from gscn.formats import NUMBER_FORMATS
from gscn.hw.pe.float_product import FloatProduct
from tests import floats
from tests.hw.streams import reused, simulate

TINY = ARRAYS["tiny"]
CONFIGS = {
    "all formats": TINY.with_overrides(["float_formats=bf16,fp16,fp8_e4m3,fp8_e5m2"]),
    "bf16 wider than int8": TINY.with_overrides(
        ["operand_format=int8", "acc_width=33", "float_formats=bf16"]
    ),
    "narrow": TINY.with_overrides(["operand_format=int8", "acc_width=24", "float_formats=fp16"]),
    "fp8": TINY.with_overrides(
        ["operand_format=int8", "acc_width=32", "float_formats=fp8_e4m3,fp8_e5m2"]
    ),
}


def expected(item, config):
    """Return (addend, special bits, overflow) of (kind, number format, window, operands)."""
    kind, number, window, first, second = item
    if kind == "partial":
        return first, second if number else 0, 0
    if number == 0:
        width = config.format.width
        return (
            floats.signed(first % (1 << width), width)
            * floats.signed(second % (1 << width), width),
            0,
            0,
        )
    mode = floats.Mode(NUMBER_FORMATS[number], window)
    addend, special, overflow = floats.product(first, second, mode, config.acc_width)
    return addend, special, int(overflow)


def run(items, config):
    """Return (addend, special bits, overflow) of each item, one item per cycle."""
    dut = reused(FloatProduct, config=config)
    found = []

    async def testbench(ctx):
        for number, item in enumerate([*items, *[None] * FloatProduct.LATENCY]):
            # nothing is marked by inputs that make no product
            ctx.set(dut.multiplies, 0)
            ctx.set(dut.mode, {"number_format": 0, "window": 0})
            if item is not None:
                kind, number_format, window, first, second = item
                ctx.set(dut.mode, {"number_format": number_format, "window": window})
                ctx.set(dut.multiplies, kind == "product")
                if kind == "product":
                    ctx.set(dut.first, first)
                    ctx.set(dut.second, second)
                else:
                    ctx.set(dut.partial, first)
                    ctx.set(dut.partial_special, second)
            _, _, value, negative, special, overflow = await ctx.tick().sample(
                dut.value, dut.negative, dut.special, dut.overflow
            )
            if number >= FloatProduct.LATENCY:
                found.append((-value if negative else value, special, overflow))

    simulate(dut, testbench, cycles=100 + 2 * len(items))
    return found


def codes_of_interest(fmt):
    """Return codes at the borders of subnormal, normal and special numbers, of both signs."""
    sign, normal = 1 << (fmt.width - 1), 1 << fmt.mantissa_width
    largest = floats.max_finite(fmt)
    magnitudes = {0, 1, normal - 1, normal, normal + 1, fmt.bias << fmt.mantissa_width}
    magnitudes |= {largest - 1, largest, largest + 1, sign - 1}
    return [magnitude + s for magnitude in sorted(magnitudes) for s in (0, sign)]


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
def test_borders_of_every_format(config):
    items = []
    for fmt in config.floats:
        number = NUMBER_FORMATS.index(fmt)
        codes = codes_of_interest(fmt)
        for window in (0, 2, fmt.top_exponent, 2 * fmt.top_exponent, 1023):
            items += [("product", number, window, a, b) for a in codes for b in codes[::3]]
    found = run(items, config)
    assert found == [expected(item, config) for item in items]
    assert {special for _, special, _ in found} == {0, 1, 2, 3} or config is CONFIGS["fp8"]
    assert {overflow for _, _, overflow in found} == {0, 1}


@pytest.mark.parametrize("fmt", CONFIGS["fp8"].floats, ids=lambda fmt: fmt.name)
def test_all_pairs_of_a_format_of_8_bits(fmt):
    config = CONFIGS["fp8"]
    number, window = NUMBER_FORMATS.index(fmt), 2 * fmt.top_exponent - 3
    items = [("product", number, window, a, b) for a in range(256) for b in range(0, 256, 5)]
    assert run(items, config) == [expected(item, config) for item in items]


@st.composite
def mixtures(draw):
    """Items of all formats in turn, each cycle another."""
    config = draw(st.sampled_from(list(CONFIGS.values())))
    numbers = [0, *map(NUMBER_FORMATS.index, config.floats)]
    word = st.integers(0, (1 << config.value_width) - 1)
    limit = 1 << (config.acc_width - 1)
    window = st.one_of(st.integers(0, 1023), st.integers(0, 70), st.integers(240, 280))
    product = st.tuples(st.just("product"), st.sampled_from(numbers), window, word, word)
    partial = st.tuples(
        st.just("partial"),
        st.sampled_from(numbers),
        window,
        st.integers(-limit, limit - 1),
        st.integers(0, 3),
    )
    return config, draw(st.lists(st.one_of(product, product, partial), min_size=1, max_size=60))


@settings(max_examples=60)
@given(mixtures())
def test_any_sequence_of_formats(mixture):
    config, items = mixture
    assert run(items, config) == [expected(item, config) for item in items]
