"""`gscn train --whole-step`: what it refuses, checks, shows and writes."""

from __future__ import annotations

import json

import pytest

from gscn.command.main import EXIT_GOOD, EXIT_MISMATCH, EXIT_USAGE, main
from gscn.command.training_log import read_training_log
from gscn.cosim import whole_steps
from gscn.cosim.builds import simulator
from gscn.lowering.step.host import Host
from tests.emulated_lists import EmulatedLists

TRAIN = [
    "train", "--backend", "rtl", "--whole-step", "--batch", "2", "--iterations-per-epoch", "4",
    "--epochs", "1", "--iterations", "2",
]  # fmt: skip


@pytest.fixture
def emulated(monkeypatch):
    """Let the emulator run the lists."""
    monkeypatch.setattr(whole_steps, "ListSimulator", EmulatedLists)
    monkeypatch.setattr(simulator, "build", lambda *_, **__: None)


def test_training_by_whole_steps_is_checked_and_reported(emulated, tmp_path, capsys):
    result, timeline, log, out = (tmp_path / name for name in ("r.json", "t.json", "log.csv", "c"))
    words = ["--method", "swat+resprop", "--sparsity", "0.9", "--check"]
    files = ["--json", result, "--timeline", timeline, "--log", log, "--out", out]
    assert main([*TRAIN, *words, *map(str, files)]) == EXIT_GOOD
    text = capsys.readouterr().out
    assert "2 whole steps of " in text
    assert "every loss, tensor and state equals the golden step's, bit for bit" in text
    simulation = json.loads(result.read_text())["simulation"]
    assert simulation["checked"]
    assert simulation["host_share"] <= 0.01
