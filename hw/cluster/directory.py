"""Decoding of directories: from chunks of any format to fibers in rows of eight keys."""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from gscn.config import CHUNK_WIDTH, AcceleratorConfig
from gscn.directories import DIRECTORY_LENGTHS, DIRECTORY_NARROW, DIRECTORY_WIDE, DIRECTORY_WIDTHS
from gscn.hw.layouts import DIRECTORY_ENTRY, FIBERS_PER_ROW, NARROW_DIRECTORY_ENTRY, TILE_HEADER


class DirectoryDecoder(wiring.Component):
    """Decode the chunks of a tile's directory, once for all PEs.

    A chunk of format 0 holds a pair of fibers, one of format 1 two pairs, one of format 2 a whole
    row. What it does not hold is not enabled in `pairs`. Fibers of format 2 start where the one
    before ends: the sum of the lengths of the chunks before is kept. It is right as long as no
    chunk was `beyond`; after one that was, outputs mean nothing.

    Implements: the directory formats of `docs/contract/execution.md`.
    Golden: `gscn.directories.directory_fibers`.

    Timing
    ------
    - Latency: `LATENCY` from `chunk` to `fibers`.
    - Throughput: one chunk per cycle.
    - Combinational: `chunk` -> `chunk_count`, `fibers`, `beyond`; `number` -> `row`, `pairs`;
      `a_count` -> `beyond`.
    - Reset: a directory of format 0; outputs 0, but `pairs` = 1.

    Parameters
    ----------
    config
        Gives the depth of the stationary memory, which bounds the sum.

    Attributes
    ----------
    chunk : In(CHUNK_WIDTH)
        The tile's header or a chunk of its directory.
    begins : In(1)
        `chunk` is the header of the directory to come.
    chunk_count : Out(16)
        Chunks of the directory that the header in `chunk` announces.
    en : In(1)
        `chunk` is of the directory and is taken.
    number : In(16)
        Its number in the directory, from 0.
    a_count : In(16)
        Entries of the tile, at most the depth.
    row : Out(16)
        As in `LOAD_WORD`.
    pairs : Out(FIBERS_PER_ROW // 2)
        As in `LOAD_WORD`.
    fibers : Out(data.ArrayLayout(DIRECTORY_ENTRY, FIBERS_PER_ROW))
        As in `LOAD_WORD`.
    beyond : Out(1)
        A fiber in `chunk`, also one that only pads it, ends after the tile's entries.
    """

    LATENCY = 0

    def __init__(self, *, config: AcceleratorConfig):
        self.config = config
        super().__init__(
            {
                "chunk": In(CHUNK_WIDTH),
                "begins": In(1),
                "chunk_count": Out(16),
                "en": In(1),
                "number": In(16),
                "a_count": In(16),
                "row": Out(16),
                "pairs": Out(FIBERS_PER_ROW // 2),
                "fibers": Out(data.ArrayLayout(DIRECTORY_ENTRY, FIBERS_PER_ROW)),
                "beyond": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        header = data.View(TILE_HEADER, self.chunk)
        wide = data.View(data.ArrayLayout(DIRECTORY_ENTRY, 2), self.chunk)
        narrow = data.View(data.ArrayLayout(NARROW_DIRECTORY_ENTRY, 4), self.chunk)
        width = DIRECTORY_WIDTHS[DIRECTORY_LENGTHS]
        lengths = [self.chunk.word_select(lane, width) for lane in range(FIBERS_PER_ROW)]

        def chunks(directory_format):
            per_chunk = CHUNK_WIDTH // DIRECTORY_WIDTHS[directory_format]
            return (header.directory_count + per_chunk - 1) >> per_chunk.bit_length() - 1

        # sums[n] is that of the lengths up to lane n, by a tree of as few levels as can be
        sums = lengths
        span = 1
        while span < FIBERS_PER_ROW:
            sums = [
                sums[lane] + sums[lane // span * span - 1] if lane & span else sums[lane]
                for lane in range(FIBERS_PER_ROW)
            ]
            span *= 2
        # a chunk that is not `beyond` leaves it at most at the depth
        start = Signal(range(self.config.a_depth + 1))
        directory_format = Signal.like(header.directory_format[:2])
        end = start + sums[-1]
        with m.If(self.begins):
            m.d.sync += [directory_format.eq(header.directory_format), start.eq(0)]
        with m.Elif(self.en):
            m.d.sync += start.eq(end)

        with m.Switch(header.directory_format):
            for known in DIRECTORY_WIDTHS:
                with m.Case(known):
                    m.d.comb += self.chunk_count.eq(chunks(known))
        with m.Switch(directory_format):
            with m.Case(DIRECTORY_WIDE):
                m.d.comb += [self.row.eq(self.number >> 2), self.pairs.eq(1 << self.number[:2])]
                for lane, fiber in enumerate(self.fibers):
                    m.d.comb += fiber.eq(wide[lane % 2])
            with m.Case(DIRECTORY_NARROW):
                m.d.comb += [
                    self.row.eq(self.number >> 1),
                    self.pairs.eq(Mux(self.number[0], 0b1100, 0b0011)),
                ]
                for lane, fiber in enumerate(self.fibers):
                    m.d.comb += [
                        fiber.start.eq(narrow[lane % 4].start),
                        fiber.length.eq(narrow[lane % 4].length),
                    ]
            with m.Case(DIRECTORY_LENGTHS):
                m.d.comb += [self.row.eq(self.number), self.pairs.eq(~0)]
                for fiber, before, length in zip(
                    self.fibers, [0, *sums[:-1]], lengths, strict=True
                ):
                    m.d.comb += [fiber.start.eq(start + before), fiber.length.eq(length)]
        # of formats 0 and 1 four lanes have every fiber; of format 2 the last fiber ends last
        stored = [
            Mux(directory_format == DIRECTORY_NARROW, narrow[lane].start, wide[lane % 2].start)
            + Mux(directory_format == DIRECTORY_NARROW, narrow[lane].length, wide[lane % 2].length)
            for lane in range(4)
        ]
        m.d.comb += self.beyond.eq(
            Mux(
                directory_format == DIRECTORY_LENGTHS,
                self.a_count < end,
                Cat(stored_end > self.a_count for stored_end in stored).any(),
            )
        )
        return m
