# amaranth: UnusedElaboratable=no
"""What stops a phase: errors, aborts and clears, against a core and a manager played here."""

from __future__ import annotations

import pytest

from gscn.hw.host.axi_ports import Response
from gscn.registers import NO_JOB, NO_PHASE, ErrorCode
from tests.hw.host.control_bench import (
    ABORT,
    CLEAR,
    DONE,
    ERROR,
    START,
    START_LIST,
    begin,
    begin_list,
    bit,
    phase,
    run,
    take,
)


def break_phase(cause, code, job, number=NO_PHASE):
    """Return a test that a running phase is stopped by `cause`, and reported as `code`.

    With a number the phase is one of a list.
    """

    async def body(ctx, dut, host):
        await host.write(ctx, "INTERRUPT_ENABLE", DONE | ERROR)
        ctx.set(dut.phase, number)
        if number == NO_PHASE:
            await begin(ctx, dut, host, 64, 9)
            await take(ctx, dut)
        else:
            await begin_list(ctx, host, 64, 9)
            await take(ctx, dut, "start_list")
        await cause(ctx, dut, host)
        await ctx.tick()
        assert ctx.get(dut.clearing)
        # the core is in reset; the manager has bursts under way, and keeps its error
        for port in (dut.busy, dut.core_error):
            ctx.set(port, 0)
        ctx.set(dut.phase, NO_PHASE)
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
        assert await host.read(ctx, "ERROR_JOB") == job
        assert await host.read(ctx, "ERROR_PHASE") == number
        # nothing is repeated by what stays as it is
        await host.write(ctx, "INTERRUPT_STATUS", ERROR)
        await ctx.tick().repeat(4)
        assert not ctx.get(dut.interrupt)
        assert not ctx.get(dut.clearing)
        # a start forgets
        await begin(ctx, dut, host, 64, 1)
        assert await take(ctx, dut) == phase(64, 1)
        assert await host.read(ctx, "ERROR") == ErrorCode.NONE
        assert await host.read(ctx, "ERROR_JOB") == NO_JOB
        assert await host.read(ctx, "ERROR_PHASE") == NO_PHASE

    return body


@pytest.mark.parametrize("job", [0, 7, 0xFFFF_FFFE])
@pytest.mark.parametrize("number", [NO_PHASE, 0, 3])
def test_an_error_of_the_core_stops_the_phase(job, number):
    async def cause(ctx, dut, host):
        ctx.set(dut.core_error, ErrorCode.LOAD_FIBER)
        ctx.set(dut.core_error_job, job)
        ctx.set(dut.core_error_phase, number)
        ctx.set(dut.phase, 9)  # the error is older

    run(break_phase(cause, ErrorCode.LOAD_FIBER, job, number))


@pytest.mark.parametrize("number", [NO_PHASE, 0, 3])
def test_an_abort_stops_the_phase(number):
    async def cause(ctx, dut, host):
        await host.write(ctx, "CONTROL", ABORT)

    run(break_phase(cause, ErrorCode.ABORTED, NO_JOB, number))


def test_busy_alone_tells_the_end_of_a_stop_in_which_an_overflow_interrupts():
    async def body(ctx, dut, host):
        await host.write(ctx, "INTERRUPT_ENABLE", DONE | ERROR)
        await begin(ctx, dut, host, 64, 9)
        await take(ctx, dut)
        # an overflow, and in the next cycle an error: its interrupt is that of the overflow
        ctx.set(dut.accumulator_overflow, 1)
        await ctx.tick()
        ctx.set(dut.core_error, ErrorCode.LOAD_FIBER)
        await ctx.tick()
        for port in (dut.busy, dut.core_error, dut.accumulator_overflow):
            ctx.set(port, 0)
        await ctx.tick()
        assert ctx.get(dut.clearing)
        assert ctx.get(dut.interrupt)
        assert await host.read(ctx, "ERROR") == ErrorCode.LOAD_FIBER
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


def test_an_abort_without_a_phase_does_nothing():
    async def body(ctx, dut, host):
        ctx.set(dut.idle, 1)
        await host.write(ctx, "CONTROL", ABORT)
        await ctx.tick().repeat(3)
        assert not ctx.get(dut.clearing)
        assert await host.read(ctx, "STATUS") == 0
        assert await host.read(ctx, "ERROR") == ErrorCode.NONE
        assert await host.read(ctx, "INTERRUPT_STATUS") == 0

    run(body)


@pytest.mark.parametrize("write", [0, 1])
@pytest.mark.parametrize("number", [NO_PHASE, 0, 3])
def test_a_bus_error_stops_the_phase(write, number):
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

    code = ErrorCode.BUS_WRITE if write else ErrorCode.BUS_READ
    run(break_phase(cause, code, NO_JOB, number))


def test_a_clear_holds_until_no_burst_is_under_way():
    async def body(ctx, dut, host):
        await host.write(ctx, "INTERRUPT_ENABLE", DONE | ERROR)
        await begin(ctx, dut, host, 64, 1)
        await take(ctx, dut)
        await host.write(ctx, "CONTROL", START)
        await ctx.tick().repeat(2)
        assert ctx.get(dut.interrupt)
        await host.write(ctx, "CONTROL", CLEAR | START)
        await ctx.tick()
        assert ctx.get(dut.clearing)
        # the core is in reset, the manager forgets
        ctx.set(dut.busy, 0)
        ctx.set(dut.error, 0)
        assert await host.read(ctx, "STATUS") == bit("STATUS", "busy")
        await host.write(ctx, "CONTROL", START)
        assert not ctx.get(dut.start.valid)
        assert not ctx.get(dut.interrupt)
        ctx.set(dut.idle, 1)
        await ctx.tick()
        assert not ctx.get(dut.clearing)
        # nothing of before is left, and what was cut off has no end
        assert await host.read(ctx, "STATUS") == 0
        assert await host.read(ctx, "ERROR") == ErrorCode.NONE
        assert await host.read(ctx, "INTERRUPT_STATUS") == 0
        assert await host.read(ctx, "INTERRUPT_ENABLE") == DONE | ERROR
        await host.write(ctx, "CONTROL", START)
        assert await take(ctx, dut) == phase(64, 1)

    run(body)


def test_a_clear_withdraws_a_start():
    async def body(ctx, dut, host):
        ctx.set(dut.idle, 1)
        await begin(ctx, dut, host, 64, 1)
        await host.write(ctx, "CONTROL", CLEAR)
        await ctx.tick()
        assert not ctx.get(dut.start.valid)
        await ctx.tick()
        assert await host.read(ctx, "STATUS") == 0
        assert await host.read(ctx, "INTERRUPT_STATUS") == 0

    run(body)


def test_a_clear_withdraws_the_start_of_a_list():
    async def body(ctx, dut, host):
        ctx.set(dut.idle, 1)
        await begin_list(ctx, host, 64, 1)
        await host.write(ctx, "CONTROL", CLEAR | START_LIST)
        await ctx.tick()
        assert not ctx.get(dut.start_list.valid)
        await ctx.tick()
        assert await host.read(ctx, "STATUS") == 0

    run(body)


def test_an_abort_before_the_list_is_taken_names_no_phase():
    async def body(ctx, dut, host):
        ctx.set(dut.phase, 5)  # of the list before
        ctx.set(dut.idle, 1)
        await begin_list(ctx, host, 64, 1)
        await host.write(ctx, "CONTROL", ABORT)
        await ctx.tick().repeat(2)
        assert not ctx.get(dut.start_list.valid)
        assert await host.read(ctx, "ERROR") == ErrorCode.ABORTED
        assert await host.read(ctx, "ERROR_PHASE") == NO_PHASE

    run(body)
