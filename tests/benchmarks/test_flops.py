"""The FLOP table: published rows are met, and the document is what the command writes."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.flops import compute, render

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "flops.md"


def test_uniform_inference_reductions_are_the_published_ones_within_a_tenth_of_a_point():
    rows = [r for r in compute() if r["budget"] == "uniform" and r["inference_published"]]
    assert len(rows) == 2
    for row in rows:
        assert row["inference"] == pytest.approx(row["inference_published"], abs=0.1)


def test_cifar_training_reductions_are_the_published_ones_within_a_tenth_of_a_point():
    rows = [row for row in compute() if row["network"] != "resnet50"]
    assert len(rows) == 3
    for row in rows:
        assert row["training"] == pytest.approx(row["training_published"], abs=0.1)


def test_the_document_is_what_the_command_writes():
    assert DOCUMENT.read_text(encoding="utf-8") == render(compute())
