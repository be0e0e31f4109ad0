"""Counts of small components, worked out by hand."""

# amaranth: UnusedElaboratable=no

import pytest
from amaranth.hdl import Module, Mux, Signal, signed
from amaranth.lib import memory, wiring
from amaranth.lib.wiring import In, Out

from gscn.errors import InputError
from gscn.hw.ram import Ram
from gscn.hw.shared import Shared
from gscn.rtl_gen.memories import SRAMS, Memory, MemoryGroup
from gscn.rtl_gen.memory_cells import memory_areas
from gscn.rtl_gen.synthesis import (
    Counts,
    cell_delay,
    parse_delay,
    synthesize,
)
from gscn.rtl_gen.verilog import to_verilog
from tests.rtl_gen.few_cells import write_liberty


@pytest.fixture
def liberty(tmp_path):
    return write_liberty(tmp_path / "few.lib")


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
        m.submodules.rows = rows = memory.Memory(shape=12, depth=16, init=[])
        port, read = rows.write_port(), rows.read_port(domain="comb")
        m.d.comb += [
            port.addr.eq(self.address),
            port.en.eq(self.write),
            port.data.eq(self.i),
            read.addr.eq(self.address),
            self.o.eq(read.data),
        ]
        return m


class Table(wiring.Component):
    """40 rows of 32 bits, read a cycle later, beside a `Store`."""

    address: In(6)
    write: In(1)
    i: In(32)
    o: Out(32)

    def elaborate(self, platform):
        m = Module()
        m.submodules.rows = rows = memory.Memory(shape=32, depth=40, init=[])
        m.submodules.store = store = Shared(Store(), "store")
        port, read = rows.write_port(), rows.read_port()
        m.d.comb += [
            port.addr.eq(self.address),
            port.en.eq(self.write),
            port.data.eq(self.i),
            read.addr.eq(self.address),
            read.en.eq(1),
            store.address.eq(self.address),
            store.write.eq(self.write),
            store.i.eq(self.i),
            self.o.eq(read.data ^ store.o),
        ]
        return m


class Tables(wiring.Component):
    """Two tables, one module."""

    address: In(6)
    write: In(1)
    i: In(32)
    o: Out(64)

    def elaborate(self, platform):
        m = Module()
        for number in range(2):
            m.submodules[f"table{number}"] = one = Shared(Table(), "table_and_store")
            m.d.comb += [
                one.address.eq(self.address),
                one.write.eq(self.write),
                one.i.eq(self.i),
                self.o[32 * number : 32 * (number + 1)].eq(one.o),
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


STORE = Memory(depth=16, width=12, reads=1, writes=1, combinational=True)
TABLE = Memory(depth=40, width=32, reads=1, writes=1, combinational=False)


def test_memories_are_told_apart_and_counted_for_all_instances(liberty):
    found = synthesize(verilog(Tables), "top", liberty=liberty)
    whole, store = found.modules["top"], found.modules["store"]
    assert (store.memory_bits, store.macros, store.macro_bits) == (16 * 12, 0, 0)
    assert whole.memory_bits == 2 * (16 * 12 + 40 * 32)
    assert (whole.macros, whole.macro_bits) == (2, 2 * 40 * 32)
    assert whole.memory_area == 2 * store.memory_area == 2 * memory_areas([STORE], liberty)[STORE]
    assert found.memories == (
        MemoryGroup(place="store", memory=STORE, count=2, area=store.memory_area),
        MemoryGroup(place="table_and_store", memory=TABLE, count=2),
    )
    bare = synthesize(verilog(Tables), "top")
    assert bare.modules["top"].memory_area is None
    assert [group.area for group in bare.memories] == [None, None]


class Rams(wiring.Component):
    """Two memories that are instances of one module, one of them in a module of its own."""

    addr: In(6)
    o: Out(64)

    def elaborate(self, platform):
        m = Module()
        for number, parent in enumerate((m, Module())):
            ram = Ram(shape=32, depth=40)
            parent.submodules.kept = ram
            if parent is not m:
                m.submodules.inner = parent
            parent.d.comb += [
                ram.read.addr.eq(self.addr),
                ram.read.en.eq(1),
                ram.write.addr.eq(self.addr),
                ram.write.en.eq(1),
                ram.write.data.eq(self.addr),
                self.o[32 * number : 32 * (number + 1)].eq(ram.read.data),
            ]
        return m


def test_memories_that_are_modules_are_macros_where_their_instances_are():
    found = synthesize(verilog(Rams), "top")
    assert (found.modules["top"].macros, found.modules["top.inner"].macros) == (2, 1)
    assert found.modules["top"].macro_bits == found.modules["top"].memory_bits == 2 * 40 * 32
    assert found.memories == (
        MemoryGroup(place="top", memory=TABLE, count=1),
        MemoryGroup(place="top.inner", memory=TABLE, count=1),
    )


def test_the_area_with_memories_has_cells_and_macros():
    found = Counts(
        gates=0, flip_flops=0, multipliers=0, memory_bits=9000, multiplier_gates=0, area=100.0,
        memory_area=20.0, macros=3, macro_bits=8000,
    )  # fmt: skip
    for sram in SRAMS:
        expected = 120.0 + 3 * sram.each + 8000 * sram.per_bit
        assert found.area_with_memories(sram) == pytest.approx(expected)
    assert counts(Store).area_with_memories(SRAMS[0]) is None


def test_without_a_flow_its_figures_are_absent():
    found = counts(Register)
    assert (found.area, found.multiplier_area, found.luts, found.block_rams) == (None,) * 4
    assert found.memory_area is None


def test_one_gate_between_registers_takes_its_delay(liberty):
    assert cell_delay(verilog(Nand), "top", liberty) == pytest.approx(1.0)


def test_the_longest_reported_delay_counts():
    line = 'ABC: WireLoad = "none"  Gates = 5 ( 13.9 %)   Area = 42.00 ( 99.5 %)   Delay = {} ps'
    log = "\n".join(line.format(delay) for delay in ("  718.94", " 7118.94", "   30.00"))
    assert parse_delay(log) == pytest.approx(7.11894)
    with pytest.raises(InputError, match="no delay in it"):
        parse_delay("ABC: + strash")


def test_without_a_liberty_nothing_is_mapped(tmp_path):
    with pytest.raises(InputError, match="qflow-tech-osu018"):
        counts(Register, liberty=tmp_path / "none.lib")
