# amaranth: UnusedElaboratable=no
"""Verilog of components with shared submodules, and the removal of all-zero memories."""

import re

import pytest
from amaranth.back import verilog
from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from gscn.errors import InputError
from gscn.hw.shared import Shared
from gscn.rtl_gen.verilog import strip_zero_memories, to_verilog, wake_processes


class Invert(wiring.Component):
    """Purely combinational: uses neither clock nor reset."""

    def __init__(self, *, width):
        super().__init__({"i": In(width), "o": Out(width)})

    def elaborate(self, platform):
        m = Module()
        m.d.comb += self.o.eq(~self.i)
        return m


class Lookup(wiring.Component):
    """A memory behind two inverters, shared inside a module that is itself shared."""

    def __init__(self, *, init):
        self._init = init
        super().__init__({"addr": In(2), "o": Out(8)})

    def elaborate(self, platform):
        m = Module()
        m.submodules.memory = memory = Memory(shape=8, depth=4, init=self._init)
        read = memory.read_port()
        m.submodules.first = first = Shared(Invert(width=8), "invert_8")
        m.submodules.second = second = Shared(Invert(width=8), "invert_8")
        m.d.comb += [
            read.addr.eq(self.addr),
            first.i.eq(read.data),
            second.i.eq(first.o),
            self.o.eq(second.o),
        ]
        return m


class Pair(wiring.Component):
    def __init__(self):
        super().__init__({"addr": In(2), "o0": Out(8), "o1": Out(8)})

    def elaborate(self, platform):
        m = Module()
        for index, port in enumerate((self.o0, self.o1)):
            unit = Shared(Lookup(init=[]), "lookup")
            m.submodules[f"unit{index}"] = unit
            m.d.comb += [unit.addr.eq(self.addr), port.eq(unit.o)]
        return m


@pytest.fixture(scope="module")
def pair():
    return to_verilog(Pair, "pair")


def test_each_shared_module_is_emitted_once(pair):
    modules = re.findall(r"^module (\S+)\(", pair.text, re.MULTILINE)
    assert modules[0] == "pair"
    assert modules.count("lookup") == 1
    assert modules.count("invert_8") == 1
    assert len(re.findall(r"^  lookup \S+ \($", pair.text, re.MULTILINE)) == 2
    assert len(re.findall(r"^  invert_8 \S+ \($", pair.text, re.MULTILINE)) == 2


def test_ports_include_clock_and_reset(pair):
    assert pair.ports == {
        "clk": ("input", 1),
        "rst": ("input", 1),
        "addr": ("input", 2),
        "o0": ("output", 8),
        "o1": ("output", 8),
    }


def test_text_is_reproducible(pair):
    assert to_verilog(Pair, "pair").text == pair.text


def test_zero_memories_lose_their_initial_block(pair):
    assert "reg [7:0] memory [3:0];" in pair.text
    assert "initial begin" not in pair.text


def test_other_memories_keep_every_row():
    text = to_verilog(lambda: Lookup(init=[0, 7]), "lookup").text
    assert "memory[0] = 8'h00;" in text
    assert "memory[1] = 8'h07;" in text


def test_stripping_touches_only_all_zero_blocks():
    zero = "  initial begin\n    m[0] = 8'h00;\n    m[1] = 8'h00;\n  end\n"
    other = "  initial begin\n    m[0] = 8'h00;\n    m[1] = 8'h10;\n  end\n"
    assert strip_zero_memories(f"a\n{zero}b\n{other}c\n") == f"a\nb\n{other}c\n"


WAKE = r"\$auto$verilog_backend.cc:1:dump_module$1"


def test_every_combinational_process_is_woken_at_time_zero():
    text = (
        f"module a(x);\n  reg {WAKE}  = 0;\n  always @* begin\n    if ({WAKE} ) begin end\n"
        "    y = 1'h0;\n  end\n  always @*\n    z[2] = bank;\nendmodule\n"
        "module b(x);\n  always @*\n    z = bank;\nendmodule\n"
    )
    assert wake_processes(text) == (
        f"module a(x);\n  reg {WAKE} ;\n  initial {WAKE}  <= 0;\n"
        f"  always @* begin\n    if ({WAKE} ) begin end\n    y = 1'h0;\n  end\n"
        f"  always @* begin\n    if ({WAKE} ) begin end\n    z[2] = bank;\n  end\nendmodule\n"
        "module b(x);\n  reg \\$wake ;\n  initial \\$wake  <= 0;\n"
        "  always @* begin\n    if (\\$wake ) begin end\n    z = bank;\n  end\nendmodule\n"
    )


def test_a_yosys_that_cannot_run_is_told_in_a_sentence(monkeypatch):
    def fail(*_, **__):
        raise verilog.YosysError("Traceback:\n  and more\nWasmtimeError: File too large")

    monkeypatch.setattr(verilog, "convert_fragment", fail)
    message = "Yosys must convert top to Verilog, but ended with: WasmtimeError: File too large"
    with pytest.raises(InputError, match=message):
        to_verilog(lambda: Invert(width=8), "top")
