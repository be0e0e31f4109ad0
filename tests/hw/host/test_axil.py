# amaranth: UnusedElaboratable=no
"""The registers behind AXI4-Lite, each against its description."""

from __future__ import annotations

import pytest
from amaranth.hdl import Cat

from gscn.hw.host.axil import RegisterFile, acting_of, driven_of, stored_of
from gscn.register import Access, Top
from gscn.registers import OFFSET_WIDTH, register, registers_of
from tests.hw.host.axil_host import Host
from tests.hw.streams import reused, simulate

OKAY, SLVERR = 0, 2
ONES = 0xFFFF_FFFF
TOP = Top.MACHINE
REGISTERS = registers_of(TOP)
KNOWN = {r.offset for r in REGISTERS}
STORED, DRIVEN, ACTING = stored_of(TOP), driven_of(TOP), acting_of(TOP)


def run(body, cycles=8000, top=TOP):
    dut = reused(RegisterFile, top=top)

    async def testbench(ctx):
        await body(ctx, dut, Host(dut.axil))

    simulate(dut, testbench, cycles=cycles)


@pytest.mark.parametrize("order", ["addr", "data"])
@pytest.mark.parametrize("delay", [0, 3])
def test_stored_registers_keep_their_fields(order, delay):
    async def body(ctx, dut, host):
        for number, stored in enumerate(STORED):
            value = 0x9E37_79B9 * (number + 1) % (1 << 32)
            written = await host.write_at(ctx, stored.offset, value, order=order, delay=delay)
            assert written == OKAY
            assert ctx.get(getattr(dut.stored, stored.name)) == value & stored.mask
        for number, stored in enumerate(STORED):
            value = 0x9E37_79B9 * (number + 1) % (1 << 32)
            read = await host.read_at(ctx, stored.offset, delay=delay)
            assert read == (value & stored.mask, OKAY)

    run(body)


def test_only_strobed_bytes_are_written():
    async def body(ctx, dut, host):
        offset = register("PASSES_ADDR_LO").offset
        await host.write_at(ctx, offset, 0x1122_3344)
        await host.write_at(ctx, offset, 0xAABB_CCDD, strobe=0b0101)
        assert await host.read_at(ctx, offset) == (0x11BB_33DD, OKAY)
        await host.write_at(ctx, offset, ONES, strobe=0)
        assert await host.read_at(ctx, offset) == (0x11BB_33DD, OKAY)

    run(body)


def test_driven_registers_show_their_fields():
    async def body(ctx, dut, host):
        for number, driven in enumerate(DRIVEN):
            ctx.set(getattr(dut.driven, driven.name), ONES - number)
        for number, driven in enumerate(DRIVEN):
            assert await host.read_at(ctx, driven.offset) == ((ONES - number) & driven.mask, OKAY)

    run(body)


@pytest.mark.parametrize("acting", ACTING, ids=lambda r: r.name)
def test_acting_registers_pulse_for_one_cycle(acting):
    pulses = []

    async def body(ctx, dut, host):
        await host.write_at(ctx, acting.offset, ONES)
        await host.write_at(ctx, acting.offset, ONES, strobe=0)
        for stored in STORED:
            await host.write_at(ctx, stored.offset, ONES)

    dut = reused(RegisterFile, top=TOP)

    async def watch(ctx):
        async for *_, value in ctx.tick().sample(getattr(dut.written, acting.name)):
            pulses.append(value)

    async def testbench(ctx):
        await body(ctx, dut, Host(dut.axil))

    simulate(dut, testbench, background=[watch], cycles=500)
    assert [value for value in pulses if value] == [acting.mask]


def test_a_read_is_announced_once():
    seen = []
    dut = reused(RegisterFile, top=TOP)

    async def watch(ctx):
        async for *_, counter, status in ctx.tick().sample(dut.read.COUNTER_LO, dut.read.STATUS):
            seen.append((counter, status))

    async def testbench(ctx):
        host = Host(dut.axil)
        await host.read_at(ctx, register("COUNTER_LO").offset, delay=5)
        await host.read_at(ctx, register("COUNTER_HI").offset)

    simulate(dut, testbench, background=[watch], cycles=100)
    assert [pair for pair in seen if pair != (0, 0)] == [(1, 0)]


def test_addresses_may_run_ahead_of_their_data():
    async def body(ctx, dut, host):
        axil = dut.axil
        ctx.set(axil.bready, 1)
        answers = []

        async def step():
            *_, addr_taken, answered = await ctx.tick().sample(axil.awready, axil.bvalid)
            answers.append(answered)
            return addr_taken

        ctx.set(axil.awvalid, 1)
        ctx.set(axil.awaddr, register("PASSES_ADDR_LO").offset)
        assert await step()
        ctx.set(axil.awaddr, register("PASSES_ADDR_HI").offset)
        for _ in range(3):
            assert not await step(), "there is room for one address"
        ctx.set(axil.wvalid, 1)
        ctx.set(axil.wstrb, 15)
        ctx.set(axil.wdata, 11)
        await step()
        ctx.set(axil.wvalid, 0)
        while not await step():
            pass
        ctx.set(axil.awvalid, 0)
        ctx.set(axil.wvalid, 1)
        ctx.set(axil.wdata, 22)
        await step()
        ctx.set(axil.wvalid, 0)
        for _ in range(4):
            await step()
        assert sum(answers) == 2
        ctx.set(axil.bready, 0)
        assert await host.read(ctx, "PASSES_ADDR_LO") == 11
        assert await host.read(ctx, "PASSES_ADDR_HI") == 22

    run(body)


def test_unknown_offsets_are_refused():
    async def body(ctx, dut, host):
        stored = register("PASS_COUNT")
        await host.write_at(ctx, stored.offset, 77)
        # every bit of the offset counts
        wrong = [
            offset ^ (1 << bit)
            for offset in (0, stored.offset)
            for bit in range(OFFSET_WIDTH)
            if offset ^ (1 << bit) not in KNOWN
        ]
        assert len(wrong) > 8
        for offset in wrong:
            assert await host.write_at(ctx, offset, 5) == SLVERR
            assert await host.read_at(ctx, offset) == (0, SLVERR)
        assert await host.read_at(ctx, stored.offset) == (77, OKAY)

    run(body)


def test_an_array_has_no_registers_and_no_fields_of_a_machine():
    async def body(ctx, dut, host):
        missing = [one for one in REGISTERS if one.top is Top.MACHINE]
        assert len(missing) > 8
        for one in missing:
            assert await host.write_at(ctx, one.offset, ONES) == SLVERR
            assert await host.read_at(ctx, one.offset) == (0, SLVERR)
        enable = register("INTERRUPT_ENABLE")
        assert await host.write_at(ctx, enable.offset, ONES) == OKAY
        assert await host.read_at(ctx, enable.offset) == (0b11, OKAY)

    run(body, top=Top.ARRAY)


def test_an_offset_within_a_register_is_refused_and_has_no_effect():
    """No multiple of 4 names a register; bytes of one are written by their strobes."""
    acted = []

    async def body(ctx, dut, host):
        for one in REGISTERS:
            if one in DRIVEN:
                ctx.set(getattr(dut.driven, one.name), ONES)
            if one in STORED:
                assert await host.write_at(ctx, one.offset, 0) == OKAY
        for one in REGISTERS:
            for within in range(1, 4):
                strobe = 1 << within
                assert await host.write_at(ctx, one.offset + within, ONES) == SLVERR
                assert await host.write_at(ctx, one.offset + within, ONES, strobe=strobe) == SLVERR
                assert await host.read_at(ctx, one.offset + within) == (0, SLVERR)
        for stored in STORED:
            assert ctx.get(getattr(dut.stored, stored.name)) == 0, stored.name
        assert acted
        assert not any(acted)

    dut = reused(RegisterFile, top=TOP)
    pulses = [
        *(getattr(dut.written, r.name) for r in ACTING),
        *(getattr(dut.read, r.name) for r in REGISTERS),
    ]

    async def watch(ctx):
        async for *_, value in ctx.tick().sample(Cat(pulses)):
            acted.append(value)

    async def testbench(ctx):
        await body(ctx, dut, Host(dut.axil))

    simulate(dut, testbench, background=[watch], cycles=8000)


@pytest.mark.parametrize("strobe", range(16))
def test_a_narrow_write_changes_its_bytes_alone(strobe):
    async def body(ctx, dut, host):
        stored = register("PASSES_ADDR_HI")
        await host.write_at(ctx, stored.offset, 0x1122_3344)
        assert await host.write_at(ctx, stored.offset, 0xAABB_CCDD, strobe=strobe) == OKAY
        mask = sum(0xFF << 8 * byte for byte in range(4) if strobe >> byte & 1)
        expected = 0x1122_3344 & ~mask | 0xAABB_CCDD & mask
        assert await host.read_at(ctx, stored.offset) == (expected, OKAY)

    run(body)


def test_accesses_against_the_grain_are_refused():
    async def body(ctx, dut, host):
        for one in REGISTERS:
            ctx_value = getattr(dut.driven, one.name, None)
            if ctx_value is not None:
                ctx.set(ctx_value, ONES)
            if one.access is Access.READ:
                assert await host.write_at(ctx, one.offset, 0) == SLVERR
                assert await host.read_at(ctx, one.offset) == (one.mask, OKAY)
            if one.access is Access.WRITE:
                assert await host.read_at(ctx, one.offset) == (0, SLVERR)

    run(body)


def test_latencies_are_as_stated():
    dut = reused(RegisterFile, top=TOP)
    seen = []
    passes = register("PASS_COUNT")

    async def testbench(ctx):
        axil = dut.axil
        ctx.set(axil.awaddr, passes.offset)
        ctx.set(axil.wdata, 5)
        ctx.set(axil.wstrb, 15)
        ctx.set(axil.araddr, register("STATUS").offset)
        for cycle in range(6):
            for valid in (axil.awvalid, axil.wvalid, axil.arvalid):
                ctx.set(valid, cycle == 0)
            *_, b, stored, r, sampled = await ctx.tick().sample(
                axil.bvalid, dut.stored.PASS_COUNT, axil.rvalid, dut.read.STATUS
            )
            seen.append((b, stored, r, sampled))

    simulate(dut, testbench, cycles=20)
    answers, values, reads, samples = zip(*seen, strict=True)
    assert answers.index(1) == values.index(5) == RegisterFile.WRITE_LATENCY
    assert samples.index(1) == RegisterFile.READ_LATENCY
    assert reads.index(1) == RegisterFile.READ_LATENCY + 1
