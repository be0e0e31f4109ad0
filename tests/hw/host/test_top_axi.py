# amaranth: UnusedElaboratable=no
"""The array behind its buses: a list by registers, and a clear in the middle of one."""

from __future__ import annotations

import dataclasses

import pytest
from amaranth.hdl import ResetInserter, Signal

from gscn.array import ArrayConfig
from gscn.axi import DEFAULT_AXI, AxiAttributes
from gscn.counters import CLUSTER_COUNTER_NAMES, COUNTERS_PER_CLUSTER
from gscn.hw.host.axi_ports import axi4_signature, axil_signature
from gscn.hw.host.top_axi import ArrayAxi
from gscn.pass_errors import PassError
from gscn.passes import DESCRIPTOR_BYTES, PASS_DESCRIPTOR, Mode
from gscn.port import port_names
from gscn.registers import NO_PASS, register
from tests.hw.host.axil_host import Host
from tests.hw.host.test_axi import Subordinate
from tests.hw.streams import in_runs, never, reused, simulate
from tests.pass_law import expect
from tests.pass_programs import random_program

TINY = ArrayConfig(
    clusters=2,
    pes=1,
    stationary_depth=64,
    directory_depth=64,
    chunks_depth=4,
    acc_depth=64,
    drain_width=1,
    word_depth=2,
    fiber_depth=2,
    job_depth=1,
    mem_width=64,
    burst_beats=2,
    read_fifo_beats=4,
    outstanding_bursts=2,
)
BUSY, DONE, BUS_ERROR = (
    register("STATUS").field(name).mask for name in ("busy", "done", "bus_error")
)


class Port:
    """The members of a component with a prefix, under their names without it."""

    def __init__(self, component, prefix):
        self._component, self._prefix = component, prefix

    def __getattr__(self, name):
        return getattr(self._component, f"{self._prefix}_{name}")


class Bench:
    """Run a list of two passes, if asked after another that is cut off."""

    def __init__(
        self,
        *,
        pauses,
        clear_after=None,
        clear_in_write=False,
        resets=False,
        config=TINY,
        base=None,
    ):
        attributes = DEFAULT_AXI if base is None else AxiAttributes(addr_width=64)
        self.base = base or 0
        self.dut = reused(ArrayAxi, config=config, attributes=attributes)
        self.host = Host(Port(self.dut, "s_axil"))
        self.memory = Subordinate(config, pauses=pauses, latency=6, base=self.base)
        self.program = random_program(2, 0, config=config, mode=Mode.KERNEL, count=2)
        assert self.program.memory_bytes <= len(self.memory.memory)
        self.clear_after = clear_after
        self.clear_in_write = clear_in_write
        self.resets = resets
        self.reset = Signal()
        self.restore()

    @property
    def descriptors(self):
        first = self.program.descriptors_addr
        listed = self.program.image[first : first + self.program.count * DESCRIPTOR_BYTES]
        return PASS_DESCRIPTOR.unpack(listed)

    def restore(self):
        self.memory.memory[:] = bytes([0xA5]) * len(self.memory.memory)
        self.memory.memory[: self.program.memory_bytes] = self.program.image.tobytes()

    async def start(self, ctx):
        if self.base:
            await self.host.write(ctx, "MEMORY_BASE_LO", self.base & 0xFFFF_FFFF)
            await self.host.write(ctx, "MEMORY_BASE_HI", self.base >> 32)
        await self.host.write(ctx, "PASSES_ADDR_LO", self.program.descriptors_addr)
        await self.host.write(ctx, "PASS_COUNT", self.program.count)
        await self.host.write(ctx, "INTERRUPT_ENABLE", 1)
        await self.host.write(ctx, "CONTROL", 1)

    async def control(self, ctx):
        dut, host = self.dut, self.host
        if self.clear_after is not None:
            await self.start(ctx)
            # beats held back are still in the array when it is reset
            self.memory.holds_beats = self.clear_in_write
            bursts = self.memory.write_bursts if self.clear_in_write else self.memory.read_bursts
            while not bursts:
                await ctx.tick()
            await ctx.tick().repeat(self.clear_after)
            assert await host.read(ctx, "STATUS") & BUSY
            while self.resets and not self.memory.under_way:
                await ctx.tick()
            await host.write(ctx, "CONTROL", 2)
            assert self.memory.under_way or not self.resets
            if self.clear_in_write:
                await ctx.tick().repeat(20)
                assert await host.read(ctx, "STATUS") & BUSY
                self.memory.holds_beats = False
            while await host.read(ctx, "STATUS") & BUSY:
                pass
            assert await host.read(ctx, "STATUS") == 0
            assert not ctx.get(dut.interrupt)
            assert not self.memory.under_way
            if self.resets:
                ctx.set(self.reset, 1)
                await ctx.tick()
                ctx.set(self.reset, 0)
            bursts = len(self.memory.read_bursts), len(self.memory.write_bursts)
            await ctx.tick().repeat(40)
            assert bursts == (len(self.memory.read_bursts), len(self.memory.write_bursts))
            self.restore()
        await self.start(ctx)
        while not ctx.get(dut.interrupt):
            await ctx.tick()
        assert await host.read(ctx, "STATUS") & (BUSY | DONE | BUS_ERROR) == DONE
        assert await host.read(ctx, "ERROR") == 0
        assert await host.read(ctx, "PASS") == self.program.count - 1
        await host.write(ctx, "COUNTER_SELECT", dut.config.clusters * COUNTERS_PER_CLUSTER)
        total = await host.read(ctx, "COUNTER_LO")
        await host.write(ctx, "COUNTER_SELECT", CLUSTER_COUNTER_NAMES.index("busy"))
        busy = await host.read(ctx, "COUNTER_LO")
        assert 0 < busy < total < 4000

    def run(self):
        simulate(
            ResetInserter(self.reset)(self.dut),
            self.control,
            background=[
                server
                for name in port_names("m_axi", self.dut.config.ports)
                for server in self.memory.serve(Port(self.dut, name))
            ],
            cycles=10_000,
        )
        expected = bytes(expect(self.program).memory)
        beyond = len(self.memory.memory) - len(expected)
        assert self.memory.memory == expected + bytes([0xA5]) * beyond


@pytest.mark.parametrize(
    "pauses",
    [never, pytest.param(lambda: in_runs(8), marks=pytest.mark.slow)],
    ids=["no pause", "pauses"],
)
def test_a_list_by_registers(pauses):
    Bench(pauses=pauses).run()


BASE = 0xABCD_EF01_FFFF_F000


def test_a_list_through_two_ports_after_a_clear():
    config = dataclasses.replace(TINY, clusters=3, ports=2)
    Bench(pauses=lambda: in_runs(8), clear_after=90, config=config, base=BASE).run()


@pytest.mark.slow
@pytest.mark.parametrize("clear_after", [1, 60, 200])
def test_a_clear_cuts_a_list_off_without_a_trace(clear_after):
    Bench(pauses=lambda: in_runs(9), clear_after=clear_after).run()


def test_a_clear_completes_bursts_whose_beats_are_lost():
    Bench(pauses=never, clear_after=20, clear_in_write=True).run()


@pytest.mark.parametrize(
    "clear_in_write",
    [pytest.param(False, marks=pytest.mark.slow), True],
    ids=["reading", "writing"],
)
def test_a_reset_after_a_clear_leaves_memory_with_no_burst(clear_in_write):
    """Memory is not reset with the core, and sees no command or beat withdrawn."""
    clear_after = 20 if clear_in_write else 60
    Bench(
        pauses=lambda: in_runs(9),
        clear_after=clear_after,
        clear_in_write=clear_in_write,
        resets=True,
    ).run()


class StopBench(Bench):
    """Run a list that stops, then the same one to its end: no clear lies between them."""

    def __init__(self, *, change=None, abort_after=None, pauses=never):
        super().__init__(pauses=pauses)
        self.abort_after = abort_after
        if change is not None:
            change(self.memory.memory, self.program.descriptors_addr)

    async def control(self, ctx):
        dut, host = self.dut, self.host
        await self.start(ctx)
        await host.write(ctx, "INTERRUPT_ENABLE", 2)
        if self.abort_after is not None:
            while not self.memory.read_bursts:
                await ctx.tick()
            await ctx.tick().repeat(self.abort_after)
            await host.write(ctx, "CONTROL", 4)
        while not ctx.get(dut.interrupt):
            await ctx.tick()
        assert await host.read(ctx, "STATUS") & (BUSY | DONE | BUS_ERROR) == 0
        self.error = await host.read(ctx, "ERROR"), await host.read(ctx, "ERROR_PASS")
        await host.write(ctx, "INTERRUPT_STATUS", 2)
        self.restore()
        await super().control(ctx)


@pytest.mark.parametrize(
    ("abort_after", "number"),
    [
        (3, NO_PASS),  # the first descriptor is still being read
        *(pytest.param(*one, marks=pytest.mark.slow) for one in ((1, NO_PASS), (200, 0))),
    ],
)
def test_an_abort_stops_a_list_and_the_next_one_is_whole(abort_after, number):
    bench = StopBench(abort_after=abort_after, pauses=lambda: in_runs(4))
    bench.run()
    assert bench.error == (PassError.ABORTED, number)


@pytest.mark.parametrize("number", [1, pytest.param(0, marks=pytest.mark.slow)])
def test_an_error_names_its_pass_and_the_next_list_is_whole(number):
    def of_no_mode(memory, descriptors_addr):
        names = PASS_DESCRIPTOR.dtype.fields
        memory[descriptors_addr + DESCRIPTOR_BYTES * number + names["mode"][1]] = 2

    bench = StopBench(change=of_no_mode)
    bench.run()
    assert bench.error == (PassError.MODE, number)


WIDER = dataclasses.replace(TINY, burst_beats=4, read_fifo_beats=8)
RESPONSES = {"SLVERR": 2, "DECERR": 3}


class BusErrorBench(Bench):
    """Run a list in which one address is answered with an error, then the same one without."""

    def __init__(self, *, bad, base=None):
        super().__init__(pauses=lambda: in_runs(5), config=WIDER, base=base)
        self.memory.bad = dict(bad)

    async def control(self, ctx):
        dut, host = self.dut, self.host
        await self.start(ctx)
        await host.write(ctx, "INTERRUPT_ENABLE", 3)
        while not ctx.get(dut.interrupt):
            await ctx.tick()
        assert await host.read(ctx, "STATUS") == BUS_ERROR
        assert await host.read(ctx, "INTERRUPT_STATUS") == 2
        names = ("ERROR", "BUS_ERROR", "BUS_ERROR_ADDR_LO", "BUS_ERROR_ADDR_HI", "ERROR_PASS")
        *self.found, number = [await host.read(ctx, name) for name in names]
        assert number in range(self.program.count)
        await host.write(ctx, "INTERRUPT_STATUS", 2)
        self.memory.bad.clear()
        self.restore()
        await super().control(ctx)
        # the start has made manager and control forget it
        assert [await host.read(ctx, name) for name in names] == [0, 0, 0, 0, NO_PASS]


@pytest.fixture(scope="module")
def bursts():
    """Bursts (addr, beats) read and written by the list, in order."""
    bench = Bench(pauses=lambda: in_runs(5), config=WIDER)
    bench.run()
    return bench.memory.read_bursts, bench.memory.write_bursts


@pytest.mark.parametrize(
    ("write", "place", "response"),
    [
        pytest.param(
            *(write, place, response),
            id=f"{'write' if write else 'read'} {place} {response}",
            marks=() if (place, response) == fast else pytest.mark.slow,
        )
        for write, fast in ((False, ("middle", "SLVERR")), (True, ("middle", "DECERR")))
        for place in ("first", "middle", "last")
        for response in RESPONSES
    ],
)
def test_a_bus_error_goes_through_manager_and_control_to_the_host(bursts, write, place, response):
    """Of a read burst the first, a middle or the last beat fails; of writes, such a burst."""
    reads, writes = bursts
    if write:
        at = {"first": 0, "middle": len(writes) // 2, "last": -1}[place]
        addr = writes[at][0]
    else:
        start = next(addr for addr, beats in reads[len(reads) // 2 :] if beats == 4)
        addr = start + WIDER.mem_bytes * {"first": 0, "middle": 1, "last": 3}[place]
    # of writes on a bus with more bits of address than the array: the address is that of the bus
    bench = BusErrorBench(bad={addr: RESPONSES[response]}, base=BASE if write else None)
    bench.run()
    code = PassError.BUS_WRITE if write else PassError.BUS_READ
    at = bench.base + addr
    where = [at & 0xFFFF_FFFF, at >> 32]
    assert bench.found == [code, RESPONSES[response] << 4 | write, *where]


@pytest.mark.parametrize(
    ("clusters", "names"), [(2, ["m_axi"]), (4, ["m_axi0", "m_axi1", "m_axi2", "m_axi3"])]
)
def test_every_port_is_a_bus_or_the_interrupt(clusters, names):
    config = dataclasses.replace(TINY, clusters=clusters, ports=len(names), axi_id_width=5)
    top = ArrayAxi(config=config)
    members = set(top.signature.members)
    memory = axi4_signature(addr_width=32, data_width=64, id_width=5)
    buses = {f"{bus}_{name}" for bus in names for name in memory.members}
    for bus in names:
        for name, member in memory.members.items():
            assert top.signature.members[f"{bus}_{name}"] == member
    buses |= {f"s_axil_{name}" for name in axil_signature().members}
    assert members == buses | {"interrupt"}
