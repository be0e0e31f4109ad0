"""Shapes of what travels between components have the bits of the records in memory."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from amaranth.hdl import Const, Shape

from gscn import records
from gscn.config import PRESETS
from gscn.hw import layouts
from gscn.hw.layouts import FIBERS_PER_ROW, OutFormat

TINY = PRESETS["tiny"]
FLOATS = TINY.with_overrides(["float_formats=bf16,fp8_e4m3"])
RECORDS = {
    "A_ENTRY": {"value": -2, "offset": 0x1234},
    "DIRECTORY_ENTRY": {"start": 0xFFFE, "length": 7},
    "STREAM_ITEM": {"value": -32768, "code": 0xABCD},
    "STREAM_BASES": {"key_base": -5, "offset_base": 0x7FFF},
    "TAP": {"key_delta": -1, "offset_delta": -2, "last": 1},
    "TILE_HEADER": {"directory_count": 9, "a_count": 300, "directory_format": 2},
    "SEGMENT_DESCRIPTOR": {"stream_addr": 1 << 39, "tap_count": 5, "stream_wait": 77},
    "JOB_DESCRIPTOR": {"out_addr": 1 << 35, "shift": 47, "walk_count": 0x8000},
    "PHASE_DESCRIPTOR": {"queue_addr": 64, "job_count": 1 << 31, "out_end": 1 << 40},
}


@pytest.mark.parametrize("name", RECORDS)
def test_a_record_has_the_same_bits_in_hardware_and_in_memory(name):
    layout, record = getattr(layouts, name), getattr(records, name)
    values = RECORDS[name]
    memory = int.from_bytes(record.pack(1, **values).tobytes(), "little")
    assert memory == Const.cast(layout.const(values)).value
    assert layout.size == record.width


def test_every_record_of_memory_has_its_shape_here():
    shaped = {name for name in vars(records) if isinstance(getattr(records, name), records.Record)}
    assert {name for name in shaped if hasattr(layouts, name)} == set(RECORDS)


def test_known_bits_of_a_word_for_the_pes():
    word = layouts.PE_WORD.const(
        {"kind": layouts.WordKind.END, "job_end": 1, "bank": 0, "chunk": 5}
    )
    assert Const.cast(word).value == 2 | 1 << 2 | 5 << 4


def test_a_row_of_a_directory_is_what_the_shortest_entries_of_a_chunk_make():
    assert layouts.NARROW_DIRECTORY_ENTRY.size * FIBERS_PER_ROW // 2 == 64
    assert len(layouts.LOAD_WORD.const(None).fibers) == FIBERS_PER_ROW


@pytest.mark.parametrize("make", [layouts.fiber_layout, layouts.addend_layout])
def test_special_bits_are_only_where_formats_have_them(make):
    assert "special" not in dict(make(TINY))
    assert Shape.cast(dict(make(FLOATS))["special"].shape).width == layouts.SPECIAL


def test_a_drain_names_its_mode_only_with_float_formats():
    assert "mode" not in dict(layouts.drain_context_layout(TINY))
    assert dict(layouts.drain_context_layout(FLOATS))["mode"].shape == layouts.NUMBER_MODE


@pytest.mark.parametrize(("mem_width", "pes", "slots"), [(128, 2, 4), (512, 2, 16), (512, 8, 4)])
def test_a_beat_has_a_slot_for_each_set_of_16_bit_results(mem_width, pes, slots):
    config = dataclasses.replace(TINY, mem_width=mem_width, pes_per_cluster=pes)
    assert layouts.write_slots(config) == slots
    part = dict(layouts.write_part_layout(config))
    assert part["data"].width == 4 * 16 * pes
    assert part["slots"].width == dict(layouts.slotted_beat_layout(config))["slots"].width == slots


def test_a_queue_entry_is_told_by_its_address_without_what_is_always_0():
    assert 1 << (TINY.addr_width - layouts.entry_width(TINY)) == records.QUEUE_ENTRY.itemsize


def test_result_formats_have_the_codes_of_job_descriptors():
    codes = np.array([one.value for one in OutFormat])
    stored = records.JOB_DESCRIPTOR.pack(out_format=codes)["out_format"]
    assert {OutFormat(code).name: int(code) for code in stored} == {
        "INT16": records.OUT_INT16,
        "INT32": records.OUT_INT32,
        "RAW": records.OUT_RAW,
        "BF16": records.OUT_BF16,
    }


def test_a_memory_port_reads_without_ready_and_writes_with_strobes():
    members = layouts.memory_port_members(TINY, "mem3")
    assert sorted(members) == [f"mem3_{end}" for end in (
        "read_cmd", "read_data", "write_cmd", "write_data", "write_done"
    )]  # fmt: skip
    assert sorted(members["mem3_read_data"].signature.members) == ["payload", "valid"]
    written = members["mem3_write_data"].signature.members["payload"].shape
    assert dict(written)["strobe"].width == TINY.mem_bytes
