# amaranth: UnusedElaboratable=no
"""Arbiters of requests and of reads: fairness, order, and beats that go where they belong."""

from __future__ import annotations

import dataclasses
import random
from collections import deque

import pytest

from gscn.array import ARRAYS
from gscn.hw.port.arbiter import ReadArbiter, RoundRobin
from tests.hw.port.long_bursts import CHANNELS, burst_unit, long_bursts, port, with_long_bursts
from tests.hw.streams import collect, drive, never, reused, simulate, with_pauses

TINY = ARRAYS["tiny"]


@pytest.mark.parametrize("count", [1, 2, 3, 8])
def test_round_robin_serves_the_next_requester(count):
    rng = random.Random(count)
    dut = reused(RoundRobin, count=count)

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
    dut = reused(ReadArbiter, config=config, count=count)
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
    dut, commands, cycles = reused(ReadArbiter, config=TINY, count=3), [], []
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
    dut, commands, valids = reused(ReadArbiter, config=TINY, count=3), [], []
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


class GrantModel:
    """Which channels a `ReadArbiter` takes from, in plain Python; bursts have one beat."""

    def __init__(self, count, depth):
        self.count, self.depth = count, depth
        self.last = count - 1
        self.queued = self.under_way = 0
        self.seen = {"alone": 0, "shared": 0, "no room": 0}

    def step(self, offers, leaves, arrives):
        """Return the channels granted; `offers` holds an address or None per channel."""
        room = self.queued < ReadArbiter.COMMAND_DEPTH and self.under_way < self.depth
        turn = [(self.last + 1 + n) % self.count for n in range(self.count)]
        chosen = next((number for number in turn if offers[number] is not None), None)
        granted = []
        if chosen is not None and room:
            self.last = chosen
            granted = [n for n in range(self.count) if offers[n] == offers[chosen]]
            self.seen["shared" if len(granted) > 1 else "alone"] += 1
        self.seen["no room"] += chosen is not None and not room
        self.queued += bool(granted) - leaves
        self.under_way += bool(granted) - arrives
        return granted


@pytest.mark.parametrize("count", [2, 5, 9])
def test_grants_are_those_of_the_rule(count):
    """Channels offer one of a few bursts and hold it until it is taken."""
    config = dataclasses.replace(TINY, outstanding_bursts=4)
    rng = random.Random(count)
    dut, model = reused(ReadArbiter, config=config, count=count), GrantModel(count, 4)

    async def testbench(ctx):
        offers = [None] * count
        due = 0
        for _ in range(3000):
            for number, channel in enumerate(dut.channels):
                if offers[number] is None and rng.random() < 0.4:
                    offers[number] = 64 * rng.randrange(2)
                ctx.set(channel.valid, offers[number] is not None)
                ctx.set(channel.p, {"addr": offers[number] or 0, "beats": 1})
            arrives = due > 0 and rng.random() < 0.1
            ctx.set(dut.data_valid, arrives)
            ctx.set(dut.command.ready, rng.random() < 0.6)
            taken = [channel.valid & channel.ready for channel in dut.channels]
            _, _, leaves, *bits = await ctx.tick().sample(
                dut.command.valid & dut.command.ready, *taken
            )
            due += leaves - arrives
            expected = model.step(offers, leaves, arrives)
            assert [number for number, bit in enumerate(bits) if bit] == expected
            for number in expected:
                offers[number] = None

    simulate(dut, testbench, cycles=3100)
    assert min(model.seen.values()) > 0, model.seen


def test_bursts_of_unlike_length_or_address_are_not_shared():
    dut, commands = reused(ReadArbiter, config=TINY, count=3), []
    bursts = [{"addr": 64, "beats": 1}, {"addr": 64, "beats": 2}, {"addr": 128, "beats": 1}]
    simulate(
        dut,
        *(drive(dut.channels[n], [burst]) for n, burst in enumerate(bursts)),
        collect(dut.command, commands, 3),
        cycles=100,
    )
    assert commands == bursts


@with_long_bursts
def test_beats_of_long_bursts_go_to_the_channels_of_their_burst(mem_width, burst_beats):
    config = port(mem_width, burst_beats)
    bursts = long_bursts(config)
    total = sum(burst["beats"] for own in bursts for burst in own)
    dut, taken, valids = reused(ReadArbiter, config=config, count=CHANNELS), [], []

    async def memory(ctx):
        asked = 0
        while len(valids) < total:
            ctx.set(dut.data_valid, asked > len(valids))
            *_, arrives, valid = await ctx.tick().sample(dut.data_valid, dut.channel_valid)
            valids.extend([valid] * arrives)
            asked = sum(burst["beats"] for burst in taken)
        ctx.set(dut.data_valid, 0)
        await ctx.tick()

    simulate(
        dut,
        *(drive(dut.channels[channel], own) for channel, own in enumerate(bursts)),
        collect(dut.command, taken, 4 * CHANNELS),
        memory,
        cycles=200 + 8 * total,
    )
    owners = [1 << burst["addr"] // burst_unit(config) % CHANNELS for burst in taken]
    assert valids == [
        owner for owner, burst in zip(owners, taken, strict=True) for _ in range(burst["beats"])
    ]
