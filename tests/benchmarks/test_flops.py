"""The FLOP table: published rows are met, and the document is what the command writes."""

from __future__ import annotations

import json

import pytest

from benchmarks.flops import compute, erk_coverages, make
from benchmarks.pages import load


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


def test_the_published_erk_row_is_met_if_neither_first_nor_last_layer_share_its_budget():
    (row,) = [row for row in compute() if row["budget"] == "erk"]
    coverages = dict(erk_coverages(row["sparsity"]))
    assert coverages["all layers"] == pytest.approx(row["inference"], abs=1e-9)
    assert coverages["all but both"] == pytest.approx(row["inference_published"], abs=0.1)


def test_the_figures_of_the_page_are_those_of_today():
    made = json.loads(json.dumps(make()))
    found = load("flops")["data"]
    assert found["erk"] == [[words, pytest.approx(share)] for words, share in made["erk"]]
    for row, right in zip(found["reductions"], made["reductions"], strict=True):
        assert row == {
            name: pytest.approx(value) if isinstance(value, float) else value
            for name, value in right.items()
        }
