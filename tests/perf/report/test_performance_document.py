"""docs/performance.md is of today's configuration and agrees with the documents that it reads."""

from __future__ import annotations

from pathlib import Path

import pytest

from gscn.config import PRESETS
from perf.report import graphics, published
from perf.report.documents import number, read_tables
from perf.report.evidence import largest_errors
from perf.report.graphics import GpuDocument

DOCS = Path(__file__).resolve().parents[3] / "docs"


@pytest.fixture(scope="module")
def claims():
    tables = read_tables(DOCS / "performance.md")
    (table,) = (table for table in tables if table.header[:3] == ("what", "ours", "published"))
    return {row[0]: row for row in table.rows}


def test_the_document_is_of_the_configuration_of_today():
    text = (DOCS / "performance.md").read_text(encoding="utf-8")
    assert f"Configuration `{PRESETS['large'].digest()}`" in text


def test_published_figures_are_those_of_the_constants(claims):
    for figure in published.FIGURES:
        for what, row in claims.items():
            if what == figure.what or what.startswith(f"{figure.what}, "):
                assert number(row[2]) == pytest.approx(figure.value)
                assert number(row[3]) == pytest.approx(number(row[1]) / figure.value, rel=0.01)
    assert len(claims) >= 9


def test_figures_over_the_gpu_are_those_of_its_document(claims):
    for claim in graphics.claims(GpuDocument.read(DOCS / "gpu.md")):
        assert number(claims[claim.what][1]) == pytest.approx(claim.ours, abs=0.06)


def test_errors_are_those_of_their_document():
    text = (DOCS / "performance.md").read_text(encoding="utf-8")
    for mode, error in largest_errors(read_tables(DOCS / "model-error.md")).items():
        assert f"{mode} {error:.1f} %" in text
