"""Compiled loops over the vectors of an outer-product array: anticipation and the crossbar.

Image and kernel nonzeros come sorted into groups, `starts[group]` to `starts[group + 1]`; a group
of the image is (sample, tile, channel, phase), one of the kernel (result-channel group, channel,
phase), each in that order. The functions here call nothing of other modules.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from gscn.system.compiled import compiled

ACCUMULATOR_BANKS = 32
"""Accumulator banks of a PE, twice the products of a cycle."""


class Held(NamedTuple):
    """Nonzeros of the image, sorted into groups."""

    starts: np.ndarray
    row_shifts: np.ndarray
    column_shifts: np.ndarray


class Streamed(NamedTuple):
    """Nonzeros of the kernel, sorted into groups, then by row, column and plane."""

    starts: np.ndarray
    planes: np.ndarray
    rows: np.ndarray
    columns: np.ndarray
    row_shifts: np.ndarray
    column_shifts: np.ndarray


class Ranges(NamedTuple):
    """Which coordinates of the kernel a shift of the image can meet.

    `rows` has, for each shift of an image row from `first_row[0]` on, the first kernel row that it
    can meet and the one after the last, as two rows; likewise `columns`. Both rise with the shift.
    """

    rows: np.ndarray
    columns: np.ndarray
    first_row: np.ndarray
    first_column: np.ndarray


class Sizes(NamedTuple):
    """How many there are of each part of a group's number."""

    samples: int
    tiles: int
    channels: int
    phases: int


class Sending(NamedTuple):
    """How products are sent to their banks, and which of them."""

    vector: int
    """Nonzeros of a vector."""
    queue: int
    """Products that may wait at each bank."""
    anticipates: bool
    """Whether kernel nonzeros out of range are not multiplied."""
    every: int
    """Of so many image vectors one is looked at,"""
    block: int
    """with so many kernel vectors, at most."""


@compiled
def in_range(ranges, row_shifts, column_shifts, low, high):
    """Bound the kernel coordinates that the image entries `low` to `high` can meet."""
    row_low, row_high = row_shifts[low], row_shifts[low]
    column_low, column_high = column_shifts[low], column_shifts[low]
    for entry in range(low + 1, high):
        row_low, row_high = min(row_low, row_shifts[entry]), max(row_high, row_shifts[entry])
        column_low = min(column_low, column_shifts[entry])
        column_high = max(column_high, column_shifts[entry])
    return (
        ranges.rows[0, row_low - ranges.first_row[0]],
        ranges.rows[1, row_high - ranges.first_row[0]],
        ranges.columns[0, column_low - ranges.first_column[0]],
        ranges.columns[1, column_high - ranges.first_column[0]],
    )


@compiled
def anticipated_cycles(held, ranges, counts, sizes, vector, scan, stall):
    """Return cycles (sample, tile, group) if only kernel entries in range are multiplied.

    `counts[group, channel, phase]` are two-dimensional prefix sums of kernel nonzeros, of one more
    row and column than the kernel; `scan` is how many kernel nonzeros are looked at in a cycle, and
    `stall` the mean cycles of a vector pair in the crossbar. Also returns the number of products.
    """
    starts, row_shifts, column_shifts = held
    samples, tiles, channels, phases = sizes
    groups, last_column = counts.shape[0], counts.shape[4] - 1
    cycles = np.zeros((samples, tiles, groups), np.float64)
    products = 0
    for where in range(samples * tiles):
        for part in range(channels * phases):
            channel, phase = part // phases, part % phases
            image = where * channels * phases + part
            for low in range(starts[image], starts[image + 1], vector):
                high = min(low + vector, starts[image + 1])
                r0, r1, c0, c1 = in_range(ranges, row_shifts, column_shifts, low, high)
                if r0 >= r1 or c0 >= c1:
                    continue
                for group in range(groups):
                    table = counts[group, channel, phase]
                    seen = table[r1, last_column] - table[r0, last_column]
                    found = table[r1, c1] - table[r0, c1] - table[r1, c0] + table[r0, c0]
                    products += found * (high - low)
                    issue = -(-found // vector) * stall
                    cycles[where // tiles, where % tiles, group] += max(issue, -(-seen // scan))
    return cycles, products


@compiled
def crossbar_cycles(held, streamed, ranges, extents, sizes, groups, sending):
    """Send products to their banks; return (cycles, vector pairs), each (sample, tile, ch., group).

    A vector pair issues once no bank has more products waiting than may wait there (`Sending`), and
    each bank takes one product in a cycle. Products that belong to no result, which is of `extents`
    rows and columns, are dropped before the crossbar. `groups` are those of result channels.
    """
    starts, row_shifts, column_shifts = held
    kernel_starts, planes, kernel_rows, kernel_columns, kernel_row_shifts, kernel_column_shifts = (
        streamed
    )
    vector, queue, anticipates, every, block = sending
    samples, tiles, channels, phases = sizes
    cycles = np.zeros((samples, tiles, channels, groups), np.int64)
    pairs = np.zeros((samples, tiles, channels, groups), np.int64)
    waiting = np.zeros(ACCUMULATOR_BANKS, np.int64)
    chosen = np.zeros(vector, np.int64)
    number = 0
    for where in range(samples * tiles):
        sample, tile = where // tiles, where % tiles
        for part in range(channels * phases):
            channel, phase = part // phases, part % phases
            image = where * channels * phases + part
            for low in range(starts[image], starts[image + 1], vector):
                number += 1
                if number % every:
                    continue
                high = min(low + vector, starts[image + 1])
                r0, r1, c0, c1 = in_range(ranges, row_shifts, column_shifts, low, high)
                for group in range(groups):
                    kernel = (group * channels + channel) * phases + phase
                    waiting[:] = 0
                    count = taken = 0
                    first, last = kernel_starts[kernel], kernel_starts[kernel + 1]
                    if anticipates:
                        offset = np.searchsorted(kernel_rows[first:last], r0)
                        last = first + np.searchsorted(kernel_rows[first:last], r1)
                        first += offset
                    for entry in range(first, last):
                        outside = kernel_columns[entry] < c0 or kernel_columns[entry] >= c1
                        if not (anticipates and outside):
                            chosen[count] = entry
                            count += 1
                        if count == vector or (entry == last - 1 and count):
                            for index in range(count):
                                taking = chosen[index]
                                plane = planes[taking]
                                for other in range(low, high):
                                    row = row_shifts[other] + kernel_row_shifts[taking]
                                    column = column_shifts[other] + kernel_column_shifts[taking]
                                    if 0 <= row < extents[0] and 0 <= column < extents[1]:
                                        # low bits of channel, row and column, mixed so that
                                        # neighbours differ
                                        mixed = (plane // 4 + row // 2 + column // 2) % 2
                                        bank = plane % 4 + column % 2 * 4 + row % 2 * 8
                                        waiting[bank + 16 * mixed] += 1
                            time = max(1, waiting.max() - queue)
                            for bank in range(ACCUMULATOR_BANKS):
                                waiting[bank] = max(0, waiting[bank] - time)
                            cycles[sample, tile, channel, group] += time
                            pairs[sample, tile, channel, group] += 1
                            count = 0
                            taken += 1
                            if taken == block:
                                break
    return cycles, pairs
