"""The page of networks over a dense array says what the estimate computed."""

from __future__ import annotations

import pytest

from benchmarks.headline import CASES, PAGE, compute, render


@pytest.fixture(scope="module")
def rows():
    return [compute(case) for case in CASES]


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
