# amaranth: UnusedElaboratable=no
"""The machine's buses and registers around a small machine of the test's, which acts on orders.

The machine itself runs behind them in `cosim/test_lists_axi.py`.
"""

from __future__ import annotations

import dataclasses

import pytest

from gscn.counters import COUNTERS_PER_CLUSTER
from gscn.encode import EncodeError
from gscn.hw.host.machine_axi import MachineAxi
from gscn.hw.host.top_axi import ArrayAxi
from gscn.pass_errors import PassError
from gscn.registers import NO_PASS, register
from tests.hw.host.axil_host import Host
from tests.hw.host.obeying import END, FAIL, STOP, ObeyingAxi
from tests.hw.host.subordinate import Subordinate
from tests.hw.host.test_top_axi import TINY, Port
from tests.hw.streams import in_runs, never, reused, simulate

LIST, PLACES = 0x140, 9
ANSWERED = LIST + 64
DONE, ERROR, TOLD = 1, 2, 4
START, CLEAR, ANSWER, ANEW = 1, 2, 8, 16
BUSY = register("STATUS").field("busy").mask
TOTAL = TINY.clusters * COUNTERS_PER_CLUSTER


class Bench:
    """Give orders to the machine, as a driver does."""

    def __init__(self, *, pauses=never):
        self.dut = reused(ObeyingAxi, config=TINY)
        self.host = Host(Port(self.dut, "s_axil"))
        self.memory = Subordinate(TINY, pauses=pauses, latency=6)

    async def start(self, ctx, order, number=0):
        word = number << 32 | order
        self.memory.memory[LIST : LIST + 8] = word.to_bytes(8, "little")
        for name, value in {
            "PASSES_ADDR_LO": LIST,
            "PASS_COUNT": PLACES,
            "LIST_FIRST_LO": LIST + 256,
            "LIST_ORDER": 1,
            "INTERRUPT_ENABLE": DONE | ERROR | TOLD,
            "CONTROL": START,
        }.items():
            await self.host.write(ctx, name, value)

    async def events(self, ctx):
        while not ctx.get(self.dut.interrupt):
            await ctx.tick()
        events = await self.host.read(ctx, "INTERRUPT_STATUS")
        await self.host.write(ctx, "INTERRUPT_STATUS", events)
        return events

    async def counter(self, ctx, index):
        await self.host.write(ctx, "COUNTER_SELECT", index)
        return await self.host.read(ctx, "COUNTER_LO")

    def run(self, body):
        simulate(self.dut, body, background=self.memory.serve(Port(self.dut, "m_axi")), cycles=4000)


@pytest.mark.parametrize("pauses", [never, lambda: in_runs(8)], ids=["no pause", "pauses"])
def test_a_list_that_stops_and_goes_on_anew(pauses):
    bench = Bench(pauses=pauses)
    addr = 0x1234_5640

    async def body(ctx):
        host = bench.host
        await bench.start(ctx, STOP, 77)
        assert await bench.events(ctx) == TOLD
        assert await host.read(ctx, "STOP") == 77
        before = await bench.counter(ctx, TOTAL + 1)
        assert before > 0
        await host.write(ctx, "ANSWER_ADDR_LO", addr)
        await host.write(ctx, "CONTROL", ANSWER | ANEW)
        assert await bench.events(ctx) == DONE
        assert await host.read(ctx, "STATUS") & BUSY == 0
        written = int.from_bytes(bench.memory.memory[ANSWERED : ANSWERED + 8], "little")
        assert written == addr << 1 | 1
        # the machine's own counter stands still now; all others are the core's
        after = await bench.counter(ctx, TOTAL + 1)
        assert after > before
        assert await bench.counter(ctx, TOTAL + 1) == after
        for index in (0, TOTAL, TOTAL + 2):
            assert await bench.counter(ctx, index) == index
        assert await host.read(ctx, "RECORD_ENCODE_LO") == LIST + 256
        assert await host.read(ctx, "RECORD_ARRAY_LO") == LIST + 1  # two queues were asked for

    bench.run(body)


def test_a_failure_is_told_by_its_place_and_the_next_list_runs():
    bench = Bench()

    async def body(ctx):
        host = bench.host
        await bench.start(ctx, FAIL, 6)
        assert await bench.events(ctx) == ERROR
        assert await host.read(ctx, "STATUS") & BUSY == 0
        assert await host.read(ctx, "ERROR") == EncodeError.ORDER
        assert await host.read(ctx, "ERROR_PASS") == 6
        assert await host.read(ctx, "RECORD_ENCODE_LO") == LIST + 256
        assert await bench.counter(ctx, TOTAL + 1) == 0
        await bench.start(ctx, END)
        assert await bench.events(ctx) == DONE
        assert await host.read(ctx, "ERROR") == PassError.NONE
        assert await host.read(ctx, "ERROR_PASS") == NO_PASS

    bench.run(body)


@pytest.mark.parametrize("command", [CLEAR, 4], ids=["clear", "abort"])
def test_a_list_that_waits_for_its_host_is_cut_off_and_the_next_one_runs(command):
    bench = Bench()

    async def body(ctx):
        host = bench.host
        await bench.start(ctx, STOP, 5)
        assert await bench.events(ctx) == TOLD
        await host.write(ctx, "CONTROL", command)
        while await host.read(ctx, "STATUS") & BUSY:
            pass
        code = PassError.NONE if command == CLEAR else PassError.ABORTED
        assert await host.read(ctx, "ERROR") == code
        assert await host.read(ctx, "STOP") == 0
        await host.write(ctx, "INTERRUPT_STATUS", ERROR)
        await bench.start(ctx, END)
        assert await bench.events(ctx) == DONE

    bench.run(body)


def test_a_bus_error_ends_a_list():
    bench = Bench()
    bench.memory.bad = {LIST: 2}

    async def body(ctx):
        host = bench.host
        await bench.start(ctx, END)
        assert await bench.events(ctx) == ERROR
        assert await host.read(ctx, "ERROR") == PassError.BUS_READ
        assert await host.read(ctx, "BUS_ERROR_ADDR_LO") == LIST
        assert await host.read(ctx, "ERROR_PASS") == NO_PASS

    bench.run(body)


def test_its_ports_are_those_of_the_array():
    config = dataclasses.replace(TINY, clusters=4, ports=2)
    assert MachineAxi(config=config).signature == ArrayAxi(config=config).signature
