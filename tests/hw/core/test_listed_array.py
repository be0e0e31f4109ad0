# amaranth: UnusedElaboratable=no
"""The array runs its passes of a list while an encode unit, played here, runs the others."""

from __future__ import annotations

import random
from types import SimpleNamespace
from unittest import mock

import numpy as np
import pytest

from gscn.array import ARRAYS
from gscn.control import CONTROL_MODE, CONTROL_RECORD, Queue
from gscn.emulator import lists
from gscn.encode import ENCODE_MODE
from gscn.hw.core.listed_array import ListedArray
from gscn.pass_errors import PassError
from gscn.passes import DESCRIPTOR_BYTES, PASS_DESCRIPTOR
from tests.hw.core.lists import LARGEST, do_pass, halfword
from tests.hw.memory_port import MemoryPort
from tests.hw.streams import reused, simulate
from tests.pass_programs import random_program

SMALL = ARRAYS["tiny"].with_overrides(["clusters=1", "float_formats=bf16"])
STATE = 64
WINDOW = int(PASS_DESCRIPTOR.dtype.fields["window"][1])


def example(seed):
    """Return memory with a list, where that begins and ends, and its passes of the array.

    An encode pass sets a state, from which a control record of the array's queue sets the window of
    the pass behind.
    """
    program = random_program(seed, 0, config=SMALL, count=2, number_format=1)
    image = program.image
    state = -(-len(image) // STATE) * STATE
    addr = state + 2 * STATE
    passes = image[program.descriptors_addr :][: 2 * DESCRIPTOR_BYTES].reshape(2, -1)
    encode = np.zeros(2 * DESCRIPTOR_BYTES, dtype=np.uint8)
    encode[:6].view("<u2")[:] = [30, 0, state]
    encode[74] = ENCODE_MODE
    control = CONTROL_RECORD.pack(
        mode=CONTROL_MODE,
        queue=Queue.ARRAY,
        wait=1,
        stop=3,
        links=1,
        first0=state,
        target0=addr + 4 * DESCRIPTOR_BYTES + WINDOW,
        margin0=60,
    ).view(np.uint8)
    content = np.concatenate([passes[0], encode, control, passes[1]])
    memory = np.zeros(addr + len(content), dtype=np.uint8)
    memory[: len(image)] = image
    memory[addr:] = content
    return memory, addr, (addr, addr + 4 * DESCRIPTOR_BYTES)


def unit(dut, memory, rng):
    """Return an encode unit that reads its record, and writes a state, through its port."""
    port, beat = dut.encode, SMALL.mem_bytes

    async def read(ctx, addr):
        ctx.set(port.mem_read_cmd.p, {"addr": addr, "beats": 1})
        ctx.set(port.mem_read_cmd.valid, 1)
        await ctx.tick().until(port.mem_read_cmd.ready)
        ctx.set(port.mem_read_cmd.valid, 0)
        (found,) = (
            await ctx.tick().sample(port.mem_read_data.payload).until(port.mem_read_data.valid)
        )
        assert found == int.from_bytes(memory[addr : addr + beat].tobytes(), "little")

    async def write(ctx, addr, content):
        within = addr % beat
        ctx.set(port.mem_write_cmd.p, {"addr": addr - within, "beats": 1})
        ctx.set(port.mem_write_data.p, {"data": content << 8 * within, "strobe": 3 << within})
        ctx.set(port.mem_write_data.valid, 1)
        ctx.set(port.mem_write_cmd.valid, 1)
        await ctx.tick().until(port.mem_write_cmd.ready)
        ctx.set(port.mem_write_cmd.valid, 0)
        if not ctx.get(port.mem_write_data.ready):
            await ctx.tick().until(port.mem_write_data.ready)
        else:
            await ctx.tick()
        ctx.set(port.mem_write_data.valid, 0)
        await ctx.tick().until(port.mem_write_done)

    async def process(ctx):
        while True:
            ctx.set(dut.start_encode.ready, 1)
            _, _, taken, p = await ctx.tick().sample(dut.start_encode.valid, dut.start_encode.p)
            if not taken:
                continue
            ctx.set(dut.start_encode.ready, 0)
            ctx.set(dut.encode_busy, 1)
            await read(ctx, p.addr)
            for _ in range(rng.randrange(100)):
                await ctx.tick()
            content = memory.copy()
            do_pass(content, p.addr)
            at = int(halfword(content, p.addr + 4)[0]) + LARGEST
            await write(ctx, at, int(halfword(content, at)[0]))
            ctx.set(dut.encode_busy, 0)

    return process


def run(memory, addr, *, two_queues, seed=0):
    """Return what a machine leaves of memory, its flags, and (error, address)."""
    dut = reused(ListedArray, config=SMALL)
    rng = random.Random(seed)
    port = MemoryPort(SMALL, memory.copy(), rng)
    found = []

    async def host(ctx):
        places = (len(memory) - addr) // DESCRIPTOR_BYTES
        ctx.set(
            dut.start.p, {"addr": addr, "places": places, "first": addr, "two_queues": two_queues}
        )
        ctx.set(dut.start.valid, 1)
        await ctx.tick().until(dut.start.ready)
        ctx.set(dut.start.valid, 0)
        while ctx.get(dut.busy) and not ctx.get(dut.error):
            ctx.set(dut.answer.valid, ctx.get(dut.stop) == 3)
            await ctx.tick()
        found.extend(ctx.get(one) for one in (dut.error, dut.error_addr))
        flags = (dut.saturated, dut.nonfinite, dut.accumulator_overflow)
        found.append(tuple(bool(ctx.get(one)) for one in flags))

    background = [*port.processes(dut), unit(dut, port.data, rng)]
    simulate(dut, host, cycles=40_000, background=background)
    return port.data, found


def golden(memory, addr):
    """Run the list by the emulator, with encode passes of `do_pass`."""

    def run_encode(_config, before, at, _bounds):
        after = before.copy()
        return SimpleNamespace(memory=after, error=do_pass(after, at), flags=0)

    with mock.patch.object(lists, "run_encode", run_encode):
        return lists.run_list(SMALL, memory, addr, len(memory))


@pytest.mark.parametrize(
    ("seed", "two_queues"), [(0, False), (1, True)], ids=["in order", "two queues"]
)
def test_a_list_of_both_kinds_of_passes_leaves_the_memory_of_the_emulator(seed, two_queues):
    memory, addr, _ = example(seed)
    after, (error, _, flags) = run(memory, addr, two_queues=two_queues, seed=seed)
    expected = golden(memory, addr)
    assert (error, expected.error) == (PassError.NONE, PassError.NONE)
    assert np.array_equal(after, expected.memory)
    assert flags[:2] == (expected.saturated, expected.nonfinite)
    assert not np.array_equal(after, memory)


def test_a_bad_descriptor_is_reported_with_its_address():
    memory, addr, passes = example(0)
    halfword(memory, passes[1] + int(PASS_DESCRIPTOR.dtype.fields["tile_samples"][1]))[:] = 0
    after, (error, error_addr, _) = run(memory, addr, two_queues=True)
    expected = golden(memory, addr)
    assert (error, error_addr) == (expected.error, expected.error_addr) == (
        PassError.TILES, passes[1],
    )  # fmt: skip
    assert np.array_equal(after, expected.memory)


def test_results_must_not_meet_any_record_of_the_list():
    memory, addr, passes = example(0)
    begin = int(PASS_DESCRIPTOR.dtype.fields["out_addr"][1])
    end = int(PASS_DESCRIPTOR.dtype.fields["out_end"][1])
    memory[passes[0] + end :][:8].view("<u8")[:] = len(memory) - DESCRIPTOR_BYTES // 2
    assert memory[passes[0] + begin :][:8].view("<u8")[0] < addr
    _, (error, error_addr, _) = run(memory, addr, two_queues=False)
    assert (error, error_addr) == (PassError.OUTPUT_RANGE, passes[0])


def test_lines_of_the_unit_leave_in_every_cycle():
    dut = reused(ListedArray, config=SMALL)
    port, count, left = dut.encode, 12, []

    async def memory(ctx):
        ctx.set(dut.mem_write_cmd.ready, 1)
        ctx.set(dut.mem_write_data.ready, 1)
        while len(left) < count:
            _, _, valid, p = await ctx.tick().sample(
                dut.mem_write_data.valid, dut.mem_write_data.payload
            )
            left.append((len(left), p.data) if valid else None)

    async def lines(ctx):
        sent, taken = [False] * 2, 0
        channels = (port.mem_write_cmd, port.mem_write_data)
        while taken < count:
            ctx.set(port.mem_write_cmd.p, {"addr": SMALL.mem_bytes * taken, "beats": 1})
            ctx.set(port.mem_write_data.p, {"data": taken, "strobe": 1})
            for channel, done in zip(channels, sent, strict=True):
                ctx.set(channel.valid, not done)
            _, _, *ready = await ctx.tick().sample(*(channel.ready for channel in channels))
            sent = [done or bool(one) for done, one in zip(sent, ready, strict=True)]
            if all(sent):
                sent, taken = [False] * 2, taken + 1

    simulate(dut, memory, cycles=100, background=[lines])
    found = [one for one in left if one is not None]
    assert [data for _, data in found] == list(range(len(found)))
    assert len(found) >= count - 3
