# amaranth: UnusedElaboratable=no
"""The quick simulator settles before anybody looks, and begins anew for each user."""

from __future__ import annotations

from amaranth.hdl import Array, Module, Signal
from amaranth.lib import memory, wiring
from amaranth.lib.wiring import In, Out
from amaranth.sim import Simulator

from tests.quick_simulator import quicker, simulator_of

PERIOD = 1e-6


class Counting(wiring.Component):
    """Adds in every cycle, and keeps the sums in a memory."""

    def __init__(self):
        super().__init__({"a": In(8), "b": In(8), "sum": Out(9), "total": Out(16), "at": In(2)})
        self.memory = memory.Memory(shape=16, depth=4, init=[7, 8, 9, 10])

    def elaborate(self, platform):
        m = Module()
        m.submodules.memory = self.memory
        write = self.memory.write_port()
        m.d.comb += [self.sum.eq(self.a + self.b), write.data.eq(self.total)]
        m.d.comb += [write.addr.eq(self.at), write.en.eq(self.a != 0)]
        m.d.sync += self.total.eq(self.total + self.sum)
        return m


def run(dut):
    """Return what two testbenches see of a component."""
    seen = []

    async def sets(ctx):
        seen.append([ctx.get(row) for row in dut.memory.data])
        for cycle in range(3):
            ctx.set(dut.a, 5)
            ctx.set(dut.b, 250 + cycle)
            ctx.set(dut.a, 6)
            ctx.set(dut.at, cycle)
            _, _, total = await ctx.tick().sample(dut.total)
            seen.append((total, ctx.get(dut.total)))
        seen.append([ctx.get(row) for row in dut.memory.data])

    async def looks(ctx):
        while True:
            seen.append(ctx.get(dut.sum))
            await ctx.tick()

    with simulator_of(dut, PERIOD) as simulator:
        simulator.add_testbench(sets)
        simulator.add_testbench(looks, background=True)
        simulator.run()
    return seen


def test_every_user_of_a_component_finds_it_as_after_a_reset():
    dut = Counting()
    expected = [
        [7, 8, 9, 10], 256, (0, 256), 257, (256, 513), 258, (513, 771), [0, 256, 513, 10], 258,
    ]  # fmt: skip
    assert run(dut) == expected
    assert run(dut) == expected


def test_an_element_is_chosen_by_what_was_set_before():
    m, index, elements = Module(), Signal(2), [Signal(4, name=f"e{n}") for n in range(4)]
    out = Signal(4)
    m.d.comb += out.eq(Array(elements)[index])
    found = []

    async def testbench(ctx):
        for n in range(4):
            ctx.set(index, n)
            ctx.set(Array(elements)[index], n + 5)
            ctx.set(elements[n][3], 1)
            found.append(ctx.get(out))
        found.append([ctx.get(one) for one in elements])

    simulator = Simulator(m)
    simulator.add_testbench(testbench)
    simulator.run()
    own = [n + 5 | 8 for n in range(4)]
    assert found == [*own, own]


def test_processes_call_signals_that_change_alone():
    source = (
        "def run():\n"
        "    next_12 = slots[12].next\n"
        "    next_12 = (0x1 & slots[3].curr)\n"
        "    slots[12].update(next_12, -1)\n"
    )
    assert quicker(source) == (
        "def run(s3=slots[3], s12=slots[12]):\n"
        "    next_12 = s12.next\n"
        "    next_12 = (0x1 & s3.curr)\n"
        "    if s12.next != next_12: s12.update(next_12, -1)\n"
    )
