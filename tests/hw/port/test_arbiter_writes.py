# amaranth: UnusedElaboratable=no
"""The arbiter of writes: order, beats that stay together, and the range that may be written."""

from __future__ import annotations

import random

import pytest

from gscn.array import ARRAYS
from gscn.hw.port.arbiter import WriteArbiter
from tests.hw.parts import strobe_of
from tests.hw.port.long_bursts import CHANNELS, burst_unit, long_bursts, port, with_long_bursts
from tests.hw.streams import collect, drive, never, randomly, reused, simulate, with_pauses

TINY = ARRAYS["tiny"]


def write_traffic(count, *, per_channel=10, seed=4):
    """Return each channel's bursts as (command, beats); beats tell their channel and number."""
    rng = random.Random(seed)
    return [
        [
            (
                {"addr": 4096 * channel + 64 * n, "beats": beats},
                [{"data": channel << 32 | n << 8 | b, "slots": 1 + b} for b in range(beats)],
            )
            for n in range(per_channel)
            for beats in [rng.randint(1, 2)]
        ]
        for channel in range(count)
    ]


def channel_source(dut, channel, bursts, pauses):
    """Return testbenches that offer each command with its beats behind it."""
    beats = [beat for _, own in bursts for beat in own]
    return [
        drive(dut.commands[channel], [command for command, _ in bursts], pauses),
        drive(dut.beats[channel], beats),
    ]


@pytest.mark.parametrize("count", [1, 2, 5])
@with_pauses
def test_write_bursts_stay_together(count, source_pauses, sink_pauses):
    traffic = write_traffic(count)
    dut = reused(WriteArbiter, config=TINY, count=count)
    commands, beats, issued = [], [], []

    async def watch(ctx):
        while True:
            _, _, pulse = await ctx.tick().sample(dut.issued)
            issued.append(pulse)

    sources = [
        testbench
        for channel in range(count)
        for testbench in channel_source(dut, channel, traffic[channel], source_pauses())
    ]
    total = sum(len(own) for channel in traffic for _, own in channel)
    simulate(
        dut,
        *sources,
        collect(dut.command, commands, 10 * count, sink_pauses()),
        collect(dut.data, beats, total, randomly(5, 0.3)),
        background=[watch],
        cycles=200 + 20 * total,
    )
    known = {command["addr"]: own for channel in traffic for command, own in channel}
    # the beats are those of the commands, in the order of the commands
    assert beats == [
        {"data": beat["data"], "strobe": strobe_of(beat["slots"], TINY)}
        for command in commands
        for beat in known[command["addr"]]
    ]
    for channel in range(count):
        own = [command for command in commands if command["addr"] // 4096 == channel]
        assert own == [command for command, _ in traffic[channel]]
    assert sum(issued) == 10 * count


def test_write_bursts_follow_back_to_back_in_turn():
    count = 3
    dut = reused(WriteArbiter, config=TINY, count=count)
    traffic = write_traffic(count)
    commands, beats, cycles = [], [], []
    total = sum(len(own) for channel in traffic for _, own in channel)
    simulate(
        dut,
        *(
            testbench
            for channel in range(count)
            for testbench in channel_source(dut, channel, traffic[channel], never())
        ),
        collect(dut.command, commands, 30),
        collect(dut.data, beats, total, cycles=cycles),
        cycles=300,
    )
    assert [command["addr"] // 4096 for command in commands] == [0, 1, 2] * 10
    assert cycles == list(range(1, total + 1))


@pytest.mark.parametrize(
    ("first", "end", "passes"),
    [
        (2, 3, True),
        (3, 4, False),
        (0, 2, False),
        (2, 2, False),
        (0, 1 << (TINY.addr_width - 6), True),
    ],
)
@pytest.mark.parametrize("beats", [1, 2])
def test_only_bursts_inside_the_range_are_taken(first, end, passes, beats):
    dut = reused(WriteArbiter, config=TINY, count=2)
    # a burst at the end of the 64 bytes from 128 on
    addr = 3 * 64 - beats * TINY.mem_bytes

    async def testbench(ctx):
        ctx.set(dut.range_start, first)
        ctx.set(dut.range_end, end)
        ctx.set(dut.commands[1].p, {"addr": addr, "beats": beats})
        ctx.set(dut.commands[1].valid, 1)
        ctx.set(dut.command.ready, 1)
        assert ctx.get(dut.commands[1].ready) == passes
        assert ctx.get(dut.refused) == (0 if passes else 0b10)
        seen = []
        for _ in range(4):
            *_, issued, valid = await ctx.tick().sample(dut.issued, dut.command.valid)
            ctx.set(dut.commands[1].valid, not passes)
            seen += [issued, valid]
        assert any(seen) == passes

    simulate(dut, testbench, cycles=20)


@with_long_bursts
def test_no_byte_of_a_long_burst_is_outside_the_range(mem_width, burst_beats):
    """Ends of the range at, before and behind the ends of bursts of every length."""
    config = port(mem_width, burst_beats)
    burst_bytes = burst_unit(config)
    rng = random.Random(burst_beats)
    dut, outcomes = reused(WriteArbiter, config=config, count=2), set()

    async def testbench(ctx):
        ctx.set(dut.command.ready, 0)
        for _ in range(300):
            first = rng.randrange(burst_beats)
            beats = rng.randint(1, burst_beats - first)
            addr = 4 * burst_bytes + first * config.mem_bytes
            last = addr + beats * config.mem_bytes - 1
            # in units of 64 bytes, near both ends of the burst
            start = max(0, addr // 64 + rng.randint(-1, 1))
            end = max(0, last // 64 + rng.randint(-1, 2))
            ctx.set(dut.range_start, start)
            ctx.set(dut.range_end, end)
            ctx.set(dut.commands[0].p, {"addr": addr, "beats": beats})
            ctx.set(dut.commands[0].valid, 1)
            await ctx.delay(1e-9)
            inside = start * 64 <= addr and last < end * 64
            assert ctx.get(dut.commands[0].ready) == inside, (addr, beats, start, end)
            assert ctx.get(dut.refused) == (not inside), (addr, beats, start, end)
            ctx.set(dut.commands[0].valid, 0)
            outcomes.add(inside)
            await ctx.tick()

    simulate(dut, testbench, cycles=400)
    assert outcomes == {True, False}


@with_long_bursts
def test_beats_of_long_bursts_stay_together(mem_width, burst_beats):
    config = port(mem_width, burst_beats)
    traffic = [
        [
            (burst, [{"data": burst["addr"] + b, "slots": 1} for b in range(burst["beats"])])
            for burst in own
        ]
        for own in long_bursts(config)
    ]
    total = sum(burst["beats"] for own in traffic for burst, _ in own)
    dut, commands, beats = reused(WriteArbiter, config=config, count=CHANNELS), [], []
    simulate(
        dut,
        *(
            testbench
            for channel, own in enumerate(traffic)
            for testbench in channel_source(dut, channel, own, never())
        ),
        collect(dut.command, commands, 4 * CHANNELS),
        collect(dut.data, beats, total),
        cycles=200 + 8 * total,
    )
    assert [beat["data"] for beat in beats] == [
        burst["addr"] + b for burst in commands for b in range(burst["beats"])
    ]
