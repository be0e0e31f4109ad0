# amaranth: UnusedElaboratable=no
"""Rows of results become beats and bursts that write just them."""

from __future__ import annotations

import dataclasses
import random

import pytest

from gscn.array import ARRAYS
from gscn.hw.cluster.result_writer import ResultWriter
from gscn.hw.layouts import OutFormat
from tests.hw.streams import drive, plain, reused, simulate, with_pauses

CONFIG = dataclasses.replace(ARRAYS["tiny"], burst_beats=4)
BYTES = {OutFormat.INT16: 2, OutFormat.INT32: 4, OutFormat.RAW: 8}


def runs(seed, width, count=12):
    """Return the rows of some jobs: (address, last, results), no place twice."""
    generator = random.Random(seed)
    rows, addr = [], 0
    for _ in range(count):
        for _ in range(generator.randint(1, 5)):
            addr += generator.choice((0, 0, 1, 2, 7, 19)) * width
            for _ in range(generator.randint(1, 9)):
                results = [generator.getrandbits(64) for _ in range(CONFIG.drain_width)]
                rows.append([addr, 0, results])
                addr += width
        rows[-1][1] = 1
    return rows


def words_of(rows):
    """Return rows as the writer takes them."""
    words, before = [], None
    for addr, last, results in rows:
        beat = addr // CONFIG.mem_bytes
        words.append({"addr": addr, "last": last, "results": results})
        # anything in a job's first row
        words[-1] |= {"turns": beat != before, "follows": before is None}
        if before is not None:
            words[-1]["follows"] = beat == before + 1 and beat % CONFIG.burst_beats != 0
        before = None if last else beat
    return words


def memory_writes(commands, beats):
    """Return byte address to value of what bursts write."""
    written, left = {}, list(beats)
    slot = 2 * CONFIG.drain_width
    for command in commands:
        size = CONFIG.mem_bytes
        first, last = command["addr"] // size, command["addr"] // size + command["beats"] - 1
        assert command["addr"] % size == 0
        assert first // CONFIG.burst_beats == last // CONFIG.burst_beats
        for number in range(command["beats"]):
            beat = left.pop(0)
            for byte in range(size):
                if beat["slots"] >> byte // slot & 1:
                    addr = command["addr"] + number * size + byte
                    assert addr not in written
                    written[addr] = beat["data"] >> 8 * byte & 0xFF
    assert not left
    return written


def expected(rows, size):
    return {
        addr + size * number + byte: result >> 8 * byte & 0xFF
        for addr, _, results in rows
        for number, result in enumerate(results)
        for byte in range(size)
    }


@with_pauses
@pytest.mark.parametrize("out_format", BYTES)
def test_rows_are_written_where_they_belong(source_pauses, sink_pauses, out_format):
    size = BYTES[out_format]
    rows = runs(size, size * CONFIG.drain_width)
    writer = reused(ResultWriter, config=CONFIG)
    words = words_of(rows)
    commands, beats = [], []

    async def memory(ctx):
        """Take beats of bursts that were taken before."""
        due, pauses = 0, sink_pauses()
        while True:
            takes, pause = due > 0, next(pauses)
            ctx.set(writer.command.ready, not pause)
            ctx.set(writer.o.ready, takes and not pause)
            _, _, offered, command, sent, beat = await ctx.tick().sample(
                writer.command.valid, writer.command.p, writer.o.valid, writer.o.p
            )
            if offered and not pause:
                commands.append(plain(command))
                due += commands[-1]["beats"]
            if takes and not pause:
                assert sent, "all beats of a burst are complete"
                beats.append(plain(beat))
                due -= 1

    async def ends(ctx):
        ctx.set(writer.out_format, out_format)
        await drive(writer.i, words, source_pauses())(ctx)
        for _ in range(3):
            await ctx.tick()
        while not ctx.get(writer.empty):
            await ctx.tick()

    simulate(writer, ends, cycles=20 * len(rows), background=[memory])
    assert memory_writes(commands, beats) == expected(rows, size)
    consecutive = sum(c["beats"] > 1 for c in commands)
    assert consecutive > 5


def test_a_row_per_cycle_without_pauses():
    rows = [[8 * n, int(n == 99), [n, n]] for n in range(100)]
    writer = reused(ResultWriter, config=CONFIG)
    count = 0

    async def memory(ctx):
        ctx.set(writer.command.ready, 1)
        ctx.set(writer.o.ready, 1)
        while True:
            await ctx.tick()

    async def source(ctx):
        nonlocal count
        ctx.set(writer.out_format, OutFormat.INT32)
        for word in words_of(rows):
            ctx.set(writer.i.p, word)
            ctx.set(writer.i.valid, 1)
            taken = False
            while not taken:
                _, _, taken = await ctx.tick().sample(writer.i.ready)
                count += 1

    simulate(writer, source, cycles=300, background=[memory])
    assert count == len(rows)
