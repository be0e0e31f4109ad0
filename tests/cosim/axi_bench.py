"""cocotb testbench of the array behind AXI, run inside the simulator by `axi_simulator`.

The host and the memory are those of cocotbext-axi, so that the ports are judged by models of the
bus that others wrote.
"""

from __future__ import annotations

import itertools
import json
import logging
import random
from pathlib import Path

import cocotb
import numpy as np
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles, RisingEdge, with_timeout
from cocotbext.axi import AxiBus, AxiLiteBus, AxiLiteMaster, AxiResp, AxiSlave

from gscn.register import Top
from gscn.registers import register, registers_of

CLOCK_NS = 2
DONE, ERROR = 1, 2
START, CLEAR = 1, 2
BUSY = 1


class Memory:
    """Bytes that remember which of them were written; some ranges are answered with an error."""

    def __init__(self):
        self.base = 0
        """Address of the first byte on the bus."""
        self.load(np.zeros(0, dtype=np.uint8), 0, 0, [])

    def load(self, image, memory_bytes, fill, broken):
        self.bytes = bytearray(image.tobytes()) + bytes([fill]) * (memory_bytes - image.size)
        self.written = bytearray(memory_bytes)
        self.broken = broken

    def check(self, address, length):
        inside = address >= 0 and address + length <= len(self.bytes)
        if not inside or any(low < address + length and address < end for low, end in self.broken):
            raise ValueError(f"no memory at {address:#x}")

    async def read(self, address, length):
        address -= self.base
        self.check(address, length)
        return bytes(self.bytes[address : address + length])

    async def write(self, address, data):
        address -= self.base
        self.check(address, len(data))
        self.bytes[address : address + len(data)] = data
        self.written[address : address + len(data)] = b"\1" * len(data)


def pauses(seed, share):
    generator = random.Random(seed)
    return (generator.random() < share for _ in itertools.count())


def channels(memory, host):
    """Return every channel on which the models can pause."""
    return [
        memory.write_if.aw_channel,
        memory.write_if.w_channel,
        memory.write_if.b_channel,
        memory.read_if.ar_channel,
        memory.read_if.r_channel,
        host.write_if.aw_channel,
        host.write_if.w_channel,
        host.write_if.b_channel,
        host.read_if.ar_channel,
        host.read_if.r_channel,
    ]


class Driver:
    """What a driver does, through the registers alone."""

    def __init__(self, dut, master):
        self.dut = dut
        self.master = master

    async def read(self, name):
        answer = await self.master.read(register(name).offset, 4)
        assert answer.resp == AxiResp.OKAY, name
        return int.from_bytes(answer.data, "little")

    async def read_long(self, name):
        """Read a pair of registers, the lower half first."""
        low = await self.read(f"{name}_LO")
        return low | await self.read(f"{name}_HI") << 32

    async def write(self, name, value):
        answer = await self.master.write(register(name).offset, value.to_bytes(4, "little"))
        assert answer.resp == AxiResp.OKAY, name

    async def clear(self):
        await self.write("CONTROL", CLEAR)
        while await self.read("STATUS") & BUSY:
            pass

    async def wait(self, timeout_cycles):
        """Wait for the interrupt; clear and return the events behind it."""
        if not self.dut.interrupt.value:
            await with_timeout(RisingEdge(self.dut.interrupt), timeout_cycles * CLOCK_NS, "ns")
        events = await self.read("INTERRUPT_STATUS")
        await self.write("INTERRUPT_STATUS", events)
        return events

    async def run_list(self, passes_addr, count, timeout_cycles):
        """Run a list of passes to its end; return the events."""
        await self.write("PASSES_ADDR_LO", passes_addr & 0xFFFF_FFFF)
        await self.write("PASSES_ADDR_HI", passes_addr >> 32)
        await self.write("PASS_COUNT", count)
        await self.write("CONTROL", START)
        return await self.finish(timeout_cycles)

    async def finish(self, timeout_cycles):
        """Wait for the end, which `STATUS.busy` alone tells; return the events."""
        events = [await self.wait(timeout_cycles)]
        while await self.read("STATUS") & BUSY:
            events.append(await self.wait(timeout_cycles))
        late = await self.read("INTERRUPT_STATUS")  # of the end, if it came after those read
        await self.write("INTERRUPT_STATUS", late)
        return [event for event in (*events, late) if event]


async def launch(driver, scenario, memory, directory):
    """Run one scenario; return what the host saw."""
    image = np.fromfile(directory / scenario["image"], dtype=np.uint8)
    broken = scenario["broken"]
    memory.load(image, scenario["memory_bytes"], scenario["fill"], broken)
    await driver.clear()
    await driver.write("INTERRUPT_ENABLE", DONE | ERROR)
    limit = scenario["timeout_cycles"]
    events = await driver.run_list(scenario["descriptors_addr"], scenario["count"], limit)
    counters = []
    for index in range(scenario["counter_count"]):
        await driver.write("COUNTER_SELECT", index)
        counters.append(await driver.read_long("COUNTER"))
    return {
        "events": events,
        "interrupt_after": int(driver.dut.interrupt.value),
        "status": await driver.read("STATUS"),
        "error": await driver.read("ERROR"),
        "error_pass": await driver.read("ERROR_PASS"),
        "last_pass": await driver.read("PASS"),
        "bus_error": await driver.read("BUS_ERROR"),
        "bus_error_addr": await driver.read_long("BUS_ERROR_ADDR"),
        "counters": counters,
    }


@cocotb.test()
async def scenarios(dut):
    logging.getLogger("cocotb.gscn_axi_top").setLevel(logging.WARNING)
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
    driver = Driver(dut, host)
    identity = {
        "id": await driver.read("ID"),
        "version": await driver.read("VERSION"),
        "digest": await driver.read_long("CONFIG_DIGEST"),
        "sizes": {
            f"{one.name}.{field.name}": (await driver.read(one.name) & field.mask) >> field.low
            for one in registers_of(Top.ARRAY)
            if one.name.startswith("ARRAY")
            for field in one.fields
        },
    }
    (directory / "identity.json").write_text(json.dumps(identity))
    for index, scenario in enumerate(bundle):
        for number, channel in enumerate(channels(memory, host)):
            share = scenario["pause_share"]
            seed = scenario["seed"] * 100 + number
            channel.set_pause_generator(pauses(seed, share) if share else None)
            channel.pause = False
        outcome = await launch(driver, scenario, target, directory)
        np.frombuffer(target.bytes, dtype=np.uint8).tofile(directory / f"{index}.memory")
        np.frombuffer(target.written, dtype=np.uint8).tofile(directory / f"{index}.written")
        (directory / f"{index}.json").write_text(json.dumps(outcome))
