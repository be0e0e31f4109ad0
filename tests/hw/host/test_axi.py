# amaranth: UnusedElaboratable=no
"""The AXI4 manager against a subordinate that checks the protocol."""

from __future__ import annotations

import dataclasses
import random

import pytest

from gscn.array import ARRAYS
from gscn.axi import AxiAttributes
from gscn.errors import InputError
from gscn.hw.host.axi import AxiManager
from tests.hw.host.subordinate import DECERR, SLVERR, Subordinate
from tests.hw.streams import drive, in_runs, never, reused, simulate, with_pauses

TINY = ARRAYS["tiny"]
LONG = dataclasses.replace(TINY, burst_beats=8, read_fifo_beats=16, outstanding_bursts=4)
BEAT = TINY.mem_bytes


def bursts(config, count, seed):
    """Return aligned bursts (addr, beats), none past a multiple of the longest."""
    rng = random.Random(seed)
    longest = config.burst_beats
    found = []
    for _ in range(count):
        first = rng.randrange(longest)
        beats = rng.randint(1, longest - first)
        block = rng.randrange(4096 // (longest * config.mem_bytes))
        found.append(((block * longest + first) * config.mem_bytes, beats))
    return found


def collect_reads(dut, received, count):
    async def collector(ctx):
        while len(received) < count:
            _, _, valid, word = await ctx.tick().sample(dut.read_data.valid, dut.read_data.payload)
            if valid:
                received.append(word)
        await ctx.tick().repeat(8)
        assert ctx.get(dut.idle)

    return collector


@pytest.mark.parametrize("config", [TINY, LONG], ids=["tiny", "long bursts"])
@with_pauses
def test_reads_come_back_in_order(config, source_pauses, sink_pauses):
    memory, dut = Subordinate(config, pauses=sink_pauses), AxiManager(config=config)
    commands = bursts(config, 60, 1)
    expected = [
        int.from_bytes(memory.memory[addr + n * BEAT : addr + (n + 1) * BEAT], "little")
        for addr, beats in commands
        for n in range(beats)
    ]
    received = []
    simulate(
        dut,
        drive(dut.read_cmd, [{"addr": a, "beats": b} for a, b in commands], source_pauses()),
        collect_reads(dut, received, len(expected)),
        background=memory.serve(dut.axi),
        cycles=4000,
    )
    assert received == expected
    assert memory.read_bursts == commands
    assert memory.longest_backlog <= config.outstanding_bursts


def write_stimulus(config, count, seed):
    """Return bursts on places of their own, and their beats."""
    rng = random.Random(seed)
    longest = config.burst_beats
    blocks = rng.sample(range(4096 // (longest * config.mem_bytes)), count)
    commands = [(block * longest * config.mem_bytes, rng.randint(1, longest)) for block in blocks]
    beats = [
        {"data": rng.getrandbits(8 * BEAT), "strobe": rng.getrandbits(BEAT)}
        for _, length in commands
        for _ in range(length)
    ]
    return commands, beats


def apply(memory, commands, beats):
    """Return a memory after the writes."""
    memory, beats = bytearray(memory), iter(beats)
    for addr, length in commands:
        for number in range(length):
            beat = next(beats)
            for lane in range(BEAT):
                if beat["strobe"] >> lane & 1:
                    memory[addr + number * BEAT + lane] = beat["data"] >> (8 * lane) & 0xFF
    return memory


def count_done(dut, count):
    async def counter(ctx):
        done = silent = 0
        while silent < 12:
            _, _, pulse = await ctx.tick().sample(dut.write_done)
            done += pulse
            silent = silent + 1 if done == count else 0
            assert done <= count
        assert ctx.get(dut.idle)

    return counter


@pytest.mark.parametrize("config", [TINY, LONG], ids=["tiny", "long bursts"])
@with_pauses
def test_writes_arrive_and_are_counted(config, source_pauses, sink_pauses):
    memory, dut = Subordinate(config, pauses=sink_pauses), AxiManager(config=config)
    commands, beats = write_stimulus(config, 30, 2)
    expected = apply(memory.memory, commands, beats)
    simulate(
        dut,
        drive(dut.write_cmd, [{"addr": a, "beats": b} for a, b in commands], source_pauses()),
        drive(dut.write_data, beats, source_pauses()),
        count_done(dut, len(commands)),
        background=memory.serve(dut.axi),
        cycles=4000,
    )
    assert memory.memory == expected
    assert memory.write_bursts == commands


def test_a_beat_per_cycle_both_ways():
    memory, dut = Subordinate(LONG, latency=0), AxiManager(config=LONG)
    commands = [(block * 8 * BEAT, 8) for block in range(16)]
    arrivals, departures = [], []

    async def watch(ctx):
        for cycle in range(400):
            _, _, read, write = await ctx.tick().sample(
                dut.read_data.valid, dut.axi.wvalid & dut.axi.wready
            )
            arrivals.extend([cycle] * read)
            departures.extend([cycle] * write)

    payloads = [{"addr": a, "beats": b} for a, b in commands]
    beats = [{"data": n, "strobe": 1} for n in range(128)]
    simulate(
        dut,
        drive(dut.read_cmd, payloads, never()),
        drive(dut.write_cmd, payloads, never()),
        drive(dut.write_data, beats, never()),
        watch,
        background=memory.serve(dut.axi),
        cycles=500,
    )
    assert arrivals == list(range(arrivals[0], arrivals[0] + 128))
    assert departures == list(range(departures[0], departures[0] + 128))


def test_latency_is_as_stated():
    dut = reused(AxiManager, config=TINY)
    seen = []

    async def testbench(ctx):
        for port in (dut.read_cmd, dut.write_cmd):
            ctx.set(port.p, {"addr": 64, "beats": 1})
            ctx.set(port.valid, 1)
        for _ in range(4):
            *_, read, write, beat = await ctx.tick().sample(
                dut.axi.arvalid, dut.axi.awvalid, dut.axi.wvalid
            )
            seen.append((read, write, beat))
            ctx.set(dut.read_cmd.valid, 0)
            ctx.set(dut.write_cmd.valid, 0)
            # its beat is offered, and taken, one cycle after the command
            ctx.set(dut.write_data.valid, len(seen) == 1)

    simulate(dut, testbench, cycles=20)
    after = AxiManager.LATENCY
    assert [seen.index((1, 1, 0)), seen.index((1, 1, 1))] == [after, 1 + after]


@pytest.mark.parametrize(
    ("bad", "expected"),
    [
        ({17 * BEAT: SLVERR, 20 * BEAT: DECERR}, (0, SLVERR, 17 * BEAT)),
        ({32 * BEAT: DECERR, 40 * BEAT: SLVERR}, (1, DECERR, 32 * BEAT)),
    ],
    ids=["read", "write"],
)
def test_the_first_error_is_kept_and_nothing_hangs(bad, expected):
    memory, dut = Subordinate(LONG, bad=bad), AxiManager(config=LONG)
    commands = [(16 * BEAT, 8), (24 * BEAT, 8)], [(32 * BEAT, 8), (40 * BEAT, 8)]
    received = []
    reads, writes = ([{"addr": a, "beats": b} for a, b in which] for which in commands)

    async def check(ctx):
        await count_done(dut, 2)(ctx)
        assert ctx.get(dut.error)
        found = (ctx.get(dut.error_write), ctx.get(dut.error_resp).value, ctx.get(dut.error_addr))
        assert found == expected
        # a flush keeps the error for the host
        ctx.set(dut.flush, 1)
        await ctx.tick().repeat(2)
        assert ctx.get(dut.error)
        ctx.set(dut.flush, 0)
        ctx.set(dut.forget, 1)
        await ctx.tick()
        assert not ctx.get(dut.error)

    async def count_reads(ctx):
        async for *_, valid, word in ctx.tick().sample(dut.read_data.valid, dut.read_data.payload):
            if valid:
                received.append(word)

    simulate(
        dut,
        drive(dut.read_cmd, reads, never()),
        drive(dut.write_cmd, writes, never()),
        drive(dut.write_data, [{"data": n, "strobe": 1} for n in range(16)], never()),
        check,
        background=[*memory.serve(dut.axi), count_reads],
        cycles=300,
    )
    assert len(received) == 16


@pytest.mark.parametrize("beats_sent", range(6))
def test_flush_completes_what_is_under_way_without_effect(beats_sent):
    memory = Subordinate(LONG, pauses=lambda: in_runs(6), latency=10)
    dut = reused(AxiManager, config=LONG)
    before = bytearray(memory.memory)

    async def testbench(ctx):
        beats = [{"data": (1 << 8 * BEAT) - 1, "strobe": 1 << n} for n in range(beats_sent)]
        await drive(dut.read_cmd, [{"addr": 0, "beats": 8}], never())(ctx)
        await drive(dut.write_cmd, [{"addr": 1024, "beats": 5}], never())(ctx)
        await drive(dut.write_data, beats, never())(ctx)
        ctx.set(dut.flush, 1)
        # the core's ports may hold anything
        for port in (dut.read_cmd, dut.write_cmd, dut.write_data):
            ctx.set(port.valid, 1)
        ctx.set(dut.write_data.p, {"data": 0, "strobe": -1})
        ctx.set(dut.write_cmd.p, {"addr": 2048, "beats": 1})
        ctx.set(dut.read_cmd.p, {"addr": 2048, "beats": 1})
        while not ctx.get(dut.idle):
            handed_on = ctx.get(dut.read_data.valid), ctx.get(dut.write_done)
            taken = [ctx.get(p.ready) for p in (dut.read_cmd, dut.write_cmd, dut.write_data)]
            assert handed_on == (0, 0)
            assert taken == [0, 0, 0]
            await ctx.tick()
        await ctx.tick().repeat(30)

    simulate(dut, testbench, background=memory.serve(dut.axi), cycles=500)
    beats = [{"data": (1 << 8 * BEAT) - 1, "strobe": 1 << n} for n in range(beats_sent)]
    nothing = [{"data": 0, "strobe": 0}] * (5 - beats_sent)
    assert memory.memory == apply(before, [(1024, 5)], beats + nothing)
    assert memory.read_bursts == [(0, 8)]
    assert memory.write_bursts == [(1024, 5)]
    assert memory.strobes == [beat["strobe"] for beat in beats + nothing]


def test_write_bursts_under_way_are_limited():
    """A subordinate that never answers must not make the list of bursts overflow."""
    dut = reused(AxiManager, config=TINY)
    taken = []

    async def testbench(ctx):
        for port in (dut.axi.awready, dut.axi.wready, dut.write_cmd.valid, dut.write_data.valid):
            ctx.set(port, 1)
        ctx.set(dut.write_cmd.p, {"addr": 0, "beats": 1})
        for _ in range(100):
            *_, ready = await ctx.tick().sample(dut.write_cmd.ready)
            taken.append(ready)

    simulate(dut, testbench, cycles=200)
    assert sum(taken) == AxiManager.WRITE_BURSTS


def test_the_longest_burst_of_a_configuration_is_accepted():
    config = dataclasses.replace(TINY, mem_width=512, burst_beats=16, read_fifo_beats=32)
    assert AxiManager(config=config).axi.wdata.shape().width == 512


def test_what_bursts_say_is_constant_and_an_id_must_fit():
    config = dataclasses.replace(TINY, axi_id_width=3)
    said = AxiAttributes(id=5, prot=2, read_cache=0b1110, write_cache=0b0110)
    dut = reused(AxiManager, config=config, attributes=said)

    async def testbench(ctx):
        ctx.set(dut.read_cmd.p, {"addr": 64, "beats": 1})
        ctx.set(dut.write_cmd.p, {"addr": 64, "beats": 1})
        for offered in (0, 1):
            ctx.set(dut.read_cmd.valid, offered)
            ctx.set(dut.write_cmd.valid, offered)
            await ctx.tick().repeat(2)
            for channel, cache in (("ar", said.read_cache), ("aw", said.write_cache)):
                found = {
                    name: ctx.get(getattr(dut.axi, f"{channel}{name}"))
                    for name in ("valid", "id", "prot", "cache", "burst", "lock", "qos")
                }
                expected = {"valid": offered, "id": 5, "prot": 2, "cache": cache}
                assert found == {**expected, "burst": 1, "lock": 0, "qos": 0}

    simulate(dut, testbench, cycles=20)
    with pytest.raises(InputError, match="id must be below 4, as axi_id_width is 2, not 5"):
        AxiManager(config=dataclasses.replace(TINY, axi_id_width=2), attributes=said)
