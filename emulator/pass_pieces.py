"""Pieces of operands in memory: tables and strips, taken apart as the hardware must."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from gscn.enums import takes_text
from gscn.pass_errors import PassError
from gscn.passes import HALFWORD_BYTES, TABLE_ENTRY_BYTES, VECTOR
from gscn.system.compiled import compiled


@takes_text
@dataclass(frozen=True, kw_only=True, slots=True)
class Piece:
    """Consecutive strips of a group, as far as they are well formed (int64 vectors)."""

    strip: np.ndarray
    """Of each nonzero: its strip, the first of the piece is 0."""
    position: np.ndarray
    """Its position in the strip."""
    channel: np.ndarray
    """Its channel, from the group's first."""
    code: np.ndarray
    """Its value as stored."""
    strips: int
    """Strips that are whole."""
    halfwords: int
    """Of the piece in memory."""
    error: PassError
    """Why there are not more strips, or `PassError.NONE`."""


class Shape(NamedTuple):
    """Positions of the strips of an operand, which repeat from sample to sample or tile to tile."""

    positions: int
    """Of a strip."""
    last: int
    """Of the last strip of a sample or tile."""
    period: int
    """Strips of a sample or tile."""
    vectors: int
    """Log2 of the vectors of a position."""


class _Nonzeros(NamedTuple):
    """As in `Piece`, with room for more."""

    strip: np.ndarray
    position: np.ndarray
    channel: np.ndarray
    code: np.ndarray


@compiled
def _expand(halfwords, first, count, shape, narrow, found):
    """Take `count` strips apart; return nonzeros, whole strips, and whether all is well.

    The first strip is number `first` of the operand; `narrow` says that values have 8 bits.
    `found` is filled.
    """
    at, used, end = 0, 0, halfwords.size
    for number in range(count):
        last = (first + number) % shape.period == shape.period - 1
        vectors = (shape.last if last else shape.positions) << shape.vectors
        whole = used
        for block in range(0, vectors, VECTOR):
            if at >= end:
                return whole, number, False
            occupied = np.int64(halfwords[at])
            at += 1
            if occupied >> min(VECTOR, vectors - block) != 0:
                return whole, number, False
            for i in range(VECTOR):
                if not occupied >> i & 1:
                    continue
                mask = np.int64(halfwords[at]) if at < end else 0
                at += 1
                lanes = 0
                for lane in range(VECTOR):
                    lanes += mask >> lane & 1
                if lanes == 0 or at + (((lanes + 1) >> 1) if narrow else lanes) > end:
                    return whole, number, False
                vector = block + i
                base = (vector & ((1 << shape.vectors) - 1)) * VECTOR
                taken = 0
                for lane in range(VECTOR):
                    if not mask >> lane & 1:
                        continue
                    found.strip[used] = number
                    found.position[used] = vector >> shape.vectors
                    found.channel[used] = base + lane
                    if narrow:
                        found.code[used] = halfwords[at + (taken >> 1)] >> (8 * (taken & 1)) & 0xFF
                    else:
                        found.code[used] = halfwords[at + taken]
                    used += 1
                    taken += 1
                at += ((lanes + 1) >> 1) if narrow else lanes
    return used, count, at == end


class Operand:
    """One operand of a pass, as it lies in memory.

    Parameters
    ----------
    memory
        uint8: all memory, from address 0.
    data
        Byte address of its strips.
    halfwords
        Their size.
    table
        Byte address of its table.
    columns
        Entries of a row of that.
    shape
        Of its strips.
    narrow
        Whether values have 8 bits.
    """

    def __init__(
        self,
        memory: np.ndarray,
        *,
        data: int,
        halfwords: int,
        table: int,
        columns: int,
        shape: Shape,
        narrow: bool,
    ):
        self._memory, self._data, self._halfwords = memory, data, halfwords
        self._table, self._columns = table, columns
        self._shape, self._narrow = shape, narrow
        self.piece = functools.lru_cache(maxsize=32)(self._piece)

    def _entry(self, row: int, column: int) -> int | None:
        addr = self._table + TABLE_ENTRY_BYTES * (row * self._columns + column)
        content = self._memory[addr : addr + TABLE_ENTRY_BYTES]
        return int(content.view("<u4")[0]) if content.size == TABLE_ENTRY_BYTES else None

    def _piece(self, column: int, first: int, count: int) -> Piece:
        """Return strips `first` to `first + count` of a group."""
        begin, end = self._entry(first, column), self._entry(first + count, column)
        if begin is None or end is None:
            return _failed(PassError.BUS_READ)
        if not begin <= end <= self._halfwords:
            return _failed(PassError.TABLE)
        addr = self._data + HALFWORD_BYTES * begin
        content = self._memory[addr : self._data + HALFWORD_BYTES * end]
        if content.size < HALFWORD_BYTES * (end - begin):
            return _failed(PassError.BUS_READ)
        found = _Nonzeros(*(np.empty(2 * (end - begin), np.int64) for _ in range(4)))
        used, strips, well = _expand(
            content.view("<u2"), first, count, self._shape, self._narrow, found
        )
        strip, position, channel, code = (one[:used].copy() for one in found)
        return Piece(
            strip=strip,
            position=position,
            channel=channel,
            code=code,
            strips=strips,
            halfwords=end - begin,
            error=PassError.NONE if well else PassError.STRIP,
        )


def _failed(error: PassError) -> Piece:
    empty = np.zeros(0, np.int64)
    return Piece(
        strip=empty,
        position=empty,
        channel=empty,
        code=empty,
        strips=0,
        halfwords=0,
        error=error,
    )


def stationary_fibers(piece: Piece, keys: int) -> np.ndarray:
    """Return the number of entries before each key, and behind the last, int64.

    Parameters
    ----------
    piece
        Strips of the stationary operand.
    keys
        From one strip to the next.
    """
    counts = np.bincount(piece.strip * keys + piece.position, minlength=piece.strips * keys)
    return np.concatenate([np.zeros(1, np.int64), np.cumsum(counts)])


def longest_window(
    ends: np.ndarray, samples: int, needed: list[tuple[int, int]]
) -> tuple[int, int]:
    """Return the most entries, and chunks, that any step of a walk needs at a time.

    Parameters
    ----------
    ends
        Entries before each chunk, and behind the last; of all samples, one after the other.
    samples
        In them.
    needed
        First chunk of a sample that a step needs, and one past its last; for each step.
    """
    chunks = (ends.size - 1) // samples
    first, last = (np.array(one, np.int64) for one in zip(*needed, strict=True))
    entries = 0
    for sample in range(samples):
        at = ends[sample * chunks : (sample + 1) * chunks + 1]
        entries = max(entries, int((at[last] - at[first]).max(initial=0)))
    return entries, int((last - first).max(initial=0))
