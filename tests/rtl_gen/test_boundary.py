"""No output of a cluster depends combinationally on an input (`cosim.builds.partition`).

And beats change nothing while none is said to be there (`cosim.builds.gating`).
"""

import dataclasses
import re

import pytest

from gscn.array import array
from gscn.rtl_gen import generate
from gscn.rtl_gen.yosys import run_yosys

_OUTPUT = re.compile(r"^(\w+)/(\w+)$", re.MULTILINE)

LEAKY = """
module leaky(input clk, input [1:0] address, input a, input b, input c,
             output by_memory, output by_gate, output by_register);
  reg memory [0:3];
  reg kept;
  always @(posedge clk) begin
    kept <= c;
    if (c) memory[1] <= b;
  end
  assign by_memory = memory[address];
  assign by_gate = a ^ kept;
  assign by_register = kept;
endmodule
"""


def combinational_outputs(verilog, module, directory):
    """Return the outputs of a module that any input reaches without passing a register."""
    found = directory / "found.txt"
    run_yosys(
        [
            f"read_verilog -sv {verilog}",
            *(f"hierarchy -top {module}", "proc", "flatten", "opt_clean"),
            # memories are still separate ports: reads are followed, writes have no output
            f"tee -q -o {found} select -list i:* %co*:-$dff o:* %i",
        ],
        directory,
    )
    return {name for _, name in _OUTPUT.findall(found.read_text())}


@pytest.mark.parametrize("floats", ["", "bf16"])
@pytest.mark.parametrize("name", ["tiny", "large"])
def test_no_input_of_a_cluster_reaches_an_output(tmp_path, name, floats):
    config = dataclasses.replace(array(name), float_formats=floats)
    verilog = generate(config, tmp_path).verilog
    assert combinational_outputs(verilog, "gscn_cluster", tmp_path) == set()


def test_paths_through_gates_and_memories_are_found(tmp_path):
    verilog = tmp_path / "leaky.v"
    verilog.write_text(LEAKY)
    assert combinational_outputs(verilog, "leaky", tmp_path) == {"by_memory", "by_gate"}


_PORT = re.compile(r"^  (input|output) (\[\d+:0\] )?(\w+) ?;$", re.MULTILINE)

CARELESS = """
module careless(clk, data, data_valid, o);
  input clk;
  input [1:0] data;
  input data_valid;
  output [2:0] o;
  reg [1:0] kept;
  reg memory [1:0];
  always @(posedge clk) begin
    if (data_valid) kept[0] <= data[0];
    if (data_valid) memory[kept[0]] <= data[1];
    CARELESS
  end
  assign o = {memory[kept[0]], kept};
endmodule
"""


def reached_unannounced(verilog, module, directory):
    """Return the cells that `data` reaches in a module while `data_valid` is 0."""
    text = verilog.read_text()
    body = re.search(rf"(?ms)^module {module}\(.*?^endmodule\n", text)[0]
    ports = [found for found in _PORT.findall(body) if found[2] != "data_valid"]
    outer = directory / "quiet.v"
    outer.write_text(
        "module quiet(\n"
        + ",\n".join(f"  {way} {width}{name}" for way, width, name in ports)
        + f");\n  {module} inner(.data_valid(0)"
        + "".join(f", .{name}({name})" for _, _, name in ports)
        + ");\nendmodule\n"
    )
    found = directory / "found.txt"
    run_yosys(
        [
            f"read_verilog -sv {verilog} {outer}",
            *("hierarchy -top quiet", "proc", "flatten", "opt", "memory_collect", "opt_mem"),
            *("opt -purge", f"tee -q -o {found} select -list i:data %co* c:* %i"),
        ],
        directory,
    )
    return found.read_text().split()


@pytest.mark.parametrize("name", ["tiny", "large"])
def test_beats_that_are_not_announced_reach_nothing(tmp_path, name):
    verilog = generate(array(name), tmp_path).verilog
    assert reached_unannounced(verilog, "gscn_cluster", tmp_path) == []


@pytest.mark.parametrize(
    "statement", ["", "kept[1] <= data[1];", "memory[1] <= data[0];", "if (!data_valid) kept <= 0;"]
)
def test_what_takes_a_beat_that_is_not_announced_is_found(tmp_path, statement):
    verilog = tmp_path / "careless.v"
    verilog.write_text(CARELESS.replace("CARELESS", statement))
    found = reached_unannounced(verilog, "careless", tmp_path)
    assert bool(found) == ("<= data" in statement)
