"""Ports within a design are called as the signals that they carry, and nothing else changes."""

import re

import pytest
from amaranth.hdl import Cat, Module
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from gscn.array import ARRAYS
from gscn.rtl_gen.array_verilog import Kind, array_verilog
from gscn.rtl_gen.internal_ports import name_ports
from gscn.rtl_gen.verilog import to_verilog

MODULE = re.compile(r"^module (\\\S+|\w+) ?\(.*?^endmodule\n", re.MULTILINE | re.DOTALL)
PORT = re.compile(r"^  (?:input|output) (?:\[\d+:0\] )?(\\\S+|\w+) ?;$", re.MULTILINE)
INSTANCE = re.compile(
    r"^  (\\\S+|\w+) +(?:\\\S+|\w+) +\(\n((?:    \.[^\n]*\n)+)  \);$", re.MULTILINE
)
PAIR = data.StructLayout({"low": 3, "high": 5})


class Inner(wiring.Component):
    """Its inputs come in parts, its sum goes out under no name of its own."""

    requests: In(3)
    pair: In(PAIR)
    begin: In(2)
    o: Out(8)

    def elaborate(self, platform):
        m = Module()
        m.d.sync += self.o.eq(self.o + self.requests + self.pair.high + self.begin)
        return m


class Outer(wiring.Component):
    a: In(1)
    b: In(1)
    c: In(1)
    whole: In(16)
    o: Out(9)

    def elaborate(self, platform):
        m = Module()
        m.submodules.inner = inner = Inner()
        m.d.comb += [
            inner.requests.eq(Cat(self.a, self.b, self.c)),
            inner.pair.high.eq(self.whole[4:9]),
            inner.pair.low.eq(self.whole[:3]),
            inner.begin.eq(Cat(self.c, self.whole[15])),
            self.o.eq(inner.o + 1),
        ]
        return m


def ports(text):
    """Return the ports of each module, by its name."""
    return {found[1]: PORT.findall(found[0]) for found in MODULE.finditer(text)}


def test_parts_are_called_by_the_signal_that_they_are_of():
    text = to_verilog(Outer, "top").text
    (inner,) = (names for module, names in ports(text).items() if module != "top")
    # one bit comes in twice, and `begin` alone would be a word of the language
    parts = ["requests_0", "requests_1", "requests_2", "begin_signal_1", "pair"]
    assert sorted(inner) == sorted(["clk", "rst", "o", *parts])


SAMPLE = """\
module top(a, clk);
  input a;
  wire a;
  input clk;
  wire clk;
  wire [7:0] named;
  wire [7:0] \\$3 ;
  \\top.one  one (
    .clk(clk),
    .\\port$5$0 (a),
    .\\port$7$2 (named[6:2]),
    .\\port$9$0 (\\$3 )
  );
  assign named = \\$3 ;
endmodule

module \\top.one (clk, \\port$5$0 , \\port$7$2 , \\port$9$0 );
  input clk;
  wire clk;
  input \\port$5$0 ;
  wire \\port$5$0 ;
  input [4:0] \\port$7$2 ;
  wire [4:0] \\port$7$2 ;
  output [7:0] \\port$9$0 ;
  wire [7:0] \\port$9$0 ;
  wire [2:0] word;
  wire [3:0] \\$1 ;
  reg [7:0] kept;
  wire named_2;
  assign word = { 1'h1, \\port$5$0 , clk };
  assign \\port$9$0  = kept;
  assign \\$1  = \\port$7$2 [4:1] & { \\port$5$0 , 3'h0 };
endmodule
"""


def test_names_come_from_the_module_or_from_around_it_and_stay_apart():
    named = name_ports(SAMPLE)
    # of a signal of its own; of the one around, whose name is taken; of the one that it is there
    new = {"\\port$5$0 ": "word_1", "\\port$7$2 ": "named_2_2", "\\port$9$0 ": "named"}
    expected = SAMPLE
    for old, name in new.items():
        expected = expected.replace(f".{old}(", f".{name}(").replace(old, f"{name} ")
    assert named == expected
    assert name_ports(named) == named


def test_what_has_no_name_keeps_its_number():
    text = SAMPLE.replace("named", "\\$8 ").replace("word", "\\$9 ")
    named = name_ports(text)
    assert "\\port$7$2 " in named
    assert "\\port$9$0 " in named


@pytest.mark.parametrize("kind", [Kind.ARRAY, Kind.AXI])
def test_no_port_of_the_array_is_called_by_numbers(kind):
    text = array_verilog(ARRAYS["tiny"], kind).text
    known = ports(text)
    assert len(known) > 50
    for module, names in known.items():
        assert not [name for name in names if name.startswith("\\port$")], module
        assert len(set(names)) == len(names)
    for child, connections in INSTANCE.findall(text):
        if child in known:
            connected = re.findall(r"^    \.(\\\S+|\w+) ?\(", connections, re.MULTILINE)
            assert sorted(connected) == sorted(known[child]), child
