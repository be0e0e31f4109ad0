"""`gscn convert`."""

from __future__ import annotations

import json

import yaml

from gscn.command.main import main


def test_a_recorded_step_becomes_problems(tmp_path, capsys):
    trace, out, report = tmp_path / "trace", tmp_path / "out", tmp_path / "report.json"
    words = ["trace", "--method", "swat", "--sparsity", "0.9", "--batch", "4", "--iterations", "1"]
    assert main([*words, "--layer", "block1.conv1", "--out", str(trace)]) == 0
    words = ["convert", "--trace", str(trace), "--to", "timeloop", "--pass", "forward"]
    assert main([*words, "--out", str(out), "--json", str(report)]) == 0
    (name,) = json.loads(report.read_text())["files"]
    assert name == "block1.conv1.forward.yaml"
    density = yaml.safe_load((out / name).read_text())["problem"]["instance"]["densities"]
    # 230 of the 2304 weights and a row of the manifest's.
    manifest = json.loads((trace / "trace.json").read_text())
    assert density["Weights"]["density"] == manifest["layers"][0]["densities"]["forward"][0]
    assert f"1 files, 0.00 MB in {out}\n{name}" in capsys.readouterr().out


def test_bad_input_ends_with_status_2_and_writes_nothing(tmp_path, capsys):
    words = ["convert", "--trace", str(tmp_path), "--to", "stonne", "--out", str(tmp_path / "out")]
    assert main(words) == 2
    assert "trace must be a directory with a trace.json" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
