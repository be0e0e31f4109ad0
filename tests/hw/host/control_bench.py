"""An array and a driver, played by the tests of `Control`."""

from __future__ import annotations

import dataclasses

from gscn.array import ARRAYS
from gscn.axi import DEFAULT_AXI
from gscn.hw.host.control import Control
from gscn.register import Top
from gscn.registers import register
from tests.hw.host.axil_host import Host
from tests.hw.streams import plain, reused, simulate

WIDE = dataclasses.replace(ARRAYS["tiny"], addr_width=40)
DONE, ERROR = 1, 2
START, CLEAR, ABORT = 1, 2, 4


def bit(register_name, field_name):
    return register(register_name).field(field_name).mask


def run(body, *background, config=WIDE, top=Top.ARRAY, attributes=DEFAULT_AXI):
    dut = reused(Control, config=config, top=top, attributes=attributes)

    async def testbench(ctx):
        await body(ctx, dut, Host(dut.axil))

    simulate(dut, testbench, background=[b(dut) for b in background], cycles=1500)


async def begin(ctx, host, addr, count):
    """Start a list of passes as a driver does."""
    await host.write(ctx, "PASSES_ADDR_LO", addr & 0xFFFF_FFFF)
    await host.write(ctx, "PASSES_ADDR_HI", addr >> 32)
    await host.write(ctx, "PASS_COUNT", count)
    await host.write(ctx, "CONTROL", START)


def listed(addr, places, first=0, two_queues=0):
    """Return a list as it is offered to the array or the machine."""
    return {"addr": addr, "places": places, "first": first, "two_queues": two_queues}


async def take(ctx, dut):
    """Take a list as the array does, and be busy from the next cycle."""
    ctx.set(dut.start_list.ready, 1)
    valid = False
    while not valid:
        _, _, valid, payload = await ctx.tick().sample(dut.start_list.valid, dut.start_list.p)
    ctx.set(dut.start_list.ready, 0)
    ctx.set(dut.busy, 1)
    return plain(payload)
