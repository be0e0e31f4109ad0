# amaranth: UnusedElaboratable=no
"""Segments in plain Python: the law by brute force, memory images by hand, random segments."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator
from dataclasses import dataclass

from gscn.config import AcceleratorConfig
from gscn.hw.layouts import LoadTarget, WordKind
from tests import stream_items


@dataclass(frozen=True, kw_only=True, slots=True)
class Tile:
    """Stationary operand of one PE."""

    directory: list[tuple[int, int]]
    """(start, length) of each key's fiber."""
    entries: list[tuple[int, int]]
    """(value, offset)."""
    directory_format: int = 0
    """With 2 each fiber starts where the one before ends."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Segment:
    """A MAC segment, or an ADD segment if `partials` is not None."""

    taps: list[tuple[int, int, int]] = ()
    """(key delta, offset delta, last)."""
    tiles: list[Tile] = ()
    words: list[tuple[int, int, int, int]] = ()
    """(value, offset, key, first tap)."""
    offset_bits: int = 8
    partials: list[int] | None = None

    def fibers(self, pe: int) -> Iterator[tuple[int, int, int, int]]:
        """Yield (start, length, operand, offset) of each fiber met that is not empty."""
        for value, offset, key, tap in self.words:
            lasts = False
            while not lasts:
                key_delta, offset_delta, lasts = self.taps[tap]
                for known, (start, length) in enumerate(self.tiles[pe].directory):
                    if known == key + key_delta and length:
                        yield start, length, value, offset + offset_delta
                tap += 1

    def addends(self, pe: int, pes: int) -> Iterator[tuple[int, int]]:
        """Yield (index, addend) in the order of the contract, indices outside included."""
        if self.partials is not None:
            yield from enumerate(self.partials[pe::pes])
            return
        for start, length, operand, offset in self.fibers(pe):
            for value, entry_offset in self.tiles[pe].entries[start : start + length]:
                yield offset + entry_offset, operand * value


def accumulators(segments: list[Segment], config: AcceleratorConfig, pe: int) -> list[int]:
    """Return the accumulators of a PE after a job of these segments."""
    sums = [0] * config.acc_depth
    for segment in segments:
        for index, addend in segment.addends(pe, config.pes_per_cluster):
            if 0 <= index < config.acc_depth:
                sums[index] += addend
    return sums


def bits(*fields: tuple[int, int]) -> int:
    """Pack (value, width) pairs, the first lowest."""
    packed = position = 0
    for value, width in fields:
        assert -(1 << (width - 1)) <= value < 1 << width
        packed |= (value & ((1 << width) - 1)) << position
        position += width
    return packed


def word_chunk(word: tuple[int, int, int, int]) -> int:
    value, offset, key, tap = word
    return bits((value, 16), (offset, 16), (key, 16), (tap, 8), (0, 8))


def stream_records(segment: Segment) -> list[int]:
    """Return the partial sums or items that are counted in the segment's descriptor."""
    if segment.partials is not None:
        return [bits((partial, 64)) for partial in segment.partials]
    return stream_items.encode(segment.words, segment.offset_bits, random.Random(0))


def stream_chunks(segment: Segment) -> list[int]:
    """Return the segment's stream."""
    records = stream_records(segment)
    return records if segment.partials is not None else stream_items.chunks(records)


def _rows(records: list[tuple[int, int]]) -> list[int]:
    padded = [*records, (0, 0)] if len(records) % 2 else records
    pairs = zip(padded[::2], padded[1::2], strict=True)
    return [bits((low[0], 16), (low[1], 16), (high[0], 16), (high[1], 16)) for low, high in pairs]


FIBERS_PER_CHUNK = (2, 4, 8)
"""Per directory format."""


def in_chunks(directory: list[tuple[int, int]], per_chunk: int) -> list[list[tuple[int, int]]]:
    """Cut a directory into chunks of so many fibers, the last padded with empty ones."""
    fibers = [*directory, *[(0, 0)] * (-len(directory) % per_chunk)]
    return [fibers[n : n + per_chunk] for n in range(0, len(fibers), per_chunk)]


def _fields(fiber: tuple[int, int], directory_format: int) -> list[tuple[int, int]]:
    start, length = fiber
    return [[(start, 16), (length, 16)], [(start, 10), (length, 6)], [(length, 8)]][
        directory_format
    ]


def _directory_rows(tile: Tile) -> list[int]:
    if tile.directory_format == 2:
        ends = list(itertools.accumulate(length for _, length in tile.directory))
        starts = [start for start, _ in tile.directory]
        assert starts == [0, *ends][: len(starts)], "fibers do not follow one another"
    form = tile.directory_format
    return [
        bits(*(field for fiber in fibers for field in _fields(fiber, form)))
        for fibers in in_chunks(tile.directory, FIBERS_PER_CHUNK[form])
    ]


def load_words(segment: Segment, pe: int) -> list[tuple[LoadTarget, int, int]]:
    """Return (target, row, chunk) of everything that a PE loads for the segment."""
    if segment.partials is not None:
        return []
    tile = segment.tiles[pe]
    taps = [bits((key, 16), (offset, 16), (last, 8), (0, 24)) for key, offset, last in segment.taps]
    header = bits(
        (len(tile.directory), 16), (len(tile.entries), 16), (tile.directory_format, 16), (0, 16)
    )
    return [
        (target, row, chunk)
        for target, chunks in (
            (LoadTarget.TAP, taps),
            (LoadTarget.HEADER, [header]),
            (LoadTarget.DIRECTORY, _directory_rows(tile)),
            (LoadTarget.A, _rows(tile.entries)),
        )
        for row, chunk in enumerate(chunks)
    ]


def load_block(segment: Segment) -> list[int]:
    """Return the load block: the taps once, then the tile of each PE."""
    block = []
    for pe in range(len(segment.tiles)):
        block += [
            chunk
            for target, _, chunk in load_words(segment, pe)
            if pe == 0 or target != LoadTarget.TAP
        ]
    return block


def pe_words(segment: Segment, pe: int, pes: int, *, job_end: bool, bank: int = 0) -> list[dict]:
    """Return the words that the broadcaster hands to a PE, END included."""
    kind = WordKind.MAC if segment.partials is None else WordKind.ADD
    if segment.partials is None:
        own = [word_chunk(word) for word in segment.words]
    else:
        own = stream_chunks(segment)[pe::pes]
    words = [{"kind": kind, "job_end": 0, "bank": bank, "chunk": chunk} for chunk in own]
    end = {"kind": WordKind.END, "job_end": int(job_end), "bank": bank, "chunk": 0}
    return [*words, end]


def random_segment(
    rng: random.Random,
    config: AcceleratorConfig,
    *,
    words: int = 20,
    longest: int = 4,
    inside: bool = False,
) -> Segment:
    """Return a MAC segment with empty and overlapping fibers, keys and indices outside.

    With `inside` every index lies within the accumulators.
    """
    half = config.acc_depth // 2
    lowest, highest, most = (8, half - 8, half - 1) if inside else (-4, half, half + 4)

    def operand() -> int:
        return rng.randint(config.format.minimum, config.format.maximum) or 1

    taps = []
    while len(taps) < config.taps_depth:
        length = rng.randint(1, min(4, config.taps_depth - len(taps)))
        taps += [
            (rng.randint(-3, 3), rng.randint(-8, 8), int(n == length - 1)) for n in range(length)
        ]
    tiles = []
    for _ in range(config.pes_per_cluster):
        a_count = rng.randint(longest, config.a_depth)
        entries = [(operand(), rng.randint(lowest, highest)) for _ in range(a_count)]
        directory_format = a_count % 3
        directory = []
        end = 0
        for _ in range(rng.randint(1, config.directory_depth)):
            length = rng.randint(0, longest)
            # an empty fiber may point anywhere, also just past the end
            start = rng.randint(0, a_count - length) % config.a_depth
            if directory_format == 2:
                start, length = end, min(length, a_count - end)
            directory.append((start, length))
            end += length
        tiles.append(
            Tile(
                directory=directory,
                entries=entries,
                directory_format=directory_format,
            )
        )
    return Segment(
        taps=taps,
        tiles=tiles,
        words=[
            (
                operand(),
                rng.randint(0, most),
                rng.randint(-4, config.directory_depth + 4),
                rng.randrange(len(taps)),
            )
            for _ in range(words)
        ],
        offset_bits=rng.randint(0, 16),
    )


def random_partials(rng: random.Random, config: AcceleratorConfig, count: int) -> Segment:
    """Return an ADD segment; three such sums fit the accumulator."""
    limit = 1 << (config.acc_width - 3)
    return Segment(partials=[rng.randint(-limit, limit) for _ in range(count)])
