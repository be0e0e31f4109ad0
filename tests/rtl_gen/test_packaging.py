"""Core file, example instance, constraints and waivers fit the Verilog next to them."""

import json
import re
import shutil
import sys
from pathlib import Path

import pytest
import yaml

from gscn.command.main import main
from gscn.port import port_names
from gscn.rtl_gen import generate, generate_axi, load_manifest
from gscn.rtl_gen.packaging import LINT_FILE, core_file, core_name, example_module
from gscn.version import VERSION
from tests.rtl_gen.test_lint import CONFIGS, MACHINES
from tests.rtl_gen.tools import WAIVERS, call, lint, verilator_on_path

BIN = Path(sys.executable).parent
needs_fusesoc = pytest.mark.skipif(
    shutil.which("fusesoc", path=str(BIN)) is None, reason="fusesoc (extra ip) is not installed"
)
FUSESOC = ("tiny", "small", "single", "two ports", "floats")
"""Configurations that FuseSoC lints, of both tops of the array."""


def made(name, kind, folder):
    return (generate_axi if kind == "axi" else generate)(CONFIGS[name], folder)


TOPS = [("tiny", "plain"), ("two ports", "plain"), ("tiny", "axi"), ("two ports", "axi")]


@pytest.fixture(scope="module", params=TOPS, ids=" ".join)
def manifest(request, tmp_path_factory):
    return made(*request.param, tmp_path_factory.mktemp("core"))


def text_of(manifest, name):
    return (manifest.verilog.parent / name).read_text()


def example_of(manifest):
    return text_of(manifest, f"{example_module(manifest.module)}.v")


@pytest.mark.cosim
def test_the_example_passes_lint_with_the_accelerator_and_the_waivers_beside_it(manifest):
    folder = manifest.verilog.parent
    top = example_module(manifest.module)
    found = lint(folder / f"{top}.v", manifest.verilog, top=top, waivers=folder / LINT_FILE)
    assert found == (0, "")
    assert (folder / LINT_FILE).read_text() == WAIVERS.read_text()


def test_the_example_connects_every_port(manifest):
    connected = re.findall(r"^      \.(\w+)\(", example_of(manifest), re.MULTILINE)
    assert sorted(connected) == sorted(port.name for port in manifest.ports)


def test_vectors_of_every_memory_port_are_split_into_fields(manifest):
    names = (
        [f"{name}_{field}" for name in port_names("mem", manifest.config.ports)
         for field in ("read_cmd_addr", "write_cmd_beats", "write_data_strobe")]
        if manifest.module == "gscn_top"
        else [f"{name}_araddr" for name in port_names("m_axi", manifest.config.ports)]
    )  # fmt: skip
    for name in names:
        found = re.search(rf"^    output wire \[\d+:0\] {name},?$", example_of(manifest), re.M)
        assert found, name


def test_the_core_file_names_files_that_exist_and_every_target_its_flow_and_tool(manifest):
    directory = manifest.verilog.parent
    first, rest = text_of(manifest, core_file(manifest.module)).split("\n", 1)
    assert first == "CAPI=2:"
    core = yaml.safe_load(rest)
    assert core["name"] == core_name(manifest) == f"gscn:gscn:{manifest.module}:{VERSION}"
    files = [name for fileset in core["filesets"].values() for name in fileset["files"]]
    assert len(files) == len(set(files))
    assert all((directory / name).is_file() for name in files)
    assert {manifest.verilog.name, f"{manifest.module}.sdc", LINT_FILE} < set(files)
    modules = "\n".join((directory / name).read_text() for name in files)
    for name, target in core["targets"].items():
        assert set(target["filesets"]) <= set(core["filesets"])
        assert re.search(rf"^module {target['toplevel']} ?[(;]", modules, re.MULTILINE)
        assert name == "default" or {"flow", "flow_options", "description"} <= set(target)
        assert name == "default" or target["flow_options"]["tool"]
    assert {"default", "lint", "synth"} <= set(core["targets"])


def test_constraints_name_every_port_once_in_its_direction(manifest):
    text = text_of(manifest, f"{manifest.module}.sdc")
    found = {
        way: re.search(rf"^set_{way}_delay .*\[get_ports {{(.*)}}\]$", text, re.M)[1].split()
        for way in ("input", "output")
    }
    assert found == {
        way: [
            port.name + "[*]" * (port.width > 1)
            for port in manifest.ports
            if port.direction == way and port.name != "clk"
        ]
        for way in ("input", "output")
    }
    assert "[get_ports clk]" in text


@pytest.mark.slow
@pytest.mark.cosim
@needs_fusesoc
@pytest.mark.parametrize("kind", ["plain", "axi"])
@pytest.mark.parametrize("name", FUSESOC)
def test_fusesoc_lints_without_a_warning(name, kind, tmp_path):
    manifest = made(name, kind, tmp_path / "core")
    run_lint(manifest, tmp_path)


@pytest.mark.slow
@pytest.mark.cosim
@needs_fusesoc
@pytest.mark.parametrize(("name", "kind"), [("integers", "plain"), ("floats", "axi")])
def test_fusesoc_lints_machines_without_a_warning(name, kind, tmp_path):
    make = generate_axi if kind == "axi" else generate
    run_lint(make(MACHINES[name], tmp_path / "core", lists=True), tmp_path)


@pytest.mark.slow
@pytest.mark.cosim
@needs_fusesoc
def test_fusesoc_simulates_an_image(tmp_path):
    manifest = made("tiny", "axi", tmp_path / "core")
    image = tmp_path / "image"
    layer = ["--conv", "1,4,6,6,4,3,3", "--padding", "1", "--base", "0x1000"]
    assert main(["image", "--config", "tiny", *layer, "--out", str(image)]) == 0
    text = run_target(manifest, "sim", tmp_path, "--image", image)
    passes = json.loads((image / "image.json").read_text())["pass_count"]
    assert re.search(rf"^PASS: {passes} passes, \d+ bytes of results, \d+ cycles$", text, re.M)


@pytest.mark.slow
@needs_fusesoc
@pytest.mark.skipif(shutil.which("yosys") is None, reason="no yosys (Debian: yosys)")
def test_fusesoc_counts_the_cells_of_an_fpga(tmp_path):
    manifest = made("tiny", "axi", tmp_path / "core")
    run_target(manifest, "synth", tmp_path)
    (netlist,) = (tmp_path / "build").rglob("*.json")
    cells = json.loads(netlist.read_text())["modules"][manifest.module]["cells"]
    kinds = {cell["type"] for cell in cells.values()}
    assert {"LUT4", "TRELLIS_FF", "CCU2C", "MULT18X18D", "DP16KD"} <= kinds
    assert not [kind for kind in kinds if kind.startswith("$")]


def run_target(manifest, target, tmp_path, *arguments):
    """Run a target of the core file; return what is said."""
    folder = manifest.verilog.parent
    assert load_manifest(folder) == manifest
    command = [BIN / "fusesoc", "--cores-root", folder, "run", "--target", target]
    environment = verilator_on_path(tmp_path / "bin") | {"MAKEFLAGS": "CFG_CXXFLAGS_PCH_I=-include"}
    status, text = call([*command, core_name(manifest), *arguments], cwd=tmp_path, env=environment)
    assert status == 0, text
    return text


def run_lint(manifest, tmp_path):
    text = run_target(manifest, "lint", tmp_path)
    assert f"{core_name(manifest).replace(':', '_')}.vc" in text  # Verilator was called
    assert "Warning" not in text
    assert "Error" not in text
