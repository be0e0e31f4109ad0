"""Jobs before they have addresses: packed load blocks and streams, and how they are drained."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gscn.directories import (
    DIRECTORY_LENGTHS,
    DIRECTORY_NARROW,
    DIRECTORY_WIDE,
    fits_lengths_directory,
    fits_narrow_directory,
    pack_directory,
)
from gscn.lowering.stream_groups import arrange
from gscn.program import ABSENT
from gscn.records import A_ENTRY, AT_ONCE, TAP, TILE_HEADER, UNTIL_URGENT
from gscn.streams import PackedStream


@dataclass(frozen=True, kw_only=True, slots=True)
class SegmentDraft:
    """One multiply-accumulate segment."""

    load: np.ndarray
    """uint8: the load block, a whole number of chunks."""
    tap_count: int
    stream: PackedStream
    """The streamed words."""
    products: np.ndarray
    """int64 (pes,): products per PE."""
    lookups: int
    """Taps looked up, the same for every PE."""
    stream_wait: int = AT_ONCE
    """Beats of the stream channel's buffer that are taken while its bursts wait to be shared."""
    load_sharers: int = UNTIL_URGENT
    """Read channels, of one memory port, that must offer a waiting burst of the load block for it
    to be taken; `UNTIL_URGENT`: it waits until one of them needs it. At most 255."""
    stream_sharers: int = UNTIL_URGENT
    """The same of the stream."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Walk:
    """How a job's accumulators are drained; guard rows are never needed."""

    pitch: int
    guard_cols: int
    rows: int
    planes: int

    @property
    def count(self) -> int:
        """Accumulators to clear: all cells, and the last row's overflow to the right."""
        return self.planes * self.rows * self.pitch + self.guard_cols


@dataclass(frozen=True, kw_only=True, slots=True)
class TileDraft:
    """One tile of the result and its jobs: several if the contraction is cut."""

    plane_index: np.ndarray
    row_index: np.ndarray
    col_index: np.ndarray
    """Tables of `gscn.program.OutputBlock`."""
    walk: Walk
    parts: list[list[SegmentDraft]]
    """Segments of each job."""
    ranks: list[int] | None = None
    """Place of each job in the queue; None: by work, most first."""
    patience: float = 1.0
    """How many times as long as alone load blocks are expected to take beside others' traffic."""
    hold: int = 0
    """Items of a segment that pass, at least, before the next load block is asked for, so that
    clusters which are a little behind ask for it in time to share it."""
    in_turn: bool = False
    """Whether the phase of its jobs gives them to the clusters in turn; one tile asks for all."""

    def place(self, part: int, rank: int, segments: list[SegmentDraft]) -> None:
        """Set the segments of a job and its place in the queue."""
        assert self.ranks is not None
        self.parts[part] = segments
        self.ranks[part] = rank


def pad_index(index: np.ndarray, count: int) -> np.ndarray:
    """Return a table of `gscn.program.OutputBlock` (int64), padded to `count` entries."""
    return np.concatenate([index, np.full(count - index.size, ABSENT, dtype=np.int64)])


@dataclass(frozen=True, kw_only=True, slots=True)
class PeTile:
    """What one PE holds in a segment (int64 vectors)."""

    start: np.ndarray
    length: np.ndarray
    """First entry and length of each key's fiber."""
    value: np.ndarray
    offset: np.ndarray


def _as_chunks(records: np.ndarray) -> np.ndarray:
    """Bytes of records, padded with zeros to whole 64-bit chunks."""
    data = records.view(np.uint8)
    return np.pad(data, (0, -data.size % 8))


def pack_taps(key_delta: np.ndarray, offset_delta: np.ndarray, last: np.ndarray) -> np.ndarray:
    """Pack taps (uint8)."""
    taps = TAP.pack(key_delta.size, key_delta=key_delta, offset_delta=offset_delta, last=last)
    return taps.view(np.uint8)


SINGLE_TAP = pack_taps(np.zeros(1, int), np.zeros(1, int), np.ones(1, int))
"""The list of one tap that changes nothing."""


def _directory_format(tile: PeTile, lengths: bool) -> int:
    if lengths and fits_lengths_directory(tile.start, tile.length):
        return DIRECTORY_LENGTHS
    narrow = fits_narrow_directory(tile.start, tile.length)
    return DIRECTORY_NARROW if narrow else DIRECTORY_WIDE


def pack_load(taps: np.ndarray, tiles: list[PeTile], *, lengths: bool = False) -> np.ndarray:
    """Pack a load block: taps, then every PE's tile, with a narrow directory if it fits.

    Parameters
    ----------
    taps
        uint8, from `pack_taps`.
    tiles
        One per PE.
    lengths
        Whether a tile whose fibers fit a directory of lengths has one. It loads in half the cycles
        of a narrow one, and is asked for by the lowerings whose load path bounds them: the images
        of all others stay as they are.

    Returns
    -------
    numpy.ndarray
        uint8, a whole number of chunks.
    """
    pieces = [taps]
    for tile in tiles:
        form = _directory_format(tile, lengths)
        header = TILE_HEADER.pack(
            1, directory_count=tile.start.size, a_count=tile.value.size, directory_format=form
        )
        pieces.append(header.view(np.uint8))
        pieces.append(_as_chunks(pack_directory(tile.start, tile.length, form)))
        entries = A_ENTRY.pack(tile.value.size, value=tile.value, offset=tile.offset)
        pieces.append(_as_chunks(entries))
    return np.concatenate(pieces)


def empty_segment(pes: int) -> SegmentDraft:
    """Return a segment that holds and streams nothing."""
    none = np.zeros(0, dtype=np.int64)
    tile = PeTile(start=none, length=none, value=none, offset=none)
    return SegmentDraft(
        load=pack_load(SINGLE_TAP, [tile] * pes),
        tap_count=1,
        stream=arrange(none, none, none, none),
        products=np.zeros(pes, dtype=np.int64),
        lookups=0,
    )
