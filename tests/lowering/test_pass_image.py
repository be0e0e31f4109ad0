"""Passes that an array cuts itself, lowered and run by the functional model, equal the oracles."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from gscn.array import ARRAYS, ArrayConfig
from gscn.conv import ConvShape, Pass
from gscn.emulator.passes import run_passes
from gscn.errors import InputError
from gscn.formats import BF16, FLOAT32, FLOAT_OPERAND_FORMATS, INT16, INT32
from gscn.golden.oracle.float_conv import conv_windowed, round_sums
from gscn.golden.oracle.integers import conv_integers, useful_products
from gscn.golden.oracle.quantize import requantize
from gscn.golden.oracle.synthetic import random_codes
from gscn.lowering.pass_image import lower_pass
from gscn.outputs import FloatOutput, OutputFormat
from gscn.pass_errors import PassError
from gscn.passes import DESCRIPTOR_BYTES, PASS_DESCRIPTOR
from tests.lowering.layers import PADDED, grouped_shapes, operands, shapes

TINY = ARRAYS["tiny"]
WIDE = OutputFormat(width=32)
DENSITIES = st.sampled_from([0.0, 0.02, 0.1, 0.4, 1.0])


@st.composite
def layers(draw):
    """Convolutions of every kind: strides to 4, padding beyond the kernel, any channels."""
    shape = draw(shapes())
    return dataclasses.replace(
        shape,
        c=draw(st.integers(1, 70)),
        k=draw(st.integers(1, 70)),
        stride=draw(
            st.one_of(
                st.tuples(st.integers(1, 4), st.integers(1, 4)),
                st.integers(1, 4).map(lambda one: (one, one)),
            )
        ),
        padding=(
            shape.padding[0] + draw(st.sampled_from([0, 0, 9])),
            shape.padding[1] + draw(st.sampled_from([0, 0, 11])),
        ),
    )


@st.composite
def odd_arrays(draw):
    """Arrays of every size, small ones mostly."""
    drain = draw(st.sampled_from([1, 2, 4, 8]))
    clusters = draw(st.integers(1, 6))
    return ArrayConfig(
        clusters=clusters,
        pes=draw(st.sampled_from([1, 2, 4])),
        stationary_depth=draw(st.sampled_from([64, 128, 512, 2048])),
        directory_depth=draw(st.sampled_from([64, 128, 512, 2048])),
        chunks_depth=draw(st.sampled_from([4, 16, 64])),
        acc_depth=drain * draw(st.integers(-(-200 // drain), -(-1500 // drain))),
        drain_width=drain,
        mem_width=max(128, 64 * drain),
        burst_beats=2,
        operand_format=draw(st.sampled_from(["int8", "int16"])),
    )


def run(image, pair):
    """Run a pass and require that nothing is said but its result."""
    ran = run_passes(
        image.config,
        image.image,
        image.descriptors_addr,
        image.descriptor_count,
        image.memory_bytes,
    )
    assert ran.error == PassError.NONE
    assert not ran.overflow_possible
    # Neither taps between those of a kernel nor phases cost a product, nor other groups of a pack,
    # nor rows that no tap reaches.
    assert sum(one.products for one in ran.counts) == products(image, pair)
    return ran


def products(image, pair):
    """Return the products that are useful, and those of groups of one set with each other."""
    if all(pack.met == 1 for pack in image.plan.packs) or image.which is not Pass.WEIGHT_GRAD:
        return image.useful_products
    nonzero = [operand != 0 for operand in pair]
    if isinstance(image.out, FloatOutput):
        sign = 1 << (image.out.operands.width - 1)
        nonzero = [operand % sign != 0 for operand in pair]
    return sum(
        useful_products(
            pack.shape(image.shape),
            image.which,
            *pack.operands(image.shape, image.which, *nonzero),
        )
        for pack in set(image.plan.packs)
    )


def check(config, shape, which, pair, out=WIDE):
    """Lower, run and compare with the oracle, exactly."""
    image = lower_pass(config, shape, which, *pair, out)
    ran = run(image, pair)
    exact = conv_integers(shape, which, *pair)
    rounded, saturated = requantize(exact, out.shift, INT16 if out.width == 16 else INT32)
    np.testing.assert_array_equal(image.result(ran.memory), rounded)
    assert ran.saturated == (saturated > 0)
    assert image.useful_products == useful_products(shape, which, *pair)
    return image


@settings(max_examples=70)
@given(
    shape=layers(),
    which=st.sampled_from(list(Pass)),
    name=st.sampled_from(sorted(ARRAYS)),
    densities=st.tuples(DENSITIES, DENSITIES),
    seed=st.integers(0, 1 << 30),
)
def test_any_layer_equals_the_oracle_on_every_array(shape, which, name, densities, seed):
    pair = [operands(seed + i, shape, which, densities[i])[i] for i in range(2)]
    check(ARRAYS[name], shape, which, pair)


@settings(max_examples=50)
@given(
    shape=st.one_of(layers(), grouped_shapes()),
    which=st.sampled_from(list(Pass)),
    config=odd_arrays(),
    densities=st.tuples(DENSITIES, DENSITIES),
    out=st.builds(OutputFormat, width=st.sampled_from([16, 32]), shift=st.integers(0, 12)),
    seed=st.integers(0, 1 << 30),
)
def test_a_layer_equals_the_oracle_on_any_array_that_it_fits(
    shape, which, config, densities, out, seed
):
    pair = [operands(seed + i, shape, which, densities[i])[i] for i in range(2)]
    try:
        lower_pass(config, shape, which, *pair, out)
    except InputError as error:
        assert "must hold a tile" in str(error)  # noqa: PT017
        assume(False)
    check(config, shape, which, pair, out)


@settings(max_examples=25)
@given(
    fmt=st.sampled_from(list(FLOAT_OPERAND_FORMATS.values())),
    which=st.sampled_from(list(Pass)),
    shape=st.one_of(layers(), grouped_shapes()),
    every_code=st.booleans(),
    result=st.sampled_from([FLOAT32, BF16, None]),
    operand_format=st.sampled_from(["int8", "int16"]),
    seed=st.integers(0, 1000),
)
def test_any_pass_in_floating_point_equals_the_golden_model(
    fmt, which, shape, every_code, result, operand_format, seed
):
    config = dataclasses.replace(
        TINY, float_formats=",".join(FLOAT_OPERAND_FORMATS), operand_format=operand_format
    )
    pair = random_codes(shape, which, 0.4, 0.5, fmt, seed, every_code=every_code)
    image = lower_pass(config, shape, which, *pair, FloatOutput(operands=fmt, result=result or fmt))
    ran = run(image, pair)
    sums = conv_windowed(shape, which, *pair, fmt, top=image.out.top)
    codes, saturated, nonfinite = round_sums(sums, result or fmt)
    np.testing.assert_array_equal(image.result(ran.memory), codes.astype(np.int64))
    assert ran.saturated == (saturated > 0)
    assert ran.nonfinite == (nonfinite > 0)


NAMED = {
    "7x7/2": ConvShape(n=1, c=3, h=32, w=32, k=20, r=7, s=7, stride=(2, 2), padding=(3, 3)),
    "11x11/4": ConvShape(n=1, c=3, h=43, w=43, k=8, r=11, s=11, stride=(4, 4), padding=(2, 2)),
    "16x16/16": ConvShape(n=2, c=3, h=48, w=48, k=24, r=16, s=16, stride=(16, 16)),
    "1x1/2": ConvShape(n=2, c=20, h=9, w=9, k=24, r=1, s=1, stride=(2, 2)),
    "3x3 dilated by 6": ConvShape(
        n=1, c=17, h=14, w=14, k=9, r=3, s=3, padding=(6, 6), dilation=(6, 6)
    ),
    "32x4d": ConvShape(n=2, c=128, h=7, w=7, k=128, r=3, s=3, padding=(1, 1), groups=32),
    "depthwise": ConvShape(n=2, c=40, h=8, w=8, k=40, r=3, s=3, padding=(1, 1), groups=40),
    "depthwise 5x5/2": ConvShape(
        n=2, c=24, h=9, w=9, k=48, r=5, s=5, stride=(2, 2), padding=(2, 2), groups=24
    ),
    "groups of 3 and 5 dilated": ConvShape(
        n=1, c=21, h=9, w=8, k=35, r=3, s=2, padding=(2, 1), dilation=(2, 3), groups=7
    ),
    "all padding": ConvShape(n=1, c=2, h=1, w=1, k=2, r=2, s=2, stride=(7, 7), padding=(5, 5)),
}


@pytest.mark.parametrize("which", Pass)
@pytest.mark.parametrize("name", NAMED)
def test_layers_of_known_networks_and_corner_cases(name, which):
    pair = operands(5, NAMED[name], which, 0.5)
    check(ARRAYS["small"], NAMED[name], which, pair)


@pytest.mark.parametrize("which", Pass)
def test_a_strided_pointwise_layer_keeps_no_position_without_a_tap(which):
    shape, packed = NAMED["1x1/2"], dataclasses.replace(NAMED["1x1/2"], h=5, w=5, stride=(1, 1))
    pairs = [operands(1, shape, which, 1.0)]
    first, second = pairs[0]
    if which is not Pass.INPUT_GRAD:
        second = second[:, :, ::2, ::2]
    pairs.append((first, second))
    strided, dense = (
        lower_pass(ARRAYS["small"], one, which, *pair, WIDE)
        for one, pair in zip((shape, packed), pairs, strict=True)
    )
    np.testing.assert_array_equal(strided.image, dense.image)


def test_strips_with_more_nonzeros_than_their_share_are_planned_again():
    shape = ConvShape(n=1, c=64, h=8, w=8, k=64, r=3, s=3, padding=(1, 1))
    config = dataclasses.replace(TINY, stationary_depth=128)
    first, second = operands(2, shape, Pass.FORWARD, 0.02)
    even = check(config, shape, Pass.FORWARD, (first, second))
    crowded = first.copy()
    crowded[:, :1] = 3
    check(config, shape, Pass.FORWARD, (crowded, second))
    first[...] = 0
    first[:16, :4] = 3
    uneven = check(config, shape, Pass.FORWARD, (first, second))
    outer = [
        int(PASS_DESCRIPTOR.unpack(image.image[: PASS_DESCRIPTOR.width // 8])["s_outer"][0])
        for image in (even, uneven)
    ]
    assert outer[1] < outer[0]


@pytest.mark.parametrize(
    ("n", "c", "k", "tiles"), [(8, 3, 64, (1, 4)), (4, 16, 3, (2, 8)), (2, 16, 16, (4, 4))]
)
def test_units_may_be_rows_of_a_sample_and_tiles_those_that_have_channels(n, c, k, tiles):
    shape = ConvShape(n=n, c=c, k=k, h=24, w=6, r=3, s=3, padding=(1, 1))
    pair = [operands(7 + i, shape, Pass.WEIGHT_GRAD, one)[i] for i, one in enumerate((1.0, 0.1))]
    image = check(ARRAYS["large"], shape, Pass.WEIGHT_GRAD, pair)
    (part,) = image.plan.parts
    fields = PASS_DESCRIPTOR.unpack(image.image[:DESCRIPTOR_BYTES])[0]
    assert fields["unit_strips"] == part.choice.unit_rows // part.choice.t_rows
    assert 0 < fields["unit_strips"] < fields["t_strips"]
    assert (fields["t_tiles"], fields["t_groups"] << fields["t_split"]) == tiles


@pytest.mark.parametrize(
    ("which", "n", "channels"), [(Pass.WEIGHT_GRAD, 32, 128), (Pass.INPUT_GRAD, 8, 256)]
)
def test_a_gradient_is_in_memory_once_for_all_phases_of_a_stride(which, n, channels):
    size = 2048 // channels
    shape = ConvShape(
        n=n, c=channels, h=size, w=size, k=2 * channels, r=3, s=3, stride=(2, 2), padding=(1, 1)
    )
    pair = [operands(5 + i, shape, which, 0.08)[i] for i in range(2)]
    image = lower_pass(ARRAYS["large"], shape, which, *pair, OutputFormat(width=16))
    assert len(image.plan.parts) == 4
    fields = [
        PASS_DESCRIPTOR.unpack(image.image[at : at + DESCRIPTOR_BYTES])[0]
        for at in range(0, 4 * DESCRIPTOR_BYTES, DESCRIPTOR_BYTES)
    ]
    assert len({int(one["t_data"]) for one in fields}) == 1
    assert len({int(one["s_data"]) for one in fields}) == 4


def test_taps_beyond_a_pass_are_refused_by_name():
    shape = ConvShape(n=1, c=1, h=40, w=40, k=1, r=2, s=2, dilation=(17, 17))
    for which in (Pass.FORWARD, Pass.INPUT_GRAD):
        with pytest.raises(InputError, match="kernel rows and columns, spread by the dilation"):
            lower_pass(TINY, shape, which, *operands(1, shape, which), WIDE)
    check(TINY, shape, Pass.WEIGHT_GRAD, operands(1, shape, Pass.WEIGHT_GRAD))


def test_what_cannot_be_held_is_refused_by_name():
    shape = dataclasses.replace(PADDED, w=300)
    with pytest.raises(InputError, match="directory_depth and acc_depth must hold a tile"):
        lower_pass(TINY, shape, Pass.WEIGHT_GRAD, *operands(1, shape, Pass.WEIGHT_GRAD), WIDE)


def test_memory_beyond_addresses_is_refused_by_name():
    config = dataclasses.replace(TINY, addr_width=20)
    shape = ConvShape(n=8, c=16, h=64, w=64, k=64, r=1, s=1)
    with pytest.raises(InputError, match="addr_width must be enough"):
        lower_pass(config, shape, Pass.FORWARD, *operands(1, shape, Pass.FORWARD), WIDE)


@pytest.mark.parametrize("which", Pass)
def test_accumulators_that_could_overflow_are_refused_exactly_at_the_bound(which):
    config = dataclasses.replace(TINY, acc_width=32)
    shape = ConvShape(n=2, c=2, h=2, w=2, k=2, r=1, s=1)
    first, second = (np.zeros(size, dtype=np.int64) for size in shape.operand_shapes(which))
    # two products meet in one result
    terms = {
        Pass.FORWARD: (np.s_[0, :, 0, 0], np.s_[0, :, 0, 0]),
        Pass.INPUT_GRAD: (np.s_[:, 0, 0, 0], np.s_[0, :, 0, 0]),
        Pass.WEIGHT_GRAD: (np.s_[:, 0, 0, 0], np.s_[:, 0, 0, 0]),
    }[which]
    first[terms[0]], second[terms[1]] = -32768, 32767
    # 2 x 32768 x 32767 = 2147418112 fits 2147483647, 2 x 32768 x 32768 does not
    check(config, shape, which, (first, second))
    second[terms[1]] = -32768
    with pytest.raises(InputError, match="acc_width must hold sums of magnitudes up to 2147483648"):
        lower_pass(config, shape, which, first, second, WIDE)


@pytest.mark.parametrize("which", Pass)
def test_accumulators_are_bounded_by_the_sums_of_one_group(which):
    config = dataclasses.replace(TINY, acc_width=32)
    shape = ConvShape(n=2, c=4, h=1, w=1, k=4, r=1, s=1, groups=2)
    first, second = (
        np.full(size, value)
        for size, value in zip(shape.operand_shapes(which), (-32768, 32767), strict=True)
    )
    # two products meet in one result of a group, and four would be too many
    check(config, shape, which, (first, second))
    second[...] = -32768
    with pytest.raises(InputError, match="acc_width must hold sums of magnitudes up to 2147483648"):
        lower_pass(config, shape, which, first, second, WIDE)


def opposed(which_group: int = 1):
    """Return a grouped weight gradient whose sums are small, but large between two groups."""
    shape = ConvShape(n=8, c=16, h=4, w=4, k=16, r=1, s=1, groups=16)
    grads, inputs = (np.zeros(size, np.int64) for size in shape.operand_shapes(Pass.WEIGHT_GRAD))
    grads[:, 0], inputs[:, which_group] = 30000, 30000
    return shape, (grads, inputs)


def test_sums_of_other_groups_raise_no_flag():
    shape, pair = opposed()
    for out in (WIDE, OutputFormat(width=16, shift=17)):
        image = check(ARRAYS["large"], shape, Pass.WEIGHT_GRAD, pair, out)
        assert all(pack.met == 1 for pack in image.plan.packs)
    image = check(ARRAYS["large"], shape, Pass.WEIGHT_GRAD, pair, OutputFormat(width=16, shift=25))
    assert all(pack.met > 1 for pack in image.plan.packs)
    # Were they to meet, they would saturate.
    shape, pair = opposed(0)
    exact = conv_integers(shape, Pass.WEIGHT_GRAD, *pair)
    assert requantize(exact, 17, INT16)[1]
    assert not requantize(exact, 25, INT16)[1]


@pytest.mark.parametrize(("code", "meet"), [(0x3F80, True), (0x7F7F, False), (0x7F80, False)])
def test_sums_of_other_groups_are_no_infinities(code, meet):
    config = dataclasses.replace(ARRAYS["large"], float_formats="bf16")
    shape, pair = opposed()
    codes = [np.where(operand != 0, code, 0).astype(np.uint16) for operand in pair]
    out = FloatOutput(operands=BF16, result=BF16)
    image = lower_pass(config, shape, Pass.WEIGHT_GRAD, *codes, out)
    ran = run(image, codes)
    assert all((pack.met > 1) == meet for pack in image.plan.packs)
    assert (ran.nonfinite, ran.saturated) == (0, 0)
    assert not image.result(ran.memory).any()


def test_wrong_operands_and_memories_are_refused_by_name():
    first, second = operands(1, PADDED, Pass.FORWARD)
    with pytest.raises(InputError, match="weights must have shape"):
        lower_pass(TINY, PADDED, Pass.FORWARD, second, first, WIDE)
    codes = first.astype(np.uint16)
    with pytest.raises(InputError, match="float_formats must contain bf16"):
        lower_pass(TINY, PADDED, Pass.FORWARD, codes, second, FloatOutput(operands=BF16))
    image = lower_pass(TINY, PADDED, Pass.FORWARD, first, second, WIDE)
    with pytest.raises(InputError, match="memory must be a uint8 vector"):
        image.result(np.zeros(10, np.uint8))
    assert image.initial_memory().size == image.memory_bytes
    assert 0 < image.operand_bytes < image.image.size
