"""Jobs that write zeros: rows and columns of a result that no product reaches.

They have nothing to load, stream or multiply, so that they keep the write port busy while the
clusters compute.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from gscn.config import AcceleratorConfig
from gscn.conv import ConvShape
from gscn.lowering.drafts import TileDraft, Walk
from gscn.program import ABSENT


@dataclass(frozen=True, slots=True)
class Zeros:
    """Rows and columns, int64 vectors, that nothing reaches, of every plane of a result."""

    rows: np.ndarray
    cols: np.ndarray
    """Columns of the other rows."""
    height: int
    width: int
    planes: int
    """Channels of all samples."""

    @classmethod
    def of(cls, shape: ConvShape, rows: np.ndarray, cols: np.ndarray) -> Zeros:
        """Return what is left of an input gradient by the rows and columns that are reached."""
        return cls(
            np.setdiff1d(np.arange(shape.h), rows),
            np.setdiff1d(np.arange(shape.w), cols),
            shape.h,
            shape.w,
            shape.n * shape.c,
        )

    def rectangles(self) -> list[tuple[np.ndarray, np.ndarray]]:
        """Return sets of rows and of columns whose cells are the zeros of a plane, each once."""
        others = np.setdiff1d(np.arange(self.height), self.rows)
        pairs = [(self.rows, np.arange(self.width)), (others, self.cols)]
        return [pair for pair in pairs if pair[0].size and pair[1].size]

    @property
    def count(self) -> int:
        """Zeros in all planes."""
        return self.planes * sum(rows.size * cols.size for rows, cols in self.rectangles())


def zero_tiles(zeros: Zeros, config: AcceleratorConfig) -> list[TileDraft]:
    """Build the jobs that write the zeros.

    As few as can be, one for every cluster at least: a cluster that takes one asks for its next job
    at once, and of small ones those that are free first would take too many.
    """
    pes, depth = config.pes_per_cluster, config.acc_depth
    size = min(depth, math.ceil(zeros.count / (config.clusters * pes)))
    return [
        tile
        for rows, cols in zeros.rectangles()
        for block in _blocks(rows, depth // min(cols.size, depth))
        for strip in _blocks(cols, depth)
        for tile in _tiles(zeros, block, strip, max(1, size // (block.size * strip.size)), pes)
    ]


def _blocks(index: np.ndarray, most: int) -> list[np.ndarray]:
    return np.array_split(index, math.ceil(index.size / most))


def _tiles(
    zeros: Zeros, rows: np.ndarray, cols: np.ndarray, planes: int, pes: int
) -> Iterator[TileDraft]:
    """Yield tiles of some rows and columns, with so many planes for each PE."""
    jobs = math.ceil(zeros.planes / (planes * pes))
    planes = math.ceil(zeros.planes / (jobs * pes))
    plane_at = np.full(jobs * pes * planes, ABSENT, dtype=np.int64)
    plane_at[: zeros.planes] = np.arange(zeros.planes) * zeros.height * zeros.width
    for plane_index in plane_at.reshape(jobs, pes, planes):
        if plane_index.max() < 0:
            continue
        yield TileDraft(
            plane_index=plane_index,
            row_index=np.tile(rows * zeros.width, (pes, 1)),
            col_index=np.tile(cols, (pes, 1)),
            walk=Walk(pitch=cols.size, guard_cols=0, rows=rows.size, planes=planes),
            parts=[[]],
            ranks=[0],
        )


def spread_zeros(
    tiles: list[TileDraft], zeros: list[TileDraft], config: AcceleratorConfig
) -> list[TileDraft]:
    """Queue jobs that write zeros between waves of the others, one for each cluster, evenly.

    A cluster writes the results of its jobs in order, and computes one while it writes another:
    zeros come first, so that the write port has something to do from the start.
    """
    jobs = sorted(
        (rank, number, part)
        for number, tile in enumerate(tiles)
        for part, rank in enumerate(tile.ranks)
    )
    places = []
    for queue, delay in (
        ([(tile, 0) for tile in zeros], 0.0),
        ([(tiles[n], p) for _, n, p in jobs], 0.5),
    ):
        waves = math.ceil(len(queue) / config.clusters)
        places += [
            ((place // config.clusters + delay) / waves, tile, part)
            for place, (tile, part) in enumerate(queue)
        ]
    for rank, (_, tile, part) in enumerate(sorted(places, key=lambda place: place[0])):
        tile.place(part, rank, tile.parts[part])
    return tiles + zeros
