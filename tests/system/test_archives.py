"""Archives: arrays come back as they were saved; what is stated and is not there is refused."""

from __future__ import annotations

import io
import zipfile

import numpy as np
import pytest

from gscn.errors import InputError
from gscn.system.archives import open_archive, open_arrays

ARRAYS = {
    "a": np.arange(6, dtype=np.float32).reshape(2, 3),
    "b": np.asfortranarray(np.arange(6, dtype=">i2").reshape(2, 3)),
    "c": np.array("text"),
    "d": np.zeros((0, 3), bool),
    "e": np.array(7, np.uint64),
    "f": np.arange(1 << 19, dtype=np.float64),
}


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_arrays_come_back_as_they_were_saved(tmp_path, save):
    path = tmp_path / "arrays.npz"
    save(path, **ARRAYS)
    with open_arrays(path, "arrays", compressed=True, most_bytes=1 << 23) as arrays:
        assert arrays.headers.keys() == ARRAYS.keys()
        for name, expected in ARRAYS.items():
            found = arrays.read(name)
            assert (found.dtype, found.shape) == (expected.dtype, expected.shape)
            assert np.array_equal(found, expected)
        with pytest.raises(InputError, match="array g is missing"):
            arrays.read("g")


def npy(header: str, data: bytes = b"", version: bytes = b"\1\0") -> bytes:
    return b"\x93NUMPY" + version + len(header).to_bytes(2, "little") + header.encode() + data


def described(descr: str = "'<f4'", shape: str = "(2,)", columns: str = "False") -> str:
    return f"{{'descr': {descr}, 'fortran_order': {columns}, 'shape': {shape}, }}\n"


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"", "NumPy's format 1 to 3"),
        (b"\x93NUMPY\1", "NumPy's format 1 to 3"),
        (b"\x93NUMPY\1\0\xff\xffx", "header of 'x.npy' must have at most 4096 bytes, not 65535"),
        (b"\x93NUMPY\2\0\xff\xff\xff\xff", "at most 4096 bytes"),
        (b"PK\3\4", "NumPy's format 1 to 3"),
        (npy(described(), bytes(8), b"\4\0"), "NumPy's format 1 to 3"),
        (npy("{'descr': '<f4', 'fortran_order': False, 'shape': ("), "must describe an array"),
        (npy("(" * 4000), "must describe an array"),
        (npy("-" * 4000 + "1"), "must describe an array"),
        (npy(described("'|O'"), bytes(16)), "must describe an array"),
        (npy(described("[('a', '<f4')]"), bytes(8)), "must describe an array"),
        (npy(described("'<f3'"), bytes(6)), "type of 'x.npy' must be known, not <f3"),
        (npy(described("'(999999999,)<f4'"), bytes(8)), "must describe an array"),
        (npy(described(shape="(2.0,)"), bytes(8)), "must describe an array"),
        (npy(described(shape="(-2,)"), bytes(8)), "must describe an array"),
        (npy(described(shape="(1, 2, 3,, 4)"), bytes(96)), "whole numbers"),
        (npy(described(shape=f"({'1, ' * 9})"), bytes(4)), "at most 8 whole numbers"),
        (npy(described(shape="(1000000000000,)"), bytes(8)), "4000000000000 bytes of float32"),
        (npy(described(shape="(0, 10000000000000)"), b""), "must be smaller"),
        (npy(described(shape="(99999999999999999999,)"), b""), "whole numbers"),
        (npy(described("'<U999999999'", "(1,)"), bytes(8)), "must be known, not <U999999999"),
        (npy(described(), bytes(7)), r"the 8 bytes of float32 \(2,\), not 7"),
        (npy(described(), bytes(9)), r"the 8 bytes of float32 \(2,\), not 9"),
    ],
)
def test_a_header_that_does_not_describe_its_data_is_refused(tmp_path, content, complaint):
    path = tmp_path / "arrays.npz"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x.npy", content)
    with (
        pytest.raises(InputError, match=rf"arrays.npz must be an archive of arrays: .*{complaint}"),
        open_arrays(path, "arrays"),
    ):
        pass


def zipped(method: int = zipfile.ZIP_STORED, **members: bytes) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", method) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return stream.getvalue()


def stating(content: bytes, place: int, value: int, size: int = 4) -> bytes:
    """Change a number in the directory of an archive of one entry, at an offset in its record."""
    start = content.index(b"PK\1\2") + place
    return content[:start] + value.to_bytes(size, "little") + content[start + size :]


SMALL = zipped(a=b"12345")


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"", "not a zip file"),
        (b"text", "not a zip file"),
        (SMALL[:-10], "not a zip file"),
        (zipped(zipfile.ZIP_DEFLATED, a=bytes(1 << 20)), "must be stored, not compressed"),
        (zipped(zipfile.ZIP_BZIP2, a=bytes(1 << 20)), "must be stored, not compressed"),
        (stating(SMALL, 24, 3 << 30), "size of its data, not state 3221225472"),
        (stating(stating(SMALL, 24, 3 << 30), 20, 3 << 30), "must fit the file"),
        (stating(SMALL, 8, 1, 2), "must not be encrypted"),
        (stating(SMALL, 6, 99, 2), "zip file version 9.9"),
        (SMALL[:-10] + b"\xff\xff\xff\x7f" + SMALL[-6:], "must be a whole archive"),
        (bytes(1 << 20) + SMALL, "must fill the file"),
    ],
    # Archives have the time in them.
    ids=[
        *("empty", "text", "cut", "deflated", "bzip2", "size", "sizes", "encrypted", "version"),
        *("directory", "prefix"),
    ],
)
def test_a_directory_that_does_not_hold_for_the_file_is_refused(tmp_path, content, complaint):
    path = tmp_path / "archive.zip"
    path.write_bytes(content)
    with pytest.raises(InputError, match=complaint), open_archive(path, "archive"):
        pass


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_names_twice_and_very_many_entries_are_refused(tmp_path):
    path = tmp_path / "archive.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a", b"1")
        archive.writestr("a", b"2")
    with pytest.raises(InputError, match="names of entries must differ"), open_archive(path, "a"):
        pass
    # A directory that is said to be larger than anyone's, and is there.
    with path.open("wb") as file:
        file.truncate(1 << 30)
        file.seek(1 << 30)
        end = b"PK\5\6" + bytes(4) + b"\xff\xff\xff\xff" + (1 << 30).to_bytes(4, "little")
        file.write(end + bytes(6))
    with pytest.raises(InputError, match="at most 16777216 bytes"), open_archive(path, "a"):
        pass


def test_what_expands_beyond_its_bound_is_refused_before_it_does(tmp_path):
    path = tmp_path / "arrays.npz"
    np.savez_compressed(path, a=np.zeros(1 << 24, np.uint8))
    with (
        pytest.raises(InputError, match="must expand to at most 1048576 bytes, not 16777"),
        open_arrays(path, "arrays", compressed=True, most_bytes=1 << 20),
    ):
        pass


def test_damaged_data_is_named(tmp_path):
    path = tmp_path / "arrays.npz"
    for save in (np.savez, np.savez_compressed):
        save(path, a=np.arange(1000))
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 0xFF
        path.write_bytes(content)
        with (
            open_arrays(path, "arrays", compressed=True, most_bytes=1 << 20) as arrays,
            pytest.raises(InputError, match=r"arrays\.npz: a must be whole"),
        ):
            arrays.read("a")
