"""Archives that a user names, ZIP and NumPy's `.npz`, checked as a whole before anything is read.

What an archive states of its entries must hold for the bytes that it has, so that memory is only
ever taken for data that is there. Nothing of a file's choosing is constructed: an array's header
is matched, not evaluated.
"""

from __future__ import annotations

import io
import math
import os
import re
import struct
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import numpy as np

from gscn.system.errors import InputError
from gscn.system.reading import open_regular, shown

MOST_ENTRIES = 100_000
"""Entries of an archive."""
_MOST_READ = 16 << 20
"""Bytes that are read at once: more than the directory of so many entries."""
_MOST_OVERHEAD = 4096
"""Bytes of an entry's headers, and as many at the end."""
_MOST_EXPANSION = 1100
"""Bytes that a byte of deflate can become: 1032, and some for short entries."""
_PIECE = 1 << 20
ERRORS = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    OSError,
    ValueError,
    NotImplementedError,
    RuntimeError,
    OverflowError,
    KeyError,
)
"""What `zipfile` raises on damaged archives."""
_MAGIC = b"\x93NUMPY"
_LENGTHS = {1: "<H", 2: "<I", 3: "<I"}
"""Of the header's length, by version of the format."""
_MOST_HEADER = 4096
_MOST_AXES = 8
_MOST_ELEMENTS = 1 << 40
_HEADER = re.compile(
    r"\{\s*'descr':\s*'(?P<type>[<>|=]?[biufU]\d{1,9})',\s*"
    r"'fortran_order':\s*(?P<columns>True|False),\s*"
    r"'shape':\s*\((?P<shape>[\d, ]*)\),?\s*\}\s*"
)


class _ShortReads(io.BufferedReader):
    """A file of which nobody reads much at once, such as a directory of a size that it states."""

    def read(self, size: int | None = -1) -> bytes:
        if size is not None and size > _MOST_READ:
            raise ValueError(f"its directory must have at most {_MOST_READ} bytes, not {size}")
        return super().read(_MOST_READ if size is None or size < 0 else size)


@contextmanager
def open_archive(
    path: Path | str, what: str, *, compressed: bool = False, most_bytes: int | None = None
) -> Iterator[zipfile.ZipFile]:
    """Yield a ZIP archive whose directory holds for the bytes that it has.

    Entries are stored, or deflated where that is allowed; names differ; nothing is encrypted; and
    what they expand to is bounded.

    Parameters
    ----------
    path, what
        As of `system.reading.open_regular`.
    compressed
        Whether entries may be deflated.
    most_bytes
        Expanded size of all entries, at most; by default the size of the file if nothing may be
        compressed.

    Raises
    ------
    InputError
        Naming the file and what is wrong.
    """
    with _ShortReads(open_regular(path, what).detach()) as file:
        size = os.fstat(file.fileno()).st_size
        most_bytes = size if most_bytes is None else most_bytes
        try:
            archive = zipfile.ZipFile(file)
            _check_directory(archive, size, compressed, most_bytes)
        except ERRORS as error:
            raise InputError(f"{what} {path} must be a whole archive: {error}") from error
        with archive:
            yield archive


def _check_directory(
    archive: zipfile.ZipFile, size: int, compressed: bool, most_bytes: int
) -> None:
    entries = archive.infolist()
    if len(entries) > MOST_ENTRIES:
        raise ValueError(f"entries must be at most {MOST_ENTRIES}, not {len(entries)}")
    names = {entry.filename for entry in entries}
    if len(names) != len(entries):
        raise ValueError("names of entries must differ")
    for entry in entries:
        name = shown(entry.filename)
        if entry.flag_bits & 0x1:
            raise ValueError(f"entry {name} must not be encrypted")
        if entry.compress_type == zipfile.ZIP_STORED:
            most = entry.compress_size
        elif compressed and entry.compress_type == zipfile.ZIP_DEFLATED:
            most = (entry.compress_size + 1) * _MOST_EXPANSION
        else:
            raise ValueError(
                f"entry {name} must be stored{' or deflated' if compressed else ''}, "
                f"not compressed by method {entry.compress_type}"
            )
        if entry.file_size > most:
            raise ValueError(
                f"entry {name} must have the size of its data, not state {entry.file_size}"
            )
    held = sum(entry.compress_size for entry in entries)
    if held > size:
        raise ValueError(f"entries must fit the file of {size} bytes, not state {held}")
    if size - held > _MOST_OVERHEAD * (len(entries) + 1):
        raise ValueError(f"entries must fill the file of {size} bytes, not state {held}")
    expanded = sum(entry.file_size for entry in entries)
    if expanded > most_bytes:
        raise ValueError(f"entries must expand to at most {most_bytes} bytes, not {expanded}")


@dataclass(frozen=True, kw_only=True, slots=True)
class ArrayHeader:
    """What an archive states of an array; its data has exactly this size."""

    dtype: np.dtype
    shape: tuple[int, ...]
    column_major: bool
    offset: int
    """Of the data in its entry, bytes."""


class Arrays:
    """The arrays of a NumPy archive; headers are known, data is read when asked for.

    Made by `open_arrays`.
    """

    def __init__(self, archive: zipfile.ZipFile, where: str) -> None:
        self._archive = archive
        self._where = where
        headers = {}
        for entry in archive.infolist():
            name = entry.filename.removesuffix(".npy")
            if name == entry.filename:
                raise ValueError(f"entries must be arrays (.npy), not {shown(entry.filename)}")
            headers[name] = self._header(entry)
        self.headers: Mapping[str, ArrayHeader] = MappingProxyType(headers)

    def _header(self, entry: zipfile.ZipInfo) -> ArrayHeader:
        name = shown(entry.filename)
        with self._archive.open(entry) as file:
            start = file.read(len(_MAGIC) + 2)
            if start[:-2] != _MAGIC or start[-2] not in _LENGTHS:
                raise ValueError(f"entry {name} must be an array of NumPy's format 1 to 3")
            code = _LENGTHS[start[-2]]
            (length,) = struct.unpack(code, file.read(struct.calcsize(code)))
            if length > _MOST_HEADER:
                raise ValueError(
                    f"header of {name} must have at most {_MOST_HEADER} bytes, not {length}"
                )
            found = _HEADER.fullmatch(file.read(length).decode("latin1"))
        if found is None:
            raise ValueError(f"header of {name} must describe an array of numbers or text")
        axes = [axis.strip() for axis in found["shape"].split(",")]
        if axes and not axes[-1]:
            axes.pop()
        if len(axes) > _MOST_AXES or not all(axis.isdigit() and len(axis) < 20 for axis in axes):
            raise ValueError(f"shape of {name} must have at most {_MOST_AXES} whole numbers")
        try:
            dtype = np.dtype(found["type"])
        except TypeError as error:
            raise ValueError(f"type of {name} must be known, not {found['type']}") from error
        shape = tuple(map(int, axes))
        if math.prod(axis for axis in shape if axis) > _MOST_ELEMENTS:
            raise ValueError(f"shape of {name} must be smaller than {shape}")
        offset = len(_MAGIC) + 2 + struct.calcsize(code) + length
        size = math.prod(shape) * dtype.itemsize
        if entry.file_size != offset + size:
            raise ValueError(
                f"data of {name} must have the {size} bytes of {dtype} {shape}, "
                f"not {entry.file_size - offset}"
            )
        return ArrayHeader(
            dtype=dtype, shape=shape, column_major=found["columns"] == "True", offset=offset
        )

    def require(self, name: str) -> ArrayHeader:
        """Return the header of an array; raise `InputError` if there is none of this name."""
        if name not in self.headers:
            raise InputError(f"{self._where}: array {name} is missing")
        return self.headers[name]

    def read(self, name: str) -> np.ndarray:
        """Return an array.

        Raises
        ------
        InputError
            It is missing or damaged.
        """
        header = self.require(name)
        array = np.empty(math.prod(header.shape), header.dtype)
        try:
            with self._archive.open(f"{name}.npy") as file:
                file.read(header.offset)
                rest = memoryview(array).cast("B") if array.size else memoryview(b"")
                while rest:
                    count = file.readinto(rest[:_PIECE])
                    if not count:
                        raise EOFError("its data ends early")
                    rest = rest[count:]
                # The checksum is compared at the end.
                file.read(1)
        except ERRORS as error:
            raise InputError(f"{self._where}: {name} must be whole: {error}") from error
        return array.reshape(header.shape, order="F" if header.column_major else "C")


@contextmanager
def open_arrays(
    path: Path | str, what: str, *, compressed: bool = False, most_bytes: int | None = None
) -> Iterator[Arrays]:
    """Yield the arrays of a NumPy archive, none of which holds objects.

    Parameters and errors are those of `open_archive`; besides, each entry must be an array whose
    header states the size of its data.
    """
    with open_archive(path, what, compressed=compressed, most_bytes=most_bytes) as archive:
        try:
            arrays = Arrays(archive, f"{what} {path}")
        except ERRORS as error:
            if isinstance(error, InputError):
                raise
            raise InputError(f"{what} {path} must be an archive of arrays: {error}") from error
        yield arrays
