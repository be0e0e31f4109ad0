"""Streams of 32-bit items: words in groups that share their bases, and their expansion.

A word's code holds offset and key relative to bases that the stream sets (docs/execution.md). Words
are ordered so that few rebases are needed: a grid over keys and offsets cuts them into groups whose
codes fit, and within each group they are interleaved for the balance of the PEs.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gscn.compiled import compiled
from gscn.errors import InputError
from gscn.records import CODE_WIDTH, STREAM_BASES, STREAM_ITEM
from lowering.balance import interleave

ITEM_BYTES = STREAM_ITEM.width // 8
_CHUNK_ITEMS = 2
_REBASE_ITEMS = 2
_TAP_STARTS = 256
_REBASE_CYCLES = 4
"""What a rebase costs a cluster, about: two cycles of its broadcast, and its bytes where many
clusters wait for one port."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PackedStream:
    """The stream of one MAC segment."""

    data: np.ndarray
    """uint8: the items, padded to whole chunks."""
    count: int
    """Items, two for each rebase included."""
    offset_bits: int
    """Low bits of a code that hold the offset."""
    order: np.ndarray
    """int64: numbers of the words in the order in which they are streamed."""


def _require_fields(offset: np.ndarray, key: np.ndarray) -> None:
    """Refuse offsets or keys of more than 16 bits."""
    limit = np.iinfo(np.int16)
    for name, vector in (("offset", offset), ("key", key)):
        if vector.size and (vector.min() < limit.min or vector.max() > limit.max):
            raise InputError(
                f"{name} of a streamed word must lie in [{limit.min}, {limit.max}], "
                f"not [{vector.min()}, {vector.max()}]"
            )


def _bits(low: int, high: int) -> tuple[int, int]:
    """Return (base, bits) for numbers from `low` to `high`; the base is 0 where that is free."""
    bits = (high - low).bit_length()
    return (0, bits) if low >= 0 and high.bit_length() == bits else (low, bits)


@compiled
def _cells(
    offset: np.ndarray,
    key: np.ndarray,
    tap_start: np.ndarray,
    offset_bits: int,
    lengths: np.ndarray,
    kind: np.ndarray,
    cell: np.ndarray,
) -> tuple[int, int]:
    """Write the number of each word's cell into `cell`; return the grid's cost and its cells.

    The cost is in cycles: the PEs of a cluster take every group together, and rebases take time.
    """
    key_bits = CODE_WIDTH - offset_bits
    columns = rows = taps = 1
    for i in range(key.size):
        columns = max(columns, (key[i] >> key_bits) + 1)
        rows = max(rows, (offset[i] >> offset_bits) + 1)
        taps = max(taps, tap_start[i] + 1)
    cells = taps * columns * rows
    pes = lengths.shape[0]
    used = np.zeros(cells, dtype=np.bool_)
    products = np.zeros((cells, pes), dtype=np.int64)
    cost = 0
    for i in range(key.size):
        column, row = key[i] >> key_bits, offset[i] >> offset_bits
        cell[i] = (tap_start[i] * columns + column) * rows + row
        if not used[cell[i]]:
            used[cell[i]] = True
            cost += _REBASE_CYCLES
        for pe in range(pes):
            products[cell[i], pe] += lengths[pe, kind[i]]
    for number in range(cells):
        if used[number]:
            cost += products[number].max()
    return cost, cells


@compiled
def _by_group(cell: np.ndarray, cells: int) -> tuple[np.ndarray, np.ndarray]:
    """Sort words by cell, stably; return (words, bounds of the groups)."""
    start = np.zeros(cells + 1, dtype=np.int64)
    for i in range(cell.size):
        start[cell[i] + 1] += 1
    groups = 0
    for number in range(cells):
        groups += start[number + 1] > 0
        start[number + 1] += start[number]
    bounds = np.zeros(groups + 1, dtype=np.int64)
    group = 0
    for number in range(cells):
        if start[number + 1] > start[number]:
            group += 1
            bounds[group] = start[number + 1]
    order = np.empty(cell.size, dtype=np.int64)
    for i in range(cell.size):
        order[start[cell[i]]] = i
        start[cell[i]] += 1
    return order, bounds


@compiled
def _interleave_groups(
    lengths: np.ndarray, kind: np.ndarray, order: np.ndarray, bounds: np.ndarray
) -> None:
    """Reorder each group for the balance of the PEs, in place."""
    for group in range(bounds.size - 1):
        part = order[bounds[group] : bounds[group + 1]].copy()
        order[bounds[group] : bounds[group + 1]] = part[interleave(lengths, kind[part])]


def arrange(
    value: np.ndarray,
    offset: np.ndarray,
    key: np.ndarray,
    tap_start: np.ndarray,
    balance: tuple[np.ndarray, np.ndarray] | None = None,
) -> PackedStream:
    """Order the words of a segment and pack them as items.

    Parameters
    ----------
    value, offset, key, tap_start
        int64 (words,): the streamed words; no value is 0.
    balance
        int64 (pes, kinds) products of each PE with a word of each kind, and int64 (words,) the kind
        of each word: words of a group are ordered for balance. None keeps their order.

    Returns
    -------
    PackedStream
        In the groups of the grid over keys and offsets that costs the fewest cycles, by the number
        of groups and the balance of the PEs in each.

    Raises
    ------
    InputError
        A value is 0, or a number does not fit its field.
    """
    if not value.all():
        raise InputError("value of a streamed word must be nonzero, not 0")
    if tap_start.size and not 0 <= tap_start.min() <= tap_start.max() < _TAP_STARTS:
        raise InputError(
            f"first tap of a streamed word must be 0 to {_TAP_STARTS - 1}, "
            f"not {tap_start.min()} to {tap_start.max()}"
        )
    if value.size == 0:
        return PackedStream(
            data=np.zeros(0, dtype=np.uint8), count=0, offset_bits=0, order=np.zeros(0, np.int64)
        )
    _require_fields(offset, key)
    key_low, key_bits = _bits(int(key.min()), int(key.max()))
    offset_low, offset_bits = _bits(int(offset.min()), int(offset.max()))
    near_key, near_offset = key - key_low, offset - offset_low
    tap_start = np.ascontiguousarray(tap_start, dtype=np.int64)
    lengths, kind = (np.zeros((1, 1), np.int64), np.zeros_like(tap_start))
    if balance is not None:
        lengths, kind = balance
    cell = np.empty(value.size, dtype=np.int64)
    lowest, cells, chosen, best = None, 0, 0, cell
    for bits in range(min(CODE_WIDTH - key_bits, offset_bits), offset_bits + 1):
        cost, total = _cells(near_offset, near_key, tap_start, bits, lengths, kind, cell)
        if lowest is None or cost < lowest:
            lowest, cells, chosen, best = cost, total, bits, cell.copy()
    order, bounds = _by_group(best, cells)
    if balance is not None:
        _interleave_groups(lengths, kind, order, bounds)
    first = order[bounds[:-1]]
    key_base = near_key[first] >> (CODE_WIDTH - chosen) << (CODE_WIDTH - chosen)
    offset_base = near_offset[first] >> chosen << chosen
    code = near_offset & ((1 << chosen) - 1)
    code |= (near_key & ((1 << (CODE_WIDTH - chosen)) - 1)) << chosen
    return _pack(
        value, code, order, bounds, key_base + key_low, offset_base + offset_low,
        tap_start[first], chosen,
    )  # fmt: skip


def _pack(
    value: np.ndarray,
    code: np.ndarray,
    order: np.ndarray,
    bounds: np.ndarray,
    key_base: np.ndarray,
    offset_base: np.ndarray,
    tap_start: np.ndarray,
    offset_bits: int,
) -> PackedStream:
    """Pack groups of words, each behind its rebase; the first needs none if its bases are zero."""
    skipped = 0 if key_base[0] or offset_base[0] or tap_start[0] else _REBASE_ITEMS
    groups = bounds.size - 1
    count = order.size + _REBASE_ITEMS * groups - skipped
    items = np.zeros(-(-count // _CHUNK_ITEMS) * _CHUNK_ITEMS, dtype=STREAM_ITEM.dtype)
    group = np.repeat(np.arange(1, groups + 1), np.diff(bounds))
    items[np.arange(order.size) + _REBASE_ITEMS * group - skipped] = STREAM_ITEM.pack(
        value=value[order], code=code[order]
    )
    rebase = (bounds[:-1] + _REBASE_ITEMS * np.arange(groups) - skipped)[skipped > 0 :]
    items["code"][rebase] = tap_start[skipped > 0 :]
    items.view(STREAM_BASES.dtype)[rebase + 1] = STREAM_BASES.pack(
        groups, key_base=key_base, offset_base=offset_base
    )[skipped > 0 :]
    return PackedStream(
        data=items.view(np.uint8), count=count, offset_bits=offset_bits, order=order
    )


@compiled
def _expand(
    value: np.ndarray, code: np.ndarray, offset_bits: int, words: np.ndarray
) -> tuple[int, int]:
    """Fill `words`; return the highest first tap, and whether a rebase lacks its second half."""
    key_base = offset_base = tap_start = highest = 0
    rebases = False
    mask = (1 << offset_bits) - 1
    for i in range(value.size):
        words[i, 0] = 0
        words[i, 3] = -1
        if rebases:
            rebases = False
            key_base = np.int64(value[i])
            offset_base = np.int64(np.int16(code[i]))
        elif value[i] == 0:
            rebases = True
            tap_start = np.int64(code[i])
            highest = max(highest, tap_start)
        else:
            words[i, 0] = value[i]
            words[i, 3] = tap_start
        words[i, 1] = offset_base + (code[i] & mask)
        words[i, 2] = key_base + (code[i] >> offset_bits)
    return highest, rebases


def expand(stream: np.ndarray, offset_bits: int) -> np.ndarray:
    """Expand the items of a MAC stream.

    Parameters
    ----------
    stream
        uint8: the items, without padding.
    offset_bits
        As in the segment's descriptor.

    Returns
    -------
    numpy.ndarray
        int64 (items, 4): value, offset, key and first tap of each word; the rows of a rebase's two
        items have value 0 and first tap -1.

    Raises
    ------
    InputError
        `offset_bits` is out of range, a rebase has no second half or a first tap of more than 8
        bits, or an offset or key leaves its 16 bits.
    """
    if not 0 <= offset_bits <= CODE_WIDTH:
        raise InputError(f"offset_bits must be 0 to {CODE_WIDTH}, not {offset_bits}")
    items = STREAM_ITEM.unpack(stream)
    words = np.empty((items.size, 4), dtype=np.int64)
    highest, open_rebase = _expand(
        np.ascontiguousarray(items["value"]),
        np.ascontiguousarray(items["code"]),
        offset_bits,
        words,
    )
    if open_rebase:
        raise InputError("last item of a stream must be a word or bases, not a first tap")
    if highest >= _TAP_STARTS:
        raise InputError(f"first tap of a rebase must be below {_TAP_STARTS}, not {highest}")
    is_word = words[:, 3] >= 0
    _require_fields(words[is_word, 1], words[is_word, 2])
    return words
