"""The dense baseline against hand-worked cases and bounds."""

from __future__ import annotations

import dataclasses
import math

from hypothesis import given
from hypothesis import strategies as st

from gscn.array import array
from gscn.conv import ConvShape, Pass
from gscn.perf.dense_array import arrangements, dense_cost, matrix_dimensions

LARGE = array("large")  # 64 multipliers, 64-byte port, 16-bit operands

shapes = st.builds(
    ConvShape,
    n=st.integers(1, 3),
    c=st.integers(1, 40),
    h=st.integers(3, 12),
    w=st.integers(3, 12),
    k=st.integers(1, 40),
    r=st.integers(1, 3),
    s=st.integers(1, 3),
    stride=st.tuples(st.integers(1, 2), st.integers(1, 2)),
)


def test_arrangements_of_eight_multipliers_are_the_ten_factorisations():
    found = list(arrangements(8))
    assert len(found) == len(set(found)) == 10
    assert {math.prod(a) for a in found} == {8}


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


@given(shape=shapes, which=st.sampled_from(list(Pass)))
def test_cost_lies_between_the_ideal_and_one_multiplier(shape, which):
    assert math.prod(matrix_dimensions(shape, which)) == shape.dense_macs
    cost = dense_cost(LARGE, shape, which)
    assert shape.dense_macs / 64 <= cost.compute_cycles <= shape.dense_macs
    assert cost.cycles == max(cost.compute_cycles, cost.read_cycles, cost.write_cycles)
    lanes = (
        math.ceil(d / a)
        for d, a in zip(matrix_dimensions(shape, which), cost.arrangement, strict=True)
    )
    assert math.prod(lanes) == cost.compute_cycles


def test_a_dram_moves_operands_and_results_once():
    shape = ConvShape(n=1, c=64, h=8, w=8, k=64, r=1, s=1)
    free = dense_cost(LARGE, shape, Pass.FORWARD)
    moved = 2 * 3 * 64 * 64
    slow = dense_cost(LARGE, shape, Pass.FORWARD, dram_bytes_per_cycle=1.5)
    assert (free.dram_cycles, slow.dram_cycles) == (0, moved / 1.5)
    assert (slow.cycles, slow.bound) == (slow.dram_cycles, "DRAM")
    fast = dense_cost(LARGE, shape, Pass.FORWARD, dram_bytes_per_cycle=64.0)
    assert (fast.cycles, fast.bound) == (free.cycles, free.bound)
