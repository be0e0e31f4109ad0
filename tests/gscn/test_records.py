"""Records have bit patterns worked out by hand, and refuse what does not fit."""

from __future__ import annotations

import numpy as np
import pytest

from gscn.errors import InputError
from gscn.passes import PASS_DESCRIPTOR
from gscn.records import Field, Record

KEY = Record(
    "key",
    (
        Field("value", 16, True, "a number"),
        Field("code", 16, False, "another"),
        Field("last", 8, False, "one bit"),
        Field("addr", 64, False, "an address"),
        Field("sum", 64, True, "of them"),
    ),
)
PATTERN = "feff cdab 01 0807060504030201 000000000080ffff"
VALUES = {
    "value": -2,
    "code": 0xABCD,
    "last": 1,
    "addr": 0x0102030405060708,
    "sum": -(1 << 47),
}
RECORDS = [KEY, PASS_DESCRIPTOR]


def test_bit_pattern_is_the_one_worked_out_by_hand():
    packed = KEY.pack(**VALUES)
    assert packed.tobytes() == bytes.fromhex(PATTERN)
    (back,) = KEY.unpack(np.frombuffer(bytes.fromhex(PATTERN), dtype=np.uint8))
    assert {name: int(back[name]) for name in VALUES} == VALUES


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: record.name)
def test_layout_is_packed(record):
    assert record.dtype.itemsize * 8 == record.width
    offset = 0
    for field in record.fields:
        assert record.dtype.fields[field.name][1] * 8 == offset
        offset += field.width


@pytest.mark.parametrize(
    ("record", "field"),
    [(r, f) for r in RECORDS for f in r.fields if f.width < 64],
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
    packed = KEY.pack(value=np.array([1, 2, 3]), code=7)
    assert packed[["value", "code"]].tolist() == [(1, 7), (2, 7), (3, 7)]
    assert KEY.pack(0, value=np.array([], dtype=np.int64)).size == 0
    assert KEY.pack(2, code=1)["code"].tolist() == [1, 1]


def test_one_bad_element_of_an_array_is_refused():
    with pytest.raises(InputError, match=r"key\.value must lie in .*not \[1, 40000\]"):
        KEY.pack(value=np.array([1, 40_000, 3]))


def test_an_unknown_field_is_refused():
    with pytest.raises(InputError, match="record key has no field 'weight'"):
        KEY.pack(weight=1)
