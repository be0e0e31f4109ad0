"""The generated Verilog has no warning but those that `rtl_gen/lint.vlt` waives with a reason."""

import dataclasses
import re
from fnmatch import fnmatchcase

import pytest

from gscn.array import ARRAYS
from gscn.hw.forwarding_memory import SMALL_BITS
from gscn.rtl_gen import generate, generate_axi
from gscn.rtl_gen.modules import MODULE
from gscn.rtl_gen.packaging import MACHINE_LINT
from tests.rtl_gen.tools import WAIVERS, lint

pytestmark = pytest.mark.cosim

CONFIGS = {
    "tiny": ARRAYS["tiny"],
    "small": ARRAYS["small"],
    # One of everything: signals of no bits, arbiters of one requester.
    "single": ARRAYS["tiny"].with_overrides(
        ["clusters=1", "pes=1", "drain_width=1", "job_depth=1", "burst_beats=1"]
    ),
    "two ports": ARRAYS["tiny"].with_overrides(["clusters=3", "ports=2"]),
    "floats": ARRAYS["tiny"].with_overrides(["float_formats=bf16,fp16,fp8_e4m3,fp8_e5m2"]),
    "floats, narrow": ARRAYS["tiny"].with_overrides(
        ["operand_format=int8", "acc_width=24", "float_formats=fp8_e5m2"]
    ),
}
BEHIND_BUSES = {
    f"{name}, behind buses": dataclasses.replace(CONFIGS[name], axi_id_width=width)
    for name, width in {"tiny": 1, "two ports": 4}.items()
}


MACHINES = {
    "integers": ARRAYS["tiny"],
    "floats": ARRAYS["tiny"].with_overrides(
        ["float_formats=bf16", "acc_depth=1024", "stationary_depth=4096", "directory_depth=1024"]
    ),
}
"""Arithmetics of encode units."""
OF_MACHINES = "// -- machines"
"""Begins the waivers that arrays do not need."""


@pytest.fixture(scope="module")
def verilog(tmp_path_factory):
    return {
        name: make(config, tmp_path_factory.mktemp(name)).verilog
        for make, configs in ((generate, CONFIGS), (generate_axi, BEHIND_BUSES))
        for name, config in configs.items()
    }


@pytest.mark.parametrize("name", [*CONFIGS, *BEHIND_BUSES])
def test_verilator_has_nothing_to_report(verilog, name):
    assert lint(verilog[name], top=verilog[name].stem) == (0, "")


def read_at_once(text):
    """Return bits of each memory of Verilog that is read in the cycle of its address."""
    found = {}
    for module in MODULE.finditer(text):
        for memory in re.finditer(r"^  reg (?:\[(\d+):0\] )?(\S+) +\[(\d+):0\];", module[0], re.M):
            width, name, depth = int(memory[1] or 0) + 1, memory[2], int(memory[3]) + 1
            if re.search(rf"^  assign .*{re.escape(name)} *\[", module[0], re.M):
                found[module["name"], name] = width * depth
    return found


@pytest.mark.parametrize("name", [*CONFIGS, *BEHIND_BUSES])
def test_only_small_memories_are_read_at_once(verilog, name):
    found = read_at_once(verilog[name].read_text())
    assert found
    assert max(found.values()) <= SMALL_BITS


def messages_of(path, options=("-Wall",)):
    """Return (rule, message) of all that is waived of a file."""
    status, text = lint(path, top=path.stem, waivers=None, options=options)
    assert status != 0
    pattern = r"^%Warning-(\w+): .+gscn_(?:axi_)?top\.v:\d+:\d+: (.*)$"
    return set(re.findall(pattern, text, re.M))


def not_needed(rules, messages):
    """Return those of some waivers that no message needs."""
    found = []
    for rule, pattern in rules:
        # Verilator's patterns have * and ? only; square brackets stand for themselves.
        glob = pattern.replace("[", "[[]")
        if not any(name == rule and fnmatchcase(text, glob) for name, text in messages):
            found.append((rule, pattern))
    return found


def waivers(text):
    """Return (rule, pattern of the message) of every waiver in a part of the file."""
    found = []
    for line in text.splitlines():
        if line.startswith("lint_off"):
            match = re.fullmatch(
                r'lint_off -rule (\w+) -file "\*gscn_\*top\*?\.v"(?: -match "(.*)")?', line
            )
            assert match, line
            found.append((match[1], match[2] or "*"))
    return found


def test_every_waiver_of_arrays_is_needed(verilog):
    unneeded = waivers(WAIVERS.read_text().partition(OF_MACHINES)[0])
    assert unneeded
    # These need most of them, so that few are linted twice.
    for name in dict.fromkeys(("floats", "two ports, behind buses", "single", *verilog)):
        if unneeded:
            unneeded = not_needed(unneeded, messages_of(verilog[name]))
    assert unneeded == []


@pytest.mark.slow
def test_verilator_has_nothing_to_report_of_machines_and_needs_their_waivers(tmp_path):
    messages, options = set(), ("-Wall", *MACHINE_LINT)
    for name, config in MACHINES.items():
        path = generate_axi(config, tmp_path / name, lists=True).verilog
        assert lint(path, top=path.stem, options=options) == (0, "")
        assert max(read_at_once(path.read_text()).values()) <= SMALL_BITS
        messages |= messages_of(path, options)
    rules = waivers(WAIVERS.read_text().partition(OF_MACHINES)[2])
    assert rules
    assert not_needed(rules, messages) == []


@pytest.mark.slow
def test_only_small_memories_of_many_clusters_are_read_at_once(tmp_path):
    text = generate(ARRAYS["large"], tmp_path).verilog.read_text()
    assert max(read_at_once(text).values()) <= SMALL_BITS


def test_each_waiver_follows_a_reason():
    above = ""
    for line in WAIVERS.read_text().splitlines():
        if line.startswith("lint_off"):
            assert above.startswith(("//", "lint_off")), line
        above = line


FAULTS = {
    # statements, and what the message names
    "LATCH": ("always @* if (busy) kept = start_list__valid;\n  reg kept;", "kept"),
    "UNDRIVEN": ("wire [3:0] nothing;\n  wire [3:0] seen = nothing;", "nothing"),
    "WIDTHTRUNC": ("wire [3:0] narrow = counter_addr;", "counter_addr"),
    "WIDTHEXPAND": ("wire [20:0] wide = counter_addr;", "counter_addr"),
    "UNUSEDSIGNAL": ("wire forgotten = busy;", "forgotten"),
}


def lint_with(verilog, folder, faults, **more):
    """Return what the linter says of the array with some faults."""
    text = verilog["tiny"].read_text()
    end = text.index("\nendmodule")
    planted = "".join(f"\n  {statement}" for statement, _ in faults)
    (folder / "gscn_top.v").write_text(f"{text[:end]}{planted}{text[end:]}")
    return lint(folder / "gscn_top.v", **more)


def test_every_fault_is_reported_in_spite_of_the_waivers(verilog, tmp_path):
    # else the first kinds end it
    _, messages = lint_with(verilog, tmp_path, FAULTS.values(), options=("-Wall", "-Wno-fatal"))
    for rule, (_, name) in FAULTS.items():
        assert re.search(rf"^%Warning-{rule}: .*\b{name}\b", messages, re.M), (rule, messages)


def test_a_fault_is_the_end(verilog, tmp_path):
    status, messages = lint_with(verilog, tmp_path, [FAULTS["UNUSEDSIGNAL"]])
    assert status != 0
    assert "%Warning-UNUSEDSIGNAL: " in messages
