# amaranth: UnusedElaboratable=no
"""Phases of a list are handed on in order, each once, as soon as may be; others pass."""

from __future__ import annotations

import dataclasses
import itertools

import pytest

from gscn.config import PRESETS
from gscn.error_codes import NO_PHASE, ErrorCode
from gscn.hw.core.sequencer import Sequencer
from gscn.records import PHASE_DESCRIPTOR
from tests.hw.streams import plain, simulate

TINY = PRESETS["tiny"]
CONFIGS = {
    "64 bits, bursts of 1": dataclasses.replace(
        TINY, pes_per_cluster=1, mem_width=64, burst_beats=1, read_fifo_beats=2
    ),
    "64 bits, bursts of 8": dataclasses.replace(
        TINY, pes_per_cluster=1, mem_width=64, burst_beats=8, read_fifo_beats=16
    ),
    "128 bits, bursts of 2": TINY,
    "512 bits": dataclasses.replace(TINY, mem_width=512, addr_width=40),
}
LIST_ADDR = 0x1040
PHASE_CYCLES = 60
LATENCY = 9


def phase(number, **changes):
    good = {
        "queue_addr": 0x4000 + 0x400 * number,
        "job_count": 1 + number,
        "out_addr": 0x8000_0040 + 64 * number,
        "out_end": 0x8000_0080 + 128 * number,
    }
    return {**good, **changes}


class Bench:
    """Play the dispatcher, whose phases take `phase_cycles`, and a memory with the list."""

    def __init__(self, config, phases, *, phase_cycles=PHASE_CYCLES, command_pause=0):
        self.config = config
        self.dut = Sequencer(config=config)
        self.phase_cycles, self.command_pause = phase_cycles, command_pause
        self.list = b"".join(PHASE_DESCRIPTOR.pack(**p).tobytes() for p in phases)
        self.taken, self.commands, self.phases_seen = [], [], []
        self.errors = set()
        self.cycle = 0
        self.last_beat = []
        self.busy_cycles, self.list_cycles = [], []

    async def dispatcher(self, ctx):
        dut, left = self.dut, 0
        while True:
            ctx.set(dut.o.ready, left == 0)
            _, _, valid, payload, number, error, busy, lists = await ctx.tick().sample(
                dut.o.valid, dut.o.p, dut.phase, dut.error, dut.busy,
                dut.start_list.valid & dut.start_list.ready,
            )  # fmt: skip
            self.busy_cycles += [self.cycle] * busy
            self.list_cycles += [self.cycle] * lists
            if error:
                self.errors.add((error, number))
            if valid and left == 0:
                self.taken.append((self.cycle, number, plain(payload)))
                left = self.phase_cycles
            elif left:
                left -= 1
                self.phases_seen.append(number)
            self.cycle += 1

    async def memory(self, ctx):
        dut, size = self.dut, self.config.mem_bytes
        beats, pause = [], 0
        for now in itertools.count():
            arrives = bool(beats) and beats[0][0] <= now
            ctx.set(dut.data_valid, arrives)
            if arrives:
                _, addr = beats.pop(0)
                offset = addr - LIST_ADDR
                beat = int.from_bytes(self.list[offset : offset + size], "little")
                ctx.set(dut.data, beat % (1 << len(dut.data)))
                if (offset + size) % 64 == 0:
                    self.last_beat.append(now)
            ctx.set(dut.command.ready, pause == 0)
            _, _, valid, command = await ctx.tick().sample(dut.command.valid, dut.command.p)
            if valid and pause == 0:
                pause = self.command_pause
                self.commands.append((now, command.addr, command.beats))
                beats += [
                    (now + LATENCY, command.addr + size * beat) for beat in range(command.beats)
                ]
            else:
                pause = max(pause - 1, 0)

    async def start_list(self, ctx, count):
        dut = self.dut
        ctx.set(dut.start_list.p, {"phases_addr": LIST_ADDR, "phase_count": count})
        ctx.set(dut.start_list.valid, 1)
        taken = False
        while not taken:
            _, _, taken = await ctx.tick().sample(dut.start_list.ready)
        ctx.set(dut.start_list.valid, 0)

    def run(self, body, cycles=3000):
        simulate(self.dut, body, background=[self.dispatcher, self.memory], cycles=cycles)
        return self


def run_list(bench, count):
    async def body(ctx):
        await bench.start_list(ctx, count)
        while ctx.get(bench.dut.busy):
            await ctx.tick()
        await ctx.tick().repeat(2 * bench.phase_cycles)
        assert not ctx.get(bench.dut.busy)

    return bench.run(body)


@pytest.mark.parametrize("name", CONFIGS)
@pytest.mark.parametrize("command_pause", [0, 3])
@pytest.mark.parametrize("phase_cycles", [1, PHASE_CYCLES])
def test_every_phase_is_handed_on_once_and_in_order(name, command_pause, phase_cycles):
    phases = [phase(number) for number in range(4)]
    bench = Bench(CONFIGS[name], phases, phase_cycles=phase_cycles, command_pause=command_pause)
    run_list(bench, len(phases))
    assert [(number, payload) for _, number, payload in bench.taken] == list(enumerate(phases))
    assert not bench.errors
    # every byte of the list is read once, in order
    size = CONFIGS[name].mem_bytes
    read = [(addr, addr + size * beats) for _, addr, beats in bench.commands]
    assert read[0][0] == LIST_ADDR
    assert read[-1][1] == LIST_ADDR + 64 * len(phases)
    assert all(first[1] == second[0] for first, second in itertools.pairwise(read))
    # busy until the last one is handed on
    first, last = bench.list_cycles[0] + 1, bench.taken[-1][0]
    assert bench.busy_cycles == list(range(first, last + 1))


@pytest.mark.parametrize("name", CONFIGS)
def test_the_next_descriptor_is_fetched_during_a_phase(name):
    bench = Bench(CONFIGS[name], [phase(number) for number in range(3)])
    run_list(bench, 3)
    first, *others = bench.taken
    assert bench.commands[0][0] == bench.list_cycles[0] + Sequencer.FETCH_LATENCY
    assert first[0] == bench.last_beat[0] + Sequencer.START_LATENCY
    # the dispatcher is ready again after its phase, and has no cycle to wait
    cycles = [taken[0] for taken in bench.taken]
    assert [b - a for a, b in itertools.pairwise(cycles)] == [PHASE_CYCLES + 1] * 2
    per_phase = len(bench.commands) // 3
    assert bench.commands[per_phase][0] == first[0] + Sequencer.FETCH_LATENCY
    assert others[0][0] > bench.last_beat[1] + Sequencer.START_LATENCY


def test_the_phase_under_way_is_told():
    bench = Bench(TINY, [phase(number) for number in range(3)])
    run_list(bench, 3)
    assert bench.phases_seen[: 3 * PHASE_CYCLES] == [
        number for number in range(3) for _ in range(PHASE_CYCLES)
    ]


FAR = 1 << TINY.addr_width
BAD = [
    ({"queue_addr": 8}, ErrorCode.START_ADDRESS),
    ({"queue_addr": FAR}, ErrorCode.START_ADDRESS),
    ({"queue_addr": 1 << 63}, ErrorCode.START_ADDRESS),
    ({"job_count": 0}, ErrorCode.START_JOBS),
    ({"job_count": 1 << 31}, ErrorCode.START_JOBS),
    ({"out_addr": 0x8000_0041}, ErrorCode.START_RANGE),
    ({"out_end": 0x8000_0060 + 0x1000}, ErrorCode.START_RANGE),
    ({"out_end": 0x40}, ErrorCode.START_RANGE),
    ({"out_end": FAR + 64}, ErrorCode.START_RANGE),
    ({"out_addr": 1 << 60, "out_end": 1 << 61}, ErrorCode.START_RANGE),
    ({"queue_addr": 8, "job_count": 0, "out_end": 0}, ErrorCode.START_ADDRESS),
    ({"job_count": 0, "out_end": 0}, ErrorCode.START_JOBS),
]
GOOD = [
    {"queue_addr": FAR - 64},
    {"out_end": FAR},
    {"out_addr": 0x40, "out_end": 0x40},
    {"job_count": 0xFFFF_FFFF},
]


@pytest.mark.parametrize(("change", "code"), BAD)
def test_a_bad_phase_ends_the_list_in_its_place(change, code):
    phases = [phase(0), phase(1, **change), phase(2)]
    bench = Bench(TINY, phases)

    async def body(ctx):
        await bench.start_list(ctx, 3)
        while not bench.errors:
            await ctx.tick()
        assert bench.cycle > bench.taken[0][0] + PHASE_CYCLES
        await ctx.tick().repeat(3 * PHASE_CYCLES)
        assert ctx.get(bench.dut.busy)

    bench.run(body)
    assert bench.errors == {(code, 1)}
    assert [payload for *_, payload in bench.taken] == phases[:1]


@pytest.mark.parametrize("change", GOOD)
def test_limits_are_no_errors(change):
    bench = Bench(TINY, [phase(0, **change)])
    run_list(bench, 1)
    assert [payload for *_, payload in bench.taken] == [phase(0, **change)]
    assert not bench.errors


def test_after_an_error_elsewhere_nothing_is_handed_on():
    bench = Bench(TINY, [phase(0), phase(1)])

    async def body(ctx):
        await bench.start_list(ctx, 2)
        while not bench.taken:
            await ctx.tick()
        ctx.set(bench.dut.halt, 1)
        await ctx.tick().repeat(4 * PHASE_CYCLES)

    bench.run(body)
    assert len(bench.taken) == 1


def test_a_phase_by_itself_passes_at_once_and_goes_first():
    bench = Bench(TINY, [phase(5)], phase_cycles=4)
    dut = bench.dut

    async def body(ctx):
        await bench.start_list(ctx, 1)
        while ctx.get(dut.busy):
            await ctx.tick()
        # one of the list is under way: it must wait, and so must another list
        ctx.set(dut.start.p, phase(1))
        ctx.set(dut.start.valid, 1)
        ctx.set(dut.start_list.p, {"phases_addr": LIST_ADDR, "phase_count": 1})
        ctx.set(dut.start_list.valid, 1)
        taken = False
        while not taken:
            _, _, taken, lists = await ctx.tick().sample(dut.start.ready, dut.start_list.ready)
            assert not lists
        ctx.set(dut.start.valid, 0)
        taken = False
        while not taken:
            _, _, taken = await ctx.tick().sample(dut.start_list.ready)
        ctx.set(dut.start_list.valid, 0)
        await ctx.tick().repeat(40)

    bench.run(body)
    assert [payload for *_, payload in bench.taken] == [phase(5), phase(1), phase(5)]
    # the first is over after 4 cycles
    assert bench.taken[1][0] == bench.taken[0][0] + 5
    assert bench.phases_seen[:12] == [0] * 4 + [NO_PHASE] * 4 + [0] * 4


def test_an_empty_list_does_nothing():
    bench = Bench(TINY, [phase(0)])

    async def body(ctx):
        await bench.start_list(ctx, 0)
        for _ in range(40):
            assert not ctx.get(bench.dut.busy)
            await ctx.tick()

    bench.run(body)
    assert bench.commands == bench.taken == []
