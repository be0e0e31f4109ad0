"""Counts of small components, worked out by hand."""

# amaranth: UnusedElaboratable=no

import pytest
from amaranth.hdl import Module, Mux, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from gscn.errors import InputError
from gscn.hw.shared import Shared
from gscn.rtl_gen.synthesis import cell_delay, check_liberty, parse_delay, synthesize
from gscn.rtl_gen.verilog import to_verilog

AREAS = {"INVX1": 1.0, "BUFX1": 1.5, "NAND2X1": 2.0, "NOR2X1": 2.5, "DFFX1": 10.0}


def table(value):
    return f'(scalar) {{ values("{value}"); }}'


def arc(related, sense):
    return (
        f'timing() {{ related_pin : "{related}"; timing_sense : {sense}; '
        f"cell_rise {table(1)} cell_fall {table(1)} "
        f"rise_transition {table(0)} fall_transition {table(0)} }}"
    )


def gate(name, inputs, function, sense):
    pins = " ".join(f"pin({pin}) {{ direction : input; capacitance : 0.01; }}" for pin in inputs)
    arcs = " ".join(arc(pin, sense) for pin in inputs)
    return (
        f"cell({name}) {{ area : {AREAS[name]}; {pins} "
        f'pin(Y) {{ direction : output; function : "{function}"; {arcs} }} }}\n'
    )


@pytest.fixture
def liberty(tmp_path):
    """A flip-flop and a few gates of 1 ns each."""
    path = tmp_path / "few.lib"
    path.write_text(
        "library(few) {\n"
        '  delay_model : table_lookup; time_unit : "1ns"; voltage_unit : "1V";\n'
        '  current_unit : "1uA"; capacitive_load_unit(1, pf); nom_voltage : 1;\n'
        + gate("INVX1", "A", "!A", "negative_unate")
        + gate("BUFX1", "A", "A", "positive_unate")
        + gate("NAND2X1", "AB", "!(A&B)", "negative_unate")
        + gate("NOR2X1", "AB", "!(A|B)", "negative_unate")
        + f"cell(DFFX1) {{ area : {AREAS['DFFX1']}; "
        'ff(IQ, IQN) { clocked_on : "CLK"; next_state : "D"; } '
        "pin(D) { direction : input; } pin(CLK) { direction : input; clock : true; } "
        'pin(Q) { direction : output; function : "IQ"; } }\n}\n'
    )
    return path


class Register(wiring.Component):
    """Eight bits without reset."""

    i: In(8)
    o: Out(8)

    def elaborate(self, platform):
        m = Module()
        stored = Signal(8, reset_less=True)
        m.d.sync += stored.eq(self.i)
        m.d.comb += self.o.eq(stored)
        return m


class Counter(wiring.Component):
    """Eight bits that count while enabled, and only then start anew."""

    en: In(1)
    restart: In(1)
    o: Out(8)

    def elaborate(self, platform):
        m = Module()
        count = Signal(8, reset_less=True)
        with m.If(self.en):
            m.d.sync += count.eq(Mux(self.restart, 0, count + 1))
        m.d.comb += self.o.eq(count)
        return m


class Multiplier(wiring.Component):
    """A product of 16 x 16 bits, and one with a power of two."""

    a: In(signed(16))
    b: In(signed(16))
    product: Out(signed(32))
    shifted: Out(signed(18))

    def elaborate(self, platform):
        m = Module()
        m.d.comb += [self.product.eq(self.a * self.b), self.shifted.eq(self.a * 4)]
        return m


class Two(wiring.Component):
    """Two registers in a row, one module."""

    i: In(8)
    o: Out(8)

    def elaborate(self, platform):
        m = Module()
        m.submodules.first = first = Shared(Register(), "register")
        m.submodules.second = second = Shared(Register(), "register")
        m.d.comb += [first.i.eq(self.i), second.i.eq(first.o), self.o.eq(second.o)]
        return m


class Store(wiring.Component):
    """16 rows of 12 bits, read at once."""

    address: In(4)
    write: In(1)
    i: In(12)
    o: Out(12)

    def elaborate(self, platform):
        m = Module()
        m.submodules.rows = rows = Memory(shape=12, depth=16, init=[])
        port, read = rows.write_port(), rows.read_port(domain="comb")
        m.d.comb += [
            port.addr.eq(self.address),
            port.en.eq(self.write),
            port.data.eq(self.i),
            read.addr.eq(self.address),
            self.o.eq(read.data),
        ]
        return m


class Nand(wiring.Component):
    """The NAND of two registered bits, registered."""

    a: In(1)
    b: In(1)
    o: Out(1)

    def elaborate(self, platform):
        m = Module()
        a, b, stored = (Signal(reset_less=True, name=name) for name in ("ra", "rb", "stored"))
        m.d.sync += [a.eq(self.a), b.eq(self.b), stored.eq(~(a & b))]
        m.d.comb += self.o.eq(stored)
        return m


def verilog(create):
    return to_verilog(create, "top").text


def counts(create, **options):
    return synthesize(verilog(create), "top", **options).modules["top"]


def test_an_8_bit_register_is_8_flip_flops(liberty):
    found = counts(Register, liberty=liberty, ecp5=True)
    assert (found.flip_flops, found.gates, found.multipliers, found.memory_bits) == (8, 0, 0, 0)
    assert (found.area, found.sequential_area, found.multiplier_area) == (80.0, 80.0, 0.0)
    assert (found.ecp5_flip_flops, found.luts, found.ecp5_multipliers) == (8, 0, 0)


def test_flip_flops_with_enable_and_synchronous_reset_are_counted():
    assert counts(Counter).flip_flops == 8


def test_a_16_by_16_product_is_one_multiplier():
    found = counts(Multiplier, ecp5=True)
    assert found.multipliers == 1
    assert found.ecp5_multipliers == 1
    assert found.flip_flops == 0
    # at least one gate per pair of bits; all gates are the multiplier's
    assert 16 * 16 <= found.multiplier_gates == found.gates


def test_instances_of_a_module_add_up(liberty):
    modules = synthesize(verilog(Two), "top", liberty=liberty).modules
    assert modules["register"].flip_flops == 8
    assert modules["top"].flip_flops == 16
    assert modules["top"].area == 2 * modules["register"].area == 160.0


def test_memory_bits_are_no_flip_flops(liberty):
    found = counts(Store, liberty=liberty, ecp5=True)
    assert (found.memory_bits, found.flip_flops, found.gates) == (16 * 12, 0, 0)
    assert found.area == 0.0
    assert found.distributed_rams == 3
    assert found.block_rams == 0


def test_without_a_flow_its_figures_are_absent():
    found = counts(Register)
    assert (found.area, found.multiplier_area, found.luts, found.block_rams) == (None,) * 4


def test_one_gate_between_registers_takes_its_delay(liberty):
    assert cell_delay(verilog(Nand), "top", liberty) == pytest.approx(1.0)


def test_the_longest_reported_delay_counts():
    line = 'ABC: WireLoad = "none"  Gates = 5 ( 13.9 %)   Area = 42.00 ( 99.5 %)   Delay = {} ps'
    log = "\n".join(line.format(delay) for delay in ("  718.94", " 7118.94", "   30.00"))
    assert parse_delay(log) == pytest.approx(7.11894)
    with pytest.raises(InputError, match="no delay in it"):
        parse_delay("ABC: + strash")


def test_missing_liberty_names_what_to_install(tmp_path):
    with pytest.raises(InputError, match=r"none\.lib: install Debian's qflow-tech-osu018"):
        check_liberty(tmp_path / "none.lib")
    with pytest.raises(InputError, match="qflow-tech-osu018"):
        counts(Register, liberty=tmp_path / "none.lib")
