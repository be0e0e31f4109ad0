# amaranth: UnusedElaboratable=no
"""The arbiters: fairness, order, and beats that stay together."""

from __future__ import annotations

import dataclasses
import random
from collections import deque

import pytest

from gscn.config import PRESETS
from hw.arbiter import ReadArbiter, RoundRobin, WriteArbiter
from tests.hw.parts import strobe_of
from tests.hw.streams import collect, drive, never, randomly, simulate, with_pauses

TINY = PRESETS["tiny"]


@pytest.mark.parametrize("count", [1, 2, 3, 8])
def test_round_robin_serves_the_next_requester(count):
    rng = random.Random(count)
    dut = RoundRobin(count=count)

    async def testbench(ctx):
        last = count - 1
        for _ in range(300):
            requests = rng.getrandbits(count)
            used = bool(requests) and rng.random() < 0.7
            ctx.set(dut.requests, requests)
            ctx.set(dut.en, used)
            turn = [(last + 1 + n) % count for n in range(count)]
            expected = next((n for n in turn if requests >> n & 1), None)
            _, _, grant = await ctx.tick().sample(dut.grant)
            if requests:
                assert grant == expected
            if used:
                last = expected

    simulate(dut, testbench, cycles=400)


@pytest.mark.parametrize("count", [1, 2, 5])
@with_pauses
def test_read_beats_return_to_their_channel(count, source_pauses, sink_pauses):
    config = dataclasses.replace(TINY, outstanding_bursts=4)
    rng = random.Random(3)
    bursts = [
        [{"addr": 4096 * channel + 64 * n, "beats": rng.randint(1, 2)} for n in range(12)]
        for channel in range(count)
    ]
    dut = ReadArbiter(config=config, count=count)
    total = 12 * count
    commands, beats, waiting = [], [], []

    async def memory(ctx):
        """Return the beats of the commands taken, and record whose they are."""
        pending, served = deque(), 0
        while True:
            for burst in commands[served:]:
                pending += [burst["addr"] // 4096] * burst["beats"]
            served = len(commands)
            answers = bool(pending) and rng.random() < 0.6
            ctx.set(dut.data_valid, answers)
            _, _, valid = await ctx.tick().sample(dut.channel_valid)
            waiting.append(len(pending))
            if answers:
                beats.append((pending.popleft(), valid))
            else:
                assert valid == 0

    async def drain(ctx):
        while len(beats) < sum(burst["beats"] for own in bursts for burst in own):
            await ctx.tick()

    simulate(
        dut,
        *(
            drive(dut.channels[channel], bursts[channel], source_pauses() if channel else never())
            for channel in range(count)
        ),
        collect(dut.command, commands, total, sink_pauses()),
        drain,
        background=[memory],
        cycles=200 + 20 * total,
    )
    for channel in range(count):
        assert [b for b in commands if b["addr"] // 4096 == channel] == bursts[channel]
    assert all(valid == 1 << channel for channel, valid in beats)
    # at most `outstanding_bursts` bursts of at most 2 beats are under way
    assert max(waiting) <= 2 * config.outstanding_bursts


def test_one_read_command_per_cycle_in_turn():
    dut, commands, cycles = ReadArbiter(config=TINY, count=3), [], []
    bursts = [[{"addr": 64 * channel, "beats": 1}] * 4 for channel in range(3)]
    simulate(
        dut,
        *(drive(dut.channels[channel], bursts[channel]) for channel in range(3)),
        collect(dut.command, commands, 12, cycles=cycles),
        cycles=100,
    )
    assert [burst["addr"] // 64 for burst in commands] == [0, 1, 2] * 4
    assert cycles == list(range(1, 13))


def test_channels_that_ask_for_the_same_burst_at_once_share_it():
    dut, commands, valids = ReadArbiter(config=TINY, count=3), [], []
    shared = [{"addr": 64 * n, "beats": 2} for n in range(4)]
    alone = [{"addr": 4096 + 64 * n, "beats": 2} for n in range(4)]

    async def memory(ctx):
        """Return the beats of all commands, once the last of them has been taken."""
        while len(commands) < 8:
            await ctx.tick()
        ctx.set(dut.data_valid, 1)
        for _ in range(16):
            _, _, valid = await ctx.tick().sample(dut.channel_valid)
            valids.append(valid)
        ctx.set(dut.data_valid, 0)
        await ctx.tick()

    simulate(
        dut,
        drive(dut.channels[0], shared),
        drive(dut.channels[1], alone),
        drive(dut.channels[2], shared),
        collect(dut.command, commands, 8),
        memory,
        cycles=100,
    )
    assert [c for c in commands if c["addr"] < 4096] == shared
    assert [c for c in commands if c["addr"] >= 4096] == alone
    expected = [0b010 if command["addr"] >= 4096 else 0b101 for command in commands]
    assert valids == [valid for valid in expected for _ in range(2)]


def test_a_channel_that_is_not_urgent_waits_to_share():
    dut, commands, owners = ReadArbiter(config=TINY, count=3), [], []
    shared, alone = {"addr": 64, "beats": 1}, {"addr": 4096, "beats": 1}

    async def host(ctx):
        """Let channel 0 wait for channel 2, and channel 1 until it is urgent itself."""
        ctx.set(dut.urgent, 0b100)
        for _ in range(5):
            await ctx.tick()
            assert not commands
        await drive(dut.channels[2], [shared])(ctx)
        for _ in range(5):
            await ctx.tick()
            assert commands == [shared]
        ctx.set(dut.urgent, 0b010)
        while len(commands) < 2:
            await ctx.tick()
        ctx.set(dut.data_valid, 1)
        for _ in range(2):
            _, _, valid = await ctx.tick().sample(dut.channel_valid)
            owners.append(valid)
        ctx.set(dut.data_valid, 0)
        await ctx.tick()

    simulate(
        dut,
        drive(dut.channels[0], [shared]),
        drive(dut.channels[1], [alone]),
        collect(dut.command, commands, 2),
        host,
        cycles=100,
    )
    assert commands == [shared, alone]
    assert owners == [0b101, 0b010]


def test_bursts_of_unlike_length_or_address_are_not_shared():
    dut, commands = ReadArbiter(config=TINY, count=3), []
    bursts = [{"addr": 64, "beats": 1}, {"addr": 64, "beats": 2}, {"addr": 128, "beats": 1}]
    simulate(
        dut,
        *(drive(dut.channels[n], [burst]) for n, burst in enumerate(bursts)),
        collect(dut.command, commands, 3),
        cycles=100,
    )
    assert commands == bursts


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
    dut = WriteArbiter(config=TINY, count=count)
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
    dut = WriteArbiter(config=TINY, count=count)
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
    dut = WriteArbiter(config=TINY, count=2)
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
