"""Nonzeros of a pass dealt to the PEs of an outer-product array, and the cycles that they take."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from gscn.perf.rivals.cartesian import Cartesian, Entries
from gscn.perf.rivals.crossbar import (
    Held,
    Ranges,
    Sending,
    Sizes,
    Streamed,
    anticipated_cycles,
    crossbar_cycles,
)

VECTOR = 4
"""Nonzeros of the image, and of the kernel, that meet in a cycle."""
SAMPLED_VECTORS, SAMPLED_BLOCK = 1000, 64
"""Image vectors, and kernel vectors for each, by which the crossbar's stalls are judged."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Choices:
    """What the publications of an outer-product array leave open."""

    anticipates: bool = False
    """Whether ANT's ranges are computed before multiplying."""
    scan: int = 16
    """Kernel nonzeros that anticipation looks at in a cycle."""
    accumulators: int = 6144
    """Per PE; bounds the result channels of a group."""
    queue: int = 8
    """Products that may wait at each bank while further vectors are multiplied."""
    barrier: Literal["group", "channel"] = "group"
    """When PEs wait for each other: after a group of result channels, or every channel of it."""
    mappings: tuple[Literal["tiles", "planes"], ...] = ("tiles", "planes")
    """What a PE may hold: a tile of every image plane, beside the kernel planes of a group of
    result channels, or one whole image plane at a time beside one kernel plane."""
    start: int = 0
    """Cycles before the first products of a pair of planes; of the mapping "planes" only."""
    matched_tiles: bool = False
    """Whether a tile is given only the kernel nonzeros that can meet any of its coordinates."""
    matrix_form: bool = True
    """Whether a weight gradient of a 1x1 kernel may be a product of matrices."""
    free_tiling: bool = True
    """Whether PEs may share out samples and groups as well as tiles, and tiles leave out the
    padding."""
    exact_crossbar: bool = False
    """Whether every product is sent through the crossbar, not a sample of the vectors."""
    counts_halos: bool = False
    """Whether partial sums of neighbouring tiles are exchanged one at a time after each group."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Split:
    """How the PEs share the work; their number is the product of all but `whole_planes`."""

    samples: int
    """Samples of the image at once."""
    groups: int = 1
    """Groups of result channels at once."""
    rows: int = 1
    """Tiles of a plane, from top to bottom."""
    columns: int = 1
    """Tiles of a plane, from left to right."""
    whole_planes: bool = False
    """Whether PEs take pairs of an image and a kernel plane, whoever is free the next one."""


def splits(pes: int, planes: Cartesian, mappings: Sequence[str], *, free: bool) -> Iterator[Split]:
    """Yield the ways in which PEs may share a pass.

    Parameters
    ----------
    pes
        Number of PEs.
    planes
        The pass.
    mappings
        "tiles", "planes" or both.
    free
        Whether tiles may leave PEs for several samples and groups at once.
    """
    if "planes" in mappings:
        yield Split(samples=pes, whole_planes=True)
    if "tiles" not in mappings:
        return
    samples_of_image, _, height, width = planes.image.shape
    for samples in _divisors(pes) if free else [1]:
        for groups in _divisors(pes // samples) if free else [1]:
            tiles = pes // samples // groups
            rows = min(
                _divisors(tiles),
                key=lambda rows, tiles=tiles: (
                    math.ceil(height / rows) * math.ceil(width / (tiles // rows)),
                    abs(rows - tiles // rows),
                ),
            )
            # more than twice as many as there is work for would only idle
            useful = samples < 2 * samples_of_image and groups < 2 * planes.kernel.shape[0]
            if useful or samples == groups == 1:
                yield Split(samples=samples, groups=groups, rows=rows, columns=tiles // rows)


def _divisors(number: int) -> list[int]:
    return [d for d in range(1, number + 1) if number % d == 0]


class Mapping:
    """The nonzeros of a pass in the tiles and groups of one split."""

    def __init__(
        self, array: Choices, planes: Cartesian, image: Entries, kernel: Entries, split: Split
    ) -> None:
        self.array, self.planes, self.split = array, planes, split
        samples, channels, height, width = planes.image.shape
        self._image, self._kernel = image, kernel
        self._tile_of = (
            self._tiles(height, planes.padding[0], split.rows),
            self._tiles(width, planes.padding[1], split.columns),
        )
        results = planes.kernel.shape[0]
        limit = array.accumulators // self._tile_results()
        if split.whole_planes:
            limit = 1
        self.group_size = max(1, min(limit, -(-results // split.groups)))
        self.groups = -(-results // self.group_size)
        self.sizes = Sizes(samples, split.rows * split.columns, channels, planes.phases)
        tile = self._tile_of[0][image.row] * split.columns + self._tile_of[1][image.column]
        self._image_code = _code((image.plane, tile, image.channel, image.phase), self.sizes)
        group_sizes = (self.groups, *self.sizes[2:])
        self._kernel_code = _code(
            (kernel.plane // self.group_size, kernel.channel, kernel.phase), group_sizes
        )
        self._held = _counted(self._image_code, self.sizes)
        self._streamed = _counted(self._kernel_code, group_sizes)

    def _tiles(self, size: int, padding: int, tiles: int) -> np.ndarray:
        """Return the tile of each coordinate."""
        if self.array.free_tiling:
            return np.arange(size) * tiles // size
        return (np.arange(size) + padding) // -(-(size + 2 * padding) // tiles)

    def _tile_results(self) -> int:
        """Return the results that a PE adds up for one result channel."""
        rows, columns = self.planes.result_extent
        return math.ceil(rows / self.split.rows) * math.ceil(columns / self.split.columns)

    def estimate(self) -> float:
        """Return roughly the cycles, to compare splits: vector pairs, without crossbar.

        Anticipation leaves out at least what no coordinate of a tile can meet.
        """
        return self._in_rounds(self._pairs())

    def cycles(self) -> tuple[float, int]:
        """Return (cycles, products executed)."""
        if self.array.exact_crossbar:
            return self._exact()
        vectors = int((-(-self._held // VECTOR)).sum())
        spent, pairs = self._crossbar(every=max(1, vectors // SAMPLED_VECTORS), block=SAMPLED_BLOCK)
        stall = spent.sum() / max(1, pairs.sum())
        if self.array.anticipates:
            cycles, products = self._anticipated(stall)
        else:
            cycles = self._pairs() * stall
            products = self._all_products()
        return self._in_rounds(cycles), products

    def _exact(self) -> tuple[float, int]:
        spent, _ = self._crossbar(every=1, block=1 << 40)
        if self.array.barrier == "channel":
            return float(spent.max(axis=1).sum()) + self._halo_cycles(), self._all_products()
        return self._in_rounds(spent.sum(axis=2)), self._all_products()

    def _all_products(self) -> int:
        """Return the products of all nonzeros that a tile holds and is given."""
        return int((self._held.sum(axis=0) * self._kernel_counts.sum(axis=1)).sum())

    @functools.cached_property
    def _kernel_counts(self) -> np.ndarray:
        """Nonzeros (tile, group, channel, phase) of the kernel that a tile is given.

        The first size is 1 if that is the same for all.
        """
        if self.array.matched_tiles or self.array.anticipates:
            return self._matched()
        return self._streamed[None]

    def _pairs(self) -> np.ndarray:
        """Return the vector pairs (sample, tile, group)."""
        held = (-(-self._held // VECTOR)).astype(np.float64)
        streamed = (-(-self._kernel_counts // VECTOR)).astype(np.float64)
        held = held.reshape(*held.shape[:2], -1).transpose(1, 0, 2)
        streamed = streamed.reshape(*streamed.shape[:2], -1).transpose(0, 2, 1)
        return (held @ streamed).transpose(1, 0, 2)

    def _in_rounds(self, cycles: np.ndarray) -> float:
        """Add up cycles (sample, tile, group) of PEs that wait for the slowest of a round."""
        split = self.split
        if split.whole_planes:
            meeting = (self._held[:, 0] > 0).sum(0) * (self._streamed > 0).sum(0)
            return (float(cycles.sum()) + self.array.start * int(meeting.sum())) / split.samples
        slowest = cycles.max(axis=1)
        slowest = np.maximum.reduceat(slowest, range(0, slowest.shape[0], split.samples), axis=0)
        slowest = np.maximum.reduceat(slowest, range(0, slowest.shape[1], split.groups), axis=1)
        return float(slowest.sum()) + self._halo_cycles()

    def _halo_cycles(self) -> int:
        """Return the cycles of exchanging halos: the largest region, one partial sum a cycle."""
        if not self.array.counts_halos:
            return 0
        planes = self.planes
        sizes = []
        for axis in (0, 1):
            reach = planes.kernel.shape[2 + axis] - 1
            padding = planes.padding[axis]
            padded = planes.image.shape[2 + axis] + 2 * padding
            tile = -(-padded // (self.split.rows, self.split.columns)[axis])
            sizes.append((reach - padding, tile, padding))
        largest = max(
            rows * columns
            for r, rows in enumerate(sizes[0])
            for c, columns in enumerate(sizes[1])
            if (r, c) != (1, 1)
        )
        return largest * planes.kernel.shape[0] * planes.image.shape[0]

    def _ranges(self) -> Ranges:
        """Return which kernel coordinates each shift of the image can meet."""
        tables, bases = [], []
        for axis in (self.planes.rows, self.planes.columns):
            shifts = np.arange(axis.map.shift.min(), axis.map.shift.max() + 1)
            # kernel shifts never rise, so neither do their negatives fall
            needed = -axis.kernel.shift
            low = np.searchsorted(needed, shifts - (axis.extent - 1), side="left")
            high = np.searchsorted(needed, shifts, side="right")
            tables.append(np.stack([low, high]))
            bases.append(np.array([shifts[0]]))
        return Ranges(*tables, *bases)

    def _counts(self) -> np.ndarray:
        """Return prefix sums of kernel nonzeros (group, channel, phase, rows + 1, columns + 1)."""
        kernel, height, width = self._kernel, *self.planes.kernel.shape[2:]
        counts = np.zeros((self.groups, *self.sizes[2:], height + 1, width + 1), np.int32)
        np.add.at(
            counts,
            (
                kernel.plane // self.group_size,
                kernel.channel,
                kernel.phase,
                kernel.row + 1,
                kernel.column + 1,
            ),
            1,
        )
        np.cumsum(counts, axis=3, out=counts)
        return np.cumsum(counts, axis=4, out=counts)

    def _matched(self) -> np.ndarray:
        """Return the kernel nonzeros that can meet a tile (tile, group, channel, phase)."""
        counts = self._counts()
        ranges = []
        for axis, of, low_high in zip(
            (self.planes.rows, self.planes.columns), self._tile_of, self._ranges()[:2], strict=True
        ):
            shifts = axis.map.shift - axis.map.shift.min()
            tiles = range(int(of.max()) + 1)
            ranges.append(
                [
                    (low_high[0, shifts[of == tile].min()], low_high[1, shifts[of == tile].max()])
                    if (of == tile).any()
                    else (0, 0)
                    for tile in tiles
                ]
            )
        matched = np.zeros((self.sizes[1], *counts.shape[:3]), np.int64)
        for row, (r0, r1) in enumerate(ranges[0]):
            for column, (c0, c1) in enumerate(ranges[1]):
                matched[row * self.split.columns + column] = (
                    counts[..., r1, c1] - counts[..., r0, c1] - counts[..., r1, c0]
                ) + counts[..., r0, c0]
        return matched

    def _anticipated(self, stall: float) -> tuple[np.ndarray, int]:
        image, starts = _sorted(self._image, self._image_code, self.sizes)
        return anticipated_cycles(
            Held(starts, image.row_shift, image.column_shift),
            self._ranges(),
            self._counts(),
            self.sizes,
            VECTOR,
            self.array.scan,
            stall,
        )

    def _crossbar(self, *, every: int, block: int) -> tuple[np.ndarray, np.ndarray]:
        image, starts = _sorted(self._image, self._image_code, self.sizes)
        held = self._kernel
        kernel, kernel_starts = _sorted(
            held,
            self._kernel_code,
            self._streamed.shape,
            then=(held.row, held.column, held.plane),
        )
        return crossbar_cycles(
            Held(starts, image.row_shift, image.column_shift),
            Streamed(
                kernel_starts,
                kernel.plane,
                kernel.row,
                kernel.column,
                kernel.row_shift,
                kernel.column_shift,
            ),
            self._ranges(),
            self.planes.result_extent,
            self.sizes,
            self.groups,
            Sending(VECTOR, self.array.queue, self.array.anticipates, every, block),
        )


def _code(keys: tuple[np.ndarray, ...], sizes: tuple[int, ...]) -> np.ndarray:
    return np.ravel_multi_index(keys, sizes) if keys[0].size else np.zeros(0, np.int64)


def _counted(code: np.ndarray, sizes: tuple[int, ...]) -> np.ndarray:
    return np.bincount(code, minlength=math.prod(sizes)).reshape(sizes)


def _sorted(
    entries: Entries,
    code: np.ndarray,
    sizes: tuple[int, ...],
    then: tuple[np.ndarray, ...] = (),
) -> tuple[Entries, np.ndarray]:
    """Sort entries by `code`, then by `then`; return them and where each code starts."""
    order = np.lexsort((*reversed(then), code)) if then else np.argsort(code, kind="stable")
    taken = Entries(**{name: getattr(entries, name)[order] for name in Entries.__slots__})
    return taken, np.concatenate([[0], np.cumsum(_counted(code, sizes).ravel())])
