"""No output of a cluster depends combinationally on an input (`cosim.builds.partition`)."""

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
