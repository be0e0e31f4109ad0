"""The report takes figures from the files of its package, and names what is wrong with others."""

from __future__ import annotations

import json
import shutil

import pytest

from gscn.errors import InputError
from gscn.perf.report.data.measured import FOLDER, Documents


def test_the_figures_of_the_package_have_what_the_report_takes():
    documents = Documents.read()
    assert {"layer", "pass", "by", "shares", "utilization"} <= set(
        documents.utilization["passes"][0]
    )
    (small,) = (r for r in documents.area["reports"] if r["name"] == "small int16")
    (whole,) = (row for row in small["rows"] if row["component"] == "Array")
    assert whole["instances"] == 1
    assert documents.errors["steps"]
    assert set(documents.gpu["published"]) <= set(documents.gpu["backward"])


def test_files_of_another_folder_are_read(tmp_path):
    shutil.copytree(FOLDER, tmp_path / "own")
    (tmp_path / "own" / "model-error.json").unlink()
    assert Documents.read(tmp_path / "own").errors is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, r"gpu\.json must be readable"),
        ("nonsense", r"gpu\.json must be readable"),
        ("[" * 200_000, r"gpu\.json must be readable"),
        ("[]", r"gpu\.json must have terms, published"),
        ('{"data": 1}', r"gpu\.json must have terms, published"),
        (json.dumps({"data": {"terms": [], "sizes": {}}}), "must have published, backward"),
    ],
)
def test_a_file_that_is_none_is_named(tmp_path, text, message):
    shutil.copytree(FOLDER, tmp_path / "own")
    path = tmp_path / "own" / "gpu.json"
    path.unlink()
    if text is not None:
        path.write_text(text)
    with pytest.raises(InputError, match=message):
        Documents.read(tmp_path / "own")
