"""Strips: the one format that operands of a pass have in memory (`docs/contract/passes.md`).

Encoders and decoders see codes: the bit patterns of numbers, unsigned. A code is zero if the number
is: all bits, or in floating point those below the sign.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from gscn.enums import takes_text
from gscn.errors import InputError
from gscn.formats import FloatFormat, IntFormat
from gscn.pass_errors import PassError
from gscn.passes import VECTOR
from gscn.system.compiled import compiled

ALIGNMENT = 64
"""Data and tables begin at multiples of so many bytes."""
MOST_VECTORS = 4
"""Highest log2 of the vectors of a position."""
_NO_PROBLEM, _DESCENDS, _BEYOND, _SHORT, _LONG, _EMPTY, _EXTRA = range(7)
_MALFORMED = (
    None,
    (PassError.TABLE, "offsets must not descend"),
    (PassError.TABLE, "offsets must not lie beyond the data"),
    (PassError.STRIP, "a strip must not end before its data does"),
    (PassError.STRIP, "a strip must not end behind its data"),
    (PassError.STRIP, "an occupied vector must have a lane"),
    (PassError.STRIP, "a block must not have a vector beyond its strip"),
)


class StripsError(InputError):
    """Strips in memory are malformed.

    Parameters
    ----------
    error
        What the hardware calls it.
    message
        What is wrong, and where.
    """

    @takes_text
    def __init__(self, error: PassError, message: str) -> None:
        super().__init__(f"{error.name}: {message}")
        self.error = error


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Strips:
    """An operand in memory."""

    data: np.ndarray
    """uint8, a multiple of 64 bytes, zeros behind the last strip."""
    table: np.ndarray
    """uint32 (strips + 1, groups): halfword at which a strip begins; the last row: ends."""
    nonzeros: np.ndarray
    """int64 (strips, groups): nonzeros of each strip."""

    @property
    def halfwords(self) -> int:
        """Halfwords of the data."""
        return int(self.table[-1, -1])

    @property
    def most_strip_nonzeros(self) -> int:
        """Nonzeros of the strip that has most."""
        return int(self.nonzeros.max())


def map_bounds(samples: int, rows: int, cols: int, band: int) -> np.ndarray:
    """Return where strips of a map begin: samples, in bands of rows, the last band as it is.

    Parameters
    ----------
    samples, rows, cols
        Of the map.
    band
        Rows of a strip.

    Returns
    -------
    numpy.ndarray
        int64 (strips + 1,): positions before each strip, and in all.
    """
    firsts = np.arange(0, rows, band) * cols
    starts = (np.arange(samples)[:, None] * (rows * cols) + firsts).reshape(-1)
    return np.append(starts, samples * rows * cols)


def weight_bounds(channels: int, per_strip: int, taps: int) -> np.ndarray:
    """Return where strips of weights begin: contracted channels, `per_strip` each.

    Parameters
    ----------
    channels
        Contracted channels.
    per_strip
        Of a strip; the last strip has the rest.
    taps
        Positions of a channel.
    """
    return np.append(np.arange(0, channels, per_strip), channels) * taps


def encode(codes: np.ndarray, bounds: np.ndarray, fmt: IntFormat | FloatFormat) -> Strips:
    """Return an operand as strips.

    Parameters
    ----------
    codes
        (groups, positions, channels): integers as wide as `fmt`; channels are 16, 32, ... 256.
    bounds
        (strips + 1,): first position of each strip, and all positions. The same for all groups.
    fmt
        Number format.

    Raises
    ------
    InputError
        `codes` or `bounds` have no such shape, or integers are of another width.
    """
    codes = _checked_codes(codes, fmt)
    bounds = _checked_bounds(bounds)
    if bounds[-1] != codes.shape[1]:
        raise InputError(f"bounds must end at {codes.shape[1]} positions, not {bounds[-1]}")
    vectors = codes.reshape(codes.shape[0], -1, VECTOR)
    starts = bounds * (codes.shape[2] // VECTOR)
    sizes = np.empty((len(bounds) - 1, codes.shape[0]), dtype=np.int64)
    nonzeros = np.empty_like(sizes)
    magnitude = codes.dtype.type(_magnitude(fmt))
    _measure(vectors, starts, magnitude, fmt.width == 8, sizes, nonzeros)
    table = np.empty((len(bounds), codes.shape[0]), dtype=np.int64)
    # Group by group: a group begins where the one before ends.
    ends = np.cumsum(sizes.T.reshape(-1)).reshape(sizes.T.shape).T
    table[0, 0] = 0
    table[0, 1:] = ends[-1, :-1]
    table[1:] = ends
    if table[-1, -1] >> 32:
        raise InputError(f"an operand must have under 2**32 halfwords, not {table[-1, -1]}")
    size = 2 * int(table[-1, -1])
    data = np.zeros(size + -size % ALIGNMENT, dtype=np.uint8)
    _write(vectors, starts, magnitude, fmt.width == 8, table, data.view("<u2"))
    return Strips(data=data, table=table.astype("<u4"), nonzeros=nonzeros)


def decode(
    data: np.ndarray,
    table: np.ndarray,
    bounds: np.ndarray,
    channels: int,
    fmt: IntFormat | FloatFormat,
) -> np.ndarray:
    """Return the codes of an operand that is in memory as strips.

    Parameters
    ----------
    data
        uint8, an even number.
    table
        (strips + 1, groups).
    bounds
        As of `encode`.
    channels
        Channels of a group: 16, 32, ... 256.
    fmt
        Number format.

    Returns
    -------
    numpy.ndarray
        uint8 or uint16 (groups, positions, channels).

    Raises
    ------
    StripsError
        The strips are malformed; `error` says how the hardware calls it.
    InputError
        Arguments do not belong together.
    """
    bounds = _checked_bounds(bounds)
    if channels not in _channels():
        raise InputError(f"channels of a group must be one of {_channels()}, not {channels}")
    if table.ndim != 2 or len(table) != len(bounds):
        raise InputError(f"table must have {len(bounds)} rows, not the shape {table.shape}")
    if data.dtype != np.uint8 or data.size % 2:
        raise InputError(f"data must be an even number of uint8, not {data.size} {data.dtype}")
    groups = table.shape[1]
    dtype = np.uint8 if fmt.width == 8 else np.uint16
    codes = np.zeros((groups, int(bounds[-1]), channels), dtype=dtype)
    problem = np.zeros(3, dtype=np.int64)
    _read(
        np.ascontiguousarray(data).view("<u2"),
        np.ascontiguousarray(table, dtype=np.int64),
        bounds * (channels // VECTOR),
        fmt.width == 8,
        codes.reshape(groups, -1, VECTOR),
        problem,
    )
    what = _MALFORMED[int(problem[0])]
    if what is not None:
        raise StripsError(what[0], f"strip {problem[1]} of group {problem[2]}: {what[1]}")
    return codes


def encode_map(codes: np.ndarray, band: int, fmt: IntFormat | FloatFormat) -> Strips:
    """Return a map as strips of `band` rows; codes are (groups, samples, rows, cols, channels)."""
    groups, samples, rows, cols, channels = codes.shape
    flat = codes.reshape(groups, samples * rows * cols, channels)
    return encode(flat, map_bounds(samples, rows, cols, band), fmt)


def decode_map(
    data: np.ndarray,
    table: np.ndarray,
    shape: tuple[int, int, int, int, int],
    band: int,
    fmt: IntFormat | FloatFormat,
) -> np.ndarray:
    """Return the codes of a map; `shape` is (groups, samples, rows, cols, channels)."""
    codes = decode(data, table, map_bounds(*shape[1:4], band), shape[4], fmt)
    if codes.shape[0] != shape[0]:
        raise InputError(f"table must have {shape[0]} columns, not {codes.shape[0]}")
    return codes.reshape(shape)


def _channels() -> tuple[int, ...]:
    return tuple(VECTOR << v for v in range(MOST_VECTORS + 1))


def _magnitude(fmt: IntFormat | FloatFormat) -> int:
    """Return the bits of which one is set in a number that is not zero."""
    return (1 << (fmt.width - isinstance(fmt, FloatFormat))) - 1


def _checked_codes(codes: np.ndarray, fmt: IntFormat | FloatFormat) -> np.ndarray:
    if codes.dtype.kind not in "iu" or codes.dtype.itemsize * 8 != fmt.width:
        raise InputError(f"codes must be integers of {fmt.width} bits, not {codes.dtype}")
    if codes.ndim != 3 or 0 in codes.shape or codes.shape[2] not in _channels():
        raise InputError(
            f"codes must be (groups, positions, channels) with channels one of {_channels()}, "
            f"not of shape {codes.shape}"
        )
    return np.ascontiguousarray(codes).view(f"<u{fmt.width // 8}")


def _checked_bounds(bounds: np.ndarray) -> np.ndarray:
    bounds = np.asarray(bounds, dtype=np.int64)
    if bounds.ndim != 1 or len(bounds) < 2 or bounds[0] != 0 or (np.diff(bounds) < 1).any():
        raise InputError("bounds must begin with 0 and increase, for at least one strip")
    return bounds


@compiled
def _measure(vectors, starts, magnitude, narrow, sizes, nonzeros):
    """Count halfwords and nonzeros of each strip."""
    for group in range(vectors.shape[0]):
        for strip in range(starts.shape[0] - 1):
            count = starts[strip + 1] - starts[strip]
            size, total = (count + VECTOR - 1) // VECTOR, 0
            for vector in range(starts[strip], starts[strip + 1]):
                found = 0
                for lane in range(VECTOR):
                    found += vectors[group, vector, lane] & magnitude != 0
                total += found
                size += (1 if found else 0) + ((found + 1) // 2 if narrow else found)
            sizes[strip, group], nonzeros[strip, group] = size, total


@compiled
def _write(vectors, starts, magnitude, narrow, table, data):
    """Write every strip where the table says."""
    for group in range(vectors.shape[0]):
        place = table[0, group]
        for strip in range(starts.shape[0] - 1):
            for block in range(starts[strip], starts[strip + 1], VECTOR):
                header, occupied = place, 0
                place += 1
                for vector in range(block, min(block + VECTOR, starts[strip + 1])):
                    mask, at, odd = 0, place + 1, False
                    for lane in range(VECTOR):
                        code = vectors[group, vector, lane]
                        if code & magnitude == 0:
                            continue
                        mask |= 1 << lane
                        if odd:
                            data[at - 1] |= np.uint16(code) << np.uint16(8)
                            odd = False
                        else:
                            data[at] = code
                            at += 1
                            odd = narrow
                    if mask:
                        data[place] = mask
                        occupied |= 1 << (vector - block)
                        place = at
                data[header] = occupied


@compiled
def _read(data, table, starts, narrow, vectors, problem):
    """Read every strip; at the first problem, write its number, strip and group and stop."""
    for group in range(table.shape[1]):
        for strip in range(starts.shape[0] - 1):
            problem[1], problem[2] = strip, group
            place, end = table[strip, group], table[strip + 1, group]
            if end < place:
                problem[0] = _DESCENDS
                return
            if end > data.shape[0]:
                problem[0] = _BEYOND
                return
            for block in range(starts[strip], starts[strip + 1], VECTOR):
                if place >= end:
                    problem[0] = _LONG
                    return
                occupied = data[place]
                place += 1
                count = min(VECTOR, starts[strip + 1] - block)
                if occupied >> count:
                    problem[0] = _EXTRA
                    return
                for index in range(count):
                    if not occupied >> index & 1:
                        continue
                    if place >= end:
                        problem[0] = _LONG
                        return
                    mask = data[place]
                    place += 1
                    if mask == 0:
                        problem[0] = _EMPTY
                        return
                    odd = False
                    for lane in range(VECTOR):
                        if not mask >> lane & 1:
                            continue
                        if odd:
                            vectors[group, block + index, lane] = data[place - 1] >> 8
                            odd = False
                            continue
                        if place >= end:
                            problem[0] = _LONG
                            return
                        vectors[group, block + index, lane] = data[place] & (
                            0xFF if narrow else 0xFFFF
                        )
                        place += 1
                        odd = narrow
            if place != end:
                problem[0] = _SHORT
                return
