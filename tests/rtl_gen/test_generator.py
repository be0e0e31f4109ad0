"""Verilog and manifest of the accelerator on disk."""

import json
import re
import shutil

import pytest

import gscn.rtl_gen.generator
from gscn.array import ARRAYS
from gscn.errors import InputError
from gscn.rtl_gen import generate, load_manifest

CONFIG = ARRAYS["tiny"]


@pytest.fixture(scope="module")
def generated(tmp_path_factory):
    directory = tmp_path_factory.mktemp("rtl")
    return directory, generate(CONFIG, directory)


def test_manifest_is_read_back(generated):
    directory, manifest = generated
    assert load_manifest(directory) == manifest
    assert load_manifest(directory / "manifest.json") == manifest


def test_ports_are_those_of_the_verilog(generated):
    _, manifest = generated
    text = manifest.verilog.read_text()
    top = text[text.index("\nmodule gscn_top(") : text.index("endmodule")]
    found = {
        (name, direction, 1 + int(high or 0))
        for direction, high, name in re.findall(
            r"^  (input|output) (?:\[(\d+):0\] )?(\w+);", top, re.MULTILINE
        )
    }
    assert {(port.name, port.direction, port.width) for port in manifest.ports} == found


def test_ports_include_the_memory_port(generated):
    _, manifest = generated
    widths = {port.name: port.width for port in manifest.ports}
    assert widths["mem_read_data__payload"] == CONFIG.mem_width
    assert widths["mem_write_data__payload"] == CONFIG.mem_width + CONFIG.mem_bytes
    assert widths["mem_read_cmd__payload"] == CONFIG.addr_width + 8
    assert widths["start_list__payload"] == CONFIG.addr_width + 32


def test_the_cluster_is_emitted_once(generated):
    _, manifest = generated
    text = manifest.verilog.read_text()
    assert len(re.findall(r"^module gscn_cluster\(", text, re.MULTILINE)) == 1
    assert len(re.findall(r"^  gscn_cluster \S+ \(", text, re.MULTILINE)) == CONFIG.clusters


def test_only_arrays_with_float_formats_have_their_modules(generated, tmp_path):
    _, without = generated
    floats = generate(CONFIG.with_overrides(["float_formats=bf16"]), tmp_path)
    modules = {}
    for name, manifest in (("without", without), ("floats", floats)):
        text = manifest.verilog.read_text()
        # memories are named by their sizes, which special bits change
        found = re.findall(r"^module \\?(?!gscn_ram_)(\S+?) ?\(", text, re.MULTILINE)
        modules[name] = {re.sub(r"\$\d+", "", module) for module in found}
    added = modules["floats"] - modules["without"]
    assert {"gscn_worker.walker.product", "gscn_cluster.results.float_rounder0"} <= added
    assert not modules["without"] - modules["floats"]
    # the same ports, so that neither testbench nor integrator need tell them apart
    assert floats.ports == without.ports
    assert "assign nonfinite = 1'h0;" in without.verilog.read_text()
    assert "assign nonfinite = 1'h0;" not in floats.verilog.read_text()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("companions", []), ("companions", {"x": 1}), ("companions", None), ("verilog", 5),
        ("verilog_digest", None), ("versions", "x"), ("ports", 3), ("ports", [{}]), ("config", []),
    ],
)  # fmt: skip
def test_a_manifest_of_other_types_is_refused_and_replaced(generated, tmp_path, field, value):
    directory, manifest = generated
    for path in directory.iterdir():
        shutil.copy(path, tmp_path)
    fields = json.loads((tmp_path / "manifest.json").read_text())
    for text in (json.dumps({**fields, field: value}), "[" * 200_000, "", "null"):
        (tmp_path / "manifest.json").write_text(text)
        with pytest.raises(InputError, match="must describe a generated module"):
            load_manifest(tmp_path)
        assert gscn.rtl_gen.generator._current(CONFIG, tmp_path, manifest.module, "") is None


def test_a_damaged_file_is_written_again(tmp_path):
    manifest = generate(CONFIG, tmp_path)
    whole = manifest.verilog.read_bytes()
    manifest.verilog.write_bytes(whole[:1000])
    assert generate(CONFIG, tmp_path) == manifest
    assert manifest.verilog.read_bytes() == whole
    assert {path.name for path in tmp_path.iterdir()} == {
        "gscn_top.v",
        "gscn_top.core",
        "gscn_top.xml",
        "gscn_top.sdc",
        "gscn_top_example.v",
        "gscn_lint.vlt",
        "gscn_secded.v",
        "gscn_subarrays.v",
        "manifest.json",
    }


def test_a_missing_companion_is_written_again(tmp_path):
    manifest = generate(CONFIG, tmp_path)
    assert {"gscn_top.core", "gscn_top_example.v"} < set(manifest.companions)
    (tmp_path / "gscn_top.core").unlink()
    assert generate(CONFIG, tmp_path) == manifest
    assert (tmp_path / "gscn_top.core").is_file()


def test_another_configuration_replaces_the_files(tmp_path):
    first = generate(CONFIG, tmp_path)
    second = generate(CONFIG.with_overrides(["clusters=1"]), tmp_path)
    assert first.verilog_digest != second.verilog_digest
    assert load_manifest(tmp_path) == second


def test_a_file_in_the_place_of_the_directory_is_refused(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="output directory must be one that can be written"):
        generate(CONFIG, tmp_path / "file")
