"""Directories of load blocks in their formats: which fibers each can hold, packed and read."""

from __future__ import annotations

import numpy as np

from gscn.errors import InputError
from gscn.records import DIRECTORY_ENTRY

NARROW_START_WIDTH = 10
NARROW_LENGTH_WIDTH = 6
"""Bits of the two fields, start lowest, of a 16-bit entry of directory format 1."""
LENGTH_WIDTH = 8
"""Bits of an entry of directory format 2, which is a length: each fiber starts where the one before
ends, the first at 0."""
DIRECTORY_WIDE = 0
DIRECTORY_NARROW = 1
DIRECTORY_LENGTHS = 2
DIRECTORY_WIDTHS = {DIRECTORY_WIDE: 32, DIRECTORY_NARROW: 16, DIRECTORY_LENGTHS: LENGTH_WIDTH}
"""Bits of a directory entry per directory format."""


def fits_narrow_directory(start: np.ndarray, length: np.ndarray) -> bool:
    """Return whether entries of directory format 1 can hold these fibers.

    Parameters
    ----------
    start, length
        Integers (count,), not negative. The start of an empty fiber means nothing.
    """
    starts = np.where(length > 0, start, 0)
    return (
        int(starts.max(initial=0)) < 1 << NARROW_START_WIDTH
        and int(length.max(initial=0)) < 1 << NARROW_LENGTH_WIDTH
    )


def _unfit_for_lengths(start: np.ndarray, length: np.ndarray) -> np.ndarray:
    """Return which fibers (bool) keep a directory of format 2 from holding them all."""
    elsewhere = (length > 0) & (start != np.cumsum(length) - length)
    return elsewhere | (length >= 1 << LENGTH_WIDTH)


def fits_lengths_directory(start: np.ndarray, length: np.ndarray) -> bool:
    """Return whether directory format 2 can hold these fibers: one after the other, and short.

    Parameters
    ----------
    start, length
        Integers (count,), not negative. The start of an empty fiber means nothing.
    """
    return not np.any(_unfit_for_lengths(start, length))


def pack_directory(start: np.ndarray, length: np.ndarray, directory_format: int) -> np.ndarray:
    """Pack directory entries; the start of an empty fiber is kept in format 0 only.

    Parameters
    ----------
    start, length
        Integers (count,).
    directory_format
        `DIRECTORY_WIDE`, `DIRECTORY_NARROW` or `DIRECTORY_LENGTHS`.

    Returns
    -------
    numpy.ndarray
        `DIRECTORY_ENTRY`, uint16 or uint8, (count,).

    Raises
    ------
    InputError
        The format is unknown or cannot hold a fiber.
    """
    start, length = np.asarray(start), np.asarray(length)
    _require_directory_format(directory_format)
    if directory_format == DIRECTORY_WIDE:
        return DIRECTORY_ENTRY.pack(start.size, start=start, length=length)
    if directory_format == DIRECTORY_LENGTHS:
        for key in np.flatnonzero(_unfit_for_lengths(start, length))[:1]:
            raise InputError(
                "fibers of a directory of lengths must start where the one before ends and be "
                f"shorter than {1 << LENGTH_WIDTH}, but that of key {key} starts at {start[key]} "
                f"and holds {length[key]}"
            )
        return length.astype(np.uint8)
    if not fits_narrow_directory(start, length):
        raise InputError(
            f"fibers of a narrow directory must start below {1 << NARROW_START_WIDTH} and be "
            f"shorter than {1 << NARROW_LENGTH_WIDTH}, not start at {start.max()} or hold "
            f"{length.max()}"
        )
    starts = np.where(length > 0, start, 0)
    return (starts | length << NARROW_START_WIDTH).astype("<u2")


def _require_directory_format(directory_format: int) -> None:
    if directory_format not in DIRECTORY_WIDTHS:
        raise InputError(f"directory_format must be 0, 1 or 2, not {directory_format}")


def directory_chunks(directory_count: int, directory_format: int) -> int:
    """Return the 64-bit chunks that a directory takes in a load block."""
    return -(-directory_count * DIRECTORY_WIDTHS[directory_format] // 64)


def directory_fibers(data: np.ndarray, directory_format: int) -> tuple[np.ndarray, np.ndarray]:
    """Read directory entries: all that the data holds, so also those that pad its last chunk.

    Parameters
    ----------
    data
        uint8 from the directory's first byte on, a whole number of entries.
    directory_format
        `DIRECTORY_WIDE`, `DIRECTORY_NARROW` or `DIRECTORY_LENGTHS`.

    Returns
    -------
    tuple[numpy.ndarray, numpy.ndarray]
        int64 start and length of each fiber.

    Raises
    ------
    InputError
        The format is unknown.
    """
    _require_directory_format(directory_format)
    data = np.ascontiguousarray(data)
    if directory_format == DIRECTORY_WIDE:
        entries = data.view(DIRECTORY_ENTRY.dtype)
        return entries["start"].astype(np.int64), entries["length"].astype(np.int64)
    if directory_format == DIRECTORY_LENGTHS:
        length = data.astype(np.int64)
        return np.cumsum(length) - length, length
    words = data.view("<u2").astype(np.int64)
    return words & (1 << NARROW_START_WIDTH) - 1, words >> NARROW_START_WIDTH


def unpack_directory(data: np.ndarray, header: np.void) -> tuple[np.ndarray, np.ndarray]:
    """Read the directory that a tile header announces.

    Parameters
    ----------
    data
        uint8 from the directory's first byte on.
    header
        A `TILE_HEADER`.

    Returns
    -------
    tuple[numpy.ndarray, numpy.ndarray]
        int64 start and length of each fiber.

    Raises
    ------
    InputError
        The format is unknown.
    """
    count, directory_format = int(header["directory_count"]), int(header["directory_format"])
    _require_directory_format(directory_format)
    size = count * DIRECTORY_WIDTHS[directory_format] // 8
    return directory_fibers(data[:size], directory_format)
