"""Bytes of operands, and the cycles that they take, against counts worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from gscn.array import ARRAYS
from gscn.conv import ConvShape, Pass
from gscn.cycles.passes import simulate_passes
from gscn.errors import InputError
from gscn.formats import INT8, INT16
from gscn.lowering.pass_image import lower_pass
from gscn.outputs import OutputFormat
from gscn.perf.estimate import memory
from gscn.perf.estimate.buffer import dram_reads
from gscn.strips import encode

SHAPE = ConvShape(n=2, c=8, h=12, w=12, k=16, r=3, s=3, padding=(1, 1))
TINY = ARRAYS["tiny"]


def test_dense_strips_by_hand():
    # 32 vectors of 16 values: a mask each, and two blocks
    assert memory.strip_bytes(32, 16, 1.0) == pytest.approx(2 * (32 * 17 + 2))
    # 5 lanes of 8 bits: three halfwords and a mask
    assert memory.strip_bytes(16, 5, 1.0, 1) == pytest.approx(2 * (16 * 4 + 1))
    # no nonzero: nothing but the blocks
    assert memory.strip_bytes(160, 16, 0.0) == pytest.approx(20)


@pytest.mark.parametrize("fmt", [INT16, INT8])
@pytest.mark.parametrize("density", [0.02, 0.3, 1.0])
@pytest.mark.parametrize("lanes", [16, 7])
def test_expected_strips_are_near_encoded_ones(fmt, density, lanes):
    rng = np.random.default_rng(1)
    codes = np.zeros((1, 4096, 16), f"i{fmt.width // 8}")
    codes[:, :, :lanes] = rng.random((1, 4096, lanes)) < density
    strips = encode(codes, np.arange(0, 4097, 64), fmt)
    expected = memory.strip_bytes(4096, lanes, density, fmt.width // 8)
    assert 2 * strips.halfwords == pytest.approx(expected, rel=0.05)


@pytest.mark.parametrize("which", Pass)
@pytest.mark.parametrize("stride", [1, 2])
def test_the_estimate_of_compressed_bytes_is_near_the_image(which, stride):
    shape = ConvShape(n=8, c=64, h=25, w=25, k=48, r=1, s=1, stride=(stride, stride))
    rng = np.random.default_rng(3)
    first, second = (
        (rng.random(size) < 0.3).astype(np.int64) for size in shape.operand_shapes(which)
    )
    image = lower_pass(ARRAYS["large"], shape, which, first, second, OutputFormat(width=16))
    estimated = memory.compressed_bytes(shape, which, 0.3, 0.3)
    # tables and empty groups are left out
    assert estimated.read_bytes == pytest.approx(image.operand_bytes, rel=0.15)
    assert estimated.read_bytes == sum(memory.operand_bytes(shape, which, 0.3, 0.3))
    assert estimated.write_bytes == 2 * np.prod(shape.result_shape(which))


def test_weights_of_groups_are_in_vectors_of_their_own():
    # 4 groups of 5 filters and 3 channels: of each, 3 x 9 vectors of 5 lanes
    shape = ConvShape(n=2, c=12, h=6, w=6, k=20, r=3, s=3, groups=4)
    weights = {which: memory.operand_bytes(shape, which, 1.0, 1.0)[0] for which in Pass}
    assert weights[Pass.FORWARD] == memory.strip_bytes(4 * 27, 5, 1.0)
    assert weights[Pass.INPUT_GRAD] == memory.strip_bytes(4 * 5 * 9, 3, 1.0)
    # Maps are of all channels: 20 in two vectors of 10 on average, 12 in one.
    assert weights[Pass.WEIGHT_GRAD] == memory.strip_bytes(2 * 2 * 16, 10, 1.0)
    assert memory.operand_bytes(shape, Pass.FORWARD, 1.0, 1.0)[1] == memory.strip_bytes(
        2 * 36, 12, 1.0
    )


def test_ports_read_at_least_what_a_large_buffer_reads():
    first, second = np.ones(SHAPE.w_shape, np.int64), np.ones(SHAPE.x_shape, np.int64)
    image = lower_pass(TINY, SHAPE, Pass.FORWARD, first, second, OutputFormat(width=16))
    result = simulate_passes(
        TINY, image.image, image.descriptors_addr, image.descriptor_count, image.memory_bytes,
        bursts=True,
    )  # fmt: skip
    ports = memory.port_traffic(TINY, result)
    assert ports.read_bytes >= dram_reads(image, result.bursts)[4 << 20].total
    assert ports.total_bytes == (result.read_beats + result.write_beats) * TINY.mem_bytes


def test_a_stride_steps_over_inputs():
    shape = ConvShape(n=1, c=16, h=8, w=8, k=16, r=1, s=1, stride=(2, 2))
    assert memory.touched_share(shape, Pass.FORWARD) == 0.25
    assert memory.touched_share(shape, Pass.WEIGHT_GRAD) == 0.25
    assert memory.touched_share(shape, Pass.INPUT_GRAD) == 1.0
    whole = ConvShape(n=1, c=16, h=4, w=4, k=16, r=1, s=1)
    assert memory.operand_bytes(shape, Pass.FORWARD, 0.5, 0.5) == pytest.approx(
        memory.operand_bytes(whole, Pass.FORWARD, 0.5, 0.5)
    )


def test_dense_operands_and_results_by_hand():
    shape = ConvShape(n=1, c=2, h=4, w=4, k=3, r=1, s=1)
    dense = memory.dense_bytes(shape, Pass.FORWARD)
    assert (dense.read_bytes, dense.write_bytes) == (2 * (6 + 32), 2 * 48)
    assert dense.total_bytes == dense.read_bytes + dense.write_bytes


def test_the_slowest_resource_is_the_bound():
    ports = memory.Traffic(read_bytes=640, write_bytes=64)
    bandwidth = memory.Bandwidth.of(ARRAYS["large"], dram=5.5)
    cycles_needed = memory.bound_cycles(64, 6400, ports, bandwidth)
    assert cycles_needed == {
        "multipliers": 100, "read port": 10, "write port": 1, "DRAM": pytest.approx(128)
    }  # fmt: skip
    behind = memory.bound_cycles(64, 6400, ports, bandwidth, dram_bytes=55)
    assert behind["DRAM"] == pytest.approx(10)
    assert "DRAM" not in memory.bound_cycles(64, 6400, ports, memory.Bandwidth.of(ARRAYS["large"]))


def test_the_roofline_rises_to_the_multipliers():
    assert memory.attainable(0.5, 64, 64) == 32
    assert memory.attainable(3.0, 64, 64) == 64


def test_estimates_know_some_buffers():
    memory.check_buffer(None)
    memory.check_buffer(memory.Dram(bytes_per_cycle=4.0, buffer_bytes=1 << 20))
    with pytest.raises(InputError, match=r"buffer_bytes must be one of 0, 262144, .*, not 1"):
        memory.check_buffer(memory.Dram(bytes_per_cycle=4.0, buffer_bytes=1))
