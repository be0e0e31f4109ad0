"""What simulators counted: a small design by Verilator, and files written by hand."""

from __future__ import annotations

import subprocess

import pytest

from gscn.cosim.builds import coverage as builds
from gscn.cosim.builds.toolchain import Toolchain
from gscn.cosim.coverage import LINE, TOGGLE, component_of, gather, merged, modules, points, read
from gscn.errors import InputError

VERILOG = r"""
module gscn_top(clk, chosen, o);
  wire \$1 ;
  input clk;
  wire clk;
  input chosen;
  wire chosen;
  output [1:0] o;
  wire [1:0] o;
  assign \$1  = ~ chosen;
  wire [99:0] wide;
  assign wide = { 64'h0, o, 34'h0 };
  \gscn_top.counter0  \counter0  (
    .clk(clk),
    .en(\$1 ),
    .\level$7 (o)
  );
endmodule

module \gscn_top.counter0 (en, \level$7 , clk);
  wire [2:0] \$2 ;
  reg [1:0] \$3 ;
  input clk;
  wire clk;
  input en;
  wire en;
  output [1:0] \level$7 ;
  reg [1:0] \level$7  = 2'h0;
  assign \$2  = \level$7  + 1'h1;
  always @(posedge clk)
    \level$7  <= \$3 ;
  always @* begin
    \$3  = \level$7 ;
    if (en) begin
      \$3  = \$2 [1:0];
    end
  end
endmodule
"""
MAIN = """
#include "Vtop.h"
#include "verilated.h"
#include "verilated_cov.h"
int main(int argc, char** argv) {
  Verilated::commandArgs(argc, argv);
  Vtop top;
  top.chosen = argc > 2;
  for (int edge = 0; edge < 6; ++edge) {
    top.clk = edge & 1;
    top.eval();
  }
  VerilatedCov::write(Verilated::threadContextp()->coverageFilename().c_str());
}
"""
"""Three edges: a counter without a second argument, which stands still with one."""


@pytest.fixture(scope="module")
def simulator(tmp_path_factory):
    """Return a program that counts, beside its Verilog, as a cache of simulators has it."""
    folder = tmp_path_factory.mktemp("cache") / "configuration" / "sim-1"
    made = folder / "obj"
    made.mkdir(parents=True)
    (folder / "gscn_top.v").write_text(VERILOG)
    (folder / "main.cpp").write_text(MAIN)
    (folder / "coverage.vlt").write_text(builds.exclusions(VERILOG, "*gscn_top.v"))
    tools = Toolchain(folder)
    tools.environment["MAKEFLAGS"] += " OPT_GLOBAL=-O0"  # of Verilator's own sources: short runs
    tools.verilate(
        made,
        [
            *("--cc", "--exe", "--prefix", "Vtop", "--top-module", "gscn_top"),
            *("--coverage-line", "--coverage-toggle", "-Wno-fatal", "-Wno-WIDTH"),
            *(str(folder / name) for name in ("coverage.vlt", "gscn_top.v", "main.cpp")),
        ],
    )
    tools.make(made, "Vtop.mk", "-O0")
    return made / "Vtop"


def ran(simulator, monkeypatch, *arguments):
    """Run the program once more; return the folder of all that it has counted."""
    monkeypatch.setenv(builds.VARIABLE, "1")
    place = simulator.parents[1] / simulator.name
    subprocess.run([simulator, *builds.arguments(place), *arguments], check=True)
    return place.parent / builds.FOLDER


@pytest.mark.cosim
def test_points_of_a_design_are_seen_as_often_as_they_happen(simulator, monkeypatch):
    folder = ran(simulator, monkeypatch, "still")
    (first,) = folder.glob("*.dat")
    found = {
        (point.component, point.kind, point.source, point.place.split(" ")[-1]): count
        for point, count in points(merged([first]), VERILOG).items()
    }
    assert found["top.counter", LINE, "if (en) begin", "if"] == 0
    assert found["top.counter", LINE, "if (en) begin", "else"] > 0
    assert found["top", TOGGLE, "clk", "clk:0->1"] == 3
    assert found["top.counter", TOGGLE, "level$7", "level$7[0]:0->1"] == 0
    # nets without a name are not counted
    assert not any(source.startswith("$") for _, _, source, _ in found)

    ran(simulator, monkeypatch)
    counts, designs = gather(simulator.parents[3])
    assert designs == ["configuration/gscn_top"]
    assert gather(simulator.parents[3], designs) == (counts, designs)
    found = {(one.component, one.place.split(" ")[-1]): count for one, count in counts.items()}
    assert found["top", "clk:0->1"] == 6
    assert found["top.counter", "if"] > 0
    # 0, 1, 2, 3
    bits = ("level$7[0]:0->1", "level$7[0]:1->0", "level$7[1]:0->1", "level$7[1]:1->0")
    assert [found["top.counter", bit] for bit in bits] == [2, 1, 1, 0]
    # of a signal of several words, those bits alone that change
    wide = {bit: n for (_, bit), n in found.items() if bit.startswith("wide[") and n}
    assert wide == {"wide[34]:0->1": 2, "wide[34]:1->0": 1, "wide[35]:0->1": 1}


def test_components_are_paths_without_numbers():
    assert component_of("gscn_axi_top.core.cutter.choice") == "top.cutter.choice"
    assert component_of("gscn_axi_top.control") == "top.control"
    assert component_of(r"\gscn_top.cluster1") == "top.cluster"
    assert component_of("gscn_cluster.drain$164.walk") == "gscn_cluster.drain.walk"


def test_modules_are_the_same_whatever_is_around_them():
    one = modules(VERILOG)
    behind = VERILOG.replace("module gscn_top", r"module \gscn_axi_top.core ")
    behind = behind.replace(r"\gscn_top", r"\gscn_axi_top.core").replace("$7", "$8")
    other = modules(behind)
    assert [m.text for m in one.values()] == [m.text for m in other.values()]
    assert one["gscn_top.counter0"].lines[0].startswith("module ")
    assert VERILOG.splitlines()[one["gscn_top.counter0"].first - 1].startswith("module ")
    changed = modules(VERILOG.replace("level$7  + 1'h1", "level$7  - 1'h1"))
    assert changed["gscn_top.counter0"].text != one["gscn_top.counter0"].text
    assert changed["gscn_top"].text == one["gscn_top"].text


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "must begin with '# SystemC::Coverage-3'"),
        ("# SystemC::Coverage-3\nC 'a' x\n", r"must have lines C 'KEY' COUNT, not \"C 'a' x\""),
        ("# SystemC::Coverage-3\na 1\n", "must have lines C 'KEY' COUNT, not 'a 1'"),
    ],
)
def test_files_of_another_kind_are_refused(tmp_path, text, problem):
    (tmp_path / "x.dat").write_text(text)
    with pytest.raises(InputError, match=problem):
        list(read(tmp_path / "x.dat"))


def test_files_of_one_simulator_have_the_same_points(tmp_path):
    paths = [tmp_path / "a.dat", tmp_path / "b.dat"]
    for path, key in zip(paths, ("one", "other"), strict=True):
        path.write_text(f"# SystemC::Coverage-3\nC '{key}' 1\n")
    assert merged(paths[:1] * 3) == {"one": 3}
    with pytest.raises(InputError, match=r"b\.dat must have the points of the other files"):
        merged(paths)
    with pytest.raises(InputError, match="must have left a file"):
        merged([])


def test_a_simulator_without_its_verilog_is_an_error(tmp_path):
    folder = tmp_path / "configuration" / "sim-1" / builds.FOLDER
    folder.mkdir(parents=True)
    (folder / "a.dat").write_text("# SystemC::Coverage-3\nC 'one' 1\n")
    with pytest.raises(InputError, match="must have the Verilog that it simulates beside it"):
        gather(tmp_path)


def counted_by_hand(folder, verilog, count):
    """Leave what a process of a design counted of `en` of its module."""
    (folder / builds.FOLDER).mkdir(parents=True)
    (folder / "gscn_top.v").write_text(verilog)
    key = "\1l\0021\1page\2v_toggle/gscn_top.counter0\1o\2en:0->1"
    text = f"# SystemC::Coverage-3\nC '{key}' {count}\n"
    (folder / builds.FOLDER / "a.dat").write_text(text)


def test_other_designs_count_where_a_module_is_the_same(tmp_path):
    counted_by_hand(tmp_path / "one" / "sim", VERILOG, 0)
    counted_by_hand(tmp_path / "same" / "sim", VERILOG.replace("chosen", "selected"), 2)
    counted_by_hand(tmp_path / "other" / "sim", VERILOG.replace("level$7  + 1", "level$7  - 1"), 4)
    counts, designs = gather(tmp_path, ["one/gscn_top"])
    assert designs == [f"{name}/gscn_top" for name in ("one", "other", "same")]
    assert [*counts.values()] == [2]
    assert sorted(gather(tmp_path)[0].values()) == [2, 4]
    with pytest.raises(InputError, match="designs must have been simulated, not two/gscn_top"):
        gather(tmp_path, ["one/gscn_top", "two/gscn_top"])
