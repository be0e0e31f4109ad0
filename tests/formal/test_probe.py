# amaranth: UnusedElaboratable=no
"""The look inside a component: signals, registers and memories by name."""

from __future__ import annotations

import pytest
from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out
from amaranth.sim import Simulator

from formal.probe import Probe
from gscn.errors import InputError


class Inner(wiring.Component):
    """Stores a word."""

    def __init__(self):
        super().__init__({"i": In(4), "o": Out(4)})

    def elaborate(self, platform):
        m = Module()
        kept = Signal(4)
        odd, even = (Signal(4) for _ in range(2))
        m.d.sync += [odd.eq(self.i), even.eq(self.i + 1)]
        twins = [Signal(name="twin") for _ in range(2)]
        m.d.sync += [kept.eq(self.i), *(twin.eq(self.i[0]) for twin in twins)]
        m.d.comb += self.o.eq(kept)
        return m


class Outer(wiring.Component):
    """Has an `Inner` and a memory."""

    def __init__(self):
        super().__init__({"i": In(4), "twice": In(1), "o": Out(4)})

    def elaborate(self, platform):
        m = Module()
        m.submodules.inner = inner = Inner()
        m.submodules.rows = rows = Memory(shape=4, depth=4, init=[1, 2, 3, 4])
        read, write = rows.read_port(), rows.write_port()
        local = Signal(4)
        first = Signal()
        second = Signal()
        m.d.comb += [inner.i.eq(self.i), self.o.eq(inner.o), read.addr.eq(2)]
        m.d.comb += [write.addr.eq(self.i), write.en.eq(self.twice)]
        m.d.sync += local.eq(self.i)
        with m.If(self.i[0]):
            m.d.sync += [first.eq(self.twice), second.eq(self.twice)]
        return m


@pytest.fixture
def probed():
    component = Outer()
    return component, Probe(component)


def test_signals_are_found_by_path(probed):
    _, probe = probed
    assert len(probe.signal("inner.kept")) == 4
    assert probe.signal("local").name == "local"


@pytest.mark.parametrize(("path", "count"), [("inner.absent", 0), ("kept", 0), ("inner.twin", 2)])
def test_a_name_of_no_signal_or_of_several_is_refused(probed, path, count):
    _, probe = probed
    with pytest.raises(InputError, match=f"must name exactly one signal, not {count}"):
        probe.signal(path)


def test_a_register_is_found_by_what_it_stores(probed):
    component, probe = probed
    assert probe.register_of(component.i) is probe.signal("local")
    with pytest.raises(InputError, match="in exactly one register, not 2"):
        probe.register_of(component.twice)


def test_rows_and_ports_of_a_memory_are_seen(probed):
    component, probe = probed
    m, addr, seen = Module(), Signal(2), []
    ports = probe.ports("rows")
    row = probe.row("rows", addr, 4, name="row")
    m.submodules.dut = probe.fragment

    async def testbench(ctx):
        for place in range(4):
            ctx.set(addr, place)
            seen.append(ctx.get(row))
        for place, writes in ((3, 0), (1, 1)):
            ctx.set(component.i, place)
            ctx.set(component.twice, writes)
            seen.append([ctx.get(port) for port in ports])

    simulator = Simulator(m)
    simulator.add_clock(1e-6)
    simulator.add_testbench(testbench)
    simulator.run()
    assert seen == [1, 2, 3, 4, [2, 3, 0], [2, 1, 1]]


def test_signals_without_a_name_are_found_by_their_variable(probed):
    _, probe = probed
    odd, even = probe.signal("inner.odd"), probe.signal("inner.even")
    assert odd is not even
    assert len(odd) == len(even) == 4
    assert "odd" not in (odd.name, even.name)


def test_states_of_a_machine_are_found_by_name():
    class Walk(wiring.Component):
        def __init__(self):
            super().__init__({"o": Out(1)})

        def elaborate(self, platform):
            m = Module()
            with m.FSM():
                with m.State("OUT"):
                    m.next = "BACK"
                with m.State("BACK"):
                    m.next = "HOME"
                with m.State("HOME"):
                    m.d.comb += self.o.eq(1)
                    m.next = "OUT"
            return m

    probe = Probe(Walk())
    states = probe.states()
    assert list(states) == ["OUT", "BACK", "HOME"]
    seen = []
    m = Module()
    m.submodules.walk = probe.fragment
    shown = Signal(3)
    m.d.comb += shown.eq(Cat(states.values()))

    async def testbench(ctx):
        for _ in range(4):
            seen.append(ctx.get(shown))
            await ctx.tick()

    simulator = Simulator(m)
    simulator.add_clock(1e-6)
    simulator.add_testbench(testbench)
    simulator.run()
    assert seen == [1, 2, 4, 1]
