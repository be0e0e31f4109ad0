# amaranth: UnusedElaboratable=no
"""What the registers do, against an array and a manager played by the test."""

from __future__ import annotations

import dataclasses

import pytest

from gscn.array import ARRAYS
from gscn.axi import AxiAttributes
from gscn.hw.core.array import Array
from gscn.hw.host.axil import RegisterFile
from gscn.hw.host.control import STICKY_FLAGS
from gscn.pass_errors import PassError
from gscn.register import Top
from gscn.registers import ID_VALUE, NO_PASS, VERSION_VALUE, register, registers_of
from tests.hw.host.control_bench import DONE, ERROR, START, WIDE, begin, bit, listed, run, take


def test_identity():
    async def body(ctx, dut, host):
        assert await host.read(ctx, "ID") == ID_VALUE == int.from_bytes(b"GSCN", "little")
        assert await host.read(ctx, "VERSION") == VERSION_VALUE
        low = await host.read(ctx, "CONFIG_DIGEST_LO")
        high = await host.read(ctx, "CONFIG_DIGEST_HI")
        assert f"{high:08x}{low:08x}" == WIDE.digest()

    run(body)


def test_sizes_are_those_of_the_configuration():
    config = dataclasses.replace(ARRAYS["large"], ports=4, float_formats="bf16,fp8_e4m3")

    async def body(ctx, dut, host):
        for name in ("ARRAY", "ARRAY_WINDOW", "ARRAY_TILE", "ARRAY_MEMORY"):
            word = await host.read(ctx, name)
            for field in register(name).fields:
                if field.name != "bus_addr_width":
                    assert (word & field.mask) >> field.low == getattr(config, field.name)
        # numbers of formats: 0 integers, 1 bf16, 3 fp8_e4m3
        assert await host.read(ctx, "ARRAY_FORMATS") == 0b1011 << 16 | 48 << 8 | 16

    run(body, config=config)


def test_a_list_from_start_to_interrupt():
    async def body(ctx, dut, host):
        await host.write(ctx, "INTERRUPT_ENABLE", DONE)
        await begin(ctx, host, 0x12_3456_7840, 3)
        # the start waits for the array; what is written meanwhile is for the next one
        assert await host.read(ctx, "STATUS") == bit("STATUS", "busy")
        await host.write(ctx, "PASS_COUNT", 1)
        await host.write(ctx, "PASSES_ADDR_LO", 64)
        assert await take(ctx, dut) == listed(0x12_3456_7840, 3)
        assert await host.read(ctx, "STATUS") == bit("STATUS", "busy")
        assert not ctx.get(dut.start_list.valid)
        for number in range(3):
            ctx.set(dut.pass_number, number)
            await ctx.tick()
            assert await host.read(ctx, "PASS") == number
            assert await host.read(ctx, "STATUS") == bit("STATUS", "busy")
        assert not ctx.get(dut.interrupt)
        ctx.set(dut.busy, 0)
        await ctx.tick()
        assert ctx.get(dut.interrupt)
        assert await host.read(ctx, "STATUS") == bit("STATUS", "done")
        assert await host.read(ctx, "ERROR_PASS") == NO_PASS
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
        assert await take(ctx, dut) == listed(0x12_0000_0040, 1)

    run(body)


LIST = 256
"""Bytes of a descriptor."""


@pytest.mark.parametrize(
    ("addr", "count", "code"),
    [
        (0x40, 1, PassError.NONE),
        ((1 << 40) - LIST, 1, PassError.NONE),
        ((1 << 40) - 7 * LIST, 7, PassError.NONE),
        (0, 0xFFFF_FFFF, PassError.NONE),
        (0x60, 1, PassError.START_ADDRESS),
        (0x41, 1, PassError.START_ADDRESS),
        (1 << 40, 1, PassError.START_ADDRESS),
        (1 << 63, 1, PassError.START_ADDRESS),
        # it would end beyond the address width
        ((1 << 40) - LIST + 64, 1, PassError.START_ADDRESS),
        ((1 << 40) - 7 * LIST, 8, PassError.START_ADDRESS),
        (0x40 + 256, 0xFFFF_FFFF, PassError.START_ADDRESS),
        (1, 0, PassError.START_ADDRESS),
        (0x40, 0, PassError.START_PASSES),
    ],
)
def test_a_wrong_list_is_refused(addr, count, code):
    async def body(ctx, dut, host):
        await host.write(ctx, "INTERRUPT_ENABLE", ERROR)
        ctx.set(dut.pass_number, 7)
        await begin(ctx, host, addr, count)
        assert ctx.get(dut.start_list.valid) == (code == PassError.NONE)
        assert await host.read(ctx, "ERROR") == code
        assert await host.read(ctx, "ERROR_PASS") == NO_PASS
        assert ctx.get(dut.interrupt) == (code != PassError.NONE)

    run(body)


@pytest.mark.parametrize(
    ("bus", "base", "holds"),
    [
        (40, 0, True),
        (40, 4096, False),
        (40, 1 << 40, False),
        (64, 0x1234_5678_9ABC_D000, True),
        (64, 0x1234_5678_9ABC_D800, False),
        (64, 0x1234_5678_9ABC_D001, False),
        # all of the array's addresses are on the bus, and one page is not
        (64, (1 << 64) - (1 << 40), True),
        (64, (1 << 64) - (1 << 40) + 4096, False),
        (44, (1 << 44) - (1 << 40), True),
        (44, (1 << 44) - (1 << 40) + (1 << 39), False),
        (44, 1 << 44, False),
        (41, 1 << 40, True),
    ],
)
def test_memory_begins_where_the_bus_has_room_for_all_of_it(bus, base, holds):
    async def body(ctx, dut, host):
        await host.write(ctx, "MEMORY_BASE_LO", base & 0xFFFF_FFFF)
        await host.write(ctx, "MEMORY_BASE_HI", base >> 32)
        await begin(ctx, host, 0x40, 1)
        assert ctx.get(dut.start_list.valid) == holds
        assert ctx.get(dut.memory_base) == base * holds
        code = PassError.NONE if holds else PassError.START_ADDRESS
        assert await host.read(ctx, "ERROR") == code

    run(body, attributes=AxiAttributes(addr_width=bus))


def test_a_base_is_taken_with_the_start_and_kept():
    async def body(ctx, dut, host):
        await host.write(ctx, "MEMORY_BASE_HI", 5)
        assert ctx.get(dut.memory_base) == 0
        await begin(ctx, host, 0x40, 1)
        assert ctx.get(dut.memory_base) == 5 << 32
        await take(ctx, dut)
        await host.write(ctx, "MEMORY_BASE_HI", 6)
        await host.write(ctx, "CONTROL", START)  # refused, as the array is busy
        assert ctx.get(dut.memory_base) == 5 << 32
        assert await host.read(ctx, "ERROR") == PassError.START_BUSY
        ctx.set(dut.busy, 0)
        await begin(ctx, host, 0x40, 1)
        assert ctx.get(dut.memory_base) == 6 << 32

    run(body, attributes=AxiAttributes(addr_width=64))


def test_a_start_while_busy_is_refused():
    async def body(ctx, dut, host):
        await begin(ctx, host, 64, 2)
        await begin(ctx, host, 128, 3)
        assert await host.read(ctx, "ERROR") == PassError.START_BUSY
        assert await take(ctx, dut) == listed(64, 2)
        await begin(ctx, host, 128, 3)
        assert not ctx.get(dut.start_list.valid)
        assert await host.read(ctx, "ERROR") == PassError.START_BUSY
        assert await host.read(ctx, "STATUS") == bit("STATUS", "busy")
        # what stops the list matters more
        ctx.set(dut.error, 1)
        await ctx.tick()
        assert await host.read(ctx, "ERROR") == PassError.BUS_READ

    run(body)


@pytest.mark.parametrize("flag", STICKY_FLAGS)
def test_flags_of_the_array_are_shown(flag):
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
        await begin(ctx, host, 64, 1)
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
    """Return a testbench that plays the array's counters, which advance in every cycle."""

    async def testbench(ctx):
        addresses = [0] * Array.COUNTER_LATENCY
        cycle = 0
        async for *_, address in ctx.tick().sample(dut.counter_addr):
            addresses = [*addresses[1:], address]
            cycle += 1
            # the upper half tells which lower half it belongs to
            check = 3 * cycle % 256
            ctx.set(dut.counter_data, addresses[0] << 40 | check << 32 | cycle)

    return testbench


@pytest.mark.parametrize(
    ("top", "names"), [(Top.ARRAY, ("done", "error")), (Top.MACHINE, ("done", "error", "stop"))]
)
def test_the_host_may_raise_each_event_to_try_the_interrupt(top, names):
    async def body(ctx, dut, host):
        known = {name: bit("INTERRUPT_TEST", name) for name in names}
        tests = next(one for one in registers_of(top) if one.name == "INTERRUPT_TEST")
        assert tests.mask == sum(known.values())
        for name, event in known.items():
            assert event == bit("INTERRUPT_STATUS", name) == bit("INTERRUPT_ENABLE", name)
            await host.write(ctx, "INTERRUPT_TEST", event)
            await ctx.tick().repeat(2)
            assert await host.read(ctx, "INTERRUPT_STATUS") == event
            # it interrupts as one that happened does: if it is enabled, until it is cleared
            assert not ctx.get(dut.interrupt)
            await host.write(ctx, "INTERRUPT_ENABLE", event)
            await ctx.tick()
            assert ctx.get(dut.interrupt)
            await host.write(ctx, "INTERRUPT_STATUS", event)
            await ctx.tick()
            assert not ctx.get(dut.interrupt)
            await host.write(ctx, "INTERRUPT_ENABLE", 0)
        # of what the test says nothing has happened, and what it has no bit for is not there
        assert await host.read(ctx, "STATUS") == await host.read(ctx, "ERROR") == 0
        await host.write(ctx, "INTERRUPT_TEST", ~sum(known.values()) & 0xFFFF_FFFF)
        await ctx.tick().repeat(2)
        assert await host.read(ctx, "INTERRUPT_STATUS") == 0

    run(body, top=top)


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
