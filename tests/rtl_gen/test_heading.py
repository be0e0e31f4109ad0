"""What stands at the head of the Verilog is what the file is, and tools read it all."""

import importlib.util
import re

import pytest

from gscn.array import ARRAYS
from gscn.registers import version_text
from gscn.rtl_gen import generate, generate_axi
from gscn.rtl_gen.interfaces import by_interface
from gscn.version import VERSION

CONFIG = ARRAYS["tiny"].with_overrides(["ports=2", "float_formats=bf16"])


@pytest.fixture(scope="module", params=[generate, generate_axi])
def manifest(request, tmp_path_factory):
    return request.param(CONFIG, tmp_path_factory.mktemp("verilog"))


@pytest.fixture(scope="module")
def head(manifest):
    return manifest.verilog.read_text().partition("\nmodule ")[0]


def test_it_says_version_and_configuration(manifest, head):
    assert head.startswith(f"// {manifest.module}: array ")
    assert f"// version {VERSION}" in head
    assert f"// configuration {CONFIG.digest()}:" in head
    for name, value in CONFIG.to_dict().items():
        assert f"//   {name} = {value}".rstrip() in head.splitlines()


def test_it_lists_every_port_once_with_direction_and_bits(manifest, head):
    found = re.findall(r"^//     (input|output) +(\d+)  (\w+)$", head, re.MULTILINE)
    expected = [(port.direction, str(port.width), port.name) for port in manifest.ports]
    assert sorted(found) == sorted(expected)
    titles = by_interface(manifest.ports)
    assert all(f"//   {title}" in head.splitlines() for title in titles)
    buses = {title.partition(":")[0] for title in titles if ":" in title}
    named = {"m_axi0", "m_axi1", "s_axil"} if "axi" in manifest.module else {"mem0", "mem1"}
    assert buses == named


def test_constants_are_attributes_of_the_top_module(manifest, head):
    attributes = dict(re.findall(r'^\(\* (\w+) = "(.*)" \*\)$', head, re.MULTILINE))
    expected = {"gscn_version": VERSION, "gscn_config_digest": CONFIG.digest()}
    if "axi" in manifest.module:
        expected["gscn_register_map"] = version_text()
    assert attributes == expected
    assert head.splitlines()[-len(expected) :] == [
        f'(* {name} = "{value}" *)' for name, value in expected.items()
    ]


@pytest.mark.skipif(
    importlib.util.find_spec("pyslang") is None, reason="pyslang (extra ip) is not installed"
)
def test_slang_reads_it_without_an_error(manifest):
    from pyslang.driver import Driver

    driver = Driver()
    driver.addStandardArgs()
    assert driver.parseCommandLine(f"slang --top {manifest.module} {manifest.verilog}")
    assert driver.processOptions()
    assert driver.parseAllSources()
    compilation = driver.createCompilation()
    errors = [one for one in compilation.getAllDiagnostics() if one.isError()]
    assert errors == []
    assert {one.name for one in compilation.getRoot().topInstances} == {manifest.module}
