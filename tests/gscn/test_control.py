"""Control records: bit patterns worked out by hand."""

from __future__ import annotations

from gscn.control import CONTROL_RECORD, LINKS
from gscn.encode import ENCODE_DESCRIPTOR
from gscn.passes import DESCRIPTOR_BYTES, PASS_DESCRIPTOR


def test_a_record_takes_one_place_and_has_its_mode_where_passes_have_it():
    assert CONTROL_RECORD.width == 8 * DESCRIPTOR_BYTES
    records = (CONTROL_RECORD, ENCODE_DESCRIPTOR, PASS_DESCRIPTOR)
    assert {record.dtype.fields["mode"][1] for record in records} == {74}


def test_fields_lie_where_they_were_worked_out_to_lie():
    packed = CONTROL_RECORD.pack(
        target0=0x0102030405060708, second2=0x11, links=7, queue=1, mode=3, wait=5, stop=6,
        target3=0x22, margin0=-2, margin6=0x0201,
    ).tobytes()  # fmt: skip
    assert packed[:8] == bytes([8, 7, 6, 5, 4, 3, 2, 1])
    assert packed[64:72] == bytes([0x11, 0, 0, 0, 0, 0, 0, 0])
    assert packed[72:76] == bytes([7, 1, 3, 0])
    assert packed[76:88] == bytes([5, 0, 0, 0, 6, 0, 0, 0, 0, 0, 0, 0])
    assert packed[88] == 0x22
    margins = 88 + 4 * 24
    assert packed[margins : margins + 2] == b"\xfe\xff"
    assert packed[margins + 12 : margins + 14] == b"\x01\x02"
    assert not any(packed[margins + 2 * LINKS :])
