"""Convolutions with a 1x1 kernel: pixels in an order of their own, zeros between the strides."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import gscn.lowering.pointwise
from gscn.config import AcceleratorConfig
from gscn.conv import ConvShape, Pass
from gscn.lowering import LoweringOptions, lower, lower_again
from gscn.lowering.pointwise import spread
from gscn.lowering.zeros import Zeros, zero_tiles
from gscn.records import TILE_HEADER
from tests.lowering.layers import SMALL, TINY, operands
from tests.lowering.test_lower import WIDE, check

STRIDED = ConvShape(n=3, c=7, h=9, w=8, k=6, r=1, s=1, stride=(2, 2))
ODD = ConvShape(n=2, c=3, h=7, w=5, k=4, r=1, s=1, stride=(3, 2), padding=(2, 1))
GRADIENTS = (Pass.INPUT_GRAD, Pass.WEIGHT_GRAD)


@st.composite
def _pointwise(draw: st.DrawFn) -> ConvShape:
    number = lambda low, high: draw(st.integers(low, high))  # noqa: E731
    sizes = {name: number(1, 9) for name in ("h", "w", "c", "k")}
    pairs = {
        "stride": (number(1, 3), number(1, 3)),
        "padding": (number(0, 2), number(0, 2)),
    }
    return ConvShape(n=number(1, 3), r=1, s=1, **sizes, **pairs)


@given(_pointwise(), st.sampled_from(list(Pass)), st.sampled_from([0.05, 0.3, 1.0]), st.booleans())
def test_any_pointwise_layer_equals_the_oracle(shape, which, density, held):
    options = LoweringOptions(stationary="first" if held else "second")
    first, second = operands(5, shape, which, density)
    check(lower(TINY, shape, which, first, second, WIDE, options), first, second)


@pytest.mark.parametrize("which", GRADIENTS)
@pytest.mark.parametrize("parts", [1, 3])
@pytest.mark.parametrize("shape", [STRIDED, ODD])
def test_pixels_of_their_own_order_and_in_place_give_the_same_result(
    shape, which, parts, monkeypatch
):
    first, second = operands(6, shape, which, 0.4)
    options = LoweringOptions(contraction_parts=parts)
    anew = lower(TINY, shape, which, first, second, WIDE, options)
    monkeypatch.setattr(gscn.lowering.pointwise, "MOST_PIXELS", 0)
    in_place = lower(TINY, shape, which, first, second, WIDE, options)
    for program in (anew, in_place):
        check(program, first, second)
    assert not np.array_equal(anew.image, in_place.image)
    assert anew.useful_products == in_place.useful_products


@pytest.mark.parametrize("which", GRADIENTS)
@pytest.mark.parametrize("stationary", ["first", "second"])
def test_other_operands_have_their_own_order_on_the_same_tiling(which, stationary):
    options = LoweringOptions(stationary=stationary)
    found = lower(TINY, ODD, which, *operands(1, ODD, which, 0.2), WIDE, options)
    for density in (0.0, 0.2, 0.9):
        first, second = operands(2, ODD, which, density)
        check(lower_again(found.tiling, first, second, WIDE), first, second)


def test_zeros_between_the_strides_have_jobs_that_stream_nothing():
    first, second = operands(7, STRIDED, Pass.INPUT_GRAD, 0.5)
    program = lower(SMALL, STRIDED, Pass.INPUT_GRAD, first, second, WIDE)
    check(program, first, second)
    silent = [not any(job.stream_counts) for job in program.jobs]
    # of 9 x 8 pixels 5 x 4 meet an output pixel
    cells = STRIDED.n * STRIDED.c * (9 * 8 - 5 * 4)
    drained = sum(
        job.out_bytes for job, is_silent in zip(program.jobs, silent, strict=True) if is_silent
    )
    assert drained >= cells * WIDE.width // 8
    # and each cluster has one of them before its first products
    assert all(silent[: SMALL.clusters])
    assert not all(silent)


def test_every_zero_is_written_once():
    for config in (TINY, replace(TINY, acc_depth=16)):
        zeros = Zeros.of(STRIDED, np.arange(0, 9, 2), np.arange(0, 8, 2))
        cells = []
        for tile in zero_tiles(zeros, config):
            assert tile.walk.count <= config.acc_depth
            index = (
                tile.plane_index[:, :, None, None]
                + tile.row_index[:, None, :, None]
                + tile.col_index[:, None, None, :]
            )
            cells.append(index[index >= 0])
        reached = np.zeros(STRIDED.x_shape, dtype=bool)
        reached[:, :, ::2, ::2] = True
        assert np.array_equal(np.sort(np.concatenate(cells)), np.flatnonzero(~reached))
        assert zeros.count == np.count_nonzero(~reached)


def _most_keys(config: AcceleratorConfig, shape: ConvShape, grads, inputs) -> int:
    """Most directory entries of a PE's tile in any load block, held gradients."""
    options = LoweringOptions(stationary="first", contraction_parts=1)
    program = lower(config, shape, Pass.WEIGHT_GRAD, grads, inputs, WIDE, options)
    check(program, grads, inputs)
    memory = program.initial_memory()
    headers = {addr + 8 for job in program.jobs for addr in job.load_addrs}
    size = TILE_HEADER.width // 8
    return max(
        int(TILE_HEADER.unpack(memory[addr : addr + size])["directory_count"][0])
        for addr in headers
    )


def test_pixels_of_which_nothing_is_held_have_no_keys():
    shape = ConvShape(n=4, c=4, h=8, w=8, k=8, r=1, s=1)
    grads, inputs = operands(8, shape, Pass.WEIGHT_GRAD, 0.9)
    alive = np.zeros((shape.n, 1, shape.p, shape.q), dtype=bool)
    alive[1, :, 2:4] = True  # 16 of 256 pixels
    assert 0 < _most_keys(SMALL, shape, grads * alive, inputs) <= 16


def test_pixels_worth_most_are_loaded_first():
    shape = ConvShape(n=1, c=4, h=20, w=20, k=4, r=1, s=1)
    grads, inputs = operands(9, shape, Pass.WEIGHT_GRAD, 0.5)
    inputs[..., :10, :] *= np.array([1, 0, 0, 0])[:, None, None]
    numbered, first, second = gscn.lowering.pointwise.contract_pixels(
        shape, grads, inputs, grads_held=True
    )
    assert (numbered.h, numbered.w, numbered.n) == (400, 1, 1)
    products = np.count_nonzero(first, axis=1) * np.count_nonzero(second, axis=1)
    quarters = products.reshape(4, 100).sum(axis=1)
    assert (np.diff(quarters) < 0).all()
    assert np.array_equal(
        np.einsum("nkpq,ncpq->kc", grads, inputs), np.einsum("nkpq,ncpq->kc", first, second)
    )


@given(st.integers(40, 400), st.integers(2, 10))
def test_every_run_of_spread_items_has_its_share(count, runs):
    work = np.arange(count, dtype=np.float64) ** 2
    order = spread(work)
    assert np.array_equal(np.sort(order), np.arange(count))
    length = count // runs
    sums = [work[order[i : i + length]].sum() for i in range(0, count - length + 1, length)]
    # three distances between neighbours at most: no rank of a run is far from where it should be
    assert max(sums) - min(sums) <= 6 * work.max()


def test_spread_is_exact_where_it_can_be_worked_out():
    # i / golden ratio, whole turns left out, of i = 0 to 4: 0, 0.618, 0.236, 0.854, 0.472
    assert spread(np.array([9.0, 7.0, 5.0, 3.0, 1.0])).tolist() == [0, 2, 4, 1, 3]
