# amaranth: UnusedElaboratable=no
"""Shared modules: same behaviour in the Python simulator, one module in Verilog."""

import pytest
from amaranth.hdl import Module
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.sim import Simulator

from gscn.hw.shared import ModuleLibrary, Shared, flat_ports

PAIR = data.StructLayout({"a": 8, "b": 4})


class AddRegister(wiring.Component):
    """Add a constant to the low half of each word of a stream, one cycle later."""

    def __init__(self, *, addend: int) -> None:
        self.addend = addend
        super().__init__({"i": In(stream.Signature(PAIR)), "o": Out(stream.Signature(PAIR))})

    def elaborate(self, _platform):
        m = Module()
        m.d.comb += self.i.ready.eq(~self.o.valid | self.o.ready)
        with m.If(self.i.ready):
            m.d.sync += [
                self.o.valid.eq(self.i.valid),
                self.o.payload.a.eq(self.i.payload.a + self.addend),
                self.o.payload.b.eq(self.i.payload.b),
            ]
        return m


def through(component, words):
    received = []

    async def drive(ctx):
        for word in words:
            ctx.set(component.i.payload, word)
            ctx.set(component.i.valid, 1)
            await ctx.tick().until(component.i.ready)
        ctx.set(component.i.valid, 0)

    async def collect(ctx):
        ctx.set(component.o.ready, 1)
        for _ in words:
            payload = (await ctx.tick().sample(component.o.payload).until(component.o.valid))[0]
            received.append((payload.a, payload.b))

    simulator = Simulator(component)
    simulator.add_clock(1e-6)
    simulator.add_testbench(drive)
    simulator.add_testbench(collect)
    simulator.run()
    return received


def test_shared_behaves_as_its_component():
    words = [{"a": 250, "b": 3}, {"a": 1, "b": 15}]
    expected = [(255, 3), (6, 15)]
    assert through(AddRegister(addend=5), words) == expected
    assert through(Shared(AddRegister(addend=5), "add_5"), words) == expected


def test_shared_has_the_signature_of_its_component():
    component = AddRegister(addend=1)
    assert Shared(component, "add_1").signature == component.signature


def test_flat_ports_have_their_verilog_names_and_directions():
    ports = flat_ports(AddRegister(addend=1))
    assert {name: (len(value), way) for name, (value, way) in ports.items()} == {
        "i__payload": (12, "i"),
        "i__valid": (1, "i"),
        "i__ready": (1, "o"),
        "o__payload": (12, "o"),
        "o__valid": (1, "o"),
        "o__ready": (1, "i"),
    }


class Sink(wiring.Component):
    i: In(stream.Signature(4, always_ready=True))


def test_constant_members_are_no_ports():
    assert set(flat_ports(Sink())) == {"i__payload", "i__valid"}


def test_library_keeps_the_first_component_of_each_name():
    library = ModuleLibrary()
    first, second = AddRegister(addend=1), AddRegister(addend=1)
    library.register("add_1", first)
    library.register("add_1", second)
    assert list(library.components) == ["add_1"]
    assert library.components["add_1"] is first


def test_library_refuses_different_components_of_one_name():
    library = ModuleLibrary()
    library.register("add", AddRegister(addend=1))
    with pytest.raises(ValueError, match=r"'add' must stand .* attributes differ"):
        library.register("add", AddRegister(addend=2))
