"""The table of all methods trains what it lacks, and no more."""

from __future__ import annotations

import statistics

from benchmarks import training, training_runs
from tests.benchmarks.tiny import TINY


def test_runs_that_are_done_are_not_trained_again(done, tmp_path, monkeypatch):
    content = done[0].read_bytes()
    path = tmp_path / "results.jsonl"
    lines = content.splitlines(keepends=True)
    # Stopped while the third line was written.
    path.write_bytes(b"".join(lines[:2]) + lines[2][:50])
    trained = []
    compute = training.compute
    monkeypatch.setattr(training, "compute", lambda run: trained.append(run) or compute(run))
    training.main(["--results", str(path), "--out", str(tmp_path / "report.md"), *TINY])
    assert [(run.method, run.seed) for run in trained] == [("dense", 1), ("resprop-90", 1)]
    assert path.read_bytes() == content
    assert (tmp_path / "report.md").read_bytes() == done[1].read_bytes()
    for name in ("report-thresholds.svg", "report-thresholds.csv"):
        assert (tmp_path / name).read_bytes() == done[1].with_name(name).read_bytes()
    training.main(
        ["--results", str(path), "--only-render", "--epochs", "3", "--networks", "digits"]
    )
    assert len(trained) == 2


def test_lengths_of_training_are_compared(done, tmp_path):
    path, out = tmp_path / "results.jsonl", tmp_path / "report.md"
    path.write_bytes(done[0].read_bytes())
    training.main(["--results", str(path), "--out", str(out), *TINY, "--lengths", "1", "2"])
    results = training_runs.read_results(path)
    assert len(results) == 4 + 4, "those of two epochs were there"
    rows = [line.strip("| ").split(" | ") for line in out.read_text().splitlines()]
    rows = [cells for cells in rows if cells[:2] in (["1", "4"], ["2", "8"])]
    for epochs, cells in zip((1, 2), rows, strict=True):
        means = {
            method: statistics.fmean(
                r["test_accuracy"]
                for r in results
                if (r["method"], r["epochs"]) == (method, epochs)
            )
            for method in ("dense", "resprop-90")
        }
        assert cells[2] == cells[4] == "2"
        assert cells[3].split()[0] == f"{100 * means['dense']:.2f}"
        assert cells[6] == f"{100 * (means['resprop-90'] - means['dense']):+.2f}"
