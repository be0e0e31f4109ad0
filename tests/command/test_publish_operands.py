"""`gscn publish-operands`."""

from __future__ import annotations

import dataclasses
import json

import pytest

from gscn.command.main import main
from gscn.golden.operands import published, publishing
from gscn.golden.operands.suite import STEPS


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A folder of one step, trained for two iterations, and the index of it."""
    step = dataclasses.replace(STEPS["digits-dst"], iterations=2)
    out = tmp_path_factory.mktemp("published") / "operands"
    return out, publishing.publish(out, [step])


def test_a_copy_is_checked_and_compared_with_what_is_published(made, capsys, monkeypatch, tmp_path):
    out, told = made
    right = told.traces["digits-dst"].arrays_sha256
    report = tmp_path / "report.json"
    words = ["publish-operands", "--check", str(out), "--json", str(report)]
    monkeypatch.setattr(published, "reference_digests", lambda: {"digits-dst": right})
    assert main(words) == 0
    shown = capsys.readouterr().out
    assert "as published" in shown
    data = json.loads(report.read_text())
    assert data["differing"] == []
    assert data["index_sha256"] in shown
    assert data["traces"][0]["name"] == "digits-dst"

    monkeypatch.setattr(published, "reference_digests", lambda: {"digits-dst": "0" * 64})
    assert main(words) == 1
    assert "Not the bytes that are published: digits-dst" in capsys.readouterr().out
    monkeypatch.setattr(published, "reference_digests", dict)
    assert main(words) == 0
    assert "not published" in capsys.readouterr().out


def test_damage_ends_with_status_2(made, capsys, tmp_path):
    out, _ = made
    (tmp_path / "operands.json").write_bytes((out / "operands.json").read_bytes())
    assert main(["publish-operands", "--check", str(tmp_path)]) == 2
    assert "digits-dst, a trace, is missing from the operands" in capsys.readouterr().err


def test_what_is_recorded_is_chosen_by_name(monkeypatch, made, tmp_path, capsys):
    chosen = []

    def record(out, steps, said):
        chosen.extend(step.name for step in steps)
        (out / "operands.json").parent.mkdir()
        (out / "operands.json").write_bytes((made[0] / "operands.json").read_bytes())
        return made[1]

    monkeypatch.setattr(publishing, "publish", record)
    words = ["publish-operands", "--only", "vgg16-dst", "--only", "digits-swat"]
    main([*words, "--out", str(tmp_path / "one")])
    main(["publish-operands", "--out", str(tmp_path / "two")])
    assert chosen == ["vgg16-dst", "digits-swat", *STEPS]


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        ([], "one of the arguments --out --check is required"),
        (["--only", "lenet-swat", "--out", "x"], "invalid choice: 'lenet-swat'"),
        (["--out", "x", "--check", "y"], "not allowed with argument"),
    ],
)
def test_bad_usage_ends_with_status_2(words, complaint, capsys):
    with pytest.raises(SystemExit) as caught:
        main(["publish-operands", *words])
    assert caught.value.code == 2
    assert complaint in capsys.readouterr().err


def test_only_is_for_recording(tmp_path, capsys):
    words = ["publish-operands", "--check", str(tmp_path), "--only", "digits-swat"]
    assert main(words) == 2
    assert "--only is for --out" in capsys.readouterr().err
