"""Directories of every format: entries worked out by hand, and what a format cannot hold."""

from __future__ import annotations

import numpy as np
import pytest

from gscn import directories, records
from gscn.errors import InputError


def test_narrow_directory_entries_are_those_worked_out_by_hand():
    # 1 + 2 * 1024 = 0801; 1023 + 63 * 1024 = ffff; an empty fiber is all zeros
    packed = directories.pack_directory(
        np.array([1, 1023, 4000]), np.array([2, 63, 0]), directories.DIRECTORY_NARROW
    )
    assert packed.tobytes() == bytes.fromhex("0108 ffff 0000")
    (header,) = records.TILE_HEADER.pack(directory_count=3, directory_format=1)
    start, length = directories.unpack_directory(packed.view(np.uint8), header)
    assert (start.tolist(), length.tolist()) == ([1, 1023, 0], [2, 63, 0])
    assert [directories.directory_chunks(n, 1) for n in (0, 1, 4, 5)] == [0, 1, 1, 2]
    assert [directories.directory_chunks(n, 0) for n in (0, 1, 4, 5)] == [0, 1, 2, 3]


@pytest.mark.parametrize(("start", "length"), [(1024, 1), (0, 64)])
def test_a_fiber_beyond_a_narrow_entry_is_refused(start, length):
    fibers = np.array([3, start]), np.array([1, length])
    assert not directories.fits_narrow_directory(*fibers)
    with pytest.raises(InputError, match="fibers of a narrow directory must start below 1024"):
        directories.pack_directory(*fibers, directories.DIRECTORY_NARROW)
    wide = directories.pack_directory(*fibers, directories.DIRECTORY_WIDE)
    assert wide.tolist() == [(3, 1), (start, length)]


def test_a_directory_of_lengths_is_the_one_worked_out_by_hand():
    packed = directories.pack_directory(
        np.array([0, 3, 3, 258, 9]), np.array([3, 0, 255, 16, 0]), directories.DIRECTORY_LENGTHS
    )
    assert packed.tobytes() == bytes.fromhex("03 00 ff 10 00")
    (header,) = records.TILE_HEADER.pack(directory_count=5, directory_format=2)
    # what follows the directory does not matter
    data = np.append(packed, np.full(3, 7, dtype=np.uint8))
    start, length = directories.unpack_directory(data, header)
    assert (start.tolist(), length.tolist()) == ([0, 3, 3, 258, 274], [3, 0, 255, 16, 0])
    start, length = directories.directory_fibers(data, directories.DIRECTORY_LENGTHS)
    assert (start[5:].tolist(), length[5:].tolist()) == ([274, 281, 288], [7, 7, 7])
    assert [directories.directory_chunks(n, 2) for n in (0, 1, 8, 9)] == [0, 1, 1, 2]


@pytest.mark.parametrize(
    ("start", "length", "bad"),
    [
        ([1, 4], [3, 2], "key 0 starts at 1 and holds 3"),
        ([0, 2], [3, 2], "key 1 starts at 2 and holds 2"),
        ([0, 4], [3, 2], "key 1 starts at 4 and holds 2"),
        ([0, 0, 3], [3, 0, 256], "key 2 starts at 3 and holds 256"),
    ],
)
def test_fibers_that_do_not_follow_one_another_are_no_directory_of_lengths(start, length, bad):
    fibers = np.array(start), np.array(length)
    assert not directories.fits_lengths_directory(*fibers)
    with pytest.raises(InputError, match=f"a directory of lengths must start .* but that of {bad}"):
        directories.pack_directory(*fibers, directories.DIRECTORY_LENGTHS)


def test_no_fiber_fits_every_format():
    none = np.zeros(0, dtype=int)
    assert directories.fits_lengths_directory(none, none)
    for directory_format in directories.DIRECTORY_WIDTHS:
        assert directories.pack_directory(none, none, directory_format).size == 0


def test_an_unknown_directory_format_is_refused():
    with pytest.raises(InputError, match="directory_format must be 0, 1 or 2, not 3"):
        directories.pack_directory(np.zeros(1, int), np.zeros(1, int), 3)
    (header,) = records.TILE_HEADER.pack(directory_format=3)
    with pytest.raises(InputError, match="directory_format must be 0, 1 or 2, not 3"):
        directories.unpack_directory(np.zeros(8, dtype=np.uint8), header)
