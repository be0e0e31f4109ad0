"""A core and a driver, played by the tests of `Control`."""

from __future__ import annotations

import dataclasses

from gscn.config import PRESETS
from gscn.hw.host.control import Control
from gscn.registers import register
from tests.hw.host.axil_host import Host
from tests.hw.streams import plain, simulate

WIDE = dataclasses.replace(PRESETS["tiny"], addr_width=40)
DONE, ERROR = 1, 2
START, CLEAR, ABORT, START_LIST = 1, 2, 4, 8
OUT_ADDR, OUT_END = 0x34_0000_0040, 1 << 40


def bit(register_name, field_name):
    return register(register_name).field(field_name).mask


def run(body, *background, config=WIDE):
    dut = Control(config=config)

    async def testbench(ctx):
        await body(ctx, dut, Host(dut.axil))

    simulate(dut, testbench, background=[b(dut) for b in background], cycles=1500)


async def begin(ctx, dut, host, queue_addr, job_count):
    """Start a phase as a driver does."""
    await host.write(ctx, "QUEUE_ADDR_LO", queue_addr & 0xFFFF_FFFF)
    await host.write(ctx, "QUEUE_ADDR_HI", queue_addr >> 32)
    await host.write(ctx, "JOB_COUNT", job_count)
    for name, addr in (("OUTPUT_ADDR", OUT_ADDR), ("OUTPUT_END", OUT_END)):
        await host.write(ctx, f"{name}_LO", addr & 0xFFFF_FFFF)
        await host.write(ctx, f"{name}_HI", addr >> 32)
    await host.write(ctx, "CONTROL", START)


async def begin_list(ctx, host, phases_addr, phase_count):
    """Start a list of phases as a driver does."""
    await host.write(ctx, "PHASES_ADDR_LO", phases_addr & 0xFFFF_FFFF)
    await host.write(ctx, "PHASES_ADDR_HI", phases_addr >> 32)
    await host.write(ctx, "PHASE_COUNT", phase_count)
    await host.write(ctx, "CONTROL", START_LIST)


def phase(queue_addr, job_count):
    """Return what the core is given for a phase that `begin` has started."""
    return {
        "queue_addr": queue_addr,
        "job_count": job_count,
        "out_addr": OUT_ADDR,
        "out_end": OUT_END,
    }


async def take(ctx, dut, starts="start"):
    """Take a start as the core does, and be busy from the next cycle."""
    port = getattr(dut, starts)
    ctx.set(port.ready, 1)
    valid = False
    while not valid:
        _, _, valid, payload = await ctx.tick().sample(port.valid, port.p)
    ctx.set(port.ready, 0)
    ctx.set(dut.busy, 1)
    return plain(payload)
