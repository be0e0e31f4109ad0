# amaranth: UnusedElaboratable=no
"""The netlist of a component shows paths, registers on the way, and the state after a reset."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from amaranth.hdl import Array, Cat, Module, Mux, Signal, Value, signed
from amaranth.lib import wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out
from amaranth.sim import Simulator

from tests.hw.netlist import UNKNOWN, Netlist


class Expression(wiring.Component):
    """An expression of `a` and `b`, which rest at given values, and of an unknown bit `x`."""

    def __init__(self, expression, first=0, second=0):
        self._expression = expression
        like = SimpleNamespace(a=Signal(4), b=Signal(signed(4)), x=Signal())
        shape = Value.cast(expression(like)).shape()
        super().__init__({"a": In(4, init=first), "b": In(signed(4), init=second), "o": Out(shape)})

    def elaborate(self, platform):
        m = Module()
        self.x = Signal(reset_less=True)
        m.d.sync += self.x.eq(self.a[0])
        m.d.comb += self.o.eq(self._expression(self))
        return m


EXPRESSIONS = {
    "not": lambda c: ~c.a,
    "negative": lambda c: -c.b,
    "and": lambda c: c.a & c.b,
    "or": lambda c: c.a | c.b,
    "xor": lambda c: c.a ^ c.b,
    "any": lambda c: c.a.any(),
    "all": lambda c: c.a.all(),
    "parity": lambda c: c.a.xor(),
    "bool": lambda c: c.a.bool(),
    "equal": lambda c: c.a == c.b,
    "different": lambda c: c.a != c.b,
    "sum": lambda c: c.a + c.b,
    "difference": lambda c: c.a - c.b,
    "product": lambda c: c.a * c.b,
    "below": lambda c: c.b < c.b[1:].as_signed(),
    "at most": lambda c: c.a <= c.b.as_unsigned(),
    "above": lambda c: c.a > c.b.as_unsigned(),
    "at least": lambda c: c.b >= c.a[:3].as_signed(),
    "left": lambda c: c.a << c.a[:2],
    "right": lambda c: c.b >> c.a[:2],
    "choice": lambda c: Mux(c.a[0], c.a, c.b),
    "element": lambda c: Array([c.a, c.b, 3])[c.a[:2]],
    "part": lambda c: c.b.bit_select(c.a[:2], 2),
    "word": lambda c: Cat(c.a, c.b).word_select(c.a[:2], 2),
    "match": lambda c: c.a.matches("1-0-", 3),
}


def simulated(component):
    async def read(ctx):
        results.append(int(ctx.get(component.o)) & ((1 << len(component.o)) - 1))

    results = []
    simulator = Simulator(component)
    simulator.add_clock(1e-6)
    simulator.add_testbench(read)
    simulator.run()
    return results[0]


@pytest.mark.parametrize("name", EXPRESSIONS)
def test_outputs_after_a_reset_are_those_of_a_simulation(name):
    for first, second in ((0, 0), (5, -3), (9, 7), (15, -8), (6, 5)):
        component = Expression(EXPRESSIONS[name], first, second)
        bits = Netlist(component).after_reset("o")
        expected = simulated(Expression(EXPRESSIONS[name], first, second))
        assert sum(bit << place for place, bit in enumerate(bits)) == expected


@pytest.mark.parametrize(
    ("expression", "bits"),
    [
        (lambda c: c.x, [UNKNOWN]),
        (lambda c: ~c.x, [UNKNOWN]),
        (lambda c: c.x & c.a[0], [0]),
        (lambda c: c.x | ~c.a[0], [1]),
        (lambda c: Mux(c.a[0], c.x, 1), [1]),
        (lambda c: Mux(c.x, c.a[:2], c.a[2:]), [0, 0]),
        (lambda c: Mux(c.x, 1, 0), [UNKNOWN]),
        (lambda c: Cat(c.x, 1) == 0, [0]),
        (lambda c: Cat(c.x, 0) == 0, [UNKNOWN]),
        (lambda c: Cat(c.x, 0) + c.a[:1], [UNKNOWN] * 3),
        (lambda c: Cat(c.x, 1).any(), [1]),
        (lambda c: Cat(c.x, 0).all(), [0]),
        (lambda c: Cat(c.x, 1).xor(), [UNKNOWN]),
        (lambda c: Cat(c.x, 1).matches("0-"), [0]),
        (lambda c: Cat(c.x, 1).matches("1-"), [1]),
        (lambda c: c.a.bit_select(c.x, 1), [0]),
        (lambda c: Cat(c.a[0], 1).bit_select(c.x, 1), [UNKNOWN]),
    ],
)
def test_what_follows_from_an_unknown_bit_is_unknown_only_if_it_matters(expression, bits):
    assert Netlist(Expression(expression)).after_reset("o") == bits


class Paths(wiring.Component):
    """Outputs that follow inputs at known distances."""

    def __init__(self):
        inputs = ("gate", "register", "switched", "addr", "written")
        outputs = ("by_gate", "by_register", "by_switch", "by_async", "by_sync", "by_transparent")
        super().__init__({name: In(1) for name in inputs} | {name: Out(1) for name in outputs})

    def elaborate(self, platform):
        m = Module()
        m.d.comb += self.by_gate.eq(self.gate ^ self.register)
        second = Signal()
        m.d.sync += [second.eq(self.register), self.by_register.eq(second)]
        with m.If(self.switched):
            m.d.comb += self.by_switch.eq(1)
        m.submodules.memory = memory = Memory(shape=1, depth=2, init=[])
        write = memory.write_port()
        m.d.comb += [write.data.eq(self.written), write.en.eq(1)]
        for name, port in (
            ("by_async", memory.read_port(domain="comb")),
            ("by_sync", memory.read_port()),
            ("by_transparent", memory.read_port(transparent_for=[write])),
        ):
            m.d.comb += [port.addr.eq(self.addr), getattr(self, name).eq(port.data)]
        return m


def test_distances_count_registers_and_memories():
    netlist = Netlist(Paths())
    assert {name: netlist.sources(name) for name in netlist.leaves if name.startswith("by")} == {
        "by_gate": {"gate": 0, "register": 0},
        "by_register": {"register": 2},
        "by_switch": {"switched": 0},
        "by_async": {"addr": 0, "written": 1},
        "by_sync": {"addr": 1, "written": 2},
        "by_transparent": {"addr": 1, "written": 1},
    }


def test_what_is_farther_than_asked_for_is_left_out():
    netlist = Netlist(Paths())
    found = [netlist.sources("by_sync", cycles=cycles) for cycles in range(3)]
    assert found == [{}, {"addr": 1}, {"addr": 1, "written": 2}]


def test_distances_from_several_outputs_are_the_least_of_each():
    netlist = Netlist(Paths())
    assert netlist.sources("by_sync", "by_async", "by_register") == {
        "addr": 0,
        "written": 1,
        "register": 2,
    }


def test_memories_are_unknown_after_a_reset():
    netlist = Netlist(Paths())
    known = {name: netlist.after_reset(name) for name in ("by_register", "by_async", "by_sync")}
    assert known == {"by_register": [0], "by_async": [UNKNOWN], "by_sync": [UNKNOWN]}
