"""Words of a stream in groups that share their bases, ordered for the balance of the PEs.

Words are ordered so that few rebases are needed: a grid over keys and offsets cuts them into groups
whose codes fit, and within each group they are interleaved for the balance of the PEs.
"""

from __future__ import annotations

import numpy as np

from gscn.errors import InputError
from gscn.lowering.balance import interleave
from gscn.records import CODE_WIDTH
from gscn.streams import TAP_STARTS, PackedStream, pack, require_fields
from gscn.system.compiled import compiled

_REBASE_CYCLES = 4
"""What a rebase costs a cluster, about: two cycles of its broadcast, and its bytes where many
clusters wait for one port."""


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
    if tap_start.size and not 0 <= tap_start.min() <= tap_start.max() < TAP_STARTS:
        raise InputError(
            f"first tap of a streamed word must be 0 to {TAP_STARTS - 1}, "
            f"not {tap_start.min()} to {tap_start.max()}"
        )
    if value.size == 0:
        return PackedStream(
            data=np.zeros(0, dtype=np.uint8), count=0, offset_bits=0, order=np.zeros(0, np.int64)
        )
    require_fields(offset, key)
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
    return pack(
        value, code, order, bounds, key_base + key_low, offset_base + offset_low,
        tap_start[first], chosen,
    )  # fmt: skip
