"""Weight gradients of 1x1 kernels in waves: one job per cluster and wave, on tiles that stay.

The jobs of all tiles of stationary channels cut the pixels alike, and those that stream the same
channels stream the same words, so that clusters can take load blocks and streams from one burst.
The streamed channels of a cluster are divided among its jobs, most of them in the first: a later
job finds the last load blocks of the one before in the banks, and its results are few, which
shortens the last drain, behind which nothing is computed. For this the jobs go to the clusters in
turn, and the waves walk the pixels forwards and backwards.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from gscn.config import CHUNK_WIDTH, AcceleratorConfig
from gscn.directories import DIRECTORY_LENGTHS, DIRECTORY_WIDTHS
from gscn.lowering.drafts import (
    SINGLE_TAP,
    PeTile,
    SegmentDraft,
    TileDraft,
    Walk,
    pack_load,
    pad_index,
)
from gscn.lowering.operands import Nonzeros
from gscn.lowering.pointwise import spread
from gscn.lowering.portions import portions
from gscn.lowering.stream_groups import arrange
from gscn.lowering.weight_grad import KernelProblem
from gscn.records import MOST_SHARERS
from gscn.streams import PackedStream

KEYS_PER_CHUNK = CHUNK_WIDTH / DIRECTORY_WIDTHS[DIRECTORY_LENGTHS]
"""Of a directory."""
_RAMPS = ((100, 400), (500,), (400,), (150, 300, 600), (300,), (200, 500), (600,))
"""Chunks of the first load blocks, for stationary memories of 1024 entries."""
_PATIENCE = 0.6
_HOLD = 120
"""As of `lowering.drafts.TileDraft`, the latter for memories of 1024 entries. That is late: a block
whose sharers are there does not wait so long."""


def refinements(config: AcceleratorConfig) -> dict[str, tuple]:
    """Return fields of a tiling that are chosen one after the other, and values, usual ones first.

    Of several good ones: measured on the cycle model, none is the best for all layers.
    """
    return {
        "ramp": tuple(
            tuple(max(chunks * config.a_depth // 1024, 1) for chunks in ramp) for ramp in _RAMPS
        ),
        "shares": ((3, 1), (1,), (5, 1), (7, 1), (5, 3, 1), (7, 5, 3, 1)),
    }


@dataclass(frozen=True, kw_only=True, slots=True)
class WaveTiling:
    """Tiling of a weight gradient of a 1x1 kernel in waves."""

    held: list[list[np.ndarray]]
    """Stationary channels of each tile and PE."""
    streamed: list[np.ndarray]
    """Streamed channels of each column of clusters, all waves together."""
    parts: int
    """Parts of the pixels; more than one make partial sums."""
    shares: tuple[int, ...]
    """Relative numbers of streamed channels in the waves."""
    ramp: tuple[int, ...]
    """Most chunks of the first load blocks; the others are of equal size."""

    def __str__(self) -> str:
        """Say the tiling in words, for reports."""
        pes, planes = len(self.held[0]), max(own.size for tile in self.held for own in tile)
        return (
            f"{len(self.held)} tiles x {pes} PEs x {planes} held channels, {len(self.streamed)} "
            f"columns x {max(own.size for own in self.streamed)} streamed channels in waves of "
            f"{':'.join(map(str, self.shares))}, {self.parts} parts"
        )


@dataclass(frozen=True, slots=True)
class _Channels:
    """Nonzeros of some channels in the order of the pixels (int64 vectors)."""

    pixel: np.ndarray
    channel: np.ndarray
    """Place of the channel among those asked for."""
    value: np.ndarray
    start: np.ndarray
    """First nonzero of each pixel, and one past the last."""

    @classmethod
    def of(cls, nonzeros: Nonzeros, number: np.ndarray, channels: np.ndarray) -> _Channels:
        """Take the nonzeros of `channels` at pixels that have a number."""
        place = np.full(int(nonzeros.minor.max(initial=0)) + 1, -1)
        known = np.flatnonzero(channels < place.size)
        place[channels[known]] = known
        taken = nonzeros.take((place[nonzeros.minor] >= 0) & (number[nonzeros.row] >= 0))
        pixel = number[taken.row]
        order = np.argsort(pixel, kind="stable")
        pixel = pixel[order]
        start = np.searchsorted(pixel, np.arange(int(number.max(initial=-1)) + 2))
        return cls(pixel, place[taken.minor][order], taken.value[order], start)

    def between(self, low: int, high: int) -> slice:
        """Return the nonzeros of pixels `low` to `high` - 1."""
        return slice(int(self.start[low]), int(self.start[high]))


def met_pixels(problem: KernelProblem) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the pixels with nonzeros of both operands, and how many of each they have.

    Int64 pixels, float64 counts of stationary and of streamed nonzeros.
    """
    held, streamed = (
        np.bincount(nonzeros.row, minlength=problem.rows.extent).astype(np.float64)
        for nonzeros in (problem.held, problem.streamed)
    )
    met = np.flatnonzero((held > 0) & (streamed > 0))
    return met, held[met], streamed[met]


def _shares(
    totals: np.ndarray, chunks: float, tiling: WaveTiling, most: np.ndarray, spare: int
) -> list[float]:
    """Return what share of its pixels each load block of a part should have: ramp, equal ones.

    `totals` and `most` are what there is and what a block can hold of each quantity, `chunks` what
    the pixels of a part take in all; `spare` blocks are made beyond the fewest possible.
    """
    full = float(np.min(most[totals > 0] / totals[totals > 0], initial=1.0))
    shares: list[float] = []
    left = 1.0
    for limit in tiling.ramp:
        if left > 0:
            shares.append(min(limit / max(chunks, 1.0), full, left))
            left -= shares[-1]
    others = math.ceil(left / full) + spare
    return shares + [left / others] * others if others else shares


def _blocks(
    problem: KernelProblem, tiling: WaveTiling, config: AcceleratorConfig
) -> tuple[np.ndarray, list[list[tuple[int, int]]]]:
    """Give numbers to pixels with products, -1 to others, and cut them into parts of load blocks.

    A block is the range of its pixels' numbers. Every block has its share of each PE's products and
    entries and of each column's words: clusters that take a load block or a stream from the same
    bursts then need about the same time for it, which keeps them together.
    """
    met = met_pixels(problem)[0]
    number = np.full(problem.rows.extent, -1)
    number[met] = np.arange(met.size)
    held, words = (
        np.stack([np.diff(_Channels.of(nonzeros, number, own).start) for own in channels])
        for nonzeros, channels in (
            (problem.held, itertools.chain.from_iterable(tiling.held)),
            (problem.streamed, tiling.streamed),
        )
    )
    products = (held[:, None] * words).reshape(len(held) * len(words), met.size)
    keys = np.ones((1, met.size))
    quantities = np.concatenate([products, held, words, keys]).T.astype(np.float64)
    most = np.full(quantities.shape[1], np.inf)
    most[len(products) : len(products) + len(held)] = config.a_depth
    most[-1] = config.directory_depth
    totals = quantities.sum(axis=0) / tiling.parts
    entries = held.sum(axis=1).reshape(len(tiling.held), -1).sum(axis=1).max() / tiling.parts
    chunks = entries / 2 + config.pes_per_cluster * totals[-1] / KEYS_PER_CHUNK
    for spare in itertools.count():
        shares = _shares(totals, chunks, tiling, most, spare)
        of_pixel = portions(quantities, np.tile(shares, tiling.parts) / tiling.parts, most)
        if of_pixel is not None:
            break
    number[met[np.argsort(of_pixel, kind="stable")]] = np.arange(met.size)
    sizes = np.bincount(of_pixel, minlength=tiling.parts * len(shares))
    ends = np.cumsum(sizes)
    blocks = list(zip((ends - sizes).tolist(), ends.tolist(), strict=True))
    return number, [
        [block for block in blocks[first : first + len(shares)] if block[0] < block[1]]
        for first in range(0, len(blocks), len(shares))
    ]


def _divide(channels: np.ndarray, shares: Sequence[int]) -> list[np.ndarray]:
    """Divide more channels than there are waves among these, at least one for each."""
    waves = np.arange(len(shares))
    ends = np.round(np.cumsum(shares) / sum(shares) * channels.size).astype(int)
    ends = np.clip(ends, waves + 1, channels.size - waves[::-1])
    return np.split(channels, ends[:-1])


def wave_tiles(
    problem: KernelProblem, tiling: WaveTiling, config: AcceleratorConfig
) -> list[TileDraft]:
    """Build every tile of the result; the jobs are to be given in turn."""
    number, parts = _blocks(problem, tiling, config)
    held = [[_Channels.of(problem.held, number, own) for own in tile] for tile in tiling.held]
    counts = np.stack([[np.diff(own.start) for own in tile] for tile in held])
    blocks = list(itertools.chain.from_iterable(parts))
    loads = [
        {block: _load(tile, own, block) for block in blocks}
        for tile, own in zip(held, counts, strict=True)
    ]
    planes = max(own.size for tile in tiling.held for own in tile)
    fewest = min(channels.size for channels in tiling.streamed)
    shares = tiling.shares if len(tiling.shares) <= fewest else (1,)
    waves = zip(*(_divide(channels, shares) for channels in tiling.streamed), strict=True)
    sharers = _sharers(tiling, config)
    # With sharers named it hardly matters: an eighth or three eighths of the buffer do as well.
    wait = max(config.read_fifo_beats // 4, 1)
    tiles = []
    for wave, columns in enumerate(waves):
        rows = max(channels.size for channels in columns)
        streams = []
        for channels in columns:
            words = _Channels.of(problem.streamed, number, channels)
            streams.append({block: _stream(words, counts, block, planes) for block in blocks})
        # backwards in every other wave, whose first blocks the banks hold already
        walks = parts if wave % 2 == 0 else [part[::-1] for part in parts]
        places = itertools.product(range(len(held)), range(len(columns)))
        for place, (tile, column) in enumerate(places):
            own = tiling.held[tile]
            streamed = pad_index(columns[column] * problem.streamed_stride, rows)
            tiles.append(
                TileDraft(
                    plane_index=np.tile(streamed, (len(own), 1)),
                    row_index=np.stack(
                        [pad_index(one * problem.held_stride, planes) for one in own]
                    ),
                    col_index=np.zeros((len(own), 1), dtype=np.int64),
                    walk=Walk(pitch=1, guard_cols=0, rows=planes, planes=rows),
                    parts=[
                        [
                            _segment(
                                loads[tile], streams[column], counts[tile], block, wait, sharing
                            )
                            for block in walk
                        ]
                        for walk, sharing in zip(walks, sharers[:, tile, column], strict=True)
                    ],
                    ranks=[
                        (wave * tiling.parts + part) * len(held) * len(columns) + place
                        for part in range(tiling.parts)
                    ],
                    patience=_PATIENCE,
                    hold=_HOLD * config.a_depth // 1024,
                    in_turn=True,
                )
            )
    return tiles


def _sharers(tiling: WaveTiling, config: AcceleratorConfig) -> np.ndarray:
    """Return how many clusters of a cluster's port take its load blocks, and how many its streams.

    int64 (parts, tiles, columns, 2), as the segment's descriptor can say it.
    """
    shape = (tiling.parts, len(tiling.held), len(tiling.streamed))
    port = (np.arange(config.clusters) * config.ports // config.clusters).reshape(shape)
    loads = (port[:, :, :, None] == port[:, :, None, :]).sum(axis=3)
    streams = (port[:, :, None, :] == port[:, None, :, :]).sum(axis=2)
    return np.minimum(np.stack([loads, streams], axis=3), MOST_SHARERS)


def _load(held: list[_Channels], counts: np.ndarray, block: tuple[int, int]) -> np.ndarray:
    """Pack the load block of a tile, whose keys are all pixels of the block."""
    tiles = []
    for own, lengths in zip(held, counts[:, slice(*block)], strict=True):
        mine = own.between(*block)
        start = np.where(lengths > 0, np.cumsum(lengths) - lengths, 0)
        tiles.append(
            PeTile(start=start, length=lengths, value=own.value[mine], offset=own.channel[mine])
        )
    return pack_load(SINGLE_TAP, tiles, lengths=True)


def _stream(
    words: _Channels, counts: np.ndarray, block: tuple[int, int], planes: int
) -> tuple[PackedStream, np.ndarray]:
    """Pack the words of a block, and count those of each of its pixels.

    In an order in which the PEs of all tiles advance together: the clusters that share the words
    then stay together, and no PE is without work for long.
    """
    mine = words.between(*block)
    key = words.pixel[mine] - block[0]
    order = spread(np.zeros(key.size))
    lengths = np.ascontiguousarray(counts[:, :, slice(*block)].reshape(-1, block[1] - block[0]))
    packed = arrange(
        words.value[mine][order],
        words.channel[mine][order] * planes,
        key[order],
        np.zeros(key.size, dtype=np.int64),
        (lengths, key[order]),
    )
    return packed, np.bincount(key, minlength=block[1] - block[0])


def _segment(
    loads: dict[tuple[int, int], np.ndarray],
    streams: dict[tuple[int, int], tuple[PackedStream, np.ndarray]],
    counts: np.ndarray,
    block: tuple[int, int],
    wait: int,
    sharers: np.ndarray,
) -> SegmentDraft:
    packed, words = streams[block]
    return SegmentDraft(
        load=loads[block],
        tap_count=1,
        stream=packed,
        products=counts[:, slice(*block)] @ words,
        lookups=int(words.sum()),
        stream_wait=wait,
        load_sharers=int(sharers[0]),
        stream_sharers=int(sharers[1]),
    )
