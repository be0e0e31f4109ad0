"""The commands of the page lead from the generator to a pass that runs; what is wrong is seen."""

import json
import os
import re
import shutil
import sys
from pathlib import Path

import pytest

from gscn.array import ARRAYS
from gscn.axi import AxiAttributes
from gscn.rtl_gen import generate_axi
from gscn.rtl_gen.rams import SUBARRAYS_FILE
from gscn.rtl_gen.secded import SECDED_FILE
from gscn.rtl_gen.testbench import bench_module
from tests.rtl_gen.tools import call, lint

BIN = Path(sys.executable).parent


@pytest.fixture
def commands(repository):
    text = (repository / "docs" / "contract" / "integration.md").read_text()
    block = text.split("<!-- commands:begin -->\n```\n")[1].split("```")[0]
    return block.splitlines()


def environment():
    return {**os.environ, "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}"}


def with_wrong_bits(text):
    """Return memories of `SECDED_FILE` that read every word with a wrong bit, and say so."""
    told = """\
  reg told = 0;
  always @(posedge clk) begin
    told <= told || corrected;
    if (corrected && !told) $display("CORRECTED");
    if (uncorrectable) $display("UNCORRECTABLE");
  end
endmodule
`endif
"""

    def wrong(match):
        size = int(match[1]) - int(match[2]) + 1
        return f".word(found[{match[1]}:{match[2]}] ^ ({size}'b1 << turn % 7'd{size}))"

    text = text.replace("endmodule\n`endif\n", told, 1)
    turn = "  reg [6:0] turn = 0;\n  always @(posedge clk) turn <= turn + 7'd1;\n"
    text = re.sub(r"^  wire \S+ corrected;\n", lambda found: found[0] + turn, text, flags=re.M)
    text, count = re.subn(r"\.word\(found\[(\d+):(\d+)\]\)", wrong, text)
    assert count > 0
    return text


@pytest.mark.cosim
@pytest.mark.parametrize(
    ("overrides", "bus"),
    [(["addr_width=20"], 0), (["ports=2", "axi_id_width=4", "addr_width=40"], 64)],
)
def test_verilator_reads_it_without_a_warning(overrides, bus, tmp_path):
    config = ARRAYS["tiny"].with_overrides(overrides)
    manifest = generate_axi(config, tmp_path, attributes=AxiAttributes(addr_width=bus))
    top = bench_module(manifest.module)
    waivers = tmp_path / "gscn_lint.vlt"
    sources = ["--timing", "-Wno-style", manifest.verilog]
    found = lint(*sources, tmp_path / f"{top}.v", top=top, waivers=waivers)
    assert found == (0, "")


@pytest.mark.slow
@pytest.mark.cosim
@pytest.mark.skipif(shutil.which("g++") is None, reason="no C++ compiler")
def test_the_commands_of_the_page_run_a_pass(commands, tmp_path):
    assert len(commands) <= 10
    assert commands[0].startswith("python3 -m venv ")
    assert commands[1] == "pip install ."
    # the environment of the tests stands for that of the first two
    script = "\n".join(["set -ex", *commands[2:]])
    status, text = call(["sh", "-c", script], cwd=tmp_path, env=environment())
    assert status == 0, text
    image, folder = tmp_path / "image", tmp_path / "ip"
    passes = json.loads((image / "image.json").read_text())["pass_count"]
    assert re.search(rf"^PASS: {passes} passes, \d+ bytes of results, \d+ cycles$", text, re.M)
    run, compile_ = commands[-1], commands[-2]
    export = commands[-3]

    def same(script):
        """Return what is said by commands that end as the run with the generated memories."""
        status, again = call(["sh", "-c", script], cwd=folder, env=environment())
        assert status == 0, again
        assert re.findall("^PASS.*", again, re.M) == re.findall("^PASS.*", text, re.M)
        return again

    def run_with(memories):
        """Run with a file's memories in place of those that are generated."""
        return same(f"{export}\n{compile_} +define+GSCN_RAM_MACROS {memories} && {run}")

    run_with(SUBARRAYS_FILE)
    memories = folder / SECDED_FILE
    memories.write_text(with_wrong_bits(memories.read_text()))
    said = run_with(SECDED_FILE)
    assert "CORRECTED" in said
    assert "UNCORRECTABLE" not in said
    # rows that were never written are no words, and do no harm
    assert "UNCORRECTABLE" in same(f"{run} +verilator+rand+reset+2 +verilator+seed+7")

    def fails(sentence):
        status, text = call(["sh", "-c", run], cwd=folder, env=environment())
        assert status != 0
        assert f"FAIL: {sentence}" in text

    expected = (image / "expected.bin").read_bytes()
    (image / "expected.bin").write_bytes(bytes([expected[0] ^ 1]) + expected[1:])
    fails("results differ from the expected ones")
    (image / "expected.bin").write_bytes(expected[:-1])
    fails("expected.bin is too short")
    (image / "expected.bin").write_bytes(expected)
    digest = json.loads((image / "image.json").read_text())["config_digest"]
    numbers = (image / "image.txt").read_text()
    (image / "image.txt").write_text(numbers.replace(digest, "0" * 16))
    fails("the image is for another configuration")
    (image / "image.txt").write_text(numbers)
    content = (image / "image.bin").read_bytes()
    (image / "image.bin").write_bytes(bytes([content[0] ^ 1]) + content[1:])
    fails("an error ended the list")
