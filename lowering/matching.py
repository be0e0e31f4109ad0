"""Segments of the passes that produce maps: words meet ranges of a sorted stationary operand.

A key is (channel, column class, row class). The stationary entries of a channel are sorted by the
rank of their row, so that the rows which a word meets inside the tile are a contiguous range: every
row class is a directory entry and costs no stationary memory. Every column class has a copy of the
entries whose columns it meets. With one class per distinct border distance no product falls off the
border.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from gscn.compiled import compiled
from gscn.config import AcceleratorConfig
from lowering.drafts import SINGLE_TAP, PeTile, SegmentDraft, pack_load
from lowering.geometry import Classes, Ranking
from lowering.operands import Nonzeros
from lowering.streams import arrange


@dataclass(slots=True)
class Stationary:
    """Stationary nonzeros sorted by (channel, rank of row); copies per column class are cached."""

    nonzeros: Nonzeros
    plane: np.ndarray
    """Plane of each nonzero's results."""
    code: np.ndarray
    """channel * rows + rank of row, ascending."""
    col_rank: np.ndarray
    rows: int
    _copies: dict[tuple[int, int], tuple[np.ndarray, np.ndarray]] = field(default_factory=dict)

    @classmethod
    def of(cls, nonzeros: Nonzeros, plane: np.ndarray, rows: Ranking, cols: Ranking) -> Stationary:
        """Sort `nonzeros`."""
        code = nonzeros.minor * rows.rank.size + rows.rank[nonzeros.row]
        order = np.argsort(code, kind="stable")
        taken = nonzeros.take(order)
        return cls(taken, plane[order], code[order], cols.rank[taken.col], rows.rank.size)

    def copy(self, first: int, last: int) -> tuple[np.ndarray, np.ndarray]:
        """Find the entries (index, code) whose column's rank lies in `[first, last)`."""
        if (first, last) not in self._copies:
            index = np.flatnonzero((self.col_rank >= first) & (self.col_rank < last))
            self._copies[first, last] = (index, self.code[index])
        return self._copies[first, last]


@dataclass(frozen=True, slots=True)
class WordSet:
    """Streamed words of a region, with their distinct keys."""

    value: np.ndarray
    offset: np.ndarray
    key: np.ndarray
    """Index into the distinct keys, per word."""
    channel: np.ndarray
    col_class: np.ndarray
    row_class: np.ndarray
    """Per distinct key, sorted by (channel, column class, row class)."""
    rows: Classes
    cols: Classes

    @classmethod
    def of(cls, words: Nonzeros, offset: np.ndarray, rows: Classes, cols: Classes) -> WordSet:
        """Collect the words that meet something."""
        row_class, col_class = rows.of[words.row], cols.of[words.col]
        keep = (row_class >= 0) & (col_class >= 0)
        code = (words.minor * cols.count + col_class) * rows.count + row_class
        distinct, key = _distinct(code[keep])
        pair, row = np.divmod(distinct, max(rows.count, 1))
        channel, col = np.divmod(pair, max(cols.count, 1))
        return cls(words.value[keep], offset[keep], key, channel, col, row, rows, cols)


def _distinct(code: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """`np.unique` with inverse; codes are small numbers, so that a table beats sorting."""
    if code.size == 0:
        return code, code
    table = np.zeros(int(code.max()) + 1, dtype=np.int64)
    table[code] = 1
    distinct = np.flatnonzero(table)
    table[distinct] = np.arange(distinct.size)
    return distinct, table[code]


def match(
    config: AcceleratorConfig,
    held: list[Stationary],
    offsets: list[np.ndarray],
    words: WordSet,
    *,
    reorder: bool,
    ramp: bool,
) -> list[SegmentDraft]:
    """Build the segments in which `words` are streamed past what each PE holds.

    Parameters
    ----------
    config
        Sizes.
    held
        Stationary operand of each PE.
    offsets
        Accumulator offset of every entry of `held`.
    words
        Streamed operand.
    reorder
        Order the stream for balance.
    ramp
        Start with small segments, so that computing begins soon after the first load.
    """
    pes, keys = len(held), words.channel.size
    start = np.zeros((pes, keys), dtype=np.int64)
    length = np.zeros((pes, keys), dtype=np.int64)
    entries = []
    for pe, stationary in enumerate(held):
        base, copies = 0, []
        for col in range(words.cols.count):
            index, codes = stationary.copy(
                int(words.cols.first[pe, col]), int(words.cols.last[pe, col])
            )
            used = np.flatnonzero(words.col_class == col)
            row = words.row_class[used]
            channel_code = words.channel[used] * stationary.rows
            low = np.searchsorted(codes, channel_code + words.rows.first[pe, row])
            high = np.searchsorted(codes, channel_code + words.rows.last[pe, row])
            start[pe, used], length[pe, used] = low + base, high - low
            base += index.size
            copies.append(index)
        entries.append(np.concatenate(copies) if copies else np.zeros(0, dtype=np.int64))
    kept = length.any(axis=0)
    start, length = start[:, kept], length[:, kept]
    renumber = np.cumsum(kept) - 1
    word_kept = kept[words.key]
    key = renumber[words.key[word_kept]]
    value, offset = words.value[word_kept], words.offset[word_kept]
    atom = _runs(words.channel[kept] * max(words.cols.count, 1) + words.col_class[kept])
    low, high = _atom_ranges(start, length, atom)
    groups = _split(atom, high - low, config.a_depth, config.directory_depth, ramp)
    by_key = np.argsort(key, kind="stable")
    sorted_key = key[by_key]
    drafts = []
    for first, last, chunk_count in groups:
        begin, end = np.searchsorted(sorted_key, (first, last))
        # Ascending indices: the words keep the order of the map, in which channels alternate.
        group_words = np.sort(by_key[begin:end])
        for chunk in range(chunk_count):
            tiles = []
            lengths = np.zeros((pes, last - first), dtype=np.int64)
            for pe in range(pes):
                fiber_start, fiber_length, index = _pe_tile(
                    start[pe, first:last],
                    length[pe, first:last],
                    atom[first:last],
                    low[pe],
                    high[pe],
                    chunk * config.a_depth if chunk_count > 1 else 0,
                    config.a_depth,
                )
                index = entries[pe][index]
                tiles.append(
                    PeTile(
                        start=fiber_start,
                        length=fiber_length,
                        value=held[pe].nonzeros.value[index],
                        offset=offsets[pe][index],
                    )
                )
                lengths[pe] = fiber_length
            local = key[group_words] - first
            hit = lengths.any(axis=0)[local]
            chosen, local = group_words[hit], local[hit]
            drafts.append(
                SegmentDraft(
                    load=pack_load(SINGLE_TAP, tiles),
                    tap_count=1,
                    stream=arrange(
                        value[chosen],
                        offset[chosen],
                        local,
                        np.zeros_like(local),
                        (lengths, local) if reorder else None,
                    ),
                    products=lengths[:, local].sum(axis=1),
                    lookups=local.size,
                )
            )
    return drafts


def _runs(labels: np.ndarray) -> np.ndarray:
    """Label runs of equal neighbours from 0."""
    if labels.size == 0:
        return labels
    return np.concatenate([[0], np.cumsum(np.diff(labels) != 0)])


def _atom_ranges(
    start: np.ndarray, length: np.ndarray, atom: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Range of entries (low, high), each int64 (pes, atoms), that an atom's keys use."""
    pes = start.shape[0]
    if atom.size == 0:
        return np.zeros((pes, 0), dtype=np.int64), np.zeros((pes, 0), dtype=np.int64)
    heads = np.flatnonzero(np.diff(atom, prepend=-1))
    far = np.iinfo(np.int64).max
    low = np.minimum.reduceat(np.where(length > 0, start, far), heads, axis=1)
    high = np.maximum.reduceat(np.where(length > 0, start + length, 0), heads, axis=1)
    empty = high == 0
    return np.where(empty, 0, low), np.where(empty, 0, high)


FIRST_CHUNKS = 48
"""Load of the first segment aimed at; the next ones may each be four times as large."""


def _split(
    atom: np.ndarray, entries: np.ndarray, a_depth: int, directory_depth: int, ramp: bool
) -> list[tuple[int, int, int]]:
    """Cut the keys into segments that fit a PE.

    An atom (one channel and column class) is kept whole if it fits; one with too many keys is cut
    by keys, one with too many entries is streamed once for each `a_depth` of its entries.

    Returns
    -------
    list[tuple[int, int, int]]
        (first key, last key + 1, number of chunks of entries) of each group.
    """
    bounds = np.searchsorted(atom, np.arange(entries.shape[1] + 1))
    groups, first, held, limit = [], 0, np.zeros(entries.shape[0], dtype=np.int64), 1 << 60
    if ramp:
        limit = FIRST_CHUNKS
    for i in range(entries.shape[1]):
        begin, end = int(bounds[i]), int(bounds[i + 1])
        size = entries[:, i]
        chunks = max(1, -(-int(size.max()) // a_depth))
        if chunks > 1 or end - begin > directory_depth:
            if first < begin:
                groups.append((first, begin, 1))
            groups += [
                (low, min(low + directory_depth, end), chunks)
                for low in range(begin, end, directory_depth)
            ]
            first, held = end, np.zeros_like(held)
            continue
        cost = int((held + size).sum() + (end - first) * size.size) // 2
        full = (held + size).max() > a_depth or end - first > directory_depth or cost > limit
        if full and first < begin:
            groups.append((first, begin, 1))
            limit *= 4
            first, held = begin, np.zeros_like(held)
        held = held + size
    if first < atom.size:
        groups.append((first, int(atom.size), 1))
    return groups


@compiled
def _pe_tile(
    start: np.ndarray,
    length: np.ndarray,
    atom: np.ndarray,
    low: np.ndarray,
    high: np.ndarray,
    skip: int,
    depth: int,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Directory (start, length) of a segment's keys and the entries (indices) it holds.

    Of each atom the entries from `skip` on, at most `depth` of them, are held.
    """
    count = atom.size
    fiber_start = np.zeros(count, dtype=np.int64)
    fiber_length = np.zeros(count, dtype=np.int64)
    total = 0
    for i in range(count):
        if i == 0 or atom[i] != atom[i - 1]:
            total += max(0, min(high[atom[i]], low[atom[i]] + skip + depth) - low[atom[i]] - skip)
    index = np.empty(total, dtype=np.int64)
    used = 0
    base = 0
    for i in range(count):
        begin = low[atom[i]] + skip
        end = min(high[atom[i]], begin + depth)
        if i == 0 or atom[i] != atom[i - 1]:
            base = used
            for entry in range(begin, end):
                index[used] = entry
                used += 1
        first = max(start[i], begin)
        last = min(start[i] + length[i], end)
        if last > first:
            fiber_start[i] = first - begin + base
            fiber_length[i] = last - first
    return fiber_start, fiber_length, index
