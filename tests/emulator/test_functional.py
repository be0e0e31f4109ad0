"""The functional model obeys the contract and refuses images that break it."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from gscn.conv import Pass
from gscn.emulator.functional import decode_load, execute, run_pe
from gscn.errors import InputError
from gscn.lowering import lower
from gscn.lowering.drafts import SINGLE_TAP, PeTile, pack_load
from gscn.program import OutputFormat
from gscn.records import A_ENTRY, DIRECTORY_ENTRY, TAP, TILE_HEADER, queue_entries
from tests.lowering.layers import PADDED, TINY, operands
from tests.programs import random_program


def load_block() -> np.ndarray:
    """Two taps; PE 0 holds fibers of keys 0 (two entries) and 1 (the second of them); PE 1 none."""
    parts = [
        TAP.pack(2, key_delta=[0, 1], offset_delta=[0, 10], last=[0, 1]),
        TILE_HEADER.pack(directory_count=2, a_count=2),
        DIRECTORY_ENTRY.pack(2, start=[0, 1], length=[2, 1]),
        A_ENTRY.pack(2, value=[3, -4], offset=[0, 5]),
        TILE_HEADER.pack(directory_count=0, a_count=0),
    ]
    return np.concatenate([part.view(np.uint8) for part in parts])


def test_products_come_in_the_order_of_words_taps_and_entries():
    # Low half value, high half code, of which the low 8 bits are the offset. The words are, as
    # (value, offset, key, first tap), (2, 1, 0, 0), (7, 2, -1, 0) and (1, 255, 1, 1). Before the
    # second is a rebase to key base -1; before the third to tap 1, key base 1, offset base 240.
    items = [
        0x0001_0002, 0x0000_0000, 0x0000_FFFF, 0x0002_0007, 0x0001_0000, 0x00F0_0001, 0x000F_0001,
    ]  # fmt: skip
    stream = np.array(items, dtype="<u4").view(np.uint8)
    trace = run_pe(load_block(), 2, stream, 8, 0, TINY)
    # Word 0 meets key 0 by tap 0, key 1 by tap 1; word 1 only key 0, by tap 1; word 2 nothing.
    assert trace.tolist() == [[1, 6], [6, -8], [16, -8], [12, 21], [17, -28]]
    assert run_pe(load_block(), 2, stream, 8, 1, TINY).shape == (0, 2)


@pytest.mark.parametrize(
    ("items", "offset_bits", "message"),
    [
        ([], 17, "offset_bits must be 0 to 16, not 17"),
        ([0x0000_0005, 0x0001_0000], 8, "last item of a stream must be a word or bases"),
        ([0x0100_0000, 0, 1], 8, "first tap of a rebase must be below 256, not 256"),
        ([0x0002_0000, 0, 1], 8, "tap_start must be below tap_count = 2, not 2"),
        ([0x8000_0001], 16, "offset of a streamed word must lie in"),
        ([0, 0x0000_7FFF, 0x0001_0001], 0, "key of a streamed word must lie in .*, not"),
    ],
)
def test_bad_streams_are_refused(items, offset_bits, message):
    stream = np.array(items, dtype="<u4").view(np.uint8)
    with pytest.raises(InputError, match=message):
        run_pe(load_block(), 2, stream, offset_bits, 0, TINY)


@pytest.mark.parametrize("seed", range(8))
def test_random_programs_equal_brute_force(seed):
    program = random_program(TINY, seed)
    executed = execute(program)
    np.testing.assert_array_equal(program.result(executed.memory), program.oracle())
    assert executed.products.sum() == program.products
    assert bool(executed.saturated) == program.saturated
    assert bool(executed.accumulator_overflow) == program.overflowed
    assert bool(executed.nonfinite) == program.nonfinite


FLOAT_CONFIGS = {
    "all formats": TINY.with_overrides(["float_formats=bf16,fp16,fp8_e4m3,fp8_e5m2"]),
    "narrow": TINY.with_overrides(
        ["operand_format=int8", "acc_width=24", "float_formats=bf16,fp8_e5m2"]
    ),
}


@pytest.mark.parametrize("config", FLOAT_CONFIGS.values(), ids=FLOAT_CONFIGS)
@pytest.mark.parametrize("seed", range(8))
def test_random_programs_in_all_formats_equal_brute_force(config, seed):
    program = random_program(config, seed, phases=3)
    executed = execute(program)
    np.testing.assert_array_equal(program.result(executed.memory), program.oracle())
    assert executed.saturated == program.saturated
    assert executed.accumulator_overflow == program.overflowed
    assert executed.nonfinite == program.nonfinite


def corrupted(field: str, value: int):
    first, second = operands(1, PADDED, Pass.FORWARD)
    program = lower(TINY, PADDED, Pass.FORWARD, first, second, OutputFormat())
    image = program.image.copy()
    start = program.phases[0].queue_addr
    queue_entries(image, start, 1)["job"][field] = value
    return dataclasses.replace(program, image=image)


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("segment_count", 0, "segment_count is 0"),
        ("segment_addr", 4, "segment_addr or out_addr is no multiple of 64"),
        ("out_addr", 0, "outside the phase's output range"),
        ("out_format", 3, "above 3, or 3 with integers"),
        ("walk_count", 1, "accumulator is not in"),
        ("walk_count", 257, "walk_count is 0 or above"),
        ("shift", 48, "shift is above 47"),
        ("pitch", 0, "pitch or plane_rows is 0"),
    ],
)
def test_bad_descriptors_are_refused(field, value, message):
    with pytest.raises(InputError, match=message):
        execute(corrupted(field, value))


@pytest.mark.parametrize(
    ("offset", "record", "message"),
    [
        (16, TILE_HEADER.pack(directory_count=65, a_count=2), "directory_count must be at most 64"),
        (16, TILE_HEADER.pack(directory_count=2, a_count=65), "a_count must be at most 64"),
        (16, TILE_HEADER.pack(directory_format=3), "directory_format must be 0, 1 or 2, not 3"),
        (
            16,
            np.concatenate(
                [
                    TILE_HEADER.pack(directory_count=3, a_count=2, directory_format=2).view(
                        np.uint8
                    ),
                    np.array([1, 0, 2], dtype=np.uint8),
                ]
            ),
            "fiber's end must be at most a_count = 2, not 3",
        ),
        (24, DIRECTORY_ENTRY.pack(start=1, length=2), "fiber's end must be at most a_count = 2"),
        (8, TAP.pack(last=0), "last tap's flag must be odd, not 0"),
    ],
)
def test_bad_load_blocks_are_refused(offset, record, message):
    block = load_block()
    data = record.view(np.uint8)
    block[offset : offset + data.size] = data
    with pytest.raises(InputError, match=message):
        run_pe(block, 2, np.zeros(0, dtype=np.uint8), 8, 0, TINY)


def test_load_blocks_have_narrow_directories_where_they_fit():
    def packed(start, length, entries):
        held = np.arange(entries)
        tile = PeTile(start=start, length=length, value=held, offset=held)
        return pack_load(SINGLE_TAP, [tile] * TINY.pes_per_cluster)

    start, length = np.array([0, 5, 9, 60, 0]), np.array([5, 4, 2, 3, 0])
    fits = packed(start, length, 63)
    # one tap; per PE a header, 5 entries of 16 bits in 2 chunks, 63 entries in 32
    assert fits.size == 8 * (1 + TINY.pes_per_cluster * (1 + 2 + 32))
    does_not = packed(start, np.array([5, 4, 2, 3, 64]), 64)
    # 5 entries of 32 bits in 3 chunks
    assert does_not.size == 8 * (1 + TINY.pes_per_cluster * (1 + 3 + 32))
    for tile in decode_load(fits, 1, TINY).tiles:
        assert (tile.start.tolist(), tile.length.tolist()) == (start.tolist(), length.tolist())


def test_load_blocks_have_directories_of_lengths_where_they_fit_and_are_asked_for():
    def packed(start, length, entries, **options):
        tile = PeTile(
            start=np.array(start),
            length=np.array(length),
            value=np.arange(entries),
            offset=np.arange(entries),
        )
        return pack_load(SINGLE_TAP, [tile] * TINY.pes_per_cluster, **options)

    # nine fibers one after the other; where the empty ones are said to start means nothing
    start, length = [0, 5, 7, 7, 8, 99, 9, 0, 20], [5, 2, 0, 1, 1, 0, 11, 0, 4]
    lengths = packed(start, length, 24, lengths=True)
    # one tap; per PE a header, 9 lengths in 2 chunks, 24 entries in 12
    assert lengths.size == 8 * (1 + TINY.pes_per_cluster * (1 + 2 + 12))
    narrow = packed(start, length, 24)
    assert narrow.size == 8 * (1 + TINY.pes_per_cluster * (1 + 3 + 12))
    for one, other in zip(
        decode_load(lengths, 1, TINY).tiles, decode_load(narrow, 1, TINY).tiles, strict=True
    ):
        assert one.length.tolist() == other.length.tolist() == length
        assert one.start[one.length > 0].tolist() == other.start[other.length > 0].tolist()
        assert (one.value.tolist(), one.offset.tolist()) == (list(range(24)),) * 2
    for bad_start in ([1, 5], [0, 4], [0, 6]):
        asked = packed(bad_start, [5, 2], 24, lengths=True)
        assert np.array_equal(asked, packed(bad_start, [5, 2], 24))


def _with_entries(program, change):
    """Return the program with the entries of its first phase changed."""
    image = program.image.copy()
    entries = queue_entries(image, program.phases[0].queue_addr, program.phases[0].job_count)
    change(entries)
    return dataclasses.replace(program, image=image)


def test_one_address_stands_for_one_block_in_a_phase():
    first, second = operands(1, PADDED, Pass.FORWARD)
    program = lower(TINY, PADDED, Pass.FORWARD, first, second, OutputFormat())

    def change(entries):
        entries[1]["segment"]["load_addr"] = entries[0]["segment"]["load_addr"]
        entries[1]["segment"]["load_chunks"] = entries[0]["segment"]["load_chunks"] + 1

    with pytest.raises(InputError, match="named with one load_chunks and one tap_count"):
        execute(_with_entries(program, change))


def test_results_over_a_load_block_of_the_phase_are_refused():
    first, second = operands(1, PADDED, Pass.FORWARD)
    program = lower(TINY, PADDED, Pass.FORWARD, first, second, OutputFormat())
    block = int(
        queue_entries(program.image, program.phases[0].queue_addr, 1)["segment"]["load_addr"][0]
    )

    def change(entries):
        entries[-1]["job"]["out_addr"] = block
        entries[-1]["job"]["out_format"] = 0
        entries[-1]["job"]["planes"] = entries[-1]["job"]["plane_rows"] = 1
        entries[-1]["job"]["pitch"] = 4
        entries[-1]["job"]["guard_cols"] = 0

    phases = tuple(dataclasses.replace(phase, out_addr=0) for phase in program.phases)
    changed = dataclasses.replace(_with_entries(program, change), phases=phases)
    with pytest.raises(InputError, match=f"memory read at {block} must be unchanged in its phase"):
        execute(changed)
