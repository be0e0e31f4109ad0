"""cocotb testbench in which the C and the Python driver run array or machine behind AXI."""

from __future__ import annotations

import functools
import json
from pathlib import Path

import cocotb
import numpy as np
from cocotb.clock import Clock
from cocotb.task import bridge, resume
from cocotb.triggers import ClockCycles, First, RisingEdge, Timer
from cocotbext.axi import AxiBus, AxiLiteBus, AxiLiteMaster, AxiResp, AxiSlave

from gscn.driver import Driver
from gscn.register import Top
from tests.cosim.axi_bench import CLOCK_NS, Memory, channels, pauses
from tests.driver.c_driver import CDriver

TIMEOUT_CYCLES = 60_000
POLL_CYCLES = 50


class Bus:
    """The registers, as code that knows of no simulation reaches them."""

    def __init__(self, dut, master):
        self.dut, self.master = dut, master
        self.interrupts = False
        self.waits = 0

    @resume
    async def read32(self, offset):
        answer = await self.master.read(offset, 4)
        assert answer.resp == AxiResp.OKAY, hex(offset)
        return int.from_bytes(answer.data, "little")

    @resume
    async def write32(self, offset, value):
        answer = await self.master.write(offset, value.to_bytes(4, "little"))
        assert answer.resp == AxiResp.OKAY, hex(offset)

    @resume
    async def wait(self):
        """Return at the interrupt if that is on, else after some cycles."""
        self.waits += 1
        if not self.interrupts:
            await ClockCycles(self.dut.clk, POLL_CYCLES)
        elif not self.dut.interrupt.value:
            late = Timer(TIMEOUT_CYCLES * CLOCK_NS, "ns")
            if await First(RisingEdge(self.dut.interrupt), late) is late:
                raise TimeoutError


@bridge
def run_list(create, bus, scenario, counter_count):
    """Do what a user's program does; return what it sees."""
    driver = create(bus, wait=bus.wait, digest=int(scenario["digest"], 16))
    bus.interrupts = scenario["interrupts"]
    driver.interrupts(bus.interrupts)
    driver.memory_base = scenario["memory_base"]
    bus.waits = 0
    # of a machine's lists alone
    how = {name: scenario[name] for name in ("first", "two_queues") if name in scenario}
    driver.start(scenario["address"], scenario["count"], **how)
    if scenario["abort"]:
        driver.abort()
    outcome = driver.finish()
    return {
        "error": outcome.error.name,
        "error_pass": outcome.error_pass,
        "text": str(outcome),
        "waits": bus.waits,
        "counters": [driver.counter(index) for index in range(counter_count)],
    }


@cocotb.test()
async def scenarios(dut):
    directory = Path(cocotb.plusargs["bundle"])
    bundle = json.loads((directory / "bundle.json").read_text())
    target = Memory()
    dut.rst.value = 1
    Clock(dut.clk, CLOCK_NS, "ns").start()
    memory = AxiSlave(AxiBus.from_prefix(dut, "m_axi"), dut.clk, target=target)
    host = AxiLiteMaster(AxiLiteBus.from_prefix(dut, "s_axil"), dut.clk)
    await ClockCycles(dut.clk, 4)
    dut.rst.value = 0
    await ClockCycles(dut.clk, 2)
    for number, channel in enumerate(channels(memory, host)):
        channel.set_pause_generator(pauses(number, bundle["pause_share"]))
    for index, scenario in enumerate(bundle["scenarios"]):
        image = np.fromfile(directory / scenario["image"], dtype=np.uint8)
        target.load(image, scenario["memory_bytes"], 0, [])
        target.base = scenario["memory_base"]
        of_top = functools.partial(CDriver, top=Top(scenario.get("top", Top.ARRAY)))
        create = {"C": of_top, "Python": Driver}[scenario["driver"]]
        seen = await run_list(create, Bus(dut, host), scenario, bundle["counter_count"])
        np.frombuffer(target.bytes, dtype=np.uint8).tofile(directory / f"{index}.memory")
        (directory / f"{index}.json").write_text(json.dumps(seen))
