"""Streams of 32-bit items: words whose codes are relative to bases, packed and expanded.

A word's code holds offset and key relative to bases that the stream sets
(docs/contract/execution.md).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gscn.errors import InputError
from gscn.records import CODE_WIDTH, STREAM_BASES, STREAM_ITEM
from gscn.system.compiled import compiled

ITEM_BYTES = STREAM_ITEM.width // 8
_CHUNK_ITEMS = 2
REBASE_ITEMS = 2
"""Items of a rebase: a first tap, then bases."""
TAP_STARTS = 256
"""First taps that a rebase can set."""


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


def require_fields(offset: np.ndarray, key: np.ndarray) -> None:
    """Refuse offsets or keys of more than 16 bits.

    Raises
    ------
    InputError
        Naming the field and the range of its numbers.
    """
    limit = np.iinfo(np.int16)
    for name, vector in (("offset", offset), ("key", key)):
        if vector.size and (vector.min() < limit.min or vector.max() > limit.max):
            raise InputError(
                f"{name} of a streamed word must lie in [{limit.min}, {limit.max}], "
                f"not [{vector.min()}, {vector.max()}]"
            )


def pack(
    value: np.ndarray,
    code: np.ndarray,
    order: np.ndarray,
    bounds: np.ndarray,
    key_base: np.ndarray,
    offset_base: np.ndarray,
    tap_start: np.ndarray,
    offset_bits: int,
) -> PackedStream:
    """Pack groups of words, each behind its rebase; the first needs none if its bases are zero.

    Parameters
    ----------
    value, code, order
        int64 (words,): values and codes of the words, and their numbers group by group.
    bounds
        int64 (groups + 1,): where each group begins in `order`.
    key_base, offset_base, tap_start
        int64 (groups,): what each rebase sets.
    offset_bits
        Low bits of a code that hold the offset.
    """
    skipped = 0 if key_base[0] or offset_base[0] or tap_start[0] else REBASE_ITEMS
    groups = bounds.size - 1
    count = order.size + REBASE_ITEMS * groups - skipped
    items = np.zeros(-(-count // _CHUNK_ITEMS) * _CHUNK_ITEMS, dtype=STREAM_ITEM.dtype)
    group = np.repeat(np.arange(1, groups + 1), np.diff(bounds))
    items[np.arange(order.size) + REBASE_ITEMS * group - skipped] = STREAM_ITEM.pack(
        value=value[order], code=code[order]
    )
    rebase = (bounds[:-1] + REBASE_ITEMS * np.arange(groups) - skipped)[skipped > 0 :]
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
    if highest >= TAP_STARTS:
        raise InputError(f"first tap of a rebase must be below {TAP_STARTS}, not {highest}")
    is_word = words[:, 3] >= 0
    require_fields(words[is_word, 1], words[is_word, 2])
    return words
