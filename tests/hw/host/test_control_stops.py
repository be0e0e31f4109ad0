# amaranth: UnusedElaboratable=no
"""What stops a list: errors, aborts and clears, against an array and a manager played here."""

from __future__ import annotations

import pytest

from gscn.hw.host.axi_ports import Response
from gscn.pass_errors import PassError
from gscn.registers import NO_PASS
from tests.hw.host.control_bench import (
    ABORT,
    CLEAR,
    DONE,
    ERROR,
    START,
    begin,
    bit,
    listed,
    run,
    take,
)


def break_list(cause, code, number):
    """Return a test that a running list is stopped by `cause` in a pass, and reported as `code`."""

    async def body(ctx, dut, host):
        await host.write(ctx, "INTERRUPT_ENABLE", DONE | ERROR)
        ctx.set(dut.pass_number, number)
        await begin(ctx, host, 64, 9)
        await take(ctx, dut)
        await cause(ctx, dut, host)
        await ctx.tick()
        assert ctx.get(dut.clearing)
        # the array is in reset; the manager has bursts under way, and keeps its error
        for port in (dut.busy, dut.array_error):
            ctx.set(port, 0)
        ctx.set(dut.pass_number, NO_PASS)
        await ctx.tick().repeat(4)
        assert not ctx.get(dut.interrupt)
        assert await host.read(ctx, "STATUS") & bit("STATUS", "busy")
        ctx.set(dut.idle, 1)
        await ctx.tick().repeat(2)
        assert not ctx.get(dut.clearing)
        assert ctx.get(dut.interrupt)
        assert await host.read(ctx, "STATUS") & (bit("STATUS", "busy") | bit("STATUS", "done")) == 0
        assert await host.read(ctx, "INTERRUPT_STATUS") == ERROR
        assert await host.read(ctx, "ERROR") == code
        assert await host.read(ctx, "ERROR_PASS") == number
        # nothing is repeated by what stays as it is
        await host.write(ctx, "INTERRUPT_STATUS", ERROR)
        await ctx.tick().repeat(4)
        assert not ctx.get(dut.interrupt)
        assert not ctx.get(dut.clearing)
        # a start forgets
        await begin(ctx, host, 64, 1)
        assert await take(ctx, dut) == listed(64, 1)
        assert await host.read(ctx, "ERROR") == PassError.NONE
        assert await host.read(ctx, "ERROR_PASS") == NO_PASS

    return body


@pytest.mark.parametrize("number", [0, 3, 0xFFFF_FFFE])
def test_an_error_of_the_array_stops_the_list(number):
    async def cause(ctx, dut, host):
        ctx.set(dut.array_error, PassError.STRIP)
        ctx.set(dut.array_error_pass, number)
        ctx.set(dut.pass_number, 9)  # the error is older

    run(break_list(cause, PassError.STRIP, number))


@pytest.mark.parametrize("number", [NO_PASS, 0, 3])
def test_an_abort_stops_the_list(number):
    async def cause(ctx, dut, host):
        await host.write(ctx, "CONTROL", ABORT)

    run(break_list(cause, PassError.ABORTED, number))


def test_busy_alone_tells_the_end_of_a_stop_in_which_an_overflow_interrupts():
    async def body(ctx, dut, host):
        await host.write(ctx, "INTERRUPT_ENABLE", DONE | ERROR)
        await begin(ctx, host, 64, 9)
        await take(ctx, dut)
        # an overflow, and in the next cycle an error: its interrupt is that of the overflow
        ctx.set(dut.accumulator_overflow, 1)
        await ctx.tick()
        ctx.set(dut.array_error, PassError.STRIP)
        await ctx.tick()
        for port in (dut.busy, dut.array_error, dut.accumulator_overflow):
            ctx.set(port, 0)
        await ctx.tick()
        assert ctx.get(dut.clearing)
        assert ctx.get(dut.interrupt)
        assert await host.read(ctx, "ERROR") == PassError.STRIP
        await host.write(ctx, "INTERRUPT_STATUS", ERROR)
        # bursts are under way for long; neither the interrupt nor the code was the end
        for _ in range(5):
            assert await host.read(ctx, "STATUS") & bit("STATUS", "busy")
            assert not ctx.get(dut.interrupt)
        ctx.set(dut.idle, 1)
        await ctx.tick().repeat(2)
        assert ctx.get(dut.interrupt)
        assert await host.read(ctx, "STATUS") == 0
        assert await host.read(ctx, "INTERRUPT_STATUS") == ERROR

    run(body)


def test_an_abort_without_a_list_does_nothing():
    async def body(ctx, dut, host):
        ctx.set(dut.idle, 1)
        await host.write(ctx, "CONTROL", ABORT)
        await ctx.tick().repeat(3)
        assert not ctx.get(dut.clearing)
        assert await host.read(ctx, "STATUS") == 0
        assert await host.read(ctx, "ERROR") == PassError.NONE
        assert await host.read(ctx, "INTERRUPT_STATUS") == 0

    run(body)


@pytest.mark.parametrize("write", [0, 1])
@pytest.mark.parametrize("number", [NO_PASS, 0, 3])
def test_a_bus_error_stops_the_list(write, number):
    async def cause(ctx, dut, host):
        ctx.set(dut.error_write, write)
        ctx.set(dut.error_resp, Response.DECERR)
        ctx.set(dut.error_addr, 0x9A_BCDE_F010)
        ctx.set(dut.error_port, 63)
        ctx.set(dut.error, 1)
        await ctx.tick()
        assert await host.read(ctx, "STATUS") & bit("STATUS", "bus_error")
        assert await host.read(ctx, "BUS_ERROR") == 63 << 8 | 3 << 4 | write
        assert await host.read(ctx, "BUS_ERROR_ADDR_LO") == 0xBCDE_F010
        assert await host.read(ctx, "BUS_ERROR_ADDR_HI") == 0x9A

    code = PassError.BUS_WRITE if write else PassError.BUS_READ
    run(break_list(cause, code, number))


def test_a_clear_holds_until_no_burst_is_under_way():
    async def body(ctx, dut, host):
        await host.write(ctx, "INTERRUPT_ENABLE", DONE | ERROR)
        await begin(ctx, host, 64, 1)
        await take(ctx, dut)
        await host.write(ctx, "CONTROL", START)
        await ctx.tick().repeat(2)
        assert ctx.get(dut.interrupt)
        await host.write(ctx, "CONTROL", CLEAR | START)
        await ctx.tick()
        assert ctx.get(dut.clearing)
        # the array is in reset, the manager forgets
        ctx.set(dut.busy, 0)
        ctx.set(dut.error, 0)
        assert await host.read(ctx, "STATUS") == bit("STATUS", "busy")
        await host.write(ctx, "CONTROL", START)
        assert not ctx.get(dut.start_list.valid)
        assert not ctx.get(dut.interrupt)
        ctx.set(dut.idle, 1)
        await ctx.tick()
        assert not ctx.get(dut.clearing)
        # nothing of before is left, and what was cut off has no end
        assert await host.read(ctx, "STATUS") == 0
        assert await host.read(ctx, "ERROR") == PassError.NONE
        assert await host.read(ctx, "INTERRUPT_STATUS") == 0
        assert await host.read(ctx, "INTERRUPT_ENABLE") == DONE | ERROR
        await host.write(ctx, "CONTROL", START)
        assert await take(ctx, dut) == listed(64, 1)

    run(body)


def test_a_clear_withdraws_a_start():
    async def body(ctx, dut, host):
        ctx.set(dut.idle, 1)
        await begin(ctx, host, 64, 1)
        await host.write(ctx, "CONTROL", CLEAR)
        await ctx.tick()
        assert not ctx.get(dut.start_list.valid)
        await ctx.tick()
        assert await host.read(ctx, "STATUS") == 0
        assert await host.read(ctx, "INTERRUPT_STATUS") == 0

    run(body)


def test_an_abort_before_the_list_is_taken_names_no_pass():
    async def body(ctx, dut, host):
        ctx.set(dut.pass_number, 5)  # of the list before
        ctx.set(dut.idle, 1)
        await begin(ctx, host, 64, 1)
        await host.write(ctx, "CONTROL", ABORT)
        await ctx.tick().repeat(2)
        assert not ctx.get(dut.start_list.valid)
        assert await host.read(ctx, "ERROR") == PassError.ABORTED
        assert await host.read(ctx, "ERROR_PASS") == NO_PASS

    run(body)
