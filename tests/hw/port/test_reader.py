# amaranth: UnusedElaboratable=no
"""The read channel against a memory of known chunks."""

from __future__ import annotations

import dataclasses
import random

import pytest

from gscn.config import PRESETS
from gscn.hw.layouts import SHARERS_WIDTH
from gscn.hw.port.reader import ChunkReader
from tests.hw.memory import Memory
from tests.hw.streams import collect, drive, in_runs, simulate, with_pauses

TINY = PRESETS["tiny"]
NARROW = dataclasses.replace(
    TINY, pes_per_cluster=1, mem_width=64, burst_beats=1, read_fifo_beats=2
)
WIDE = dataclasses.replace(TINY, mem_width=512, burst_beats=8, read_fifo_beats=16)
CONFIGS = {"tiny": TINY, "narrow": NARROW, "wide": WIDE}


class Occupancy:
    """Require that beats asked for and not yet handed on never exceed the buffer.

    And that `urgent` tells whether the rest of it is what the request of the burst names, and
    `sharers` is that request's.
    """

    def __init__(self, dut, config):
        self.dut, self.config = dut, config
        self.largest = 0
        self.urgent = {False: 0, True: 0}
        """Cycles in which a burst was offered, by whether it was urgent."""

    def watch(self, requests):
        chunks_per_beat = self.config.chunks_per_beat
        last_chunks = []  # whether each chunk is the last one taken from its beat
        for _, chunks, *_ in requests:
            last_chunks += [
                (n + 1) % chunks_per_beat == 0 or n == chunks - 1 for n in range(chunks)
            ]

        async def testbench(ctx):
            dut, asked, left, taken, accepted = self.dut, 0, 0, 0, 0
            while True:
                sampled = await ctx.tick().sample(
                    dut.command.valid, dut.command.ready, dut.command.p.beats, dut.urgent,
                    dut.sharers, dut.o.valid, dut.o.ready, dut.request.valid & dut.request.ready,
                )  # fmt: skip
                _, _, issues, ready, beats, urgent, sharers, moves, takes, request = sampled
                if issues:
                    _, _, urgent_room, wanted = requests[accepted - 1]
                    assert sharers == wanted
                    assert urgent == (self.config.read_fifo_beats - (asked - left) >= urgent_room)
                    self.urgent[bool(urgent)] += 1
                accepted += request
                asked += beats * (issues and ready)
                self.largest = max(self.largest, asked - left)
                assert asked - left <= self.config.read_fifo_beats
                if moves and takes:
                    left += last_chunks[taken]
                    taken += 1

        return testbench


def read(config, lengths, *, latency=4, source_pauses=None, sink_pauses=None, memory_pauses=None):
    """Read ranges of these lengths; return the memory and the largest occupancy."""
    memory = Memory(config, latency=latency, pauses=memory_pauses)
    rng = random.Random(9)
    ranges = [[rng.getrandbits(64) for _ in range(length)] for length in lengths]
    requests = []
    for chunks in ranges:
        if rng.random() < 0.5:  # start bursts at different places
            memory.reserve(64)
        urgent_room = rng.randrange(config.read_fifo_beats + 1)
        sharers = rng.randrange(1 << SHARERS_WIDTH)
        requests.append((memory.store(chunks), len(chunks), urgent_room, sharers))
    memory.reserve(64)
    dut = ChunkReader(config=config)
    expected, received = [chunk for chunks in ranges for chunk in chunks], []
    occupancy = Occupancy(dut, config)
    simulate(
        dut,
        drive(
            dut.request,
            [
                {"addr": a, "chunks": n, "urgent_room": room, "sharers": sharers}
                for a, n, room, sharers in requests
            ],
            source_pauses,
        ),
        collect(dut.o, received, len(expected), sink_pauses),
        background=[
            memory.serve_reads([dut.command], dut.data, dut.data_valid),
            occupancy.watch(requests),
        ],
        cycles=200 + 60 * len(expected),
    )
    assert received == expected
    beats = config.mem_bytes
    touched = [addr + n * beats for addr, count in memory.reads for n in range(count)]
    assert touched == [
        addr + n * beats for addr, chunks, *_ in requests for n in range(-(-8 * chunks // beats))
    ]
    return memory, occupancy


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
@with_pauses
def test_chunks_arrive_in_order(config, source_pauses, sink_pauses):
    read(
        config,
        [1, 0, 3, 2, 17, 0, 0, 8, 1, 1, 33, 5],
        source_pauses=source_pauses(),
        sink_pauses=sink_pauses(),
    )


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
def test_a_slow_memory_fills_the_buffer_and_no_more(config):
    _, occupancy = read(config, [200, 7], latency=60, memory_pauses=in_runs(2))
    assert occupancy.largest == config.read_fifo_beats


def test_bursts_are_urgent_and_are_not():
    _, occupancy = read(WIDE, [500] * 6, sink_pauses=in_runs(2))
    assert min(occupancy.urgent.values()) > 0


@pytest.mark.parametrize("urgent_room", range(WIDE.read_fifo_beats + 1))
def test_a_reader_that_nobody_shares_with_reads_on(urgent_room):
    config, beats = WIDE, 40
    dut, received, taken_before = ChunkReader(config=config), [], []

    async def serve(ctx):
        """Take bursts that are urgent, and no others; answer each after some cycles."""
        due, cycle = [], 0
        while True:
            answers = bool(due) and due[0] <= cycle
            ctx.set(dut.data_valid, answers)
            if answers:
                due.pop(0)
            urgent = ctx.get(dut.urgent)
            ctx.set(dut.command.ready, urgent)
            _, _, valid, burst = await ctx.tick().sample(dut.command.valid, dut.command.p.beats)
            if valid and urgent:
                left = len(received) // config.chunks_per_beat
                taken_before.append(sum(bursts) - left)
                bursts.append(burst)
                due += [cycle + 6] * burst
            cycle += 1

    bursts = []
    request = {"addr": 0, "chunks": beats * config.chunks_per_beat, "urgent_room": urgent_room}
    simulate(
        dut,
        drive(dut.request, [request]),
        collect(dut.o, received, beats * config.chunks_per_beat, in_runs(3)),
        background=[serve],
        cycles=4000,
    )
    assert sum(bursts) == beats
    # a burst is asked for as soon as there is room for it and as many beats as it waits for
    most = config.read_fifo_beats - max(urgent_room, config.burst_beats)
    assert max(taken_before) == most


def test_bursts_are_as_long_as_the_boundaries_allow():
    memory = Memory(WIDE)
    memory.reserve(8 * 64 * 4)
    dut, bursts = ChunkReader(config=WIDE), []
    requests = [{"addr": 64 * 5, "chunks": 8 * 20}]
    simulate(dut, drive(dut.request, requests), collect(dut.command, bursts, 2), cycles=100)
    # no beat returns: the buffer of 16 has room for 3 + 8, not for 8 more
    assert bursts == [{"addr": 64 * 5, "beats": 3}, {"addr": 64 * 8, "beats": 8}]


def test_one_command_and_one_chunk_per_cycle():
    dut, cycles = ChunkReader(config=TINY), []
    requests = [{"addr": 0, "chunks": 16}]
    bursts = []
    simulate(
        dut,
        drive(dut.request, requests),
        collect(dut.command, bursts, 4, cycles=cycles),
        cycles=100,
    )
    assert bursts == [{"addr": 32 * n, "beats": 2} for n in range(4)]
    assert cycles == list(range(cycles[0], cycles[0] + 4))

    dut, cycles = ChunkReader(config=TINY), []
    received = []

    async def beats(ctx):
        ctx.set(dut.command.ready, 1)
        ctx.set(dut.request.p, {"addr": 0, "chunks": 16})
        ctx.set(dut.request.valid, 1)
        await ctx.tick()
        ctx.set(dut.request.valid, 0)
        await ctx.tick().repeat(4)
        for n in range(8):  # the first in cycle 5
            ctx.set(dut.data, 2 * n | (2 * n + 1) << 64)
            ctx.set(dut.data_valid, 1)
            await ctx.tick()
        ctx.set(dut.data_valid, 0)

    simulate(dut, beats, collect(dut.o, received, 16, cycles=cycles), cycles=100)
    assert received == list(range(16))
    assert cycles == list(range(6, 22))
