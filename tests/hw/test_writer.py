# amaranth: UnusedElaboratable=no
"""The write channel against a memory that checks bursts."""

from __future__ import annotations

import dataclasses

import pytest

from gscn.config import PRESETS
from hw.writer import BurstWriter
from tests.hw.memory import Memory
from tests.hw.streams import drive, simulate, with_pauses

TINY = PRESETS["tiny"]
SINGLE = dataclasses.replace(TINY, burst_beats=1)
LONG = dataclasses.replace(TINY, burst_beats=8, read_fifo_beats=16)
CONFIGS = {"tiny": TINY, "single beats": SINGLE, "long bursts": LONG}


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
@with_pauses
def test_ranges_are_written_whole(config, source_pauses, sink_pauses):
    memory = Memory(config, pauses=sink_pauses())
    dut = BurstWriter(config=config)
    beat_bytes = config.mem_bytes
    everything = (1 << beat_bytes) - 1
    # (first beat, beats); the last beat of each range is partial
    ranges = [(0, 1), (5, 13), (24, 16), (43, 2), (48, 9)]
    memory.reserve(64 * beat_bytes)
    pauses = source_pauses()
    expected = {}
    for number, (first, beats) in enumerate(ranges):
        memory.writable.append((first * beat_bytes, (first + beats) * beat_bytes))
        for n in range(beats):
            for lane in range(beat_bytes if n < beats - 1 else 6):
                expected[(first + n) * beat_bytes + lane] = (number * 31 + n * 7 + lane) % 256

    async def testbench(ctx):
        for number, (first, beats) in enumerate(ranges):
            assert ctx.get(dut.empty)
            ctx.set(dut.start_addr, first * beat_bytes)
            ctx.set(dut.start, 1)
            await ctx.tick()
            ctx.set(dut.start, 0)
            ctx.set(dut.start_addr, 0)
            words = []
            for n in range(beats):
                lanes = [(number * 31 + n * 7 + lane) % 256 for lane in range(beat_bytes)]
                strobe = everything if n < beats - 1 else (1 << 6) - 1
                words.append({"data": int.from_bytes(lanes, "little"), "strobe": strobe})
            await drive(dut.i, words, pauses)(ctx)
            ctx.set(dut.flush, 1)
            while not ctx.get(dut.empty):
                await ctx.tick()
            ctx.set(dut.flush, 0)
        for _ in range(8):
            assert not ctx.get(dut.command.valid)
            assert not ctx.get(dut.o.valid)
            await ctx.tick()

    simulate(dut, testbench, background=[memory.serve_writes(dut.command, dut.o)], cycles=3000)
    assert memory.written == expected
    longest = config.burst_beats
    assert memory.bursts_written == sum(
        (first + beats - 1) // longest - first // longest + 1 for first, beats in ranges
    )


def test_nothing_is_offered_before_a_burst_is_complete_or_flushed():
    dut = BurstWriter(config=TINY)
    offers = []

    async def testbench(ctx):
        ctx.set(dut.i.p, {"data": 1, "strobe": 1})
        for cycle in range(8):
            ctx.set(dut.i.valid, cycle == 0)
            ctx.set(dut.flush, cycle >= 5)
            _, _, valid, beats = await ctx.tick().sample(dut.command.valid, dut.command.p.beats)
            offers.append(beats if valid else 0)

    simulate(dut, testbench, cycles=20)
    assert offers == [0, 0, 0, 0, 0, 1, 1, 1]


def test_one_beat_per_cycle():
    dut, cycles = BurstWriter(config=LONG), []

    async def sink(ctx):
        ctx.set(dut.command.ready, 1)
        credit = cycle = 0
        while len(cycles) < 32:
            cycle += 1
            ctx.set(dut.o.ready, credit > 0)
            _, _, issues, beats, leaves = await ctx.tick().sample(
                dut.command.valid, dut.command.p.beats, dut.o.valid
            )
            if leaves and credit:
                cycles.append(cycle)
                credit -= 1
            credit += beats * issues

    words = [{"data": n, "strobe": 1} for n in range(32)]
    simulate(dut, drive(dut.i, words), sink, cycles=200)
    assert cycles == list(range(cycles[0], cycles[0] + 32))
