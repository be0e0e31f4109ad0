"""A second simulator, Icarus Verilog, runs the same Verilog and starts from unknown bits."""

from __future__ import annotations

import re
import shutil

import numpy as np
import pytest

from gscn.array import ARRAYS
from gscn.counters import COUNTERS_PER_CLUSTER
from gscn.rtl_gen import generate
from tests.pass_law import expect
from tests.pass_programs import random_program
from tests.rtl_gen.clearing import generate_uncleared
from tests.rtl_gen.tools import call

pytestmark = [
    pytest.mark.cosim,
    pytest.mark.skipif(
        shutil.which("iverilog") is None,
        reason="iverilog (Icarus Verilog, optional) is not installed",
    ),
]

CONFIG = ARRAYS["tiny"]
FILL = 0xA5


def without_initial_values(text):
    """Leave every register of the Verilog unknown until it is reset or assigned."""
    changed, count = re.subn(
        r"^(  reg (?:\[\d+:0\] )?(?:\\\S+ |\w[\w$]*)) = \d+'[hd][0-9a-f]+;$",
        r"\1;",
        text,
        flags=re.MULTILINE,
    )
    assert count > 100
    assert re.search(r"^  reg .* = \d+'", changed, re.MULTILINE) is None
    return changed


def compile_smoke(directory, repository, verilog, program):
    """Compile testbench and array; return the compiled file."""
    beats = -(-program.memory_bytes // CONFIG.mem_bytes)
    parameters = {
        "ADDR_WIDTH": CONFIG.addr_width,
        "MEM_WIDTH": CONFIG.mem_width,
        "BEATS": beats,
        "LIST_ADDR": program.descriptors_addr,
        "LIST_COUNT": program.count,
        "TOTAL_COUNTER": CONFIG.clusters * COUNTERS_PER_CLUSTER,
    }
    status, text = call(
        [
            "iverilog",
            *("-g2012", "-Wall", "-Wno-timescale", "-s", "gscn_smoke"),
            *("-o", directory / "smoke"),
            *(f"-Pgscn_smoke.{name}={value}" for name, value in parameters.items()),
            repository / "tests" / "rtl_gen" / "smoke.v",
            verilog,
        ]
    )
    assert status == 0, text
    write_memory(directory / "image.hex", program.image, beats)
    write_memory(directory / "expected.hex", expect(program).memory, beats)
    return directory / "smoke"


def write_memory(path, data, beats):
    """Write bytes as beats, most significant byte first, filled up."""
    memory = np.full(beats * CONFIG.mem_bytes, FILL, dtype=np.uint8)
    memory[: data.size] = data
    rows = memory.reshape(beats, -1)[:, ::-1]
    path.write_text("".join(f"{row.tobytes().hex()}\n" for row in rows))


def run_smoke(directory, compiled):
    """Run in a directory with the memories; return the exit status and the text."""
    files = [f"+{name}={directory / name}.hex" for name in ("image", "expected")]
    return call(["vvp", "-n", compiled, *files], timeout=600)


@pytest.fixture(scope="module")
def program():
    return random_program(17, 1, config=CONFIG, count=2)


@pytest.fixture(scope="module")
def verilog(tmp_path_factory):
    return generate(CONFIG, tmp_path_factory.mktemp("rtl")).verilog


@pytest.fixture(scope="module")
def smoke(tmp_path_factory, repository, verilog, program):
    directory = tmp_path_factory.mktemp("smoke")
    return directory, compile_smoke(directory, repository, verilog, program)


def check_passes(program, status, text):
    assert status == 0, text
    (flags,) = re.findall(r"^PASS: \d+ beats, busy for \d+ cycles, flags (\d+)$", text, re.M)
    expected = expect(program)
    assert expected.products > 0
    assert expected.overflow_certain == expected.overflow_possible
    assert int(flags, 2) == expected.saturated | expected.overflow_certain << 1


def test_a_launch_is_right_with_unknown_memories(smoke, program):
    directory, compiled = smoke
    check_passes(program, *run_smoke(directory, compiled))


def test_a_wrong_bit_of_the_result_is_found(smoke, program, tmp_path):
    directory, compiled = smoke
    shutil.copy(directory / "image.hex", tmp_path)
    changed = np.array(expect(program).memory)
    changed[-1] ^= 1
    beats = len((directory / "image.hex").read_text().splitlines())
    write_memory(tmp_path / "expected.hex", changed, beats)
    status, text = run_smoke(tmp_path, compiled)
    assert status != 0
    assert f"1 beats of {beats} differ" in text


def test_the_reset_alone_brings_every_register_to_its_state(tmp_path, repository, verilog, program):
    (tmp_path / "gscn_top.v").write_text(without_initial_values(verilog.read_text()))
    compiled = compile_smoke(tmp_path, repository, tmp_path / "gscn_top.v", program)
    check_passes(program, *run_smoke(tmp_path, compiled))


def test_without_clearing_after_reset_unknown_bits_reach_the_results(tmp_path, repository, program):
    uncleared = generate_uncleared(CONFIG, tmp_path).verilog
    compiled = compile_smoke(tmp_path, repository, uncleared, program)
    status, text = run_smoke(tmp_path, compiled)
    assert status != 0
    assert "is unknown" in text or "differ" in text
