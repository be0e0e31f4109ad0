"""Simulators that count: only if they are asked to, and what they leave out."""

from __future__ import annotations

from gscn.array import array
from gscn.cosim.builds import coverage
from gscn.cosim.builds.form import Form

VERILOG = r"""
module \top.fifo (clk, i, o);
  reg \$auto$verilog_backend.cc:2355:dump_module$3 ;
  initial \$auto$verilog_backend.cc:2355:dump_module$3  <= 0;
  wire [1:0] \$1 ;
  wire \$12 ;
  input clk;
  wire [3:0] level;
  reg [39:0] \storage$4 [1:0];
  reg [39:0] o = 40'h0;
  always @* begin
    if (\$auto$verilog_backend.cc:2355:dump_module$3 ) begin end
  end
endmodule
"""


def test_what_has_no_name_and_what_memories_hold_is_left_out():
    text = coverage.exclusions(VERILOG, "*top.v")
    assert text.splitlines() == [
        "`verilator_config",
        'coverage_off -file "*top.v" -lines 3-6',
        'coverage_off -file "*top.v" -lines 9-9',
        'coverage_off -file "*top.v" -lines 12-12',
    ]


def test_simulators_count_only_if_they_are_asked_to(tmp_path, monkeypatch):
    monkeypatch.delenv(coverage.VARIABLE, raising=False)
    without = Form("", False, False).verilator_flags(array("tiny"))
    assert coverage.arguments(tmp_path / "program") == []
    assert not (tmp_path / coverage.FOLDER).exists()
    monkeypatch.setenv(coverage.VARIABLE, "1")
    flags = Form("", False, False).verilator_flags(array("tiny"))
    assert flags == [*without, *coverage.flags()]
    assert "--coverage-toggle" in flags
    one, another = (coverage.arguments(tmp_path / "program") for _ in range(2))
    assert one != another  # each process has a file of its own
    assert one[0].startswith(f"+verilator+coverage+file+{tmp_path / coverage.FOLDER}/")
    assert (tmp_path / coverage.FOLDER).is_dir()
