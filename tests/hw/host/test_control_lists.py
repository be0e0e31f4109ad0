# amaranth: UnusedElaboratable=no
"""What the registers of a machine do beside those of an array; the test plays the machine."""

from __future__ import annotations

import pytest

from gscn.encode import EncodeError
from gscn.pass_errors import PassError
from gscn.register import Top
from gscn.registers import NO_PASS
from tests.hw.host.control_bench import (
    ABORT,
    CLEAR,
    DONE,
    ERROR,
    START,
    WIDE,
    begin,
    bit,
    listed,
    run,
    take,
)

ANSWER, ANEW, STOP = 8, 16, 4
RECORDS = {"ENCODE": 0x12_3456_7900, "ARRAY": 0x12_3456_7A00}


def run_machine(body, *background):
    run(body, *background, top=Top.MACHINE)


async def write_long(ctx, host, name, value):
    await host.write(ctx, f"{name}_LO", value & 0xFFFF_FFFF)
    await host.write(ctx, f"{name}_HI", value >> 32)


async def read_long(ctx, host, name):
    return await host.read(ctx, f"{name}_LO") | await host.read(ctx, f"{name}_HI") << 32


def answers(seen):
    """Return a process that keeps the answers that are offered."""

    def watch(dut):
        async def testbench(ctx):
            async for *_, valid, anew, addr in ctx.tick().sample(
                dut.answer.valid, dut.answer.p.anew, dut.answer.p.addr
            ):
                if valid:
                    seen.append((anew, addr))

        return testbench

    return watch


@pytest.mark.parametrize("two_queues", [0, 1])
@pytest.mark.parametrize("first", [0, 0x12_3456_7940])
def test_a_start_says_how_and_from_where_the_list_runs(first, two_queues):
    async def body(ctx, dut, host):
        await write_long(ctx, host, "LIST_FIRST", first)
        await host.write(ctx, "LIST_ORDER", two_queues)
        await begin(ctx, host, 0x12_3456_7840, 7)
        assert await take(ctx, dut) == listed(0x12_3456_7840, 7, first, two_queues)
        assert await host.read(ctx, "ERROR") == PassError.NONE

    run_machine(body)


@pytest.mark.parametrize("first", [1, 32, 1 << WIDE.addr_width, 1 << 63])
def test_a_first_record_where_none_can_be_is_refused(first):
    async def body(ctx, dut, host):
        await write_long(ctx, host, "LIST_FIRST", first)
        await begin(ctx, host, 0x40, 1)
        assert not ctx.get(dut.start_list.valid)
        assert await host.read(ctx, "ERROR") == PassError.START_ADDRESS

    run_machine(body)


def test_a_stop_interrupts_and_is_answered_once():
    seen = []

    async def body(ctx, dut, host):
        await host.write(ctx, "INTERRUPT_ENABLE", DONE | ERROR | STOP)
        await begin(ctx, host, 64, 9)
        await take(ctx, dut)
        await host.write(ctx, "CONTROL", ANSWER)  # there is none to be answered
        for number in (7, 0xFFFF_FFFF):
            ctx.set(dut.stop, number)
            await ctx.tick()
            assert ctx.get(dut.interrupt)
            assert await host.read(ctx, "INTERRUPT_STATUS") == STOP
            assert await host.read(ctx, "STATUS") == bit("STATUS", "busy") | bit(
                "STATUS", "stopped"
            )
            assert await host.read(ctx, "STOP") == number
            await host.write(ctx, "INTERRUPT_STATUS", STOP)
            # the same stop interrupts no more
            await ctx.tick().repeat(3)
            assert not ctx.get(dut.interrupt)
            await host.write(ctx, "CONTROL", ANSWER)
            ctx.set(dut.stop, 0)
            await ctx.tick()
            assert await host.read(ctx, "STOP") == 0
            assert await host.read(ctx, "STATUS") == bit("STATUS", "busy")
        assert seen == [(0, 0), (0, 0)]

    run_machine(body, answers(seen))


@pytest.mark.parametrize(
    ("addr", "given"),
    [
        (0x12_3456_7A00, 0x12_3456_7A00),
        (1 << WIDE.addr_width, (1 << WIDE.addr_width) - 1),
        ((1 << 63) + 64, (1 << WIDE.addr_width) - 1),
    ],
)
def test_an_answer_may_begin_the_list_anew_and_beyond_all_addresses_is_no_record(addr, given):
    seen = []

    async def body(ctx, dut, host):
        await begin(ctx, host, 64, 9)
        await take(ctx, dut)
        ctx.set(dut.stop, 3)
        await write_long(ctx, host, "ANSWER_ADDR", addr)
        await host.write(ctx, "CONTROL", ANSWER | ANEW)
        await ctx.tick().repeat(2)
        assert seen == [(1, given)]

    run_machine(body, answers(seen))


def test_no_answer_passes_a_clear():
    seen = []

    async def body(ctx, dut, host):
        await begin(ctx, host, 64, 9)
        await take(ctx, dut)
        ctx.set(dut.stop, 3)
        await host.write(ctx, "CONTROL", CLEAR | ANSWER)
        await ctx.tick().repeat(3)
        assert seen == []

    run_machine(body, answers(seen))


async def at_records(ctx, dut, records):
    for own, addr in zip(dut.record_addrs, records, strict=True):
        ctx.set(own, addr)
    await ctx.tick().repeat(2)


async def end_stop(ctx, dut):
    """Play the machine in reset, and managers that have ended their bursts."""
    for port in (dut.busy, dut.array_error, dut.stop, *dut.record_addrs):
        ctx.set(port, 0)
    ctx.set(dut.idle, 1)
    await ctx.tick().repeat(2)


@pytest.mark.parametrize("cause", ["error", "bus", "abort"])
def test_what_stops_a_list_leaves_the_records_that_both_queues_were_at(cause):
    async def body(ctx, dut, host):
        await begin(ctx, host, 64, 9)
        await take(ctx, dut)
        await at_records(ctx, dut, RECORDS.values())
        for queue, addr in RECORDS.items():
            assert await read_long(ctx, host, f"RECORD_{queue}") == addr
        ctx.set(dut.pass_number, NO_PASS)
        if cause == "error":
            ctx.set(dut.array_error, EncodeError.ORDER)
            ctx.set(dut.array_error_pass, 5)
        elif cause == "bus":
            ctx.set(dut.error, 1)
        else:
            await host.write(ctx, "CONTROL", ABORT)
        await ctx.tick()
        await end_stop(ctx, dut)
        codes = {
            "error": (EncodeError.ORDER, 5),
            "bus": (PassError.BUS_READ, NO_PASS),
            "abort": (PassError.ABORTED, NO_PASS),
        }
        assert (await host.read(ctx, "ERROR"), await host.read(ctx, "ERROR_PASS")) == codes[cause]
        for queue, addr in RECORDS.items():
            assert await read_long(ctx, host, f"RECORD_{queue}") == addr
        # a clear forgets them
        await host.write(ctx, "CONTROL", CLEAR)
        await ctx.tick().repeat(3)
        for queue in RECORDS:
            assert await read_long(ctx, host, f"RECORD_{queue}") == 0
        ctx.set(dut.error, 0)
        await host.write(ctx, "CONTROL", START)
        assert await take(ctx, dut) == listed(64, 9)

    run_machine(body)


def test_a_machine_says_that_it_is_one():
    async def body(ctx, dut, host):
        assert await host.read(ctx, "UNITS") == 1  # of integers

    run_machine(body)


def test_an_array_says_that_it_is_none():
    async def body(ctx, dut, host):
        assert await host.read(ctx, "UNITS") == 0

    run(body)
