"""What the flow says of tools that are missing or fail, and what it gives them."""

import dataclasses
import subprocess

import pytest

from gscn.errors import InputError
from gscn.rtl_gen.layout import flow
from gscn.rtl_gen.layout.block import Block, Gate
from gscn.rtl_gen.layout.clocking import Clocking

BLOCK = Block(
    gates=(Gate(kind="DFFPOSX1", pins={"CLK": "clk", "D": "i", "Q": "o"}),),
    inputs=("clk", "i"),
    outputs=("o",),
    macros=(),
    clocking=Clocking(flip_flops=1, enabled=0, gateable=0, gates=0),
)


def done(out="", status=0):
    return subprocess.CompletedProcess([], status, out, "")


def test_missing_tools_are_named_with_what_to_install(monkeypatch, tmp_path):
    monkeypatch.setattr(flow.shutil, "which", lambda name: None if name == "qrouter" else name)
    monkeypatch.setattr(flow, "PROGRAMS", tmp_path)
    found = flow.missing()
    assert "qrouter" in found
    assert "magic" not in found
    assert str(tmp_path / "blifFanout") in found
    with pytest.raises(InputError, match=r"qrouter, .*: install Debian's qflow, qflow-tech-osu018"):
        flow.lay_out(BLOCK, tmp_path)


@pytest.mark.parametrize("density", [0, -1, 1.01])
def test_a_density_that_cannot_be_is_refused(density, tmp_path):
    with pytest.raises(InputError, match=f"above 0 and at most 1, not {density}"):
        flow.lay_out(BLOCK, tmp_path, density)


def test_a_seed_replaces_that_of_the_technology():
    text = "*random.seed\t : 12345\nTWMC*chip.aspect.ratio : 0.75\n"
    assert flow.with_seed(text, 7) == text.replace("12345", "7")
    with pytest.raises(InputError, match=r"must have one random\.seed, not 0"):
        flow.with_seed("TWMC*chip.aspect.ratio : 0.75\n", 7)


def test_a_tool_that_fails_is_named_with_its_last_words(monkeypatch, tmp_path):
    monkeypatch.setattr(flow, "run_supervised", lambda *_, **__: done("first\nlast\n", 3))
    with pytest.raises(InputError, match=r"placement\.sh must end well, but ended with 'last'"):
        flow.call(["/there/placement.sh"], tmp_path)


def test_a_router_that_crashes_is_told_from_other_tools(monkeypatch, tmp_path):
    def call(command, _):
        if "router.sh" in command[0]:
            raise InputError("router.sh must end well")

    monkeypatch.setattr(flow, "check_flow", lambda: None)
    monkeypatch.setattr(flow, "_write_settings", lambda *_: None)
    monkeypatch.setattr(flow, "_buffer", lambda *_: None)
    monkeypatch.setattr(flow, "call", call)
    with pytest.raises(flow.NotRoutedError, match=r"router\.sh must end well"):
        flow.lay_out(BLOCK, tmp_path)


def fan_out(changes):
    """Return what stands for blifFanout: changes so many gates, call by call."""
    left = iter(changes)

    def run(command, cwd):
        (cwd / command[-1]).write_text((cwd / command[-2]).read_text() + "again\n")
        count = next(left)
        return done("" if count is None else f"Number of gates changed: {count}\n", count or 1)

    return run


def test_buffers_are_added_until_nothing_is_left_to_be_done(monkeypatch, tmp_path):
    monkeypatch.setattr(flow, "run_supervised", fan_out([12, 3, 0]))
    flow._buffer(BLOCK, tmp_path)
    text = (tmp_path / "block.blif").read_text()
    assert text == BLOCK.blif("block") + 3 * "again\n"


@pytest.mark.parametrize(
    ("changes", "message"),
    [([5, None], "must add buffers, but ended with 1"), ([1] * 99, "must come to an end in 20")],
)
def test_buffers_that_do_not_come_to_an_end_are_refused(changes, message, monkeypatch, tmp_path):
    monkeypatch.setattr(flow, "run_supervised", fan_out(changes))
    with pytest.raises(InputError, match=message):
        flow._buffer(BLOCK, tmp_path)


def test_a_layout_that_is_not_extracted_is_refused(monkeypatch, tmp_path):
    (tmp_path / "layout").mkdir()
    monkeypatch.setattr(flow, "run_supervised", lambda *_, **__: done("violations 3\n"))
    with pytest.raises(InputError, match="Magic must check and extract"):
        flow.check_layout(tmp_path)
    (tmp_path / "layout" / "block.spice").write_text("netlist")
    assert flow.check_layout(tmp_path) == (3, "netlist")
    assert "def read block.def\n" in (tmp_path / "layout" / "check.tcl").read_text()


def test_a_block_knows_its_cells():
    twice = dataclasses.replace(BLOCK, gates=2 * BLOCK.gates)
    assert twice.cells() == {"DFFPOSX1": 2}


def test_versions_are_those_of_debians_packages(monkeypatch):
    listed = done("magic 8.3\nqflow 1.3\ntcsh \n")
    monkeypatch.setattr(flow, "run_supervised", lambda *_, **__: listed)
    monkeypatch.setattr(flow.shutil, "which", lambda name: name)
    assert flow.flow_versions() == {"magic": "8.3", "qflow": "1.3"}
    monkeypatch.setattr(flow.shutil, "which", lambda _: None)
    assert flow.flow_versions() == {}
