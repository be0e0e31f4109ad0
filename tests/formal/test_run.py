"""The runner of the proofs: what it writes down, and how it ends."""

from __future__ import annotations

import pytest

from formal import sby
from formal.catalog import TASKS
from formal.run import document, main


def test_the_document_lists_what_is_proved_now(repository):
    assert (repository / "docs" / "results" / "proofs.md").read_text(encoding="utf-8") == document(
        TASKS
    )


def test_the_runner_reports_a_failure_and_its_trace(monkeypatch, tmp_path, capsys):
    trace = tmp_path / "trace.vcd"
    failed = sby.Outcome(status="FAIL", seconds=1.0, trace=trace, log=tmp_path / "log.txt")
    monkeypatch.setattr("formal.run.prove", lambda *_: failed)
    assert main(["--only", "RoundRobin", "--out", str(tmp_path)]) == 1
    output = capsys.readouterr().out
    assert "FAIL" in output
    assert str(trace) in output


@pytest.mark.parametrize(
    "arguments", [["--only", "nothing"], ["--jobs", "0"], ["--only", "FIFO", "--docs", "x"]]
)
def test_wrong_usage_ends_with_status_2(arguments, tmp_path):
    assert main([*arguments, "--out", str(tmp_path)]) == 2
