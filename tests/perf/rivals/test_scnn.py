"""Outer-product arrays against cases worked out by hand and a restatement in plain Python."""

from __future__ import annotations

import dataclasses
import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gscn.conv import ConvShape, Pass
from gscn.errors import InputError
from gscn.perf.rivals import RIVALS, VARIANTS, Resources
from gscn.perf.rivals.cartesian import Cartesian
from gscn.perf.rivals.outer_products import ANT, DNNSIM_SCNN, SCNN_PLUS
from tests.perf.rivals.shapes import RESOURCES, convolutions, masks

ONE_PE = dataclasses.replace(RESOURCES, multipliers=16)


TWO_PES = dataclasses.replace(RESOURCES, multipliers=32)


NO_STALLS = {"queue": 1 << 30, "mappings": ("tiles",), "matrix_form": False}


PLANES_OF_ANT = dataclasses.replace(ANT, matrix_form=False)


LAYER = ConvShape(n=1, c=8, h=14, w=14, k=16, r=3, s=3, padding=(1, 1))


def line(width, k=1, **fields):
    """Return a convolution of one row with a kernel of 1x1."""
    return ConvShape(**{"n": 1, "c": 1, "h": 1, "w": width, "k": k, "r": 1, "s": 1} | fields)


def test_vectors_of_four_meet_vectors_of_four():
    inputs = np.array([1, 1, 0, 1, 1, 1, 0, 0]).reshape(1, 1, 1, 8)  # 5 nonzeros: 2 vectors
    weights = np.ones((6, 1, 1, 1))  # 2 vectors
    cost = SCNN_PLUS.cost(ONE_PE, line(8, 6), Pass.FORWARD, weights, inputs)
    assert (cost.compute_cycles, cost.products, cost.useful_products) == (4, 30, 30)
    # 11 nonzeros of 16 + 4 bits; 6 x 8 results of 16 bits
    assert (cost.read_bytes, cost.write_bytes) == (27.5, 96)


def test_a_weight_gradient_multiplies_what_does_not_meet_unless_it_is_anticipated():
    ones = np.ones((1, 1, 1, 8))
    scnn = SCNN_PLUS.cost(ONE_PE, line(8), Pass.WEIGHT_GRAD, ones, ones)
    assert (scnn.compute_cycles, scnn.products, scnn.useful_products) == (4, 64, 8)
    # 4 held pixels meet the 4 gradients at their places, in one cycle each
    ant = PLANES_OF_ANT.cost(ONE_PE, line(8), Pass.WEIGHT_GRAD, ones, ones)
    assert (ant.compute_cycles, ant.products, ant.useful_products) == (2, 32, 8)


def test_anticipation_scans_sixteen_nonzeros_of_the_rows_in_range_in_a_cycle():
    # One held pixel meets one of 64 gradients of its row: 4 cycles to find it.
    inputs = np.zeros((1, 1, 1, 64))
    inputs[..., 40] = 1
    grads = np.ones((1, 1, 1, 64))
    cost = PLANES_OF_ANT.cost(ONE_PE, line(64), Pass.WEIGHT_GRAD, grads, inputs)
    assert (cost.compute_cycles, cost.products) == (4, 1)


def test_a_weight_gradient_of_a_small_kernel_may_be_a_product_of_matrices():
    # 4 x 4 channels at 8 pixels: one vector pair each
    shape = line(8, 4, c=4)
    operands = [np.ones(size) for size in shape.operand_shapes(Pass.WEIGHT_GRAD)]
    cost = SCNN_PLUS.cost(ONE_PE, shape, Pass.WEIGHT_GRAD, *operands)
    assert (cost.compute_cycles, cost.products, cost.useful_products) == (8, 128, 128)
    # per input channel: 2 vectors of pixels, 8 of the gradients of all output channels
    planes = dataclasses.replace(SCNN_PLUS, matrix_form=False)
    cost = planes.cost(ONE_PE, shape, Pass.WEIGHT_GRAD, *operands)
    assert (cost.compute_cycles, cost.products, cost.useful_products) == (64, 1024, 128)


def test_what_a_stride_leaves_out_costs_nothing():
    shape = line(8, stride=(1, 2))
    cost = SCNN_PLUS.cost(ONE_PE, shape, Pass.FORWARD, np.ones((1, 1, 1, 1)), np.ones((1, 1, 1, 8)))
    assert (cost.compute_cycles, cost.products) == (1, 4)


def test_products_for_one_bank_wait_for_each_other_beyond_the_queue():
    # A gradient of one weight: 4 products reach it, all in one bank.
    ones = np.ones((1, 1, 1, 4))
    bare = dataclasses.replace(SCNN_PLUS, exact_crossbar=True, mappings=("tiles",))
    cycles = [
        dataclasses.replace(bare, queue=queue)
        .cost(ONE_PE, line(4), Pass.WEIGHT_GRAD, ones, ones)
        .compute_cycles
        for queue in (0, 1, 3, 8)
    ]
    assert cycles == [4, 3, 1, 1]


def test_pes_wait_after_a_group_or_after_every_channel():
    shape = line(8, c=2)
    inputs = np.zeros((1, 2, 1, 8))
    inputs[0, 0, 0, :4] = 1  # a channel for either PE
    inputs[0, 1, 0, 4:] = 1
    weights = np.ones((1, 2, 1, 1))
    spent = {
        barrier: dataclasses.replace(DNNSIM_SCNN, barrier=barrier, counts_halos=False)
        .cost(TWO_PES, shape, Pass.FORWARD, weights, inputs)
        .compute_cycles
        for barrier in ("group", "channel")
    }
    assert spent == {"group": 1, "channel": 2}


def test_a_pair_of_planes_takes_its_start_only_if_both_have_nonzeros():
    planes = dataclasses.replace(SCNN_PLUS, mappings=("planes",), start=5)
    weights = np.array([1, 0, 1]).reshape(3, 1, 1, 1)
    cost = planes.cost(TWO_PES, line(8, 3), Pass.FORWARD, weights, np.ones((1, 1, 1, 8)))
    assert cost.compute_cycles == 2 * (5 + 2) / 2


def test_multipliers_that_are_no_pes_are_refused():
    with pytest.raises(InputError, match=r"scnn\+: multipliers must be a multiple of 16, not 40"):
        SCNN_PLUS.cost(
            Resources(multipliers=40, port_bytes_per_cycle=1, value_bits=16),
            line(4),
            Pass.FORWARD,
            np.ones((1, 1, 1, 1)),
            np.ones((1, 1, 1, 4)),
        )


def restated(shape, which, first, second, anticipates):
    """Return (cycles, products) of one PE without crossbar, straight from the definitions."""
    planes = Cartesian.of(shape, which, first, second)
    image, kernel = planes.image_nonzeros(), planes.kernel_nonzeros()
    extents = planes.result_extent
    cycles = products = 0
    for sample, channel, phase in itertools.product(
        range(planes.image.shape[0]), range(planes.image.shape[1]), range(planes.phases)
    ):
        held = sorted(
            (int(r), int(c), int(rs), int(cs))
            for n, ch, f, r, c, rs, cs in zip(
                image.plane, image.channel, image.phase, image.row, image.column,
                image.row_shift, image.column_shift, strict=True,
            )
            if (n, ch, f) == (sample, channel, phase)
        )  # fmt: skip
        streamed = [
            (int(rs), int(cs))
            for ch, f, rs, cs in zip(
                kernel.channel, kernel.phase, kernel.row_shift, kernel.column_shift, strict=True
            )
            if (ch, f) == (channel, phase)
        ]
        for low in range(0, len(held), 4):
            vector = held[low : low + 4]
            if not anticipates:
                cycles += math.ceil(len(streamed) / 4)
                products += len(vector) * len(streamed)
                continue

            def within(shift, axis, vector=vector):
                shifts = [entry[2 + axis] for entry in vector]
                return -max(shifts) <= shift < extents[axis] - min(shifts)

            seen = [entry for entry in streamed if within(entry[0], 0)]
            found = [entry for entry in seen if within(entry[1], 1)]
            products += len(vector) * len(found)
            if found or any(within(s, 1) for s in planes.columns.kernel.shift.tolist()):
                cycles += max(math.ceil(len(found) / 4), math.ceil(len(seen) / 16))
    return cycles, products


@pytest.mark.parametrize("model", [SCNN_PLUS, ANT], ids=["scnn+", "ant"])
@given(shape=convolutions(), which=st.sampled_from(list(Pass)), seed=st.integers(0, 99))
def test_one_pe_takes_what_the_definition_says(model, shape, which, seed):
    operands = masks(shape, which, (0.5, 0.6), seed)
    cost = dataclasses.replace(model, **NO_STALLS).cost(ONE_PE, shape, which, *operands)
    expected = restated(shape, which, *operands, model.anticipates)
    assert (cost.compute_cycles, cost.products) == expected
    assert cost.products >= cost.useful_products


@given(shape=convolutions(), which=st.sampled_from(list(Pass)), seed=st.integers(0, 99))
def test_matched_tiles_leave_out_products_but_no_useful_one(shape, which, seed):
    operands = masks(shape, which, (0.5, 0.6), seed)
    matched, all_pairs = (
        dataclasses.replace(model, **NO_STALLS).cost(RESOURCES, shape, which, *operands)
        for model in (VARIANTS["scnn+ matched"], SCNN_PLUS)
    )
    assert matched.useful_products <= matched.products <= all_pairs.products
    assert matched.compute_cycles <= all_pairs.compute_cycles


@given(shape=convolutions(), which=st.sampled_from(list(Pass)), seed=st.integers(0, 99))
@settings(max_examples=50)
def test_more_nonzeros_never_take_less_time(shape, which, seed):
    first, second = masks(shape, which, (0.3, 0.4), seed)
    more = [mask | extra for mask, extra in zip(
        (first, second), masks(shape, which, (0.2, 0.2), seed + 1), strict=True
    )]  # fmt: skip
    model = dataclasses.replace(SCNN_PLUS, **NO_STALLS)
    few = model.cost(RESOURCES, shape, which, first, second)
    many = model.cost(RESOURCES, shape, which, *more)
    assert few.compute_cycles <= many.compute_cycles


@pytest.mark.parametrize("queue", [0, 2, 8])
@pytest.mark.parametrize(
    ("model", "which"),
    [
        *((SCNN_PLUS, which) for which in Pass),
        # where anticipation leaves out little, the exact crossbar without it is the same
        *((ANT, which) for which in (Pass.FORWARD, Pass.INPUT_GRAD)),
    ],
)
def test_stalls_judged_by_a_sample_are_those_of_all_products(model, which, queue):
    shape = dataclasses.replace(LAYER, c=32, h=28, w=28)
    operands = masks(shape, which, (0.3, 0.3))
    sampled = dataclasses.replace(model, queue=queue, mappings=("tiles",))
    exact = dataclasses.replace(sampled, anticipates=False, exact_crossbar=True)
    found = sampled.cost(ONE_PE, shape, which, *operands).compute_cycles
    expected = exact.cost(ONE_PE, shape, which, *operands).compute_cycles
    assert found == pytest.approx(expected, rel=0.03)


def test_rivals_share_everything_but_anticipation():
    assert (
        dataclasses.replace(
            RIVALS["ant"],
            name=SCNN_PLUS.name,
            title=SCNN_PLUS.title,
            source=SCNN_PLUS.source,
            assumptions=SCNN_PLUS.assumptions,
            anticipates=False,
        )
        == RIVALS["scnn+"]
    )
