"""Shapes of what travels between components and memory ports."""

from __future__ import annotations

import dataclasses

import pytest
from amaranth.hdl import Const

from gscn import records
from gscn.array import ARRAYS
from gscn.hw import layouts
from gscn.hw.layouts import OutFormat
from gscn.passes import PASS_DESCRIPTOR

TINY = ARRAYS["tiny"]


def test_a_record_has_the_same_bits_in_hardware_and_in_memory():
    layout = layouts.record_layout(PASS_DESCRIPTOR)
    values = {"s_data": 1 << 39, "first_row": -2, "help": 0xABCD, "chained": 1}
    memory = int.from_bytes(PASS_DESCRIPTOR.pack(1, **values).tobytes(), "little")
    assert memory == Const.cast(layout.const(values)).value
    assert layout.size == PASS_DESCRIPTOR.width


@pytest.mark.parametrize(("mem_width", "row", "slots"), [(128, 2, 4), (512, 2, 16), (512, 8, 4)])
def test_a_beat_has_a_slot_for_each_row_of_16_bit_results(mem_width, row, slots):
    config = dataclasses.replace(TINY, mem_width=mem_width, drain_width=row)
    assert layouts.write_slots(config) == slots
    assert dict(layouts.slotted_beat_layout(config))["slots"].width == slots


def test_result_formats_have_the_codes_of_descriptors():
    assert {one.name: one.value for one in OutFormat} == {
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
