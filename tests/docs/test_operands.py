"""What the guide to published operands says."""

from __future__ import annotations

import contextlib
import io
import json
import re

import pytest

from gscn.conv import Pass
from gscn.golden.operands.published import FORMAT_VERSION, PublishedTrace
from gscn.golden.traces.arrays import LayerTrace
from gscn.golden.traces.writing import write_trace
from tests.golden.operands.recorded import SHAPES, recorded


@pytest.fixture
def guide(repository):
    return (repository / "docs" / "guides" / "operands.md").read_text(encoding="utf-8")


def test_the_lines_of_numpy_read_every_operand(guide, tmp_path, monkeypatch):
    # Small pieces, so that operands are cut as large ones are.
    monkeypatch.setattr("gscn.golden.traces.writing.PIECE_BYTES", 400)
    passes = {which: recorded(SHAPES["plain"], which) for which in Pass}
    folder = tmp_path / "digits-swat"
    fields = {"network": "n", "dataset": "d", "method": "m", "sparsity": 0.9, "step": 1, "seed": 0}
    layer = LayerTrace(name="conv", shape=SHAPES["plain"], passes=passes)
    write_trace(folder, [layer], **fields, dense_iteration=False)
    (code,) = re.findall(r"```python\n(.*?)```", guide, re.DOTALL)
    assert len(code.strip().splitlines()) <= 11
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(code.replace("build/operands/digits-swat", str(folder)), {})
    (told,) = json.loads((folder / "trace.json").read_text())["layers"]
    expected = [
        f"conv {which} {part} {getattr(passes[which], part).shape} {share}"
        for which in Pass
        for part, share in zip(("first", "second"), told["densities"][which], strict=True)
    ]
    assert printed.getvalue().splitlines() == expected


def test_the_table_of_the_index_has_its_fields(guide):
    table = guide.split("## The index")[1].split("Values are float32")[0]
    named = re.findall(r"`(\w+)`", "\n".join(re.findall(r"^\| (`.*?) \|", table, re.MULTILINE)))
    assert named == [
        *("name", "sha256", "arrays_sha256", "size_bytes", "images", "iterations", "images_seen"),
        *("recipe", "densities", "layers"),
    ]
    assert set(named) == set(PublishedTrace.__dataclass_fields__)
    assert f"`format_version` ({FORMAT_VERSION})" in table
