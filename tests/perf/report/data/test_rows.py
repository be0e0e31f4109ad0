"""Passes are read from rows as they were computed."""

from __future__ import annotations

import pytest

from gscn.conv import Pass
from gscn.perf.estimate import memory
from tests.estimates import UTILIZATION


def test_passes_are_those_of_the_row(resprop):
    listed = [
        (layer["name"], fields) for layer in resprop.row["layers"] for fields in layer["passes"]
    ]
    assert [(p.layer, str(p.which)) for p in resprop.passes] == [
        (name, fields["pass"]) for name, fields in listed
    ]
    for p, (_, fields) in zip(resprop.passes, listed, strict=True):
        works = fields["convolutions"]
        assert p.useful_products == sum(work["expected_useful_products"] for work in works)
        assert p.accesses["products"] == pytest.approx(p.useful_products)
        assert p.causes["busy"] == pytest.approx(p.useful_products)
        assert p.utilization(resprop.config) == pytest.approx(UTILIZATION, rel=1e-3)
        assert p.accesses["read_bytes"] == p.ports.read_bytes >= fields["read_bytes"]
        assert sum(p.causes.values()) == pytest.approx(p.cycles * resprop.config.multipliers)


def test_a_stride_steps_over_inputs_and_ports_move_what_there_is(resprop):
    p = next(p for p in resprop.passes if p.shape.r == 1 and p.shape.stride == (2, 2))
    assert memory.touched_share(p.shape, Pass.FORWARD) == 0.25
    for p in resprop.passes:
        assert p.ports.read_bytes >= p.compressed.read_bytes
        assert p.ports.write_bytes >= p.compressed.write_bytes


def test_compressed_bytes_count_the_precomputed_term(resprop):
    p = next(p for p in resprop.passes if p.which is Pass.WEIGHT_GRAD and not p.linear)
    own = memory.compressed_bytes(p.shape, p.which, *p.densities)
    assert p.compressed.read_bytes > own.read_bytes
    assert p.compressed.write_bytes == 2 * own.write_bytes


def test_a_buffer_leaves_what_the_row_says_and_results(swat):
    for p in swat.passes:
        assert p.dram_bytes(0) == pytest.approx(p.ports.total_bytes)
        read = max(16 * p.cycles / 3, p.compressed.read_bytes)
        assert p.dram_bytes(1 << 20) == pytest.approx(read + p.ports.write_bytes)
        once = memory.operand_bytes(p.shape, p.which, *p.densities)
        assert p.smaller_bytes >= min(once) > 0
