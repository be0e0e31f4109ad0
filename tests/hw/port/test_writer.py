# amaranth: UnusedElaboratable=no
"""The write channel against a memory that checks bursts."""

from __future__ import annotations

import dataclasses
import random

import pytest

from gscn.config import PRESETS
from gscn.hw.port.writer import BurstWriter
from tests.hw.memory import Memory
from tests.hw.parts import parts_of, slot_bytes
from tests.hw.streams import drive, simulate, with_pauses

TINY = PRESETS["tiny"]
SINGLE = dataclasses.replace(TINY, burst_beats=1)
LONG = dataclasses.replace(TINY, burst_beats=8, read_fifo_beats=16)
WIDE = dataclasses.replace(TINY, pes_per_cluster=1, mem_width=512)
CONFIGS = {"tiny": TINY, "single beats": SINGLE, "long bursts": LONG, "many slots": WIDE}


def whole(data, config):
    """Return the one part that writes a whole beat of four slots."""
    return parts_of(data, [range(config.mem_bytes // slot_bytes(config))], config)


def in_groups(slots, rng):
    """Return slots in groups of 1, 2 or 4, as sets of results come; a last one may be empty."""
    count = rng.choice((1, 2, 4))
    groups = [slots[first : first + count] for first in range(0, len(slots), count)]
    return [*groups, ()] if rng.random() < 0.5 else groups


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
@with_pauses
def test_ranges_are_written_whole(config, source_pauses, sink_pauses):
    memory = Memory(config, pauses=sink_pauses())
    dut = BurstWriter(config=config)
    beat_bytes = config.mem_bytes
    slots, rng = beat_bytes // slot_bytes(config), random.Random(1)
    kept = 3  # slots of the last beat of a range
    # (first beat, beats); the last beat of each range is partial
    ranges = [(0, 1), (5, 13), (24, 16), (43, 2), (48, 9)]
    memory.reserve(64 * beat_bytes)
    pauses = source_pauses()
    expected = {}
    for number, (first, beats) in enumerate(ranges):
        memory.writable.append((first * beat_bytes, (first + beats) * beat_bytes))
        for n in range(beats):
            for lane in range(beat_bytes if n < beats - 1 else kept * slot_bytes(config)):
                expected[(first + n) * beat_bytes + lane] = (number * 31 + n * 7 + lane) % 256

    async def testbench(ctx):
        for number, (first, beats) in enumerate(ranges):
            assert ctx.get(dut.empty)
            ctx.set(dut.start_addr, first * beat_bytes)
            ctx.set(dut.start, 1)
            await ctx.tick()
            ctx.set(dut.start, 0)
            ctx.set(dut.start_addr, 0)
            parts = []
            for n in range(beats):
                lanes = [(number * 31 + n * 7 + lane) % 256 for lane in range(beat_bytes)]
                groups = in_groups(range(slots if n < beats - 1 else kept), rng)
                parts += parts_of(int.from_bytes(lanes, "little"), groups, config)
            await drive(dut.i, parts, pauses)(ctx)
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
        ctx.set(dut.i.p, {"data": [1, 0, 0, 0], "slots": 1, "ends": 1})
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

    parts = [part for n in range(32) for part in whole(n, LONG)]
    simulate(dut, drive(dut.i, parts), sink, cycles=200)
    assert cycles == list(range(cycles[0], cycles[0] + 32))


def test_only_the_end_of_a_beat_waits_for_room():
    dut = BurstWriter(config=TINY)
    readies = []

    async def testbench(ctx):
        ctx.set(dut.i.valid, 1)
        for cycle in range(2 * TINY.burst_beats + 3):
            ctx.set(dut.i.p, {"data": [0] * 4, "slots": 1, "ends": cycle != 1})
            readies.append(ctx.get(dut.i.ready))
            await ctx.tick()
        ctx.set(dut.i.p, {"data": [0] * 4, "slots": 1, "ends": 0})
        readies.append(ctx.get(dut.i.ready))

    simulate(dut, testbench, cycles=20)
    # one beat of two parts and the others of one fill the queue; then an end waits, a part does not
    assert readies == [1] * (2 * TINY.burst_beats + 1) + [0, 0] + [1]
