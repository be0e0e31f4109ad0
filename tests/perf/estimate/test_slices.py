"""Division of layers among slices, bytes of DRAM, and the comparison with a GPU, by hand."""

from __future__ import annotations

import dataclasses
import math

import pytest

from gscn.config import preset
from gscn.conv import ConvShape, Pass
from gscn.errors import InputError
from gscn.perf.estimate.closed_form import closed_form_costs
from gscn.perf.estimate.gpu import (
    BATCH,
    CLOCK_HZ,
    DRAM_BYTES_PER_SECOND,
    LANES,
    MEASURED_MS,
    gpu_comparison,
    multipliers_for,
)
from gscn.perf.estimate.slices import compulsory_bytes, divisions, sliced_costs
from gscn.perf.workload.networks import network
from gscn.perf.workload.sparsification import Method, Sparsification
from gscn.perf.workload.work import Work, inner_macs

LARGE = preset("large")
SHAPE = ConvShape(n=16, c=64, h=28, w=28, k=128, r=3, s=3, padding=(1, 1))
RESPROP = Sparsification(method=Method.RESPROP, sparsity=0.9, activation_density=0.5)


def work(which=Pass.FORWARD, shape=SHAPE):
    return Work(shape=shape, which=which, first_density=0.1, second_density=0.5)


@pytest.mark.parametrize(("slices", "count"), [(1, 1), (2, 4), (6, 16), (56, 80)])
def test_divisions_are_all_ways_to_write_a_number_as_four_factors(slices, count):
    found = divisions(slices)
    assert len(set(found)) == len(found) == count
    assert all(math.prod(division) == slices for division in found)


def test_one_slice_is_the_closed_form_itself():
    works = [work(which) for which in Pass]
    for one, cost in zip(
        sliced_costs(LARGE, 1, works), closed_form_costs(LARGE, works), strict=True
    ):
        assert one.slice_cycles == pytest.approx(cost.cycles)
        assert one.ideal_cycles == pytest.approx(cost.useful_products / 64)


@pytest.mark.parametrize("which", Pass)
def test_more_slices_are_faster_but_not_more_than_their_number(which):
    one, four, many = (sliced_costs(LARGE, count, [work(which)])[0] for count in (1, 4, 56))
    assert one.slice_cycles > four.slice_cycles > many.slice_cycles
    assert four.slice_cycles >= one.ideal_cycles / 4
    assert many.slice_cycles >= many.ideal_cycles
    assert one.dram_bytes == many.dram_bytes


def test_the_largest_part_decides():
    # five images among two slices are three for one of them
    shape = dataclasses.replace(SHAPE, n=5, c=1, k=1, h=1, w=28, padding=(0, 1), r=1)
    (cost,) = sliced_costs(LARGE, 2, [Work(
        shape=shape, which=Pass.FORWARD, first_density=1.0, second_density=1.0
    )])  # fmt: skip
    assert cost.division == (2, 1, 1, 1)
    (three,) = closed_form_costs(
        LARGE,
        [Work(shape=dataclasses.replace(shape, n=3), which=Pass.FORWARD,
              first_density=1.0, second_density=1.0)],
    )  # fmt: skip
    assert cost.slice_cycles == pytest.approx(three.cycles)


def test_bytes_of_dram_by_hand():
    inputs, weights, outputs = 16 * 64 * 784, 128 * 64 * 9, 16 * 128 * 784
    assert compulsory_bytes(work(), 2) == pytest.approx(
        4 * (0.1 * weights + 0.5 * inputs) + 2 * outputs
    )
    assert compulsory_bytes(work(Pass.WEIGHT_GRAD), 2) == pytest.approx(
        4 * (0.1 * outputs + 0.5 * inputs) + 2 * weights
    )


def test_no_slice_is_refused():
    with pytest.raises(InputError, match="slices must be at least 1, not 0"):
        sliced_costs(LARGE, 0, [work()])


def test_the_comparison_adds_up():
    found = gpu_comparison("resnet18", RESPROP)
    assert (found.multipliers, found.batch) == (LANES, BATCH)
    assert found.gpu == MEASURED_MS["resnet18"][1] / 1e3
    assert sum(found.shares.values()) == pytest.approx(1)
    assert found.ideal <= found.slices <= found.convolutions
    assert found.dram <= found.convolutions
    assert found.speedup > found.speedup_with_sparsification > found.speedup_with_everything
    # products alone: 0.1 dense gradients (input gradient), times 0.5 dense inputs (weight
    # gradient), and the terms of one sample of sixteen
    assert found.precomputed_ideal < found.ideal


def test_a_dense_network_is_bound_by_its_products():
    dense = Sparsification(method=Method.DENSE, sparsity=0.0)
    found = gpu_comparison("vgg16", dense)
    macs = found.ideal * LANES * CLOCK_HZ
    layers = network("vgg16", image_size=224, batch=BATCH).layers
    assert macs == pytest.approx(sum((2 - one.first) * inner_macs(one.shape) for one in layers))
    assert found.precomputed_ideal == 0


def test_a_slow_dram_is_the_limit():
    found = gpu_comparison("resnet18", RESPROP, dram_bytes_per_second=1e9)
    assert found.convolutions == pytest.approx(found.dram, rel=0.01)
    assert found.dram == pytest.approx(
        gpu_comparison("resnet18", RESPROP).dram * DRAM_BYTES_PER_SECOND / 1e9
    )


def test_larger_batches_spread_the_terms_of_one_sample():
    small, large = (gpu_comparison("resnet18", RESPROP, batch=n) for n in (16, 64))
    assert large.speedup > small.speedup
    assert large.gpu == pytest.approx(4 * small.gpu)
    assert large.precomputed_ideal == pytest.approx(small.precomputed_ideal)


def test_masked_gradients_make_the_terms_cheaper():
    whole = gpu_comparison("vgg16", RESPROP)
    masked = gpu_comparison("vgg16", RESPROP, masked_gradients=0.5)
    assert masked.precomputed_ideal == pytest.approx(whole.precomputed_ideal / 2)


def test_the_smallest_size_that_reaches_a_speedup():
    found = multipliers_for("resnet18", 3.0, RESPROP)
    assert found.speedup >= 3.0
    fewer = gpu_comparison("resnet18", RESPROP, multipliers=found.multipliers - 512)
    assert found.multipliers == 512 or fewer.speedup < 3.0
    assert multipliers_for("resnet18", 1000.0, RESPROP, most=1024) is None


def test_unknown_networks_and_impossible_numbers_are_refused():
    with pytest.raises(InputError, match="network must be one of resnet18"):
        gpu_comparison("alexnet", RESPROP)
    with pytest.raises(InputError, match="must be over 0"):
        gpu_comparison("vgg16", RESPROP, clock_hz=0)
