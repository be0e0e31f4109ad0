"""cocotb testbench of the registers of the array behind AXI: every bit of every one, no memory."""

from __future__ import annotations

from pathlib import Path

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles
from cocotbext.axi import AxiLiteBus, AxiLiteMaster, AxiResp

from gscn.pass_errors import PassError
from gscn.register import REGISTER_WIDTH, Access, Top
from gscn.registers import OFFSET_WIDTH, registers_of
from tests.cosim.axi_bench import CLOCK_NS, DONE, ERROR, START, Driver

REGISTERS = registers_of(Top.ARRAY)
ALL = (1 << REGISTER_WIDTH) - 1
BYTES = REGISTER_WIDTH // 8
WALKS = [
    *(1 << bit for bit in range(REGISTER_WIDTH)),
    *(ALL ^ 1 << bit for bit in range(REGISTER_WIDTH)),
    ALL,
]
STORED = [one for one in REGISTERS if one.access is Access.READ_WRITE]


class Host(Driver):
    """A driver that may be answered with errors."""

    async def try_read(self, offset):
        answer = await self.master.read(offset, BYTES)
        return answer.resp, int.from_bytes(answer.data, "little")

    async def try_write(self, offset, value):
        return (await self.master.write(offset, value.to_bytes(BYTES, "little"))).resp

    async def values(self):
        """Return what all registers hold that keep what they hold."""
        names = [one.name for one in REGISTERS if one.readable and one.name != "COUNTER_LO"]
        return {name: await self.read(name) for name in names}


async def walk_stored(host):
    """Every bit of a register alone, and all but one; its lower bytes; others do not change."""
    for one in STORED:
        before = await host.values()
        for value in WALKS:
            await host.write(one.name, value)
            assert await host.read(one.name) == value & one.mask, (one.name, hex(value))
        for size in range(1, BYTES):
            held = await host.read(one.name)
            content = bytes(0xA5 ^ byte for byte in range(size))
            await host.master.write(one.offset, content)
            low = int.from_bytes(content, "little")
            held = held & ~((1 << 8 * size) - 1) | low
            assert await host.read(one.name) == held & one.mask, (one.name, size)
            refused = await host.master.write(one.offset + size, b"\x5a")
            assert refused.resp == AxiResp.SLVERR, (one.name, size)
            assert await host.read(one.name) == held & one.mask, (one.name, size)
        await host.write(one.name, before[one.name])
        assert await host.values() == before, one.name


async def refuse_others(host):
    """Offsets of no register, writes of what is only read, reads of what is only written."""
    before = await host.values()
    known = {one.offset: one for one in REGISTERS}
    for offset in range(0, 1 << OFFSET_WIDTH, BYTES):
        one = known.get(offset)
        resp, value = await host.try_read(offset)
        readable = one is not None and one.readable
        assert resp == (AxiResp.OKAY if readable else AxiResp.SLVERR), hex(offset)
        assert readable or value == 0, hex(offset)
        if one is None or not one.writable:
            assert await host.try_write(offset, ALL) == AxiResp.SLVERR, hex(offset)
    assert await host.values() == before


async def test_events(host):
    """Each event by the test register: its bit, the interrupt if it is enabled, cleared alone."""
    for enabled in (0, DONE, ERROR, DONE | ERROR):
        await host.write("INTERRUPT_ENABLE", enabled)
        for events in WALKS:
            await host.write("INTERRUPT_TEST", events)
            held = events & (DONE | ERROR)
            assert await host.read("INTERRUPT_STATUS") == held
            assert bool(host.dut.interrupt.value) == bool(held & enabled)
            await host.write("INTERRUPT_STATUS", ALL ^ DONE)
            assert await host.read("INTERRUPT_STATUS") == held & DONE
            await host.write("INTERRUPT_STATUS", DONE)
            assert await host.read("INTERRUPT_STATUS") == 0
    await host.write("INTERRUPT_ENABLE", 0)


async def refuse_starts(host):
    """A bit too high in an address or a base, one too low, and ends beyond all addresses."""
    starts = [
        (value, 0, 1, PassError.START_ADDRESS)
        for value in (*(1 << bit for bit in range(6)), *(1 << bit for bit in range(32, 64)))
    ]
    starts += [(64, 1 << bit, 1, PassError.START_ADDRESS) for bit in range(64)]
    starts += [(64, 0, 1 << bit, PassError.START_ADDRESS) for bit in range(24, 32)]
    starts += [((1 << bit) - 64, 0, 0, PassError.START_PASSES) for bit in range(7, 33)]
    for addr, base, count, error in starts:
        for name, value in (("PASSES_ADDR", addr), ("MEMORY_BASE", base)):
            await host.write(f"{name}_LO", value & ALL)
            await host.write(f"{name}_HI", value >> REGISTER_WIDTH)
        await host.write("PASS_COUNT", count)
        await host.write("CONTROL", START)
        assert await host.read("ERROR") == error, (hex(addr), hex(base), count)
        assert await host.read("STATUS") == 0
        assert await host.read("INTERRUPT_STATUS") == ERROR
        await host.clear()
        assert await host.read("ERROR") == PassError.NONE


@cocotb.test()
async def registers(dut):
    dut.rst.value = 1
    Clock(dut.clk, CLOCK_NS, "ns").start()
    host = Host(dut, AxiLiteMaster(AxiLiteBus.from_prefix(dut, "s_axil"), dut.clk))
    for name in ("awready", "wready", "bvalid", "arready", "rvalid"):
        getattr(dut, f"m_axi_{name}").value = 0
    await ClockCycles(dut.clk, 4)
    dut.rst.value = 0
    await ClockCycles(dut.clk, 2)
    for check in (walk_stored, refuse_others, test_events, refuse_starts):
        await check(host)
    (Path(cocotb.plusargs["bundle"]) / "passed").touch()
