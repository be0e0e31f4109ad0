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
    # memories of another make in place of those that are generated
    macros = compile_.replace("gscn_axi_top*.v", "+define+GSCN_RAM_MACROS gscn_*.v")
    export = commands[-3]
    status, again = call(
        ["sh", "-c", f"{export}\n{macros} && {run}"], cwd=folder, env=environment()
    )
    assert status == 0, again
    assert re.findall("^PASS.*", again, re.M) == re.findall("^PASS.*", text, re.M)

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
