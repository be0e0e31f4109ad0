"""The two ends of the scale, the dense array and the ideal, and what all models share."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gscn.array import array
from gscn.conv import ConvShape, Pass
from gscn.conv_groups import group_operands
from gscn.errors import InputError
from gscn.golden.oracle.integers import useful_products
from gscn.perf.dense_array import dense_cost
from gscn.perf.rivals import RIVALS, VARIANTS, Resources
from tests.perf.rivals.shapes import RESOURCES, convolutions, masks

LARGE = array("large")
SHAPE = ConvShape(n=2, c=5, h=9, w=7, k=6, r=3, s=3, stride=(2, 1), padding=(1, 1))


@pytest.mark.parametrize("which", list(Pass))
def test_the_dense_array_is_that_of_the_estimate(which):
    shape = dataclasses.replace(SHAPE, c=64, k=64)
    cost = RIVALS["dense"].cost(Resources.of(LARGE), shape, which, *masks(shape, which, (0.1, 0.1)))
    expected = dense_cost(LARGE, shape, which)
    assert (cost.compute_cycles, cost.read_cycles, cost.write_cycles) == (
        expected.compute_cycles,
        expected.read_cycles,
        expected.write_cycles,
    )
    assert (cost.cycles, cost.bound) == (expected.cycles, expected.bound)
    assert cost.products == shape.dense_macs


def test_the_ideal_by_hand():
    # One row, kernel 1x1: three nonzero inputs, two of four filters nonzero in their channel.
    shape = ConvShape(n=1, c=1, h=1, w=5, k=4, r=1, s=1)
    weights = np.array([0, 3, -1, 0]).reshape(4, 1, 1, 1)
    inputs = np.array([1, 0, 2, 0, 5]).reshape(1, 1, 1, 5)
    resources = Resources(multipliers=4, port_bytes_per_cycle=8, value_bits=16)
    cost = RIVALS["ideal"].cost(resources, shape, Pass.FORWARD, weights, inputs)
    assert (cost.products, cost.useful_products, cost.compute_cycles) == (6, 6, 2)
    # 2 + 3 values of 2 bytes; 4 x 5 results of 2 bytes
    assert (cost.read_bytes, cost.write_bytes) == (10, 40)
    assert (cost.read_cycles, cost.write_cycles, cost.cycles) == (2, 5, 5)
    assert cost.bound == "write port"
    assert cost.utilization == 6 / (5 * 4)


@pytest.mark.parametrize("which", list(Pass))
@pytest.mark.parametrize("name", list(RIVALS))
@pytest.mark.parametrize("groups", [1, 3])
def test_useful_products_are_those_that_torch_counts(name, which, groups):
    shape = dataclasses.replace(SHAPE, c=groups * SHAPE.c, groups=groups)
    first, second = masks(shape, which, (0.3, 0.5))
    resources = Resources(multipliers=64, port_bytes_per_cycle=64, value_bits=16)
    cost = RIVALS[name].cost(resources, shape, which, first, second)
    assert cost.useful_products == useful_products(shape, which, first, second) > 0
    assert cost.products >= cost.useful_products


@pytest.mark.parametrize("name", list(RIVALS))
@pytest.mark.parametrize("which", list(Pass))
def test_groups_take_as_long_as_each_by_itself_or_less(name, which):
    shape = dataclasses.replace(SHAPE, c=4 * 5, k=4 * 6, groups=4)
    operands = masks(shape, which, (0.3, 0.5))
    cost = RIVALS[name].cost(RESOURCES, shape, which, *operands)
    alone = [
        RIVALS[name].cost(RESOURCES, shape.group, which, *pair)
        for pair in group_operands(shape, which, *operands)
    ]
    cycles = sum(one.compute_cycles for one in alone)
    together = name in ("dense", "sigma", "ideal")
    assert cost.compute_cycles < cycles if together else cost.compute_cycles == cycles
    assert cost.products == sum(one.products for one in alone) or name == "sigma"
    assert cost.read_bytes == sum(one.read_bytes for one in alone)


@pytest.mark.parametrize("name", list(RIVALS))
def test_an_operand_of_another_shape_is_refused_by_name(name):
    first, second = masks(SHAPE, Pass.FORWARD, (0.5, 0.5))
    resources = Resources(multipliers=64, port_bytes_per_cycle=64, value_bits=16)
    with pytest.raises(InputError, match=r"second operand of forward must have the shape \(2, 5"):
        RIVALS[name].cost(resources, SHAPE, Pass.FORWARD, first, second[:1])


def test_every_bad_resource_is_named_at_once():
    with pytest.raises(InputError, match="multipliers must be at least 1, not 0; port_bytes"):
        Resources(multipliers=0, port_bytes_per_cycle=0, value_bits=16)


def test_resources_are_those_of_a_configuration():
    assert Resources.of(LARGE) == Resources(multipliers=64, port_bytes_per_cycle=64, value_bits=16)


def test_the_models_are_those_of_the_comparison():
    assert list(RIVALS) == ["dense", "scnn+", "ant", "tensordash", "sigma", "ideal"]
    for name, rival in {**RIVALS, **VARIANTS}.items():
        assert rival.name == name
        assert rival.title
        assert rival.source
        assert all(line.endswith(".") for line in rival.assumptions)


@pytest.mark.parametrize("name", [*RIVALS, *VARIANTS])
@given(
    shape=convolutions(most_groups=3), which=st.sampled_from(list(Pass)), seed=st.integers(0, 99)
)
@settings(max_examples=25)
def test_no_model_is_faster_than_the_ideal(name, shape, which, seed):
    operands = masks(shape, which, (0.5, 0.4), seed)
    cost = {**RIVALS, **VARIANTS}[name].cost(RESOURCES, shape, which, *operands)
    ideal = RIVALS["ideal"].cost(RESOURCES, shape, which, *operands)
    assert cost.useful_products == ideal.useful_products <= cost.products
    assert cost.compute_cycles >= ideal.useful_products / RESOURCES.multipliers
    assert cost.read_bytes >= ideal.read_bytes
    assert cost.write_bytes == ideal.write_bytes
    assert cost.cycles == max(cost.compute_cycles, cost.read_cycles, cost.write_cycles)


@pytest.mark.parametrize("name", ["scnn+", "ant", "tensordash", "sigma"])
@pytest.mark.parametrize("which", list(Pass))
def test_operands_without_nonzeros_take_no_product(name, which):
    empty = masks(SHAPE, which, (0, 0))
    cost = RIVALS[name].cost(RESOURCES, SHAPE, which, *empty)
    assert (cost.products, cost.useful_products) == (0, 0)
    assert cost.utilization == 0
