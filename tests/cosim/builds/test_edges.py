"""One process for all that an edge does: the same registers, memories and outputs."""

import dataclasses
import re

import pytest

from gscn.array import array
from gscn.cosim.builds.edges import CHANGED, CLOCKED, at_edge
from gscn.cosim.builds.partition import partition
from gscn.cosim.builds.shifts import without_wide_shifts
from gscn.errors import InputError
from gscn.rtl_gen import generate
from gscn.rtl_gen.yosys import run_yosys

MODULE = """\
module kept(rst, go, i, o, row, seen, clk);
  reg \\$wake ;
  initial \\$wake  <= 0;
  wire \\$1 ;
  wire [7:0] \\$2 ;
  reg [7:0] \\$3 ;
  reg [7:0] \\$4 ;
  wire [7:0] \\$5 ;
  input clk;
  reg [7:0] count = 8'h00;
  input go;
  input [7:0] i;
  output [7:0] o;
  reg [7:0] o = 8'h07;
  output [7:0] row;
  wire [7:0] row;
  reg [7:0] rows [3:0];
  input rst;
  output seen;
  wire seen;
  assign \\$1  = go & i[0];
  assign \\$2  = count + 1'h1;
  assign \\$5  = i ^ o;
  assign row = rows[count[1:0]];
  assign seen = \\$5 [3];
  always @(posedge clk)
    count <= \\$3 ;
  always @(posedge clk)
    o <= \\$4 ;
  always @(posedge clk) begin
    if (go)
      rows[count[1:0]] <= i;
  end
  always @* begin
    if (\\$wake ) begin end
    \\$3  = count;
    if (\\$1 ) begin
      \\$3  = \\$2 ;
    end
    if (rst) begin
      \\$3  = 8'h00;
    end
  end
  always @* begin
    if (\\$wake ) begin end
    \\$4  = 8'h01;
    if (go) begin
      \\$4  = \\$5 ;
    end
  end
endmodule
"""


def check_equal(one, other, directory, parts=""):
    """Prove that two modules are equal, register for register; `parts` are those inside them."""
    texts = []
    for name, text in (("gold", one), ("gate", other)):
        texts.append(re.sub(r"^module (\\\S+|\w+)", f"module {name}", text))
    verilog = directory / "both.v"
    verilog.write_text("".join(texts))
    inside = directory / "inside.v"
    inside.write_text(parts)
    run_yosys(
        [
            f"read_verilog -lib {inside}",
            f"read_verilog -sv {verilog}",
            *("proc", "opt_clean", "memory -nordff", "opt_clean", "equiv_make gold gate both"),
            *("hierarchy -top both", "flatten", "opt_clean", "equiv_simple"),
            "equiv_status -assert",
        ],
        directory,
    )


def test_only_the_edge_makes_what_only_registers_read_and_only_where_it_is_taken(tmp_path):
    text = at_edge(MODULE, watched=False)
    before, _, process = text.partition(f"  {CLOCKED} begin : gscn_edge\n")
    assert "always" not in before
    assert "always" not in process
    assert "    if (\\$1 ) begin\n      count <= \\$2 ;\n    end\n" in process
    assert process.endswith(
        "    if (rst) begin\n      count <= 8'h00;\n    end\n  end\nendmodule\n"
    )
    for name in ("\\$1", "\\$2", "\\$4"):
        assert name not in before
    # an output reads it as well
    assert "assign \\$5  = i ^ o;" in before
    check_equal(MODULE, text, tmp_path)


def test_a_register_that_gets_another_value_and_any_write_are_changes():
    text = at_edge(MODULE, watched=True)
    assert f"  reg {CHANGED} = 1'b1;\n" in text
    for line in (
        "      begin count <= \\$2 ; gscn_some = gscn_some | (count != \\$2 ); end",
        "    begin o <= \\$4 ; gscn_some = gscn_some | (o != \\$4 ); end",
        "      begin rows[count[1:0]] <= i; gscn_some = 1'b1; end",
        "      begin count <= 8'h00; gscn_some = gscn_some | (count != 8'h00); end",
        f"    {CHANGED} <= gscn_some;",
    ):
        assert f"{line}\n" in text
    assert text.count(" <= ") == text.count("gscn_some = ") + 1  # the wake


@pytest.mark.parametrize(
    ("line", "wrong"),
    [
        ("    if (\\$1 ) begin\n", "    if (go) begin\n"),
        ("      \\$3  = 8'h00;\n", "      \\$3  = 8'h01;\n"),
        ("      rows[count[1:0]] <= i;\n", "      rows[i[1:0]] <= i;\n"),
    ],
)
def test_a_module_that_does_something_else_is_no_equal_one(tmp_path, line, wrong):
    assert line in MODULE
    with pytest.raises(InputError, match="equiv"):
        check_equal(MODULE, at_edge(MODULE.replace(line, wrong), watched=False), tmp_path)


def test_bits_that_are_made_of_others_of_their_vector_stay_outside(tmp_path):
    chain = MODULE.replace(
        "  assign \\$2  = count + 1'h1;\n",
        "  assign \\$2 [0] = i[0];\n  assign \\$2 [7:1] = \\$2 [6:0] ^ count[7:1];\n",
    )
    text = at_edge(chain, watched=False)
    assert "  assign \\$2 [7:1] = \\$2 [6:0] ^ count[7:1];\n" in text
    check_equal(chain, text, tmp_path)


def test_a_statement_that_is_not_known_is_an_error():
    odd = MODULE.replace("    if (go)\n", "    while (go)\n")
    with pytest.raises(ValueError, match="a clocked statement must be known, not"):
        at_edge(odd, watched=False)


def test_modules_without_an_edge_stay():
    text = "module wire_alone(i, o);\n  input i;\n  output o;\n  assign o = i;\nendmodule\n"
    assert at_edge(text, watched=True) == text


@pytest.mark.parametrize(
    "name", ["stream_expander.portions", "streamer.walker", "tally", "walk", "placer.words"]
)
def test_modules_of_a_cluster_are_equal_to_what_is_simulated(tmp_path, name):
    config = dataclasses.replace(array("tiny"), float_formats="bf16")
    verilog = generate(config, tmp_path).verilog.read_text()
    modules = re.findall(r"(?ms)^module .*?^endmodule\n", verilog)
    (module, *_) = [text for text in modules if re.match(rf"module \\\S*\.{name} ", text)]
    written = at_edge(without_wide_shifts(module), watched=False)
    assert written.count("always @(posedge") == 1 < module.count("always @(posedge")
    check_equal(module, written, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("float_formats", ["", "bf16"])
def test_all_modules_of_the_large_cluster_are_equal_to_what_is_simulated(tmp_path, float_formats):
    config = dataclasses.replace(array("large"), float_formats=float_formats)
    verilog = generate(config, tmp_path).verilog.read_text()
    simulated = set(re.findall(r"(?m)^module (\\\S+|\w+)", partition(verilog).cluster))
    modules = re.findall(r"(?ms)^module .*?^endmodule\n", verilog)
    proved = 0
    for module in modules:
        name = re.match(r"module (\\\S+|\w+)", module)[1]
        if name in simulated and CLOCKED in module:
            written = at_edge(without_wide_shifts(module), watched=False)
            check_equal(module, written, tmp_path, "".join(one for one in modules if one != module))
            proved += 1
    assert proved >= 41
