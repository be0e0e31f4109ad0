# amaranth: UnusedElaboratable=no
"""Bursts of several writers reach memory whole, and each writer hears of its own ends."""

from __future__ import annotations

import random

import pytest

from gscn.array import ARRAYS
from gscn.hw.port.write_merger import WriteMerger
from tests.hw.streams import collect, drive, never, randomly, reused, simulate

TINY = ARRAYS["tiny"]
WRITERS, BURSTS = 3, 8


def bursts_of(writer, rng):
    """Return a writer's bursts: (command, beats); addresses say whose they are."""
    found = []
    for number in range(BURSTS):
        beats = rng.randint(1, TINY.burst_beats)
        command = {"addr": 1024 * writer + 64 * number, "beats": beats}
        content = [
            {"data": writer << 16 | number << 8 | place, "strobe": rng.getrandbits(TINY.mem_bytes)}
            for place in range(beats)
        ]
        found.append((command, content))
    return found


@pytest.mark.parametrize("pauses", [never, lambda: randomly(1)], ids=["no pause", "pauses"])
def test_beats_follow_their_commands_and_ends_go_to_whose_they_are(pauses):
    rng = random.Random(0)
    dut = reused(WriteMerger, config=TINY, count=WRITERS)
    every = [bursts_of(writer, rng) for writer in range(WRITERS)]
    total = sum(len(beats) for bursts in every for _, beats in bursts)
    commands, beats, ended = [], [], [[] for _ in range(WRITERS)]

    async def ends(ctx):
        """End bursts in their order, each when all its beats have come."""
        sent = 0
        for place in range(WRITERS * BURSTS):
            while len(commands) <= place or len(beats) < sent + commands[place]["beats"]:
                await ctx.tick()
            sent += commands[place]["beats"]
            for _ in range(rng.choice([0, 0, 9])):
                await ctx.tick()
            ctx.set(dut.done, 1)
            owner = ctx.get(dut.channel_done)
            ended[owner.bit_length() - 1].append(commands[place]["addr"])
            assert owner == 1 << commands[place]["addr"] // 1024
            await ctx.tick()
            ctx.set(dut.done, 0)

    drivers = [
        process
        for writer, bursts in enumerate(every)
        for process in (
            drive(dut.commands[writer], [command for command, _ in bursts], pauses()),
            drive(dut.beats[writer], [one for _, beats_ in bursts for one in beats_], pauses()),
        )
    ]
    simulate(
        dut,
        *drivers,
        ends,
        collect(dut.command, commands, WRITERS * BURSTS, pauses()),
        collect(dut.data, beats, total, pauses()),
        cycles=2000,
    )
    content = {command["addr"]: (command, sent) for bursts in every for command, sent in bursts}
    assert beats == [one for command in commands for one in content[command["addr"]][1]]
    assert commands == [content[command["addr"]][0] for command in commands]
    for writer, bursts in enumerate(every):
        assert ended[writer] == [command["addr"] for command, _ in bursts]
