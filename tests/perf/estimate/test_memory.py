"""Traffic of launches behind buffers, and bounds, against counts worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from gscn import lowering
from gscn.config import PRESETS
from gscn.conv import ConvShape, Pass
from gscn.cycles import model
from gscn.errors import InputError
from gscn.perf.estimate import memory
from gscn.program import OutputFormat

SHAPE = ConvShape(n=2, c=8, h=12, w=12, k=16, r=3, s=3, padding=(1, 1))
TINY = PRESETS["tiny"]


def operands(which, density):
    rng = np.random.default_rng(3)
    return tuple(
        rng.integers(1, 9, size) * (rng.random(size) < density)
        for size in SHAPE.operand_shapes(which)
    )


@pytest.fixture(scope="module", params=list(Pass))
def lowered(request):
    out = OutputFormat(width=16, shift=0)
    first, second = operands(request.param, 0.3)
    return lowering.lower(TINY, SHAPE, request.param, first, second, out)


def test_an_endless_buffer_leaves_the_compulsory_traffic(lowered):
    endless = memory.buffered_traffic(lowered, 1 << 30)
    least = memory.compulsory_traffic(lowered)
    assert endless == least
    assert least.write_bytes == sum(job.out_bytes for job in lowered.jobs)


def test_no_buffer_reads_every_reference(lowered):
    sizes = [size for _, size in memory.references(lowered)]
    lines = sum(-(-size // memory.LINE_BYTES) for size in sizes)
    assert memory.buffered_traffic(lowered, 0).read_bytes == memory.LINE_BYTES * lines
    listed = sum(sizes)
    chunks = sum(sum(job.load_chunks) + sum(job.stream_chunks) for job in lowered.jobs)
    assert listed == 8 * chunks


def test_a_larger_buffer_never_reads_more(lowered):
    sizes = [0, 1 << 12, 1 << 14, 1 << 16, 1 << 20]
    reads = [memory.buffered_traffic(lowered, size).read_bytes for size in sizes]
    assert reads == sorted(reads, reverse=True)
    assert reads[-1] < reads[0]


def test_ports_read_at_least_what_is_compulsory(lowered):
    result = model.simulate(lowered)
    ports = memory.port_traffic(TINY, result)
    assert ports.read_bytes >= memory.compulsory_traffic(lowered).read_bytes
    assert ports.total_bytes == (result.read_beats + result.write_beats) * TINY.mem_bytes


def test_compressed_operands_are_four_bytes_a_nonzero():
    shape = ConvShape(n=1, c=2, h=4, w=4, k=3, r=1, s=1)
    traffic = memory.compressed_bytes(shape, Pass.FORWARD, 0.5, 0.25)
    assert traffic.read_bytes == 4 * (3 * 2 * 0.5 + 32 * 0.25)
    assert traffic.write_bytes == 2 * 3 * 16
    assert traffic.total_bytes == traffic.read_bytes + traffic.write_bytes
    assert memory.resident_bytes(shape, Pass.FORWARD, 0.5, 0.25) == 4 * 3
    dense = memory.dense_bytes(shape, Pass.FORWARD)
    assert (dense.read_bytes, dense.write_bytes) == (2 * (6 + 32), 2 * 48)


def test_the_estimate_of_compressed_bytes_is_near_the_image():
    which = Pass.FORWARD
    first, second = operands(which, 0.3)
    shares = [np.count_nonzero(x) / x.size for x in (first, second)]
    out = OutputFormat(width=16, shift=0)
    # One tile holds all weights, so that nothing is stored twice but what regions share.
    program = lowering.lower(PRESETS["small"], SHAPE, which, first, second, out)
    estimated = memory.compressed_bytes(SHAPE, which, *shares)
    exact = memory.compulsory_traffic(program)
    assert exact.read_bytes >= estimated.read_bytes
    assert exact.write_bytes >= estimated.write_bytes


def test_the_slowest_resource_is_the_bound():
    ports = memory.Traffic(read_bytes=640, write_bytes=64)
    bandwidth = memory.Bandwidth.of(PRESETS["large"], dram=5.5)
    cycles_needed = memory.bound_cycles(64, 6400, ports, bandwidth)
    assert cycles_needed == {
        "multipliers": 100, "read port": 10, "write port": 1, "DRAM": pytest.approx(128)
    }  # fmt: skip
    behind = memory.bound_cycles(64, 6400, ports, bandwidth, dram_bytes=55)
    assert behind["DRAM"] == pytest.approx(10)
    assert "DRAM" not in memory.bound_cycles(64, 6400, ports, memory.Bandwidth.of(PRESETS["large"]))


def test_the_roofline_rises_to_the_multipliers():
    assert memory.attainable(0.5, 64, 64) == 32
    assert memory.attainable(3.0, 64, 64) == 64


def test_a_negative_buffer_is_refused(lowered):
    with pytest.raises(InputError, match="at least 0, not -1"):
        memory.buffered_traffic(lowered, -1)
