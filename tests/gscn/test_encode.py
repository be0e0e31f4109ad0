"""Records of encode passes: sizes, and bit patterns worked out by hand."""

from __future__ import annotations

from gscn.encode import (
    CHANNEL_ROW,
    CHANNEL_SUMS,
    ENCODE_DESCRIPTOR,
    ENCODE_DESCRIPTOR_BYTES,
    ENCODE_STATE,
    LOOPS,
    STREAMS,
    EncodeError,
)
from gscn.pass_errors import PassError
from gscn.passes import DESCRIPTOR_BYTES, PASS_DESCRIPTOR, Mode


def test_a_record_takes_two_places_of_the_list_and_has_its_mode_where_passes_have_it():
    assert ENCODE_DESCRIPTOR.width == 8 * 2 * DESCRIPTOR_BYTES == 8 * ENCODE_DESCRIPTOR_BYTES
    offsets = [record.dtype.fields["mode"][1] for record in (ENCODE_DESCRIPTOR, PASS_DESCRIPTOR)]
    assert offsets == [74, 74]
    assert max(Mode) == 1  # 2 is free


def test_fields_lie_where_they_were_worked_out_to_lie():
    packed = ENCODE_DESCRIPTOR.pack(
        t0_addr=0x0102030405060708, mode=2, out_format=1, t0_first=-1, t0_step0=-2, count0=3,
        shift=47,
    ).tobytes()  # fmt: skip
    assert packed[:8] == bytes([8, 7, 6, 5, 4, 3, 2, 1])
    assert packed[72:80] == bytes([0, 0, 2, 0, 0, 0, 1, 0])
    at = 80 + 16 * 8
    assert packed[at : at + 4] == b"\xff" * 4
    at += 4 * len(STREAMS) + 4 * 4
    assert packed[at : at + 4] == b"\xfe\xff\xff\xff"
    at += len(STREAMS) * 4 * (LOOPS + 1) + 3 * 4
    assert packed[at : at + 2] == b"\x03\x00"
    assert packed[490] == 47
    assert not any(packed[491:])


def test_rows_state_and_sums_fill_whole_beats_together():
    assert (CHANNEL_ROW.width, ENCODE_STATE.width, CHANNEL_SUMS.width) == (256, 512, 256)


def test_errors_that_passes_have_as_well_have_their_numbers():
    for error in EncodeError:
        if error.name in PassError.__members__:
            assert PassError[error.name] == error
        else:
            assert error > max(PassError)
