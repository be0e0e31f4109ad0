"""The report's texts and tables without its figures: docs/results/performance.md."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from benchmarks.pages import Page
from gscn.array import array
from gscn.perf.report.build import (
    DOCUMENT_INTRODUCTION,
    DOCUMENT_TITLE,
    Documents,
    document_sections,
)
from gscn.perf.report.data.cases import CASES, STATISTICAL, compute_cases
from gscn.perf.report.data.estimated import Estimated
from gscn.perf.report.drawing.markdown import blocks, render_blocks

CONFIG = "large"
CACHE = Path("build/report-cache")


def make() -> dict[str, Any]:
    """Estimate what is not kept from an earlier run; return what the page shows."""
    config = array(CONFIG)
    rows = compute_cases(CASES, STATISTICAL, config, CACHE)
    results = [Estimated.of(case, rows[case.key]) for case in CASES]
    return {
        "title": DOCUMENT_TITLE,
        "introduction": DOCUMENT_INTRODUCTION,
        "sections": blocks(document_sections(results, Documents.read())),
    }


def render(data: dict[str, Any]) -> str:
    """Return the document."""
    return render_blocks(data["title"], data["introduction"], data["sections"])


PAGE = Page(
    name="performance",
    make=make,
    render=render,
    parts=("lowering", "model", "estimates", "rivals"),
    configs=(CONFIG,),
    inputs=("utilization", "area", "gpu", "model-error"),
)
