# amaranth: UnusedElaboratable=no
"""The decoder of directories: rows of fibers and what lies beyond, in all formats."""

from __future__ import annotations

import random

import numpy as np
import pytest

from gscn import directories, records
from gscn.config import PRESETS
from gscn.hw.cluster.directory import DirectoryDecoder
from gscn.hw.layouts import FIBERS_PER_ROW
from tests.hw.streams import simulate

CONFIG = PRESETS["tiny"].with_overrides(["a_depth=2048", "directory_depth=128"])


def decoded(tiles):
    """Decode one directory after the other, each (format, bytes of whole chunks, keys, a_count).

    Returns, per directory, its number of chunks, its fibers by key, and the first chunk that is
    beyond, or None.
    """
    dut = DirectoryDecoder(config=CONFIG)
    found = []

    async def testbench(ctx):
        for form, data, keys, a_count in tiles:
            (header,) = records.TILE_HEADER.pack(
                1, directory_count=keys, a_count=a_count, directory_format=form
            )
            ctx.set(dut.chunk, int.from_bytes(header.tobytes(), "little"))
            ctx.set(dut.begins, 1)
            fibers, beyond = {}, None
            chunk_count = ctx.get(dut.chunk_count)
            await ctx.tick()
            ctx.set(dut.begins, 0)
            ctx.set(dut.a_count, a_count)
            for number, chunk in enumerate(data.view("<u8").tolist()):
                ctx.set(dut.chunk, chunk)
                ctx.set(dut.number, number)
                if number % 3 == 1:  # offered, but not taken yet
                    await ctx.tick()
                ctx.set(dut.en, 1)
                pairs, row = ctx.get(dut.pairs), ctx.get(dut.row)
                if ctx.get(dut.beyond) and beyond is None:
                    beyond = number
                for lane in range(FIBERS_PER_ROW):
                    if pairs >> lane // 2 & 1:
                        fiber = ctx.get(dut.fibers[lane])
                        key = FIBERS_PER_ROW * row + lane
                        assert key not in fibers, "written twice"
                        fibers[key] = fiber["start"], fiber["length"]
                await ctx.tick()
                ctx.set(dut.en, 0)
            found.append((chunk_count, fibers, beyond))

    simulate(dut, testbench, cycles=100 * len(tiles) + 100)
    return found


def wanted(form, data, a_count):
    """Return the fibers by key, and the first chunk that is beyond, as the records say."""
    start, length = directories.directory_fibers(data, form)
    fibers = dict(enumerate(zip(start.tolist(), length.tolist(), strict=True)))
    beyond = np.flatnonzero(start + length > a_count)
    per_chunk = 64 // directories.DIRECTORY_WIDTHS[form]
    return len(data) // 8, fibers, int(beyond[0]) // per_chunk if beyond.size else None


def random_directory(rng, form):
    """Return any bytes as a directory, its last chunk's padding too, with a likely `a_count`."""
    per_chunk = 64 // directories.DIRECTORY_WIDTHS[form]
    chunks = rng.randint(0, 10)
    keys = max(per_chunk * chunks - rng.randrange(per_chunk), 0)
    most = {0: 1 << 16, 1: 1 << 16, 2: rng.choice([3, 60, 256])}[form]
    width = {0: "<u2", 1: "<u2", 2: "<u1"}[form]
    values = [rng.randrange(most) for _ in range(chunks * 64 // (8 * np.dtype(width).itemsize))]
    data = np.array(values, dtype=width).view(np.uint8)
    if form == 0:
        # starts and lengths around the depth, so that sums are below and above
        data = (np.array(values, dtype="<u2") % (CONFIG.a_depth // 2 + 40)).view(np.uint8)
    start, length = directories.directory_fibers(data, form)
    ends = [*(start + length).tolist(), 0]
    a_count = min(rng.choice([max(ends), max(ends) - 1, rng.choice(ends)]), CONFIG.a_depth)
    return form, data, keys, max(a_count, 0)


@pytest.mark.parametrize("form", directories.DIRECTORY_WIDTHS)
def test_fibers_and_the_first_beyond_are_those_of_the_records(form):
    rng = random.Random(5 + form)
    tiles = [random_directory(rng, form) for _ in range(60)]
    found = decoded(tiles)
    ends = set()
    for tile, (chunk_count, fibers, beyond) in zip(tiles, found, strict=True):
        wanted_chunks, wanted_fibers, wanted_beyond = wanted(form, tile[1], tile[3])
        assert (chunk_count, beyond) == (wanted_chunks, wanted_beyond)
        ends.add(beyond)
        if form != directories.DIRECTORY_LENGTHS or beyond is None:
            assert fibers == wanted_fibers
    assert None in ends
    assert len(ends) > 3


def test_a_tile_of_lengths_is_not_seen_by_the_next_whatever_its_format():
    lengths = np.arange(16, dtype=np.uint8)
    wide = records.DIRECTORY_ENTRY.pack(2, start=[1, 0], length=[2, 3]).view(np.uint8)
    tiles = [(2, lengths, 16, 120), (2, lengths, 15, 120), (0, wide, 2, 3), (2, lengths, 16, 119)]
    found = decoded(tiles)
    starts = [n * (n - 1) // 2 for n in range(16)]
    assert found[0] == (2, dict(enumerate(zip(starts, range(16), strict=True))), None)
    assert found[1] == found[0]
    assert found[2] == (1, {0: (1, 2), 1: (0, 3)}, None)
    assert found[3][2] == 1
