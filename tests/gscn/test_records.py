"""Each record has bit patterns worked out by hand, and refuses what does not fit."""

from __future__ import annotations

import numpy as np
import pytest

from gscn import records
from gscn.errors import InputError

# Bytes in memory order, written down from the tables of docs/contract/execution.md and the fields'
# widths: the first field lowest, every field little-endian.
KNOWN = [
    # value -2 = fffe, offset 0x1234
    (records.A_ENTRY, {"value": -2, "offset": 0x1234}, "feff 3412"),
    (records.A_ENTRY, {"value": 32767, "offset": -32768}, "ff7f 0080"),
    (records.DIRECTORY_ENTRY, {"start": 0xABCD, "length": 0x0102}, "cdab 0201"),
    # a word of value -3 = fffd; with 10 offset bits, key base + 0x2a and offset base + 0x155:
    # 0x2a << 10 | 0x155 = 0xa955
    (records.STREAM_ITEM, {"value": -3, "code": 0xA955}, "fdff 55a9"),
    # the two halves of a rebase to tap 0x3f, key base -3, offset base 0x1234
    (records.STREAM_ITEM, {"value": 0, "code": 0x3F}, "0000 3f00"),
    (records.STREAM_BASES, {"key_base": -3, "offset_base": 0x1234}, "fdff 3412"),
    (records.TAP, {"key_delta": -256, "offset_delta": 5, "last": 1}, "00ff 0500 01 00 0000"),
    (
        records.TILE_HEADER,
        {"directory_count": 0x0203, "a_count": 0x0405, "directory_format": 1},
        "0302 0504 0100 0000",
    ),
    (records.PARTIAL, {"value": -(1 << 47)}, "000000000080ffff"),
    (
        records.SEGMENT_DESCRIPTOR,
        {
            "load_addr": 0x0102030405060708,
            "stream_addr": 0x40,
            "load_chunks": 0x11223344,
            "tap_count": 0x5566,
            "kind": 1,
            "stream_count": 0x778899AA,
            "offset_bits": 0x0F10,
            "load_lead": 0xBBCC,
            "stream_wait": 0xDDEE,
            "load_sharers": 0x12,
            "stream_sharers": 0x34,
        },
        "0807060504030201 4000000000000000 44332211 6655 0100 aa998877 100f ccbb eedd 12 34"
        + " 00" * 28,
    ),
    (
        records.JOB_DESCRIPTOR,
        {
            "segment_addr": 0x80,
            "out_addr": 0xFF000000,
            "segment_count": 3,
            "out_format": 2,
            "shift": 47,
            "pitch": 0x0A0B,
            "guard_cols": 1,
            "plane_rows": 0x0C0D,
            "guard_rows": 2,
            "planes": 0x01020304,
            "walk_count": 0x8000,
            "number_format": 4,
            "window": 0x03FF,
        },
        "8000000000000000 000000ff00000000 03000000 0200 2f00 0b0a 0100 0d0c 0200"
        " 04030201 00800000 0400 ff03" + " 00" * 20,
    ),
    (
        records.PHASE_DESCRIPTOR,
        {
            "queue_addr": 0x0102030405060740,
            "out_addr": 0xFF000000,
            "out_end": 0x1_0000_0080,
            "job_count": 0x0A0B0C0D,
        },
        "4007060504030201 000000ff00000000 8000000001000000 0d0c0b0a" + " 00" * 36,
    ),
]


@pytest.mark.parametrize(
    ("record", "values", "expected"), [pytest.param(*k, id=k[0].name) for k in KNOWN]
)
def test_bit_pattern_is_the_one_worked_out_by_hand(record, values, expected):
    packed = record.pack(**values)
    assert packed.tobytes() == bytes.fromhex(expected)
    (back,) = record.unpack(np.frombuffer(bytes.fromhex(expected), dtype=np.uint8))
    assert {name: int(back[name]) for name in values} == values


@pytest.mark.parametrize(
    ("word", "jobs", "in_turn"),
    [(5, 5, False), (0x8000_0005, 5, True), (0x7FFF_FFFF, 0x7FFF_FFFF, False), (1 << 31, 0, True)],
)
def test_the_count_of_jobs_has_a_flag_in_bit_31(word, jobs, in_turn):
    assert records.split_job_count(word) == (jobs, in_turn)


def test_every_record_has_a_known_pattern():
    assert {record.name for record in records.RECORDS} == {record.name for record, *_ in KNOWN}


@pytest.mark.parametrize("record", records.RECORDS, ids=lambda record: record.name)
def test_layout_is_packed_and_fills_whole_words(record):
    assert record.dtype.itemsize * 8 == record.width
    assert record.width in (32, 64, 512)
    offset = 0
    for field in record.fields:
        assert record.dtype.fields[field.name][1] * 8 == offset
        offset += field.width


@pytest.mark.parametrize(
    ("record", "field"),
    [(r, f) for r in records.RECORDS for f in r.fields if f.width < 64],
    ids=lambda value: value.name,
)
def test_a_value_outside_its_field_is_refused(record, field):
    low = -(1 << (field.width - 1)) if field.signed else 0
    high = low + (1 << field.width) - 1
    for value in (low, high):
        assert int(record.pack(**{field.name: value})[field.name][0]) == value
    for value in (low - 1, high + 1):
        with pytest.raises(InputError, match=rf"{record.name}\.{field.name} must lie in"):
            record.pack(**{field.name: value})


def test_arrays_set_the_count_and_numbers_are_repeated():
    packed = records.A_ENTRY.pack(value=np.array([1, 2, 3]), offset=7)
    assert packed.tolist() == [(1, 7), (2, 7), (3, 7)]
    assert records.A_ENTRY.pack(0, value=np.array([], dtype=np.int64)).size == 0
    assert records.A_ENTRY.pack(2, offset=1).tolist() == [(0, 1), (0, 1)]


def test_one_bad_element_of_an_array_is_refused():
    with pytest.raises(InputError, match=r"a_entry\.value must lie in .*not \[1, 40000\]"):
        records.A_ENTRY.pack(value=np.array([1, 40_000, 3]))


def test_an_unknown_field_is_refused():
    with pytest.raises(InputError, match="record a_entry has no field 'weight'"):
        records.A_ENTRY.pack(weight=1)


def test_a_queue_entry_is_a_job_and_its_first_segment():
    image = np.zeros(512, dtype=np.uint8)
    image[64:192] = np.frombuffer(
        bytes.fromhex("4001000000000000" + "00" * 8 + "03000000" + "00" * 44)  # 3 segments, at 320
        + bytes.fromhex("c000" + "00" * 62),
        dtype=np.uint8,
    )
    image[[320, 384]] = 1, 2
    (entry,) = records.queue_entries(image, 64, 1)
    assert (entry["job"]["segment_addr"], entry["job"]["segment_count"]) == (320, 3)
    assert records.segment_descriptors(image, entry)["load_addr"].tolist() == [192, 1, 2]
    assert records.segment_addresses(64, entry["job"]) == [128, 320, 384]


def test_a_job_of_one_segment_needs_no_other_address():
    entry = np.zeros(1, dtype=records.QUEUE_ENTRY)[0]
    entry["job"]["segment_count"], entry["segment"]["load_addr"] = 1, 7
    found = records.segment_descriptors(np.zeros(0, dtype=np.uint8), entry)
    assert found["load_addr"].tolist() == [7]
    assert records.segment_addresses(0, entry["job"]) == [64]
