"""Segments of the passes that produce maps: words meet ranges of a sorted stationary operand.

A key is (channel, column class, row class). The stationary entries of a channel are sorted by the
ranks of their row and column, so that the rows which a word meets inside the tile are a contiguous
range: every row class is a directory entry and costs no stationary memory. With one class per
distinct border distance no product falls off the border.

Columns at a border meet part of each row only. Either such a column class has a copy of the entries
that it meets, or a key for each row of the stationary operand, and its words look up one row after
the other.
"""

# Long: as it is until lowering is rewritten for streams that the chip cuts itself.

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from gscn.config import AcceleratorConfig
from gscn.lowering.drafts import PeTile, SegmentDraft, pack_load, pack_taps
from gscn.lowering.geometry import Classes, Ranking
from gscn.lowering.operands import Nonzeros
from gscn.lowering.stream_groups import arrange
from gscn.system.compiled import compiled


@dataclass(slots=True)
class Stationary:
    """Stationary nonzeros sorted by (channel, rank of row, rank of column); copies are cached."""

    nonzeros: Nonzeros
    plane: np.ndarray
    """Plane of each nonzero's results."""
    code: np.ndarray
    """(channel * rows + rank of row) * columns + rank of column, ascending."""
    col_rank: np.ndarray
    rows: int
    cols: int
    _copies: dict[tuple[int, int], tuple[np.ndarray, np.ndarray]] = field(default_factory=dict)

    @classmethod
    def of(cls, nonzeros: Nonzeros, plane: np.ndarray, rows: Ranking, cols: Ranking) -> Stationary:
        """Sort `nonzeros`."""
        code = nonzeros.minor * rows.rank.size + rows.rank[nonzeros.row]
        code = code * cols.rank.size + cols.rank[nonzeros.col]
        order = np.argsort(code, kind="stable")
        taken = nonzeros.take(order)
        return cls(
            taken, plane[order], code[order], cols.rank[taken.col], rows.rank.size, cols.rank.size
        )

    def copy(self, first: int, last: int) -> tuple[np.ndarray, np.ndarray]:
        """Find the entries (index, code) whose column's rank lies in `[first, last)`."""
        if (first, last) not in self._copies:
            index = np.flatnonzero((self.col_rank >= first) & (self.col_rank < last))
            self._copies[first, last] = (index, self.code[index])
        return self._copies[first, last]


@dataclass(frozen=True, slots=True)
class KeyLayout:
    """The keys of one channel: which rows and columns of the stationary operand each stands for.

    A column class is either whole, with a key per row class, or cut: part of a whole class, with a
    key per stationary row. Words of a cut class list a tap for each row that they meet.
    """

    rows: Classes
    cols: Classes
    whole: np.ndarray
    """Per key: the whole column class of which the entries are held."""
    group: np.ndarray
    """Per key: keys that taps reach from the same word have equal numbers."""
    row_first: np.ndarray
    row_last: np.ndarray
    col_first: np.ndarray
    col_last: np.ndarray
    """Ranks of rows and columns (pes, keys)."""
    base: np.ndarray
    """First key of each column class."""
    cut: np.ndarray
    """Whether each column class is cut."""
    taps: np.ndarray
    """uint8: packed; list 0 changes nothing, list i + 1 is that of row class i in a cut class."""
    tap_start: np.ndarray
    tap_low: np.ndarray
    tap_high: np.ndarray
    """Per list: its first tap, and the key deltas of its taps (first, last + 1)."""

    @property
    def count(self) -> int:
        """Keys of a channel."""
        return self.whole.size

    @property
    def tap_count(self) -> int:
        """Taps of all lists."""
        return int(self.tap_start[-1] + self.tap_high[-1] - self.tap_low[-1])

    @classmethod
    def of(
        cls, rows: Classes, cols: Classes, kernel_rows: int | None, config: AcceleratorConfig
    ) -> KeyLayout:
        """Lay out keys.

        Column classes are cut if the rows to list, `kernel_rows`, are given and taps and keys fit;
        all PEs must then have the same classes.
        """
        wholes = _containing(cols)
        shared = int(np.bincount(wholes, minlength=1).max(initial=1)) - 1
        if (
            kernel_rows is None
            or 1 + int((rows.last[0] - rows.first[0]).sum()) > config.taps_depth
            or rows.count + kernel_rows * shared > config.directory_depth
        ):
            wholes = np.arange(cols.count)
        order = np.lexsort((np.arange(cols.count) != wholes, wholes))
        cut = wholes != np.arange(cols.count)
        whole, group, ranges, base = [], [], [], np.zeros(cols.count, dtype=np.int64)
        size = 0
        pes = rows.first.shape[0]
        for col in order:
            count = kernel_rows if cut[col] and kernel_rows else rows.count
            base[col] = size
            whole.append(np.full(count, wholes[col]))
            group.append(np.full(count, size) if cut[col] else size + np.arange(count))
            each = np.tile(np.arange(count), (pes, 1))
            row_first, row_last = (each, each + 1) if cut[col] else (rows.first, rows.last)
            columns = (np.repeat(edge[:, [col]], count, axis=1) for edge in (cols.first, cols.last))
            ranges.append((row_first, row_last, *columns))
            size += count
        if not ranges:
            ranges.append((np.zeros((pes, 0), dtype=np.int64),) * 4)
            whole, group = [np.zeros(0, dtype=np.int64)], [np.zeros(0, dtype=np.int64)]
        low, high = np.zeros(1, dtype=np.int64), np.ones(1, dtype=np.int64)
        if cut.any():
            low, high = np.append(low, rows.first[0]), np.append(high, rows.last[0])
        lengths = high - low
        start = np.cumsum(lengths) - lengths
        delta = np.concatenate([np.arange(a, b) for a, b in zip(low, high, strict=True)])
        ends = np.zeros(delta.size, dtype=np.int64)
        ends[start + lengths - 1] = 1
        return cls(
            rows,
            cols,
            np.concatenate(whole),
            np.concatenate(group),
            *(np.concatenate(edges, axis=1) for edges in zip(*ranges, strict=True)),
            base,
            cut,
            pack_taps(delta, np.zeros_like(delta), ends),
            start,
            low,
            high,
        )


def _containing(cols: Classes) -> np.ndarray:
    """For each column class the widest class whose ranks include its own."""
    first, last = cols.first[0], cols.last[0]
    inside = (first[:, None] >= first) & (last[:, None] <= last)
    return np.argmax(np.where(inside, (last - first)[None, :] + 1, 0), axis=1)


@dataclass(frozen=True, slots=True)
class WordSet:
    """Streamed words of a region that meet something, with the codes of their keys."""

    value: np.ndarray
    offset: np.ndarray
    code: np.ndarray
    """channel * keys of a channel + key within it."""
    taps: np.ndarray
    """Number of each word's list of taps."""
    kernel_rows: int
    """Keys from a word's own on that its list may reach, if that is not list 0."""

    @classmethod
    def of(
        cls,
        words: Nonzeros,
        offset: np.ndarray,
        row_of: np.ndarray,
        col_of: np.ndarray,
        layout: KeyLayout,
        kernel_rows: int,
    ) -> WordSet:
        """Collect the words that meet something, given the class of each row and column."""
        row_class, col_class = row_of[words.row], col_of[words.col]
        keep = (row_class >= 0) & (col_class >= 0)
        row_class, col_class = row_class[keep], col_class[keep]
        cut = layout.cut[col_class]
        code = words.minor[keep] * layout.count + layout.base[col_class]
        return cls(
            words.value[keep],
            offset[keep],
            code + np.where(cut, 0, row_class),
            np.where(cut, row_class + 1, 0),
            kernel_rows,
        )


def distinct_codes(sets: list[WordSet]) -> np.ndarray:
    """Return the codes that occur in any of the sets, and that their taps may reach, ascending."""
    size = max((int(s.code.max(initial=-1)) + s.kernel_rows for s in sets), default=0)
    table = np.zeros(max(size, 0), dtype=bool)
    for words in sets:
        table[words.code] = True
        reaching = np.unique(words.code[words.taps > 0])
        for row in range(1, words.kernel_rows):
            table[reaching + row] = True
    return np.flatnonzero(table)


@dataclass(frozen=True, slots=True)
class _Block:
    """One load block: what each PE holds in a segment."""

    first: int
    last: int
    """Keys held: numbers in the tile, from `first` to `last - 1`."""
    load: np.ndarray
    """uint8."""
    lengths: np.ndarray
    """int64 (pes, keys) lengths of the fibers."""


@dataclass(frozen=True, slots=True)
class HeldTile:
    """Load blocks of one tile; the same blocks serve every set of words."""

    number: np.ndarray
    """Number of the key of each code, -1 if no PE holds anything under it."""
    blocks: list[_Block]
    layout: KeyLayout

    def products(self, words: WordSet) -> np.ndarray:
        """Count the products (pes,) that a set of words makes."""
        number = self.number[words.code]
        total = np.zeros(1, dtype=np.int64)
        for block in self.blocks:
            inside = (number >= block.first) & (number < block.last)
            total = total + self.count(block, number[inside], words.taps[inside]).sum(axis=1)
        return total

    def count(self, block: _Block, number: np.ndarray, taps: np.ndarray) -> np.ndarray:
        """Count the products (pes, words) of words of the keys `number` in one block."""
        before = np.zeros((block.lengths.shape[0], block.lengths.shape[1] + 1), dtype=np.int64)
        np.cumsum(block.lengths, axis=1, out=before[:, 1:])
        first = number - block.first
        low, high = first + self.layout.tap_low[taps], first + self.layout.tap_high[taps]
        return before[:, high] - before[:, low]


def hold(
    config: AcceleratorConfig,
    held: list[Stationary],
    offsets: list[np.ndarray],
    codes: np.ndarray,
    layout: KeyLayout,
    *,
    ramp: bool,
) -> HeldTile:
    """Build the load blocks of a tile, from nothing but what the PEs hold and the keys wanted.

    Parameters
    ----------
    config
        Sizes.
    held
        Stationary operand of each PE.
    offsets
        Accumulator offset of every entry of `held`.
    codes
        Codes of the keys (`distinct_codes`), ascending.
    layout
        What the codes mean.
    ramp
        Start with small segments, so that computing begins soon after the first load.
    """
    # Long: as it is until lowering is rewritten for streams that the chip cuts itself.
    channel, position = np.divmod(codes, max(layout.count, 1))
    whole = layout.whole[position]
    pes, keys = len(held), codes.size
    start = np.zeros((pes, keys), dtype=np.int64)
    length = np.zeros((pes, keys), dtype=np.int64)
    entries = []
    for pe, stationary in enumerate(held):
        base, copies = 0, []
        for col in np.unique(whole):
            index, sorted_codes = stationary.copy(
                int(layout.cols.first[pe, col]), int(layout.cols.last[pe, col])
            )
            used = np.flatnonzero(whole == col)
            at = position[used]
            first_row = channel[used] * stationary.rows + layout.row_first[pe, at]
            last_row = channel[used] * stationary.rows + layout.row_last[pe, at] - 1
            low = np.searchsorted(
                sorted_codes, first_row * stationary.cols + layout.col_first[pe, at]
            )
            high = np.searchsorted(
                sorted_codes, last_row * stationary.cols + layout.col_last[pe, at]
            )
            start[pe, used], length[pe, used] = low + base, np.maximum(high - low, 0)
            base += index.size
            copies.append(index)
        entries.append(np.concatenate(copies) if copies else np.zeros(0, dtype=np.int64))
    # Keys that one word's taps reach stay next to each other.
    together = channel * max(layout.count, 1) + layout.group[position]
    useful = np.zeros(int(together.max(initial=-1)) + 1, dtype=bool)
    useful[together[length.any(axis=0)]] = True
    kept = useful[together]
    start, length = start[:, kept], length[:, kept]
    number = np.full(int(codes.max(initial=-1)) + 1, -1, dtype=np.int64)
    number[codes[kept]] = np.arange(int(kept.sum()))
    atom = _runs(channel[kept] * max(layout.cols.count, 1) + whole[kept])
    low, high = _atom_ranges(start, length, atom)
    groups = _split(atom, high - low, config.a_depth, config.directory_depth, ramp)
    blocks = []
    for first, last, chunk_count in groups:
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
            blocks.append(_Block(first, last, pack_load(layout.taps, tiles), lengths))
    return HeldTile(number, blocks, layout)


def match(tile: HeldTile, words: WordSet, *, reorder: bool) -> list[SegmentDraft]:
    """Build the segments in which `words` are streamed past a tile.

    Parameters
    ----------
    tile
        What the PEs hold.
    words
        Streamed operand; all its codes are among those of the tile.
    reorder
        Order the stream for balance.
    """
    number = tile.number[words.code]
    word_kept = np.flatnonzero(number >= 0)
    key, taps = number[word_kept], words.taps[word_kept]
    value, offset = words.value[word_kept], words.offset[word_kept]
    by_key = np.argsort(key, kind="stable")
    sorted_key = key[by_key]
    layout = tile.layout
    drafts = []
    for block in tile.blocks:
        begin, end = np.searchsorted(sorted_key, (block.first, block.last))
        # Ascending indices: the words keep the order of the map, in which channels alternate.
        chosen = np.sort(by_key[begin:end])
        products = tile.count(block, key[chosen], taps[chosen])
        hit = products.any(axis=0)
        chosen, products = chosen[hit], np.ascontiguousarray(products[:, hit])
        if chosen.size == 0:
            continue
        lists = taps[chosen]
        drafts.append(
            SegmentDraft(
                load=block.load,
                tap_count=layout.tap_count,
                stream=arrange(
                    value[chosen],
                    offset[chosen],
                    key[chosen] - block.first,
                    layout.tap_start[lists],
                    (products, np.arange(chosen.size)) if reorder else None,
                ),
                products=products.sum(axis=1),
                lookups=int((layout.tap_high[lists] - layout.tap_low[lists]).sum()),
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


GROWTH = 4
"""How many times longer each load of the first job's may be than the one before."""
FIRST_CHUNKS = 48
"""Load of the first segment aimed at; the next ones grow from there."""


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
            limit = round(limit * GROWTH)
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
