# amaranth: UnusedElaboratable=no
"""Properties of AXI4-Lite that others wrote hold at the port to memory and at the registers."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from formal import sby
from formal.subject import config
from gscn.hw.host.axi import AxiManager
from gscn.hw.host.axil import RegisterFile
from gscn.register import Top
from tests.formal.mutant import planted
from tests.formal.public_properties import PublicManager, PublicRegisters

FOLDER = "GSCN_WB2AXIP"
"""Environment variable: a checkout of the repository ZipCPU/wb2axip."""
CASES = {
    "manager": (PublicManager, AxiManager, {"config": config(burst_beats=1)}),
    "registers of an array": (PublicRegisters, RegisterFile, {"top": Top.ARRAY}),
    "registers of a machine": (PublicRegisters, RegisterFile, {"top": Top.MACHINE}),
}
FAULTS = {
    "a command is withdrawn": (
        "manager",
        'port["valid"].eq(queue.o.valid)',
        'port["valid"].eq(queue.o.valid & ~self.flush)',
    ),
    "a beat changes": (
        "manager",
        "axi.wdata.eq(beats.o.p.beat.data)",
        "axi.wdata.eq(Mux(axi.wready, beats.o.p.beat.data, 0))",
    ),
    "an answer is withdrawn": ("registers of an array", "m.If(axil.bready)", "m.If(1)"),
    "two answers": (
        "registers of an array",
        "[has_read.eq(0), axil.rvalid.eq(1)]",
        "axil.rvalid.eq(1)",
    ),
    "an answer without its data": (
        "registers of an array",
        "write.eq(has_addr & has_data &",
        "write.eq(has_addr &",
    ),
}
INDUCTION_CYCLES = 6
BOUND_CYCLES = 20

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def folder():
    found = os.environ.get(FOLDER)
    if not found:
        pytest.skip(f"{FOLDER} must name a checkout of github.com/ZipCPU/wb2axip")
    return Path(found) / "bench" / "formal"


def prove(name, folder, directory, *, mode, depth, fault=None):
    checker, component, parameters = CASES[name]
    dut = (planted(component, *fault) if fault else component)(**parameters)
    options = {"top": parameters["top"]} if "top" in parameters else {}
    public = checker(dut, claims=(), with_invariants=mode == "prove", **options)
    files = [folder / f"{checker.MODULE}.v"]
    return sby.run(public, mode=mode, depth=depth, directory=directory, verilog=files)


@pytest.mark.parametrize("name", CASES)
def test_they_hold_by_induction(name, folder, tmp_path):
    outcome = prove(name, folder, tmp_path / "run", mode="prove", depth=INDUCTION_CYCLES)
    assert outcome.status == "PASS", outcome.log.read_text()


@pytest.mark.parametrize("name", CASES)
def test_what_they_assume_can_happen(name, folder, tmp_path):
    """Answers come both ways, so that nothing is vacuous."""
    outcome = prove(name, folder, tmp_path / "run", mode="cover", depth=BOUND_CYCLES)
    assert outcome.status == "PASS", outcome.log.read_text()


@pytest.mark.parametrize("fault", FAULTS)
def test_they_fail_on_a_planted_fault(fault, folder, tmp_path):
    name, *texts = FAULTS[fault]
    outcome = prove(name, folder, tmp_path / "run", mode="bmc", depth=BOUND_CYCLES, fault=texts)
    assert outcome.status == "FAIL", outcome.log.read_text()
