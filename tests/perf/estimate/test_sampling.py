"""Samples: small enough, like their layers, and measured on the cycle model itself."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gscn.array import array
from gscn.conv import ConvShape, Pass
from gscn.dram import Dram
from gscn.errors import InputError
from gscn.formats import INT8
from gscn.golden.oracle.integers import useful_products
from gscn.golden.oracle.synthetic import random_operands
from gscn.lowering.plan import plan_pass
from gscn.perf.estimate.sampling import (
    SAMPLE_PRODUCTS,
    Sample,
    Sampling,
    behind,
    choose_sample,
    cut_alike,
    measure,
    measure_sample,
)
from gscn.perf.workload.networks import network
from gscn.perf.workload.work import Work, inner_macs

TINY, LARGE = array("tiny"), array("large")
SHAPE = ConvShape(n=2, c=6, h=8, w=7, k=5, r=3, s=3, stride=(2, 1), padding=(1, 1))


def sample(which=Pass.FORWARD, first=0.3, second=0.5):
    return Sample(shape=SHAPE, which=which, first_density=first, second_density=second)


@pytest.mark.parametrize("which", Pass)
def test_useful_products_are_those_that_torch_counts(which):
    measured = measure_sample(TINY, sample(which), seed=3)
    operands = random_operands(SHAPE, which, 0.3, 0.5, INT8, 3)
    assert measured.useful_products == useful_products(SHAPE, which, *operands)
    assert 0 < measured.utilization <= 1
    assert measured.multipliers == 4


def test_processes_and_repetition_change_nothing():
    samples = [sample(which) for which in Pass] + [sample()]
    alone = [measure_sample(TINY, one, seed=5) for one in samples]
    done = []
    assert measure(TINY, samples, seed=5, progress=lambda *at: done.append(at)) == alone
    assert done == [(1, 3), (2, 3), (3, 3)]
    # Everything is known by now: nothing is measured again.
    assert measure(TINY, samples, seed=5, processes=1, progress=pytest.fail) == alone


def test_dense_packs_and_phases_lie_apart_in_memory():
    """They have the same zeros, and are not the same numbers: a buffer cannot hold one for all."""
    shape = ConvShape(n=1, c=64, h=8, w=8, k=64, r=3, s=3, padding=(1, 1), groups=64)
    for one in (shape, dataclasses.replace(shape, groups=1, stride=(2, 2))):
        sample = Sample(shape=one, which=Pass.WEIGHT_GRAD, first_density=1.0, second_density=1.0)
        found = measure_sample(array("large"), sample, seed=0)
        both = one.n * (one.c * one.h * one.w + one.k * one.p * one.q) * 2
        assert found.operand_bytes > both
        assert found.dram_reads[4 << 20].total > both


def test_a_sample_without_products_is_refused():
    with pytest.raises(InputError, match="must leave at least one product"):
        measure_sample(TINY, sample(first=0.001), seed=0)


def test_a_sample_without_room_is_refused():
    with pytest.raises(InputError, match="sample products must be at least 1, not 0"):
        Sampling(products=0)


densities = st.floats(0.01, 1.0)


@given(
    shape=st.builds(
        ConvShape,
        n=st.integers(1, 64),
        c=st.integers(1, 512),
        h=st.integers(7, 224),
        w=st.integers(7, 224),
        k=st.integers(1, 512),
        r=st.sampled_from([1, 3, 7]),
        s=st.sampled_from([1, 3, 7]),
        stride=st.sampled_from([(1, 1), (2, 2), (3, 1)]),
        padding=st.sampled_from([(0, 0), (1, 1), (3, 3)]),
    ),
    which=st.sampled_from(list(Pass)),
    first=densities,
    second=densities,
)
def test_a_sample_fits_and_keeps_what_matters(shape, which, first, second):
    work = Work(shape=shape, which=which, first_density=first, second_density=second)
    sample = choose_sample(work, products=100_000)
    cut = sample.shape
    assert inner_macs(cut) * first * second <= 100_000
    assert (cut.r, cut.s, cut.stride, cut.padding, cut.dilation) == (
        shape.r,
        shape.s,
        shape.stride,
        shape.padding,
        shape.dilation,
    )
    assert all(getattr(cut, name) <= getattr(shape, name) for name in "nchwk")
    assert (sample.which, sample.first_density, sample.second_density) == (which, first, second)
    if work.useful_products <= 100_000:
        assert cut == shape


def test_a_sample_of_a_grouped_layer_has_fewer_groups_of_the_same_size():
    shape = ConvShape(n=1, c=256, h=7, w=7, k=512, r=3, s=3, padding=(1, 1), groups=128)
    work = Work(shape=shape, which=Pass.FORWARD, first_density=1.0, second_density=1.0)
    cut = choose_sample(work, products=50_000).shape
    assert inner_macs(cut) <= 50_000 < inner_macs(shape)
    assert (cut.group.c, cut.group.k, cut.h, cut.w) == (2, 4, 7, 7)
    assert 1 < cut.groups < 128
    one = choose_sample(work, products=10).shape
    assert (one.groups, one.c, one.k) == (1, 1, 1)


def test_a_sample_of_a_large_layer_fills_the_array():
    for layer in network("resnet50", image_size=224, batch=32).layers:
        work = Work(shape=layer.shape, which=Pass.FORWARD, first_density=0.1, second_density=1.0)
        sample = choose_sample(work)
        products = inner_macs(sample.shape) * 0.1
        assert products > SAMPLE_PRODUCTS / 4 or sample.shape == layer.shape


@pytest.mark.parametrize("which", Pass)
def test_a_sample_grows_until_the_driver_cuts_it_like_the_layer(which):
    shape = ConvShape(n=32, c=128, h=28, w=28, k=128, r=3, s=3, padding=(1, 1))
    densities = (1.0, 0.1) if which is Pass.WEIGHT_GRAD else (0.1, 1.0)
    work = Work(shape=shape, which=which, first_density=densities[0], second_density=densities[1])
    small = choose_sample(work, products=12_000_000)
    grown = cut_alike(LARGE, work, small)
    assert small.shape.n <= grown.shape.n <= 8 * small.shape.n
    whole, cut, first = (
        size_of_tiles(one, which, densities) for one in (shape, grown.shape, small.shape)
    )
    assert whole == cut
    assert (grown == small) == (first == whole)
    # one that lacks channels stays as it is
    cut = choose_sample(work, products=50_000)
    assert cut_alike(LARGE, work, cut) == cut


def test_a_driver_of_few_images_knows_of_as_much_smaller_a_buffer():
    shape = ConvShape(n=32, c=64, h=56, w=56, k=64, r=1, s=1)
    work = Work(shape=shape, which=Pass.FORWARD, first_density=0.1, second_density=1.0)
    dram = Dram(bytes_per_cycle=5.46, buffer_bytes=4 << 20)

    def known(images, buffer_bytes=4 << 20):
        cut = Sample(
            shape=dataclasses.replace(shape, n=images), which=Pass.FORWARD, first_density=0.1,
            second_density=1.0,
        )  # fmt: skip
        return behind(dataclasses.replace(dram, buffer_bytes=buffer_bytes), work, cut).dram

    assert known(32) == dram
    assert known(8) == dataclasses.replace(dram, buffer_bytes=1 << 20)
    # never too small for what clusters share at once, unless the design's is
    assert known(1, 1 << 20).buffer_bytes == 128 << 10
    assert known(1, 0).buffer_bytes == 0
    assert behind(None, work, choose_sample(work)) == choose_sample(work)


@pytest.mark.parametrize("which", Pass)
def test_a_sample_behind_dram_is_cut_like_the_layer(which):
    shape = ConvShape(n=32, c=64, h=28, w=28, k=64, r=3, s=3, padding=(1, 1))
    densities = (1.0, 0.1) if which is Pass.WEIGHT_GRAD else (0.1, 1.0)
    work = Work(shape=shape, which=which, first_density=densities[0], second_density=densities[1])
    dram = Dram(bytes_per_cycle=5.46, buffer_bytes=1 << 20)
    found = cut_alike(LARGE, work, choose_sample(work, products=12_000_000), dram)
    plans = [
        plan_pass(LARGE, one, which, densities, out_bytes=2, dram=known).parts[0].choice
        for one, known in ((shape, dram), (found.shape, found.dram))
    ]
    assert plans[0].s_real == plans[1].s_real


def size_of_tiles(shape, which, densities):
    (part,) = plan_pass(LARGE, shape, which, densities, out_bytes=2).parts
    choice = part.choice
    if which is Pass.WEIGHT_GRAD:
        return (part.holds_input, choice.s_real, choice.t_vectors, choice.t_split)
    return (choice.s_real, choice.tile_rows, choice.tile_cols, part.bands)
