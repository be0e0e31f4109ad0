# amaranth: UnusedElaboratable=no
"""Checks of load blocks: what the filler says of each wrong chunk, and when."""

from __future__ import annotations

import pytest

from gscn.config import PRESETS
from gscn.error_codes import ErrorCode
from gscn.hw.cluster.filler import Filler
from gscn.hw.layouts import StepKind
from tests.hw.segments import Segment, Tile, bits, load_block
from tests.hw.streams import simulate

TINY = PRESETS["tiny"]
PES = TINY.pes_per_cluster
WIDE = Tile(directory=[(0, 3), (1, 2), (3, 0)], entries=[(1, 0)] * 3)
NARROW = Tile(
    directory=[(0, 3), (1, 2), (3, 0), (2, 1), (0, 0)], entries=[(1, 0)] * 3, directory_format=1
)
LENGTHS = Tile(
    directory=[(0, 1), (1, 0), *[(1, 1), (2, 0)], *[(2, 1)], *[(3, 0)] * 5],
    entries=[(1, 0)] * 3,
    directory_format=2,
)
TAPS = [(0, 0, 0), (0, 0, 1)]
HEADER, DIRECTORY = 2, 3
"""Chunks of the first PE's header and directory."""


def block(tile):
    return load_block(Segment(taps=TAPS, tiles=[tile] * PES))


def fill(chunks, *, load_chunks=None, more=()):
    """Fill a bank; return the first error, the chunks taken before it, and reports of the end."""
    dut = Filler(config=TINY)
    count = len(chunks) if load_chunks is None else load_chunks
    taken, found, reports = [], [], []

    async def feed(ctx):
        for chunk in [*chunks, *more]:
            ctx.set(dut.chunks.p, chunk)
            ctx.set(dut.chunks.valid, 1)
            accepted = False
            while not accepted:
                _, _, accepted = await ctx.tick().sample(dut.chunks.ready)
            taken.append(chunk)
            ctx.set(dut.chunks.valid, 0)

    async def testbench(ctx):
        step = {"kind": StepKind.FILL, "bank": 1, "count": len(TAPS), "chunks": count}
        ctx.set(dut.steps.p, step)
        ctx.set(dut.steps.valid, 1)
        for _ in range(6 * len(chunks) + 20):
            _, _, ready, loaded, code = await ctx.tick().sample(
                dut.steps.ready, dut.loaded, dut.error
            )
            if ready:
                ctx.set(dut.steps.valid, 0)
            if code and not found:
                found.append((code, len(taken)))
            reports.append(loaded)
        assert ctx.get(dut.tap_counts[1]) == len(TAPS)

    simulate(dut, testbench, background=[feed], cycles=800)
    return found[0][0] if found else None, len(taken), sum(reports)


def changed(chunks, position, chunk):
    return [*chunks[:position], chunk, *chunks[position + 1 :]]


@pytest.mark.parametrize("tile", [WIDE, NARROW, LENGTHS])
def test_a_good_block_has_no_error_and_no_chunk_too_many_is_taken(tile):
    chunks = block(tile)
    assert fill(chunks, more=[0, 0]) == (None, len(chunks), 1)


def header(directory_count, a_count, directory_format=0):
    return bits((directory_count, 16), (a_count, 16), (directory_format, 16), (0, 16))


def wide(*fibers):
    return bits(*((field, 16) for fiber in fibers for field in fiber))


def lengths(*each):
    return bits(*((length, 8) for length in each))


def narrow(*fibers):
    return bits(*(pair for start, length in fibers for pair in ((start, 10), (length, 6))))


@pytest.mark.parametrize(
    ("tile", "position", "chunk", "code"),
    [
        (WIDE, 1, bits((0, 16), (0, 16), (2, 8)), ErrorCode.LOAD_TAPS),
        (WIDE, HEADER, header(TINY.directory_depth + 1, 3), ErrorCode.LOAD_DIRECTORY),
        (WIDE, HEADER, header(0xFFFF, 0xFFFF, 0xFFFF), ErrorCode.LOAD_DIRECTORY),
        (WIDE, HEADER, header(3, TINY.a_depth + 1), ErrorCode.LOAD_ENTRIES),
        (WIDE, HEADER, header(3, 0xFFFF, 0xFFFF), ErrorCode.LOAD_ENTRIES),
        (WIDE, HEADER, header(3, 3, 3), ErrorCode.LOAD_FORMAT),
        (WIDE, HEADER, header(3, 3, 0x8000), ErrorCode.LOAD_FORMAT),
        (WIDE, DIRECTORY, wide((0, 4), (0, 0)), ErrorCode.LOAD_FIBER),
        (WIDE, DIRECTORY, wide((0, 1), (1, 3)), ErrorCode.LOAD_FIBER),
        (WIDE, DIRECTORY, wide((0xFFFF, 0xFFFF), (0, 0)), ErrorCode.LOAD_FIBER),
        (WIDE, DIRECTORY + 1, wide((0, 0), (4, 0)), ErrorCode.LOAD_FIBER),
        *(
            (NARROW, DIRECTORY, narrow(*[(1, 2)] * lane, (1, 3)), ErrorCode.LOAD_FIBER)
            for lane in range(4)
        ),
        *((LENGTHS, DIRECTORY, lengths(*[0] * lane, 4), ErrorCode.LOAD_FIBER) for lane in range(8)),
        (LENGTHS, DIRECTORY, lengths(1, 1, 1, 0, 0, 0, 0, 1), ErrorCode.LOAD_FIBER),
        (LENGTHS, DIRECTORY, lengths(*[255] * 8), ErrorCode.LOAD_FIBER),
        # three entries belong to the chunk before; the second chunk has fibers in two lanes only
        (LENGTHS, DIRECTORY + 1, lengths(1), ErrorCode.LOAD_FIBER),
        (LENGTHS, DIRECTORY + 1, lengths(*[0] * 7, 1), ErrorCode.LOAD_FIBER),
    ],
)
def test_a_bad_chunk_is_reported(tile, position, chunk, code):
    found, *_ = fill(changed(block(tile), position, chunk))
    assert found == code


@pytest.mark.parametrize("load_chunks", range(1, len(block(WIDE))))
def test_no_chunk_beyond_load_chunks_is_awaited(load_chunks):
    """The error comes although no further chunk does, and the next one stays where it is."""
    chunks = block(WIDE)
    assert fill(chunks[:load_chunks]) == (ErrorCode.LOAD_LENGTH, load_chunks, 0)
    code, taken, _ = fill(chunks, load_chunks=load_chunks)
    assert (code, taken) == (ErrorCode.LOAD_LENGTH, load_chunks)


def test_a_block_shorter_than_load_chunks_is_reported():
    chunks = block(WIDE)
    code, taken, _ = fill(chunks, load_chunks=len(chunks) + 1)
    assert (code, taken) == (ErrorCode.LOAD_LENGTH, len(chunks))
