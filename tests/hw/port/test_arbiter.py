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
from tests.hw.streams import collect, drive, never, simulate, with_pauses

TINY = ARRAYS["tiny"]


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


async def granted(ctx, dut, cycles):
    """Return per cycle the mask of channels whose command is taken; they offer no more then."""
    masks = []
    for _ in range(cycles):
        taken = [channel.valid & channel.ready for channel in dut.channels]
        _, _, *bits = await ctx.tick().sample(*taken)
        masks.append(sum(bit << number for number, bit in enumerate(bits)))
        for channel, bit in zip(dut.channels, bits, strict=True):
            if bit:
                ctx.set(channel.valid, 0)
    return masks


def offer(ctx, dut, number, addr, *, sharers=0):
    ctx.set(dut.channels[number].p, {"addr": addr, "beats": 1})
    ctx.set(dut.channels[number].valid, 1)
    ctx.set(dut.sharers[number], sharers)


def check_grants(count, testbench):
    """Run a testbench with an arbiter whose channels are not urgent and whose commands leave."""
    dut = ReadArbiter(config=dataclasses.replace(TINY, outstanding_bursts=16), count=count)

    async def prepared(ctx):
        ctx.set(dut.urgent, 0)
        ctx.set(dut.command.ready, 1)
        await testbench(ctx, dut)

    simulate(dut, prepared, cycles=100)


def test_a_waiting_burst_is_taken_when_its_sharers_are_there():
    async def testbench(ctx, dut):
        for number in range(2):
            offer(ctx, dut, number, 64, sharers=3)
            assert await granted(ctx, dut, 6) == [0] * 6
        offer(ctx, dut, 2, 128, sharers=3)  # another burst
        assert await granted(ctx, dut, 6) == [0] * 6
        offer(ctx, dut, 3, 64)  # counts, though it names none itself
        masks = await granted(ctx, dut, 6)
        # three are looked at in turn, and one that is complete is taken one cycle later
        assert [mask for mask in masks if mask] == [0b1011]
        assert masks.index(0b1011) <= 3

    check_grants(4, testbench)


@pytest.mark.parametrize("sharers", [1, 2])
def test_a_waiting_burst_is_taken_in_the_cycle_after_it_is_looked_at(sharers):
    async def testbench(ctx, dut):
        for number in range(2):
            offer(ctx, dut, number, 64, sharers=sharers)
        offer(ctx, dut, 2, 128, sharers=1)
        # one that comes while the candidate is granted shares it as well
        assert await granted(ctx, dut, 1) == [0]
        offer(ctx, dut, 3, 64, sharers=200)
        assert await granted(ctx, dut, 5) == [0b1011, 0, 0b0100, 0, 0]

    check_grants(4, testbench)


def test_urgent_commands_come_before_complete_ones_and_keep_their_turn():
    async def testbench(ctx, dut):
        ctx.set(dut.urgent, 0b1100)
        offer(ctx, dut, 0, 64, sharers=2)
        offer(ctx, dut, 1, 64, sharers=2)
        assert await granted(ctx, dut, 1) == [0]
        offer(ctx, dut, 2, 128)
        offer(ctx, dut, 3, 192)
        # the candidate is forgotten, and looked at again once nothing is urgent
        assert await granted(ctx, dut, 6) == [0b0100, 0b1000, 0, 0b0011, 0, 0]
        # looking moved the priority past channel 0, granting what it found did not
        offer(ctx, dut, 1, 64, sharers=1)
        offer(ctx, dut, 0, 128, sharers=1)
        assert await granted(ctx, dut, 5) == [0, 0b0010, 0, 0b0001, 0]

    check_grants(4, testbench)


def test_one_that_names_more_sharers_than_there_are_waits_until_it_is_urgent():
    async def testbench(ctx, dut):
        for number in range(3):
            offer(ctx, dut, number, 64, sharers=4)
        assert await granted(ctx, dut, 20) == [0] * 20
        ctx.set(dut.urgent, 0b010)
        assert await granted(ctx, dut, 2) == [0b111, 0]

    check_grants(3, testbench)


class GrantModel:
    """Which channels a `ReadArbiter` takes from, in plain Python; bursts have one beat."""

    def __init__(self, count, depth):
        self.count, self.depth = count, depth
        self.last, self.candidate = count - 1, None
        self.queued = self.under_way = 0
        self.seen = {"urgent": 0, "complete": 0, "overtaken": 0, "no room": 0}

    def first_of(self, numbers):
        turn = [(self.last + 1 + n) % self.count for n in range(self.count)]
        return next((number for number in turn if number in numbers), None)

    def step(self, offers, urgent, sharers, leaves, arrives):
        """Return the channels granted; `offers` holds an address or None per channel."""
        room = self.queued < ReadArbiter.COMMAND_DEPTH and self.under_way < self.depth
        offering = [n for n in range(self.count) if offers[n] is not None]
        hurried = self.first_of([n for n in offering if urgent[n]])
        complete, self.candidate = self.candidate, None
        chosen = None
        if hurried is not None:
            self.seen["overtaken"] += complete is not None
            if room:
                chosen = self.last = hurried
                self.seen["urgent"] += 1
        elif complete is not None:
            self.seen["complete" if room else "no room"] += 1
            chosen = complete if room else None
        else:
            looked_at = self.first_of([n for n in offering if sharers[n]])
            if looked_at is not None:
                self.last = looked_at
                if sum(offers[n] == offers[looked_at] for n in offering) >= sharers[looked_at]:
                    self.candidate = looked_at
        self.queued += (chosen is not None) - leaves
        self.under_way += (chosen is not None) - arrives
        return [n for n in offering if chosen is not None and offers[n] == offers[chosen]]


@pytest.mark.parametrize("count", [1, 2, 5, 9])
def test_grants_are_those_of_the_rule(count):
    """Channels offer one of a few bursts, hold it until it is taken, and become urgent or not."""
    config = dataclasses.replace(TINY, outstanding_bursts=4)
    rng = random.Random(count)
    dut, model = ReadArbiter(config=config, count=count), GrantModel(count, 4)

    async def testbench(ctx):
        offers = [None] * count
        sharers = [0] * count
        due = 0
        for _ in range(3000):
            for number, channel in enumerate(dut.channels):
                if offers[number] is None and rng.random() < 0.4:
                    offers[number] = 64 * rng.randrange(2)
                    sharers[number] = rng.choice([0, 1, 1, 2, 3, count, count + 1, 255])
                ctx.set(channel.valid, offers[number] is not None)
                ctx.set(channel.p, {"addr": offers[number] or 0, "beats": 1})
                ctx.set(dut.sharers[number], sharers[number])
            urgent = [rng.random() < 0.1 for _ in range(count)]
            ctx.set(dut.urgent, sum(bit << number for number, bit in enumerate(urgent)))
            arrives = due > 0 and rng.random() < 0.1
            ctx.set(dut.data_valid, arrives)
            ctx.set(dut.command.ready, rng.random() < 0.6)
            taken = [channel.valid & channel.ready for channel in dut.channels]
            _, _, leaves, *bits = await ctx.tick().sample(
                dut.command.valid & dut.command.ready, *taken
            )
            due += leaves - arrives
            expected = model.step(offers, urgent, sharers, leaves, arrives)
            assert [number for number, bit in enumerate(bits) if bit] == expected
            for number in expected:
                offers[number] = None

    simulate(dut, testbench, cycles=3100)
    assert min(model.seen.values()) > 0, model.seen


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


@with_long_bursts
def test_beats_of_long_bursts_go_to_the_channels_of_their_burst(mem_width, burst_beats):
    config = port(mem_width, burst_beats)
    bursts = long_bursts(config)
    total = sum(burst["beats"] for own in bursts for burst in own)
    dut, taken, valids = ReadArbiter(config=config, count=CHANNELS), [], []

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
