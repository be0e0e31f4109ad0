"""Energies are counts of the hardware's accesses times published energies, worked out by hand."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from gscn import lowering, records
from gscn.config import PRESETS
from gscn.conv import ConvShape, Pass
from gscn.cycles import model
from gscn.errors import InputError
from gscn.perf.estimate import energy
from gscn.perf.estimate.energy import HOROWITZ_45NM, Accesses, count_accesses
from gscn.program import OutputFormat

SHAPE = ConvShape(n=2, c=8, h=10, w=10, k=8, r=3, s=3, padding=(1, 1))


def lowered(config, which=Pass.FORWARD, *, parts=None, density=0.4, shape=SHAPE):
    rng = np.random.default_rng(7)
    first, second = (
        rng.integers(1, 9, size) * (rng.random(size) < density)
        for size in shape.operand_shapes(which)
    )
    options = lowering.LoweringOptions(contraction_parts=parts)
    out = OutputFormat(width=16, shift=0)
    return lowering.lower(config, shape, which, first, second, out, options)


def none(**changed):
    fields = dict.fromkeys((f.name for f in dataclasses.fields(Accesses)), 0.0)
    return Accesses(**(fields | changed))


def test_the_width_of_a_queued_word_is_that_of_the_hardware():
    from amaranth.hdl import Shape

    from gscn.hw.layouts import PE_WORD

    assert Shape.cast(PE_WORD).width == energy._WORD_BITS


def test_published_points_are_returned_as_published():
    assert HOROWITZ_45NM.add_pj(8) == pytest.approx(0.03)
    assert HOROWITZ_45NM.add_pj(32) == pytest.approx(0.1)
    assert HOROWITZ_45NM.multiply_pj(32) == pytest.approx(3.1)
    assert HOROWITZ_45NM.memory_pj(8192, 64) == pytest.approx(10)
    assert HOROWITZ_45NM.memory_pj(32768, 64) == pytest.approx(20)
    assert HOROWITZ_45NM.memory_pj(1 << 20, 64) == pytest.approx(100)
    assert HOROWITZ_45NM.dram_pj(0) * 8 == 1300
    assert HOROWITZ_45NM.dram_pj(1) * 8 == 2600


def test_between_published_points_the_law_is_a_power():
    # The geometric middle of the abscissas has the geometric mean of the energies.
    assert HOROWITZ_45NM.multiply_pj(16) == pytest.approx((0.2 * 3.1) ** 0.5)
    assert HOROWITZ_45NM.memory_pj(16384, 64) == pytest.approx(200**0.5)
    # A quarter of the bytes below the first point has half the energy, as between the first two.
    assert HOROWITZ_45NM.memory_pj(2048, 64) == pytest.approx(5)
    assert HOROWITZ_45NM.memory_pj(2048, 16) == pytest.approx(5 / 4)


def test_a_product_costs_an_entry_an_operation_and_an_accumulator():
    config = PRESETS["large"]
    parts = energy.energy_per_product(config)
    assert list(parts) == ["multiply", "add", "accumulator RAM", "stationary memory"]
    assert parts["multiply"] == pytest.approx((0.2 * 3.1) ** 0.5)
    # 4096 accumulators of 48 bits are 24 KiB: sqrt(3) times the energy of 8 KiB, three quarters of
    # the width, read and written.
    assert parts["accumulator RAM"] == pytest.approx(2 * 10 * 3**0.5 * 0.75)
    assert parts["stationary memory"] == pytest.approx(10)


def test_bytes_go_through_dram_unless_a_buffer_keeps_them():
    config = PRESETS["large"]
    moved = none(read_bytes=80.0, write_bytes=16.0)
    direct = energy.energy(config, moved)
    assert direct["DRAM"] == pytest.approx(96 * 1950 / 8)
    assert direct["buffer"] == 0
    kept = energy.energy(config, moved, dram_bytes=16.0, buffer_bytes=1 << 20, dram_position=0)
    assert kept["DRAM"] == pytest.approx(16 * 1300 / 8)
    assert kept["buffer"] == pytest.approx((96 + 16) * 100 / 8)
    assert list(kept) == list(energy.COMPONENTS)


def test_the_dense_array_pays_for_its_products_operands_and_bytes():
    config = PRESETS["large"]
    shape = ConvShape(n=1, c=64, h=8, w=8, k=64, r=1, s=1)
    parts = energy.dense_energy(config, shape, Pass.FORWARD, dram_position=0)
    macs = 64 * 64 * 64
    assert parts["multiply"] == pytest.approx(macs * (0.2 * 3.1) ** 0.5)
    assert parts["DRAM"] == pytest.approx(3 * 64 * 64 * 2 * 1300 / 8)
    assert parts["accumulator RAM"] == parts["directory"] == parts["buffer"] == 0
    # Arrangements waste nothing here, so each of the 64 lanes works in every cycle; a row and a
    # column of operands per cycle, 16 of the 64 bits that 10 pJ are for.
    rows, contraction, columns = energy.dense_cost(config, shape, Pass.FORWARD).arrangement
    reads = macs / 64 * contraction * (rows + columns)
    assert parts["stationary memory"] == pytest.approx(2.5 * (reads + 2 * 64 * 64))


@pytest.mark.parametrize("which", list(Pass))
@pytest.mark.parametrize("parts", [None, 2])
def test_chunks_are_those_that_the_port_reads(which, parts):
    # One cluster shares no burst, and beats of one chunk are never partly used: all that is read
    # are descriptors, load blocks and streams.
    config = dataclasses.replace(
        PRESETS["tiny"], clusters=1, pes_per_cluster=1, mem_width=64, burst_beats=8,
        read_fifo_beats=16,
    )  # fmt: skip
    program = lowered(config, which, parts=parts)
    result = model.simulate(program)
    accesses = count_accesses(program, result)
    others = program.segment_count - len(program.jobs)
    descriptors = (
        records.QUEUE_ENTRY.itemsize * len(program.jobs)
        + records.SEGMENT_DESCRIPTOR.width // 8 * others
    )
    chunks = accesses.loaded_chunks + accesses.streamed_chunks
    assert accesses.read_bytes == 8 * chunks + descriptors
    assert accesses.write_bytes >= sum(job.out_bytes for job in program.jobs)


def test_a_tile_that_stays_is_loaded_once():
    program = lowered(PRESETS["tiny"])
    result = model.simulate(program)
    loaded = energy.loaded_chunks(program, result)
    listed = sum(sum(job.load_chunks) for job in program.jobs)
    distinct = {
        addr: chunks
        for job in program.jobs
        for addr, chunks in zip(job.load_addrs, job.load_chunks, strict=True)
    }
    assert sum(distinct.values()) <= loaded < listed


def test_counts_scale_with_pes_and_products_are_those_of_the_counters():
    config = PRESETS["tiny"]
    program = lowered(config)
    result = model.simulate(program)
    accesses = count_accesses(program, result)
    assert accesses.products == model.products(result)
    assert accesses.drained == config.pes_per_cluster * sum(job.walk_count for job in program.jobs)
    assert accesses.items == config.pes_per_cluster * sum(
        sum(job.stream_counts) for job in program.jobs
    )
    assert accesses.scaled(2) == accesses + accesses


@pytest.mark.parametrize("position", [-0.1, 1.1])
def test_a_position_outside_the_published_range_is_refused(position):
    with pytest.raises(InputError, match="must be 0 to 1"):
        HOROWITZ_45NM.dram_pj(position)


def test_no_bits_are_refused():
    with pytest.raises(InputError, match="must be positive, not 0"):
        HOROWITZ_45NM.add_pj(0)
