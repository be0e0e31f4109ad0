"""The dense baseline against hand-worked cases and bounds."""

from __future__ import annotations

import dataclasses
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gscn.array import array
from gscn.conv import ConvShape, Pass
from gscn.perf.dense_array import dense_cost, factorisations, matrix_dimensions

LARGE = array("large")  # 64 multipliers, 64-byte port, 16-bit operands


@st.composite
def shapes(draw):
    groups = draw(st.sampled_from([1, 1, 2, 3, 16]))
    return ConvShape(
        n=draw(st.integers(1, 3)),
        c=groups * draw(st.integers(1, 40 // groups)),
        h=draw(st.integers(3, 12)),
        w=draw(st.integers(3, 12)),
        k=groups * draw(st.integers(1, 40 // groups)),
        r=draw(st.integers(1, 3)),
        s=draw(st.integers(1, 3)),
        stride=draw(st.tuples(st.integers(1, 2), st.integers(1, 2))),
        groups=groups,
    )


@pytest.mark.parametrize(("number", "count"), [(1, 1), (2, 4), (6, 16), (56, 80)])
def test_factorisations_are_all_ways_to_write_a_number_as_four_factors(number, count):
    found = factorisations(number)
    assert len(set(found)) == len(found) == count
    assert all(math.prod(factors) == number for factors in found)


def test_a_layer_that_divides_evenly_keeps_every_multiplier_busy():
    shape = ConvShape(n=1, c=64, h=56, w=56, k=64, r=3, s=3, padding=(1, 1))
    for which in Pass:
        cost = dense_cost(LARGE, shape, which)
        assert cost.compute_cycles == shape.dense_macs // 64 == 1_806_336
        assert cost.bound == "multipliers"


def test_ports_are_charged_once_per_value():
    shape = ConvShape(n=1, c=64, h=56, w=56, k=64, r=3, s=3, padding=(1, 1))
    cost = dense_cost(LARGE, shape, Pass.FORWARD)
    # (64*64*3*3 weights + 64*56*56 inputs) * 2 bytes / 64 bytes; 64*56*56 outputs likewise.
    assert (cost.read_cycles, cost.write_cycles) == (7424, 6272)


def test_a_fully_connected_layer_of_one_sample_is_bound_by_reading_its_weights():
    shape = ConvShape(n=1, c=4096, h=1, w=1, k=4096, r=1, s=1)
    cost = dense_cost(LARGE, shape, Pass.FORWARD)
    assert cost.bound == "read port"
    assert cost.cycles == math.ceil((4096 * 4096 + 4096) * 2 / 64)
    assert dense_cost(LARGE, shape, Pass.WEIGHT_GRAD).bound == "write port"


def test_edges_are_counted_in_whole_tiles():
    # 7 outputs, 5 inputs, 1 pixel on 4 multipliers: the best is 7 rows one by one, contraction
    # of 5 in two steps of 4: 14, or four rows at a time and 5 steps: 2 * 5 = 10.
    config = dataclasses.replace(LARGE, clusters=4, pes=1)
    cost = dense_cost(config, ConvShape(n=1, c=5, h=1, w=1, k=7, r=1, s=1), Pass.FORWARD)
    assert cost.arrangement == (4, 1, 1)
    assert cost.compute_cycles == 10


@given(shape=shapes(), which=st.sampled_from(list(Pass)))
def test_cost_lies_between_the_ideal_and_one_multiplier(shape, which):
    assert math.prod(matrix_dimensions(shape, which)) * shape.groups == shape.dense_macs
    cost = dense_cost(LARGE, shape, which)
    assert shape.dense_macs / 64 <= cost.compute_cycles <= shape.dense_macs
    assert cost.cycles == max(cost.compute_cycles, cost.read_cycles, cost.write_cycles)
    lanes = (
        math.ceil(d / a)
        for d, a in zip(matrix_dimensions(shape, which), cost.arrangement, strict=True)
    )
    assert math.prod(lanes) * math.ceil(shape.groups / cost.groups) == cost.compute_cycles
    assert math.prod(cost.arrangement) * cost.groups == 64
    if shape.groups == 1:
        assert cost.groups == 1


def test_groups_are_products_of_their_own_that_share_the_array():
    # 32 groups of 4 channels: 4 x 36 x 3136 each. A group alone keeps 4 x 4 x 4 multipliers busy;
    # depthwise, of 1 x 9 x 3136, pixels do.
    grouped = ConvShape(n=1, c=128, h=56, w=56, k=128, r=3, s=3, padding=(1, 1), groups=32)
    depthwise = dataclasses.replace(grouped, groups=128)
    for shape in (grouped, depthwise):
        for which in Pass:
            cost = dense_cost(LARGE, shape, which)
            assert cost.compute_cycles == shape.dense_macs / 64
    # 9 products for each 16-bit result, of which a port takes 32 in a cycle, 64 multipliers 7.1.
    cost = dense_cost(LARGE, depthwise, Pass.FORWARD)
    assert (cost.bound, cost.write_cycles) == ("multipliers", 128 * 3136 / 32)
    # Few pixels: three groups of 1 x 1 x 1 keep 3 of 4 multipliers busy.
    config = dataclasses.replace(LARGE, clusters=4, pes=1)
    few = ConvShape(n=1, c=3, h=1, w=1, k=3, r=1, s=1, groups=3)
    cost = dense_cost(config, few, Pass.FORWARD)
    assert (cost.groups, cost.arrangement, cost.compute_cycles) == (4, (1, 1, 1), 1)


def test_a_dram_moves_operands_and_results_once():
    shape = ConvShape(n=1, c=64, h=8, w=8, k=64, r=1, s=1)
    free = dense_cost(LARGE, shape, Pass.FORWARD)
    moved = 2 * 3 * 64 * 64
    slow = dense_cost(LARGE, shape, Pass.FORWARD, dram_bytes_per_cycle=1.5)
    assert (free.dram_cycles, slow.dram_cycles) == (0, moved / 1.5)
    assert (slow.cycles, slow.bound) == (slow.dram_cycles, "DRAM")
    fast = dense_cost(LARGE, shape, Pass.FORWARD, dram_bytes_per_cycle=64.0)
    assert (fast.cycles, fast.bound) == (free.cycles, free.bound)
