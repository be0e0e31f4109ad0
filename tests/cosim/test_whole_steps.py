"""`gscn train --whole-step` on the Verilog: losses are checked, and errors name operations."""

from __future__ import annotations

import json
import re

import pytest

from gscn.command.main import EXIT_GOOD, EXIT_MISMATCH, main
from gscn.lowering.step import host
from tests.step_machines import HostKilledInGradients
from tests.step_runs import CONFIG

pytestmark = [pytest.mark.cosim, pytest.mark.slow]
SAME = [
    f"--set={name}={getattr(CONFIG, name)}"
    for name in ("acc_depth", "stationary_depth", "directory_depth")
]
"""The array whose simulator other tests have built."""
TRAIN = [
    "train", "--backend", "rtl", "--whole-step", "--batch", "1", "--iterations-per-epoch", "4",
    "--epochs", "1", "--iterations", "1", "--method", "swat", *SAME,
]  # fmt: skip


def test_a_simulator_killed_in_a_step_is_named_by_its_operation_and_the_next_run_is_right(
    tmp_path, monkeypatch, capsys
):
    result, out, timeline = (tmp_path / name for name in ("r.json", "c.pt", "t.json"))
    with monkeypatch.context() as killing:
        killing.setattr(host, "Host", HostKilledInGradients)
        assert main([*TRAIN, "--out", str(out)]) == EXIT_MISMATCH
    error = capsys.readouterr().err
    at = re.search(r"step 1: .*the encode queue at (\S+), the array queue at ([^:]+):", error)
    assert at is not None, error
    assert at[1].startswith("backward.")
    assert list(tmp_path.iterdir()) == []
    files = ["--json", result, "--out", out, "--timeline", timeline]
    assert main([*TRAIN, "--check", *map(str, files)]) == EXIT_GOOD
    found = json.loads(result.read_text())
    assert found["simulation"]["checked"]
    assert out.is_file()
    spans = [e for e in json.loads(timeline.read_text())["traceEvents"] if e["ph"] == "X"]
    ends = {unit: max(e["ts"] + e["dur"] for e in spans if e["pid"] == unit) for unit in (0, 1)}
    assert ends == dict.fromkeys((0, 1), found["simulation"]["cycles"])
    products = [e for e in spans if e["pid"] == 1 and e["name"].startswith(("forward.", "d"))]
    busy = sum(event["dur"] for event in products)
    assert 0 < busy < found["simulation"]["cycles"]
