"""The comparison with a GPU adds up, and follows products, DRAM and batch."""

from __future__ import annotations

import pytest

from gscn.errors import InputError
from gscn.perf.estimate.gpu import (
    BATCH,
    CLOCK_HZ,
    DRAM_BYTES_PER_SECOND,
    LANES,
    MEASURED_MS,
    gpu_comparison,
    multipliers_for,
)
from gscn.perf.workload.networks import network
from gscn.perf.workload.sparsification import Method, Sparsification
from gscn.perf.workload.work import inner_macs

RESPROP = Sparsification(method=Method.RESPROP, sparsity=0.9, activation_density=0.5)


def test_the_comparison_adds_up():
    found = gpu_comparison("resnet18", RESPROP)
    assert (found.multipliers, found.batch) == (LANES, BATCH)
    assert found.gpu == MEASURED_MS["resnet18"][1] / 1e3
    assert sum(found.shares.values()) == pytest.approx(1)
    assert found.ideal <= found.slices <= found.convolutions
    assert found.dram <= found.convolutions
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
