# amaranth: UnusedElaboratable=no
"""What the registers do, against a core and a manager played by the test."""

from __future__ import annotations

import pytest

from gscn.hw.core.accelerator import Accelerator
from gscn.hw.host.axil import RegisterFile
from gscn.hw.host.control import STICKY_FLAGS
from gscn.records import IN_TURN
from gscn.registers import ID_VALUE, NO_PHASE, VERSION_VALUE, ErrorCode, register
from tests.hw.host.control_bench import (
    CLEAR,
    DONE,
    ERROR,
    START,
    START_LIST,
    WIDE,
    begin,
    begin_list,
    bit,
    phase,
    run,
    take,
)


def test_identity():
    async def body(ctx, dut, host):
        assert await host.read(ctx, "ID") == ID_VALUE == int.from_bytes(b"GSCN", "little")
        assert await host.read(ctx, "VERSION") == VERSION_VALUE
        low = await host.read(ctx, "CONFIG_DIGEST_LO")
        high = await host.read(ctx, "CONFIG_DIGEST_HI")
        assert f"{high:08x}{low:08x}" == WIDE.digest()

    run(body)


def test_a_phase_from_start_to_interrupt():
    async def body(ctx, dut, host):
        await host.write(ctx, "INTERRUPT_ENABLE", DONE)
        await begin(ctx, dut, host, 0x12_3456_7840, IN_TURN | 9)
        # the start waits for the core; what is written meanwhile is for the next one
        assert await host.read(ctx, "STATUS") == bit("STATUS", "busy")
        await host.write(ctx, "JOB_COUNT", 1)
        await host.write(ctx, "QUEUE_ADDR_LO", 64)
        assert await take(ctx, dut) == phase(0x12_3456_7840, IN_TURN | 9)
        assert await host.read(ctx, "STATUS") == bit("STATUS", "busy")
        assert not ctx.get(dut.start.valid)
        assert not ctx.get(dut.interrupt)
        ctx.set(dut.busy, 0)
        await ctx.tick()
        assert ctx.get(dut.interrupt)
        assert await host.read(ctx, "STATUS") == bit("STATUS", "done")
        assert await host.read(ctx, "INTERRUPT_STATUS") == DONE
        await host.write(ctx, "INTERRUPT_STATUS", ERROR)
        assert ctx.get(dut.interrupt)
        await host.write(ctx, "INTERRUPT_STATUS", DONE)
        await ctx.tick()
        assert not ctx.get(dut.interrupt)
        # done stays until the next start
        assert await host.read(ctx, "STATUS") == bit("STATUS", "done")
        await host.write(ctx, "CONTROL", START)
        assert await host.read(ctx, "STATUS") == bit("STATUS", "busy")

    run(body)


def test_a_list_from_start_to_interrupt():
    async def body(ctx, dut, host):
        await host.write(ctx, "INTERRUPT_ENABLE", DONE)
        await begin_list(ctx, host, 0x12_3456_7840, 3)
        assert await host.read(ctx, "STATUS") == bit("STATUS", "busy")
        assert not ctx.get(dut.start.valid)
        expected = {"phases_addr": 0x12_3456_7840, "phase_count": 3}
        assert await take(ctx, dut, "start_list") == expected
        assert not ctx.get(dut.start_list.valid)
        for number in range(3):
            ctx.set(dut.phase, number)
            await ctx.tick()
            assert await host.read(ctx, "PHASE") == number
            assert await host.read(ctx, "STATUS") == bit("STATUS", "busy")
        assert not ctx.get(dut.interrupt)
        ctx.set(dut.busy, 0)
        await ctx.tick()
        assert ctx.get(dut.interrupt)
        assert await host.read(ctx, "STATUS") == bit("STATUS", "done")
        assert await host.read(ctx, "ERROR_PHASE") == NO_PHASE

    run(body)


@pytest.mark.parametrize(
    ("phases_addr", "phase_count", "code"),
    [
        (0x40, 1, ErrorCode.NONE),
        ((1 << 40) - 64, 0xFFFF_FFFF, ErrorCode.NONE),
        (0x48, 1, ErrorCode.START_ADDRESS),
        (1 << 40, 1, ErrorCode.START_ADDRESS),
        (1, 0, ErrorCode.START_ADDRESS),
        (0x40, 0, ErrorCode.START_PHASES),
    ],
)
def test_a_wrong_list_is_refused(phases_addr, phase_count, code):
    async def body(ctx, dut, host):
        await host.write(ctx, "INTERRUPT_ENABLE", ERROR)
        ctx.set(dut.phase, 7)
        await begin_list(ctx, host, phases_addr, phase_count)
        assert ctx.get(dut.start_list.valid) == (code == ErrorCode.NONE)
        assert not ctx.get(dut.start.valid)
        assert await host.read(ctx, "ERROR") == code
        assert await host.read(ctx, "ERROR_PHASE") == NO_PHASE
        assert ctx.get(dut.interrupt) == (code != ErrorCode.NONE)

    run(body)


@pytest.mark.parametrize("starts", ["start", "start_list"])
def test_a_list_while_busy_is_refused(starts):
    async def body(ctx, dut, host):
        if starts == "start":
            await begin(ctx, dut, host, 64, 2)
        else:
            await begin_list(ctx, host, 64, 2)
        await begin_list(ctx, host, 128, 3)
        assert await host.read(ctx, "ERROR") == ErrorCode.START_BUSY
        await take(ctx, dut, starts)
        await begin_list(ctx, host, 128, 3)
        assert not ctx.get(dut.start_list.valid)
        assert await host.read(ctx, "ERROR") == ErrorCode.START_BUSY
        await begin(ctx, dut, host, 128, 3)
        assert not ctx.get(dut.start.valid)

    run(body)


def test_with_a_start_that_of_a_list_has_no_effect():
    async def body(ctx, dut, host):
        await begin(ctx, dut, host, 0, 0)
        await host.write(ctx, "JOB_COUNT", 1)
        await host.write(ctx, "CONTROL", START | START_LIST)
        assert ctx.get(dut.start.valid)
        assert not ctx.get(dut.start_list.valid)

    run(body)


@pytest.mark.parametrize("jobs", [0, 1 << 31])
def test_a_phase_without_jobs_is_refused(jobs):
    async def body(ctx, dut, host):
        await begin(ctx, dut, host, 64, jobs)
        assert not ctx.get(dut.start.valid)
        assert await host.read(ctx, "ERROR") == ErrorCode.START_JOBS
        assert await host.read(ctx, "INTERRUPT_STATUS") == ERROR

    run(body)


@pytest.mark.parametrize(
    ("name", "value", "code"),
    [
        ("OUTPUT_ADDR_LO", 0x20, ErrorCode.START_RANGE),
        ("OUTPUT_END_LO", 0x20, ErrorCode.START_RANGE),
        ("OUTPUT_END_LO", 0x40, ErrorCode.START_RANGE),
        ("OUTPUT_END_HI", 0x33, ErrorCode.START_RANGE),
        ("OUTPUT_END_HI", 0x35, ErrorCode.NONE),
        ("OUTPUT_ADDR_HI", 0xFF, ErrorCode.NONE),
        ("OUTPUT_ADDR_HI", 0x100, ErrorCode.START_RANGE),
    ],
)
def test_a_wrong_output_range_is_refused(name, value, code):
    async def body(ctx, dut, host):
        ctx.set(dut.idle, 1)
        await begin(ctx, dut, host, 64, 1)
        await host.write(ctx, "CONTROL", CLEAR)
        await ctx.tick().repeat(3)
        await host.write(ctx, name, value)
        await host.write(ctx, "CONTROL", START)
        assert ctx.get(dut.start.valid) == (code == ErrorCode.NONE)
        assert await host.read(ctx, "ERROR") == code

    run(body)


@pytest.mark.parametrize(
    ("queue_addr", "code"),
    [
        (0x40, ErrorCode.NONE),
        (0x60, ErrorCode.START_ADDRESS),
        (0x41, ErrorCode.START_ADDRESS),
        ((1 << 40) - 64, ErrorCode.NONE),
        (1 << 40, ErrorCode.START_ADDRESS),
        (1 << 63, ErrorCode.START_ADDRESS),
    ],
)
def test_a_wrong_queue_address_is_refused(queue_addr, code):
    async def body(ctx, dut, host):
        await host.write(ctx, "INTERRUPT_ENABLE", ERROR)
        await begin(ctx, dut, host, queue_addr, 1)
        assert ctx.get(dut.start.valid) == (code == ErrorCode.NONE)
        assert await host.read(ctx, "ERROR") == code
        assert ctx.get(dut.interrupt) == (code != ErrorCode.NONE)

    run(body)


def test_a_start_while_busy_is_refused():
    async def body(ctx, dut, host):
        await begin(ctx, dut, host, 64, 2)
        await take(ctx, dut)
        await begin(ctx, dut, host, 128, 3)
        assert not ctx.get(dut.start.valid)
        assert await host.read(ctx, "ERROR") == ErrorCode.START_BUSY
        assert await host.read(ctx, "STATUS") == bit("STATUS", "busy")
        # what stops the phase matters more
        ctx.set(dut.error, 1)
        await ctx.tick()
        assert await host.read(ctx, "ERROR") == ErrorCode.BUS_READ

    run(body)


@pytest.mark.parametrize("flag", STICKY_FLAGS)
def test_flags_of_the_core_are_shown(flag):
    async def body(ctx, dut, host):
        ctx.set(getattr(dut, flag), 1)
        await ctx.tick()
        assert await host.read(ctx, "STATUS") == bit("STATUS", flag)
        # saturation is a result, not an error
        assert await host.read(ctx, "INTERRUPT_STATUS") == (
            ERROR if flag == "accumulator_overflow" else 0
        )

    run(body)


@pytest.mark.parametrize("end", range(5))
def test_an_event_in_the_cycle_of_its_clearing_is_kept(end):
    async def body(ctx, dut, host):
        await begin(ctx, dut, host, 64, 1)
        await take(ctx, dut)
        await ctx.tick()
        ctx.set(dut.axil.awaddr, register("INTERRUPT_STATUS").offset)
        ctx.set(dut.axil.wdata, DONE)
        ctx.set(dut.axil.wstrb, 15)
        ctx.set(dut.axil.bready, 1)
        for cycle in range(8):
            for valid in (dut.axil.awvalid, dut.axil.wvalid):
                ctx.set(valid, cycle == 0)
            ctx.set(dut.busy, cycle < end)
            await ctx.tick()
        ctx.set(dut.axil.bready, 0)
        kept = end >= RegisterFile.WRITE_LATENCY
        assert await host.read(ctx, "INTERRUPT_STATUS") == (DONE if kept else 0)

    run(body)


def counters(dut):
    """Return a testbench that plays the core's counters, which advance in every cycle."""

    async def testbench(ctx):
        addresses = [0] * Accelerator.COUNTER_LATENCY
        cycle = 0
        async for *_, address in ctx.tick().sample(dut.counter_addr):
            addresses = [*addresses[1:], address]
            cycle += 1
            # the upper half tells which lower half it belongs to
            check = 3 * cycle % 256
            ctx.set(dut.counter_data, addresses[0] << 40 | check << 32 | cycle)

    return testbench


def test_counters_are_read_whole_while_they_advance():
    async def body(ctx, dut, host):
        for number in range(1, 40):
            await host.write(ctx, "COUNTER_SELECT", number)
            low = await host.read(ctx, "COUNTER_LO")
            await ctx.tick().repeat(1 + number % 5)
            high = await host.read(ctx, "COUNTER_HI")
            assert high >> 8 == number, "the counter selected was not there yet"
            assert high % 256 == 3 * low % 256, "halves of two moments"
            assert low > 0

    run(body, counters)
