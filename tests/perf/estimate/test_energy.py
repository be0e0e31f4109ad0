"""Energies are counts of the hardware's accesses times published energies, worked out by hand."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from gscn.array import ARRAYS
from gscn.conv import ConvShape, Pass
from gscn.cycles.passes import simulate_passes
from gscn.emulator.passes import run_passes
from gscn.errors import InputError
from gscn.lowering.pass_image import lower_pass
from gscn.outputs import OutputFormat
from gscn.perf.estimate import energy
from gscn.perf.estimate.energy import HOROWITZ_45NM, Accesses, count_accesses
from gscn.perf.estimate.pe_logic import PeLogic
from gscn.perf.estimate.storage import ENTRIES, storage

SHAPE = ConvShape(n=2, c=24, h=12, w=12, k=24, r=3, s=3, padding=(1, 1))
STRIDED = ConvShape(n=2, c=24, h=12, w=12, k=24, r=3, s=3, stride=(2, 2), padding=(1, 1))
TINY, LARGE = ARRAYS["tiny"], ARRAYS["large"]


def lowered(config, which=Pass.FORWARD, *, density=0.4, shape=SHAPE):
    rng = np.random.default_rng(7)
    first, second = (
        rng.integers(1, 9, size) * (rng.random(size) < density)
        for size in shape.operand_shapes(which)
    )
    image = lower_pass(config, shape, which, first, second, OutputFormat(width=16))
    result = simulate_passes(
        config, image.image, image.descriptors_addr, image.descriptor_count, image.memory_bytes,
        bursts=True,
    )  # fmt: skip
    return image, result


def none(**changed):
    fields = dict.fromkeys((f.name for f in dataclasses.fields(Accesses)), 0.0)
    return Accesses(**(fields | changed))


def test_published_points_are_returned_as_published():
    assert HOROWITZ_45NM.add_pj(8) == pytest.approx(0.03)
    assert HOROWITZ_45NM.add_pj(32) == pytest.approx(0.1)
    assert HOROWITZ_45NM.multiply_pj(32) == pytest.approx(3.1)
    assert HOROWITZ_45NM.dram_pj(0) * 8 == 1300
    assert HOROWITZ_45NM.dram_pj(1) * 8 == 2600


def test_between_published_points_the_law_is_a_power():
    # The geometric middle of the abscissas has the geometric mean of the energies.
    assert HOROWITZ_45NM.multiply_pj(16) == pytest.approx((0.2 * 3.1) ** 0.5)


def test_a_product_costs_an_entry_an_operation_and_an_accumulator():
    config = dataclasses.replace(LARGE, stationary_depth=2048, directory_depth=2048)
    parts = energy.energy_per_product(config)
    assert list(parts) == [
        "multiply", "add", "accumulator RAM", "stationary memory", "control", "clock"
    ]  # fmt: skip
    assert parts["multiply"] == pytest.approx((0.2 * 3.1) ** 0.5)
    # An accumulator is one of a quarter of 2304, of 48 bits, and is read and written; an entry one
    # of half of 2048, of 16 + 12 bits, and is read.
    access = HOROWITZ_45NM.memory.access
    assert parts["accumulator RAM"] == pytest.approx(access(576, 48).read + access(576, 48).write)
    assert parts["stationary memory"] == pytest.approx(access(1024, 28).read)


def test_what_is_loaded_goes_into_every_pe_and_look_ups_read_two_directories():
    parts = energy.energy(LARGE, none(loaded_entries=10.0, loaded_keys=5.0, lookups=2.0))
    kept = storage(LARGE)

    def access(name):
        return HOROWITZ_45NM.memory.access(kept[name].depth, kept[name].width)

    directories = access("directories")
    assert parts["stationary memory"] == pytest.approx(4 * 10 * access(ENTRIES).write)
    assert parts["directory"] == pytest.approx(
        2 * (2 * directories.read + 4 * 5 * directories.write)
    )


LOGIC = PeLogic(product=0.5, lookup=0.25, clock=2.0, dense_product=0.125, dense_clock=1.5)
"""In multiplications of 16 bits and additions of 48."""


def test_control_and_clock_are_by_products_and_look_ups_in_multiply_adds():
    technology = dataclasses.replace(HOROWITZ_45NM, pe_logic=LOGIC)
    unit = HOROWITZ_45NM.multiply_pj(16) + HOROWITZ_45NM.add_pj(48)
    # what was measured is of this format, whatever the array's is
    for config in (LARGE, dataclasses.replace(LARGE, operand_format="int8", acc_width=24)):
        parts = energy.energy(config, none(products=10.0, lookups=4.0), technology=technology)
        assert parts["control"] == pytest.approx(unit * (10 * 0.5 + 4 * 0.25))
        assert parts["clock"] == pytest.approx(unit * 10 * 2.0)
        shape = ConvShape(n=1, c=2, h=3, w=3, k=2, r=1, s=1)
        dense = energy.dense_energy(config, shape, Pass.FORWARD, technology=technology)
        assert dense["control"] == pytest.approx(unit * 36 * 0.125)
        assert dense["clock"] == pytest.approx(unit * 36 * 1.5)


def test_bytes_go_through_dram_unless_a_buffer_keeps_them():
    config = LARGE
    moved = none(read_bytes=80.0, write_bytes=16.0)
    direct = energy.energy(config, moved)
    assert direct["DRAM"] == pytest.approx(96 * 1950 / 8)
    assert direct["buffer"] == 0
    kept = energy.energy(config, moved, dram_bytes=16.0, buffer_bytes=1 << 20, dram_position=0)
    assert kept["DRAM"] == pytest.approx(16 * 1300 / 8)
    buffer = HOROWITZ_45NM.memory.buffer_pj(1 << 20, 8)
    assert kept["buffer"] == pytest.approx((96 + 16) * buffer)
    assert list(kept) == list(energy.COMPONENTS)


def test_the_dense_array_pays_for_its_products_operands_and_bytes():
    config = LARGE
    shape = ConvShape(n=1, c=64, h=8, w=8, k=64, r=1, s=1)
    parts = energy.dense_energy(config, shape, Pass.FORWARD, dram_position=0)
    macs = 64 * 64 * 64
    assert parts["multiply"] == pytest.approx(macs * (0.2 * 3.1) ** 0.5)
    assert parts["DRAM"] == pytest.approx(3 * 64 * 64 * 2 * 1300 / 8)
    assert parts["accumulator RAM"] == parts["directory"] == parts["buffer"] == 0
    # 8 rows and 8 columns take the fewest operands, 16 for 64 products; 4 of them lie in a row,
    # which is read once for all, and was written once.
    row = HOROWITZ_45NM.memory.access(1024, 64)
    by_hand = macs / 64 * 16 / 4 * row.read + 2 * 64 * 64 / 4 * row.write
    assert parts["stationary memory"] == pytest.approx(by_hand)


@pytest.mark.parametrize("which", list(Pass))
@pytest.mark.parametrize("shape", [SHAPE, STRIDED])
def test_what_is_taken_in_is_what_the_port_reads(which, shape):
    # One cluster shares no burst; tables and the list of passes are read besides.
    config = dataclasses.replace(TINY, clusters=1)
    image, result = lowered(config, which, shape=shape)
    accesses = count_accesses(image, result)
    tables = accesses.read_bytes - accesses.loaded_bytes - accesses.streamed_bytes
    assert 0 < tables < 0.3 * accesses.read_bytes
    out_bytes = sum(end - begin for begin, end in image.output_ranges)
    assert accesses.write_bytes >= 0.9 * out_bytes


@pytest.mark.parametrize("which", list(Pass))
def test_words_and_entries_are_those_of_the_law(which):
    image, result = lowered(TINY, which)
    accesses = count_accesses(image, result)
    law = run_passes(
        TINY, image.image, image.descriptors_addr, image.descriptor_count, image.memory_bytes
    )
    assert accesses.products == sum(counts.products for counts in law.counts)
    assert accesses.words == sum(counts.words for counts in law.counts)


def test_counts_scale_with_pes_and_teams():
    image, result = lowered(TINY)
    accesses = count_accesses(image, result)
    results = sum(end - begin for begin, end in image.output_ranges) / 2
    assert accesses.drained == TINY.pes * results
    assert accesses.scaled(2) == accesses + accesses


def test_a_shared_burst_is_taken_in_by_each_that_shares_it():
    image, result = lowered(TINY)
    once = count_accesses(image, result)
    shared = dataclasses.replace(result, bursts=result.bursts * [1, 1, 2])
    twice = count_accesses(image, shared)
    assert twice.read_bytes == once.read_bytes
    for name in ("loaded_bytes", "streamed_bytes"):
        assert getattr(twice, name) == pytest.approx(2 * getattr(once, name))


@pytest.mark.parametrize("position", [-0.1, 1.1])
def test_a_position_outside_the_published_range_is_refused(position):
    with pytest.raises(InputError, match="must be 0 to 1"):
        HOROWITZ_45NM.dram_pj(position)


def test_no_bits_are_refused():
    with pytest.raises(InputError, match="must be positive, not 0"):
        HOROWITZ_45NM.add_pj(0)
