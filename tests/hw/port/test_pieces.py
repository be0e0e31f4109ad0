# amaranth: UnusedElaboratable=no
"""The reader of pieces against a memory of known halfwords."""

from __future__ import annotations

import dataclasses
import random

import pytest

from gscn.array import ARRAYS
from gscn.hw.port.pieces import PieceReader
from tests.hw.memory import Memory
from tests.hw.streams import collect, drive, in_runs, never, randomly, reused, simulate

TINY = ARRAYS["tiny"]
CONFIGS = {
    "tiny": TINY,
    "narrow": dataclasses.replace(
        TINY, drain_width=1, mem_width=64, burst_beats=1, read_fifo_beats=2
    ),
    "middle": dataclasses.replace(TINY, mem_width=256, burst_beats=4, read_fifo_beats=16),
    "wide": dataclasses.replace(TINY, mem_width=512, burst_beats=8, read_fifo_beats=16),
}


def pieces_of(rng, size, count):
    """Return pieces of all kinds of lengths inside some halfwords."""
    found = []
    for _ in range(count):
        length = rng.choice([0, 1, 2, 3, 4, 5, 7, 8, rng.randrange(150)])
        found.append((rng.randrange(size - length), length))
    return found


def taker(dut, pieces, got, cycles, rng, pauses, most=4):
    """Return a testbench that takes pieces in portions of random size, and requires their ends."""

    async def testbench(ctx):
        cycle = 0
        for _, length in pieces:
            piece = []
            while True:
                window = [int(ctx.get(dut.window[n])) for n in range(4)]
                available, ends = int(ctx.get(dut.available)), ctx.get(dut.ends)
                assert available <= length - len(piece)
                if ends:
                    assert available == length - len(piece)
                if ends and available == 0:
                    ctx.set(dut.take, 0)
                    ctx.set(dut.done, 1)
                    await ctx.tick()
                    ctx.set(dut.done, 0)
                    cycle += 1
                    break
                take = 0 if next(pauses) else rng.randint(min(most, available), available)
                piece += window[:take]
                cycles.append((cycle, take))
                ctx.set(dut.take, take)
                await ctx.tick()
                ctx.set(dut.take, 0)
                cycle += 1
            got.append(piece)

    return testbench


def read(config, pieces, *, size=4096, latency=3, source=never, sink=never, memory=None, most=0):
    rng = random.Random(repr((config.mem_width, pieces)))
    image = Memory(config, latency=latency, pauses=memory)
    image.reserve(128)
    words = [rng.getrandbits(16) for _ in range(size)]
    packed = [sum(words[n + k] << 16 * k for k in range(4)) for n in range(0, size, 4)]
    addr = image.store(packed)
    image.reserve(64)
    dut, got, cycles = reused(PieceReader, config=config), [], []

    async def hold(ctx):
        ctx.set(dut.addr, addr)

    simulate(
        dut,
        hold,
        drive(dut.request, [{"first": a, "halfwords": n} for a, n in pieces], source()),
        taker(dut, pieces, got, cycles, rng, sink(), most),
        background=[image.serve_reads([dut.command], dut.data, dut.data_valid)],
        cycles=2000 + 20 * sum(n for _, n in pieces),
    )
    assert got == [words[a : a + n] for a, n in pieces]
    beats = [(at - addr) // config.mem_bytes + n for at, count in image.reads for n in range(count)]
    per_beat = config.mem_bytes // 2
    assert beats == [
        beat for a, n in pieces if n for beat in range(a // per_beat, (a + n - 1) // per_beat + 1)
    ]
    return cycles


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
@pytest.mark.parametrize("sink", [never, lambda: randomly(2), lambda: in_runs(4)])
def test_pieces_arrive_in_order_whatever_is_taken_of_them(config, sink):
    pieces = pieces_of(random.Random(config.mem_width), 4096, 40)
    read(config, pieces, source=lambda: in_runs(5), sink=sink, memory=in_runs(6))


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
def test_four_halfwords_per_cycle_are_sustained(config):
    fast = config.burst_beats > 1
    cycles = read(config, [(0, 400), (3, 401)], latency=0, most=4)
    takes = [take for _, take in cycles]
    if fast:
        busy = takes[takes.index(4) :][:80]
        assert busy == [4] * 80


def test_halfwords_are_there_after_the_latency_of_their_beat():
    dut, seen = reused(PieceReader, config=TINY), []

    async def bench(ctx):
        ctx.set(dut.request.p, {"first": 6, "halfwords": 2})
        ctx.set(dut.request.valid, 1)
        ctx.set(dut.command.ready, 1)
        await ctx.tick()
        ctx.set(dut.request.valid, 0)
        assert ctx.get(dut.command.valid)
        await ctx.tick().repeat(5)
        ctx.set(dut.data, 0xBEEF << 96)
        ctx.set(dut.data_valid, 1)
        seen.append(ctx.get(dut.available))
        for _ in range(PieceReader.LATENCY):
            await ctx.tick()
            ctx.set(dut.data_valid, 0)
            seen.append(ctx.get(dut.available))
        assert ctx.get(dut.window[0]) == 0xBEEF

    simulate(dut, bench, cycles=50)
    assert seen == [0] * PieceReader.LATENCY + [2]


def test_bursts_end_on_the_grid_and_fit_the_buffer():
    config = CONFIGS["wide"]
    dut, bursts = reused(PieceReader, config=config), []
    request = {"first": 32 * 5 + 1, "halfwords": 32 * 20}
    simulate(dut, drive(dut.request, [request]), collect(dut.command, bursts, 2), cycles=100)
    assert bursts == [{"addr": 64 * 5, "beats": 3}, {"addr": 64 * 8, "beats": 8}]
