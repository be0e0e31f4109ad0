"""The core file and the example instance fit the Verilog next to them."""

import re
import shutil

import pytest
import yaml

from gscn.array import ARRAYS
from gscn.port import port_names
from gscn.rtl_gen import generate
from gscn.rtl_gen.packaging import CORE_FILE, CORE_NAME, EXAMPLE_FILE, EXAMPLE_MODULE
from tests.rtl_gen.tools import call, lint


@pytest.fixture(scope="module", params=["tiny", "small", "tiny with two ports"])
def manifest(request, tmp_path_factory):
    name, _, ports = request.param.partition(" with ")
    config = ARRAYS[name].with_overrides(["ports=2"] if ports else [])
    return generate(config, tmp_path_factory.mktemp(name))


@pytest.mark.cosim
def test_the_example_passes_lint_with_the_accelerator(manifest):
    example = manifest.verilog.parent / EXAMPLE_FILE
    assert lint(example, manifest.verilog, top=EXAMPLE_MODULE) == (0, "")


def test_the_example_connects_every_port(manifest):
    text = (manifest.verilog.parent / EXAMPLE_FILE).read_text()
    connected = re.findall(r"^      \.(\w+)\(", text, re.MULTILINE)
    assert sorted(connected) == sorted(port.name for port in manifest.ports)


def test_vectors_of_every_memory_port_are_split_into_fields(manifest):
    text = (manifest.verilog.parent / EXAMPLE_FILE).read_text()
    for name in port_names("mem", manifest.config.ports):
        for field in ("read_cmd_addr", "write_cmd_beats", "write_data_strobe"):
            assert re.search(rf"^    output wire \[\d+:0\] {name}_{field},?$", text, re.MULTILINE)


def test_the_core_file_names_files_that_exist(manifest):
    directory = manifest.verilog.parent
    first, rest = (directory / CORE_FILE).read_text().split("\n", 1)
    assert first == "CAPI=2:"
    core = yaml.safe_load(rest)
    assert core["name"] == CORE_NAME
    files = [name for fileset in core["filesets"].values() for name in fileset["files"]]
    assert sorted(files) == sorted([manifest.verilog.name, EXAMPLE_FILE])
    assert all((directory / name).is_file() for name in files)
    for target in core["targets"].values():
        assert set(target["filesets"]) <= set(core["filesets"])
        module = target["toplevel"]
        texts = [(directory / name).read_text() for name in files]
        assert any(re.search(rf"^module {module} ?\(", text, re.MULTILINE) for text in texts)


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("fusesoc") is None, reason="fusesoc (optional) is not installed")
def test_fusesoc_reads_the_core_file(manifest, tmp_path):
    directory = manifest.verilog.parent
    status, text = call(
        ["fusesoc", "--cores-root", directory, "core", "show", CORE_NAME], cwd=tmp_path
    )
    assert status == 0, text
    assert CORE_NAME in text
