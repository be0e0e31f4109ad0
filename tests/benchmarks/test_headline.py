"""The page of networks over a dense array says what the estimate computed."""

from __future__ import annotations

import pytest

from benchmarks import headline
from benchmarks.headline import CASES, PAGE, Case, compute, render
from benchmarks.pages import load
from gscn.perf.workload.sparsification import Method


@pytest.fixture(scope="module")
def rows():
    """Rows as they were computed for the page; computing them anew takes minutes."""
    return load(PAGE.name)["data"]["networks"]


def test_a_row_has_what_the_page_shows_of_its_case(monkeypatch, rows):
    monkeypatch.setattr(headline, "IMAGE_SIZE", 64)
    monkeypatch.setattr(headline, "BATCH", 2)
    row = compute(Case("resnet18", Method.SWAT, 0.8))
    assert row.keys() == rows[0].keys()
    assert row["whole_step"].keys() == rows[0]["whole_step"].keys()
    assert (row["network"], row["method"], row["sparsity"]) == ("resnet18", "swat", 0.8)
    assert 1 < row["forward_speedup_vs_dense"] < 5
    assert 1 < row["whole_step"]["speedup_with_everything"] < row["training_speedup_vs_dense"]


def test_the_table_has_a_row_per_case_with_the_computed_factors(rows):
    lines = render(rows).splitlines()[4:]
    for line, case, row in zip(lines, CASES, rows, strict=True):
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        assert cells[:3] == [case.network, str(case.method), f"{case.sparsity:g}"]
        assert float(cells[5]) == pytest.approx(row["training_speedup_vs_dense"], abs=0.005)
        assert cells[6].endswith(" %")


def test_the_density_of_gradients_and_the_other_baseline_are_named(rows):
    assert {row["gradient_density"] for row in rows} == {1.0, 0.15}
    intro = render(rows).splitlines()[0]
    assert intro.startswith("Times faster than a dense array with the same 64 multipliers")
    assert "gradient differences are 15.0 % dense, as its training aims at" in intro
    assert "published 8.0 (resnet34) and 7.2 (vgg16) of the backward pass are over a GPU" in intro


def test_backward_passes_are_quoted_at_the_density_that_training_aims_at(rows):
    quoted = PAGE.quotes({"networks": rows})
    # With a tenth of the gradients nonzero they were above 8, 7 and 32.
    assert float(quoted["resnet34-resprop-90-backward"]) < 6.5
    assert float(quoted["vgg16-resprop-90-backward"]) < 6
    assert float(quoted["resnet18-swat-resprop-90-backward"]) < 30


def test_whole_steps_are_quoted_where_there_are_some(rows):
    quoted = PAGE.quotes({"networks": rows})
    assert "vgg16-resprop-90-everything" not in quoted
    everything, training = (
        float(quoted[f"resnet50-swat-90-{what}"]) for what in ("everything", "training")
    )
    assert 1 < everything < training
