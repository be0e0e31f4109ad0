"""Parts of a cluster: what may be left out is known, whatever the part does."""

import re

import pytest

import gscn.cosim.builds.gating as gating
from gscn.array import array
from gscn.rtl_gen import generate

PARENT = """\
module holder(rst, quick, still, data, o, clk);
  input clk;
  input [511:0] data;
  output [7:0] o;
  input [7:0] quick;
  input rst;
  input [7:0] still;
  wire [7:0] between;
  \\holder.first  \\first$3  (
    .clk(clk),
    .data(data),
    .i(quick),
    .o(between),
    .rst(rst)
  );
  \\holder.second  second (
    .clk(clk),
    .i(between),
    .\\begin (still[3:0]),
    .o(o)
  );
endmodule
"""
FIRST = """\
module \\holder.first (rst, data, i, o, clk);
  input clk;
  input [511:0] data;
  input [7:0] i;
  output [7:0] o;
  input rst;
  reg [7:0] kept = 8'h00;
  reg [7:0] memory [3:0];
  reg [7:0] _0_;
  always @(posedge clk)
    kept <= \\$1 ;
  always @(posedge clk) begin
    if (write__en)
      memory[kept[1:0]] <= i;
  end
  always @(posedge clk) begin
    if (\\read$en ) begin
      _0_ <= memory[i[1:0]];
    end
  end
endmodule
"""
SECOND = """\
module \\holder.second (i, \\begin , o, clk);
  input clk;
  input [7:0] i;
  input [3:0] \\begin ;
  output [7:0] o;
endmodule
"""


@pytest.fixture
def gated(monkeypatch):
    monkeypatch.setattr(gating, "PARTS", (((), ("first", "second")),))
    return gating.gate(PARENT + FIRST + SECOND, "holder", "top", {"still", "rst"})


def test_only_what_may_change_unannounced_is_compared(gated):
    assert re.findall(r"reg (\S+) (gscn_seen\w+) = 0;", gated.verilog) == [
        ("[7:0]", "gscn_seen_0_0")
    ]
    assert "gscn_seen_0_0 <= quick;" in gated.verilog
    assert "wire differs_0 = (gscn_seen_0_0 != (quick));" in gated.verilog
    for line in (".data (data)", ".i (quick)", ".i (between)", ".\\begin (still[3:0])"):
        assert f"    {line}" in gated.verilog, line
    assert gated.signals == (("differs_0", "changed_0"),)


def test_members_of_a_part_have_its_clock_and_others_that_of_all(gated):
    assert gated.verilog.count(".clk (top.clk_0)") == 2
    assert "always @(posedge clk)" not in gated.verilog
    assert "always @(posedge top.clk_0 or negedge top.clk_0) begin" in gated.verilog


def test_members_say_whether_they_have_changed(gated):
    assert gated.verilog.count("reg gscn_changed = 1'b1;") == 1
    # the other member has nothing that could change
    assert "wire changed_0 = \\first$3 .gscn_changed;" in gated.verilog


def test_only_modules_of_the_cluster_are_left(monkeypatch):
    monkeypatch.setattr(gating, "PARTS", ())
    other = "module other(clk);\n  input clk;\nendmodule\n"
    gated = gating.gate(other + PARENT + FIRST + SECOND, "holder", "top", set())
    assert re.findall(r"^module (\S+?)[ (]", gated.verilog, re.MULTILINE) == [
        *("holder", "\\holder.first", "\\holder.second")
    ]


@pytest.mark.parametrize("name", ["tiny", "large"])
def test_every_part_of_a_cluster_is_found_and_every_register_in_it_looked_at(tmp_path, name):
    verilog = generate(array(name), tmp_path).verilog.read_text()
    gated = gating.gate(verilog, "gscn_cluster", "top", {"d", "rst"})
    assert len(gated.signals) == len(gating.PARTS)
    for number in range(len(gating.PARTS)):
        members = len(gating.PARTS[number][1])
        assert gated.verilog.count(f".clk (top.clk_{number})") == members
    # each clocked statement of a watched module is noted
    for module in re.findall(r"(?ms)^module .*?^endmodule\n", gated.verilog):
        if "reg gscn_changed" in module:
            process = module[module.index("gscn_edge") :]
            taken = re.findall(
                r"^ *((?:begin )?(?:\\\S+ |\w+)(?: *\[.*\])? ?<= .*)", process, re.MULTILINE
            )
            assert all("; gscn_some = " in line for line in taken[:-1]), taken
            assert taken[-1] == "gscn_changed <= gscn_some;"
