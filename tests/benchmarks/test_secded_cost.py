"""What error correction takes: memories are counted, codes synthesised, rows made wider."""

from __future__ import annotations

from collections import Counter

import pytest

from benchmarks.secded_cost import (
    Code,
    Part,
    bits,
    code,
    code_rows,
    codes_area,
    macro_area,
    memories,
    memory_rows,
    preset_row,
    with_check_bits,
    with_codes,
)
from gscn.array import ARRAYS
from gscn.perf.estimate.energy import HOROWITZ_45NM, energy_per_product
from gscn.perf.estimate.storage import ACCUMULATORS, ENTRIES, storage
from gscn.rtl_gen.memory_text import LIKELY
from tests.rtl_gen.few_cells import AREAS, write_liberty
from tests.rtl_gen.test_rams import ram

TINY = ARRAYS["tiny"]
SUMS, BEATS = ram(128, 48, 48), ram(5, 128, 32)
RAMS = Counter({SUMS: 3, BEATS: 2})
CODES = {
    48: Code(encoder=Part(area=10.0, delay=1.0), decoder=Part(area=200.0, delay=2.5)),
    32: Code(encoder=Part(area=1000.0, delay=0.5), decoder=Part(area=30000.0, delay=2.0)),
}


def test_memories_are_counted_in_all_instances():
    pytest.importorskip("pyosys")
    found = {(one.depth, one.width): count for one, count in memories(TINY).items()}
    for kind in (ACCUMULATORS, ENTRIES):
        one = storage(TINY)[kind]
        assert found[one.depth, one.width] == one.count


def test_an_encoder_and_a_decoder_are_of_cells(tmp_path):
    pytest.importorskip("pyosys")
    found = code(4, write_liberty(tmp_path / "few.lib"))
    # sums of 3 bits and a sum of 4 in place of none: 2 or 3 gates of 4 NANDs each
    assert found.encoder.area > 9 * 4 * AREAS["NAND2X1"] / 2
    assert found.decoder.area > 2 * found.encoder.area
    assert found.decoder.delay > found.encoder.delay > 0


def test_what_is_stored_and_what_encodes_it_is_added_up():
    kept, more = 3 * 128 * 48 + 2 * 5 * 128, 3 * 128 * 7 + 2 * 5 * 4 * 7
    assert bits(RAMS) == kept
    assert bits(with_codes(RAMS)) == kept + more
    assert macro_area(RAMS) == pytest.approx(LIKELY.area(5, kept))
    assert codes_area(RAMS, CODES) == 3 * 210 + 2 * 4 * 31000
    assert memory_rows(RAMS) == [
        ["`gscn_ram_128x48`", "3", "6,144", "1 x 48", "55", "14.6 %"],
        ["`gscn_ram_5x128_by_32`", "2", "640", "4 x 32", "156", "21.9 %"],
    ]
    assert code_rows(CODES) == [
        ["32", "7", "1,000", "30,000", "0.50", "2.00"],
        ["48", "7", "10", "200", "1.00", "2.50"],
    ]
    row = preset_row("tiny", TINY, RAMS, CODES)
    assert row[:3] == ["`tiny`", f"{kept:,}", f"{100 * more / kept:.1f} %"]
    assert row[4:6] == [f"{LIKELY.per_bit * more / 1e6:.2f}", "0.25"]


def test_products_pay_for_wider_rows_of_these_memories_alone():
    one = storage(TINY)[ACCUMULATORS]
    sums = ram(one.depth, one.width, one.width)
    plain, coded = HOROWITZ_45NM, with_check_bits(HOROWITZ_45NM, [sums])
    assert coded.memory.access(one.depth, one.width) == plain.memory.access(one.depth, 55)
    assert coded.memory.access(one.depth, 47) == plain.memory.access(one.depth, 47)
    before, after = (energy_per_product(TINY, kind) for kind in (plain, coded))
    changed = {name for name in before if before[name] != after[name]}
    assert changed == {"accumulator RAM"}
    assert after["accumulator RAM"] == plain.memory.access(one.depth, 55).both
