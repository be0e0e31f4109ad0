"""docs/results/performance.md is of today's configuration, with the figures that it takes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gscn.array import ARRAYS
from gscn.perf.report.data import published
from gscn.perf.report.data.measured import Documents
from gscn.perf.report.sections.evidence import largest_errors

RECORD = Path(__file__).resolve().parents[3] / "docs" / "results" / "performance.json"


@pytest.fixture(scope="module")
def record():
    return json.loads(RECORD.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def data(record):
    return record["data"]


def blocks(data, kind):
    return [b for section in data["sections"] for b in section["content"] if kind in b]


@pytest.fixture(scope="module")
def claims(data):
    (table,) = (
        t for t in blocks(data, "table") if t["header"][:3] == ["what", "ours", "published"]
    )
    return {row[0]: row for row in table["rows"]}


def test_the_document_is_of_the_configuration_of_today(record, data):
    if "configuration large" in record["stale"]:
        pytest.skip("the page says that the configuration has changed since")
    said = " ".join(block["paragraph"] for block in blocks(data, "paragraph"))
    assert f"Configuration `{ARRAYS['large'].digest()}`" in said


def test_published_figures_are_those_of_the_constants(claims):
    for figure in published.FIGURES:
        for what, row in claims.items():
            if what == figure.what or what.startswith(f"{figure.what}, "):
                assert row[2] == pytest.approx(figure.value, rel=1e-3)
                assert row[3] == pytest.approx(row[1] / figure.value, rel=0.01)
    assert len(claims) >= 9


def test_errors_are_those_of_their_figures(record, data):
    if "model-error.json" in record["stale"]:
        pytest.skip("the page says that errors were measured again since")
    said = json.dumps(blocks(data, "table"))
    for mode, error in largest_errors(Documents.read().errors).items():
        assert f"{mode} {error:.1f} %" in said
