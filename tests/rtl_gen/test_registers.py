"""The register map for C, for Python and in the documentation; Verilog with standard buses."""

import re
import shutil
import subprocess

import pytest

from gscn.array import ARRAYS
from gscn.command.main import main
from gscn.counters import COUNTERS_PER_CLUSTER
from gscn.pass_errors import PassError
from gscn.register import Top
from gscn.registers import register, registers_of, reset_values
from gscn.rtl_gen import generate, generate_axi, load_manifest
from gscn.rtl_gen.registers import c_header, markdown, python_module

CONFIG = ARRAYS["tiny"]


def constants(top):
    names = {}
    exec(python_module(CONFIG, top), names)
    return {name: value for name, value in names.items() if name.isupper()}


def test_the_documentation_is_up_to_date(repository):
    """Otherwise write `rtl_gen.registers.markdown()` to it."""
    assert (repository / "docs" / "contract" / "registers.md").read_text() == markdown()


@pytest.mark.parametrize("top", Top)
def test_the_python_module_has_every_register_and_field(top):
    found = constants(top)
    for one in registers_of(top):
        assert found[f"{one.name}_OFFSET"] == one.offset
        for field in one.fields:
            name = f"{one.name}_{field.name.upper()}"
            assert found[f"{name}_MASK"] == field.mask
            assert found[f"{name}_SHIFT"] == field.low
    for code in PassError:
        assert found[f"ERROR_CODE_{code.name}"] == code
    assert found["COUNTERS_PER_CLUSTER"] == COUNTERS_PER_CLUSTER
    # by hand
    assert found["CONTROL_CLEAR_MASK"] == 2
    assert found["COUNTER_SELECT_OFFSET"] == 0x3C
    lists = {"STOP_OFFSET": 0x74, "CONTROL_ANEW_MASK": 16, "ERROR_CODE_ORDER": 23}
    if top is Top.MACHINE:
        assert lists.items() <= found.items()
    else:
        assert not lists.keys() & found.keys()


@pytest.mark.parametrize("top", Top)
def test_header_and_module_agree(top):
    defines = {
        name: int(value, 16)
        for name, value in re.findall(
            r"^#define GSCN_(\w+) 0x([0-9A-F]+)u", c_header(CONFIG, top), re.MULTILINE
        )
    }
    assert defines == constants(top)


@pytest.mark.parametrize("top", Top)
def test_they_carry_what_a_core_of_the_configuration_tells(top):
    found = constants(top)
    assert f"{found['CONFIG_DIGEST']:016x}" == CONFIG.digest()
    for name, value in reset_values(CONFIG, top).items():
        assert found.get(f"{name}_RESET", 0) == value, name
    assert "ull /*" in next(
        line for line in c_header(CONFIG, top).splitlines() if " GSCN_CONFIG_DIGEST 0x" in line
    )


@pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler")
@pytest.mark.parametrize("top", Top)
def test_the_header_compiles(tmp_path, top):
    (tmp_path / "gscn_registers.h").write_text(c_header(CONFIG, top))
    status = register("STATUS").field("bus_error")
    (tmp_path / "use.c").write_text(
        '#include "gscn_registers.h"\n#include "gscn_registers.h"\n'
        f'_Static_assert(GSCN_STATUS_BUS_ERROR_MASK == {status.mask}, "mask");\n'
        f'_Static_assert(GSCN_STATUS_BUS_ERROR_SHIFT == {status.low}, "shift");\n'
    )
    command = ["cc", "-std=c11", "-Wall", "-Werror", "-fsyntax-only", str(tmp_path / "use.c")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def without_head(manifest):
    """Return the Verilog from its first module on."""
    return manifest.verilog.read_text().partition("\nmodule ")[2]


@pytest.fixture(scope="module")
def generated(tmp_path_factory):
    directory = tmp_path_factory.mktemp("axi")
    return directory, generate_axi(CONFIG, directory)


def test_the_ports_have_the_names_of_the_buses(generated):
    _, manifest = generated
    ports = {port.name: (port.direction, port.width) for port in manifest.ports}
    assert manifest.module == "gscn_axi_top"
    assert ports["m_axi_araddr"] == ("output", CONFIG.addr_width)
    assert ports["m_axi_rdata"] == ("input", CONFIG.mem_width)
    assert ports["m_axi_wstrb"] == ("output", CONFIG.mem_bytes)
    assert ports["s_axil_awaddr"] == ("input", 12)
    assert ports["s_axil_rdata"] == ("output", 32)
    assert ports["interrupt"] == ("output", 1)
    assert not [name for name in ports if "__" in name]


def test_the_core_within_is_the_core_without(generated, tmp_path):
    _, manifest = generated
    core = generate(CONFIG, tmp_path)
    assert without_head(core) in without_head(manifest)


@pytest.mark.slow
def test_the_machine_within_is_the_machine_without(tmp_path, capsys):
    command = ["generate", "--config", "tiny", "--machine"]
    assert main([*command, "--out", str(tmp_path / "own")]) == 0
    assert main([*command, "--axi", "--out", str(tmp_path / "axi")]) == 0
    assert "module gscn_axi_top" in capsys.readouterr().out
    own, axi = (load_manifest(tmp_path / name) for name in ("own", "axi"))
    assert own.top == axi.top == Top.MACHINE
    assert without_head(own) in without_head(axi)
    assert (tmp_path / "axi" / "gscn_registers.h").read_text() == c_header(CONFIG, Top.MACHINE)
    ports = {port.name: (port.direction, port.width) for port in axi.ports}
    assert ports["m_axi_araddr"] == ("output", CONFIG.addr_width)
    assert ports["interrupt"] == ("output", 1)


def test_files_are_written_once(generated):
    directory, manifest = generated
    times = {path.name: path.stat().st_mtime_ns for path in directory.iterdir()}
    assert set(times) == {
        "gscn_axi_top.v",
        "manifest.json",
        "gscn_registers.h",
        "gscn_registers.py",
        "gscn_registers.rdl",
        "gscn_registers.svd",
        *("gscn_axi_top.core", "gscn_axi_top.sdc", "gscn_axi_top_example.v", "gscn_lint.vlt"),
        *("gscn_secded.v", "gscn_subarrays.v", "gscn_axi_top.xml"),
        "gscn_axi_top_tb.v",
        *("gscn_driver.h", "gscn_driver.c", "gscn_passes.h", "gscn_passes.c"),
    }
    assert load_manifest(directory) == manifest
    assert generate_axi(CONFIG, directory) == manifest
    assert {path.name: path.stat().st_mtime_ns for path in directory.iterdir()} == times


def test_another_module_in_the_same_directory_is_generated_anew(tmp_path):
    generate(CONFIG, tmp_path)
    assert generate_axi(CONFIG, tmp_path).module == "gscn_axi_top"
    assert generate(CONFIG, tmp_path).module == "gscn_top"
    assert (tmp_path / "gscn_top.v").is_file()


def test_the_command_writes_the_buses_on_request(tmp_path, capsys):
    assert main(["generate", "--config", "tiny", "--axi", "--out", str(tmp_path)]) == 0
    assert "module gscn_axi_top" in capsys.readouterr().out
    assert (tmp_path / "gscn_registers.h").read_text() == c_header(CONFIG, Top.ARRAY)


def test_what_bursts_say_is_asked_for_by_the_command(generated, tmp_path, capsys):
    _, usual = generated
    said = ["--axi-prot", "2", "--axi-write-cache", "15", "--axi-addr-width", "64"]
    command = ["generate", "--config", "tiny", "--out", str(tmp_path)]
    assert main([*command, *said]) == 2
    assert "--axi must be given" in capsys.readouterr().err
    assert main([*command, "--axi", *said]) == 0
    found = load_manifest(tmp_path)
    expected = {"id": 0, "prot": 2, "read_cache": 3, "write_cache": 15, "addr_width": 64}
    assert found.axi.to_dict() == expected
    text = found.verilog.read_text()
    assert "//   write_cache = 15" in text
    # the same core, and what a driver asks for
    assert found.config == usual.config
    assert without_head(generate(CONFIG, tmp_path / "core")) in without_head(found)
    assert "output [63:0] m_axi_araddr;" in text
    assert "output [31:0] m_axi_araddr;" in usual.verilog.read_text()
    # the one register that tells of the bus
    headers = ((one.verilog.parent / "gscn_registers.h").read_text() for one in (usual, found))
    changed = [
        pair for pair in zip(*map(str.splitlines, headers), strict=True) if len(set(pair)) > 1
    ]
    assert [[line.split()[1:3] for line in pair] for pair in changed] == [
        [["GSCN_ARRAY_MEMORY_RESET", f"0x{width:02X}200210u"] for width in (32, 64)]
    ]
    assert "assign m_axi_awcache = 4'hf;" in text
    assert "assign m_axi_awcache = 4'h3;" in usual.verilog.read_text()
