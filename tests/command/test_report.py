"""`gscn report`: files, options, and a quick page from the closed form."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gscn.command.main import main
from gscn.system.cache import keep_result

CASE = "resnet50-swat-80-32"


def arguments(tmp_path, *more):
    folders = ("--out", tmp_path / "out", "--cache", tmp_path / "cache")
    return ["report", "--quick", "--only", CASE, *map(str, folders), *more]


def test_a_quick_page_is_written_and_written_again_from_what_was_kept(tmp_path, capsys):
    document, data = tmp_path / "performance.md", tmp_path / "report.json"
    more = ("--document", str(document), "--json", str(data))
    assert main(arguments(tmp_path, *more)) == 0
    files = json.loads(data.read_text(encoding="utf-8"))["files"]
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert str(tmp_path / "out" / "report.html") == files[0]
    assert all(Path(name).exists() for name in files)
    assert "analytic mode" in page
    assert "ResNet-50, SWAT at 80 %, training" in page
    text = document.read_text(encoding="utf-8")
    assert text.startswith("# Performance: measured, modelled, extrapolated")
    said = capsys.readouterr().out
    assert "ResNet-50, SWAT 80 %" in said

    kept = sorted((tmp_path / "cache").iterdir())
    (row,) = (path for path in kept if path.name.startswith(CASE))
    changed = json.loads(row.read_text(encoding="utf-8"))
    keep_result(row, changed["result"] | {"training_speedup_vs_dense": 123.0})
    assert main(arguments(tmp_path)) == 0
    assert "123" in capsys.readouterr().out
    assert sorted((tmp_path / "cache").iterdir()) == kept


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (("--only", "nothing"), "--only must name some of resnet50-swat-80-32, "),
        (("--measured", "nowhere"), "figures nowhere/utilization.json must be readable"),
        (("--config", "huge"), "must be one of tiny, small, large, not 'huge'"),
    ],
)
def test_bad_options_are_refused_before_anything_is_computed(tmp_path, capsys, more, message):
    assert main(arguments(tmp_path, *more)) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "cache").exists()
