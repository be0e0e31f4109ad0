"""The headline table says what the estimate computed, and replaces only its own place."""

from __future__ import annotations

import pytest

from benchmarks.headline import BEGIN, CASES, END, compute, render, replace_headline
from gscn.errors import InputError
from perf.sampling import Measurement


def half_busy(config, samples):
    return [
        Measurement(useful_products=config.multipliers, cycles=2, multipliers=config.multipliers)
        for _ in samples
    ]


def test_the_table_has_a_row_per_case_with_the_computed_factors():
    rows = [compute(case, half_busy) for case in CASES]
    lines = render(rows).splitlines()[4:]
    for line, case, row in zip(lines, CASES, rows, strict=True):
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        assert cells[:3] == [case.network, str(case.method), f"{case.sparsity:g}"]
        assert float(cells[5]) == pytest.approx(row["training_speedup_vs_dense"], abs=0.005)
        assert cells[6].endswith(" %")


def test_the_density_of_gradients_and_the_other_baseline_are_named():
    rows = [compute(case, half_busy) for case in CASES]
    assert {row["gradient_density"] for row in rows} == {1.0, 0.15}
    intro = render(rows).splitlines()[0]
    assert intro.startswith("Times faster than a dense array with the same 64 multipliers")
    assert "gradient differences are 15.0 % dense, as its training aims at" in intro
    assert "published 8.0 (resnet34) and 7.2 (vgg16) of the backward pass are over a GPU" in intro


def test_only_the_text_between_the_markers_changes(tmp_path):
    path = tmp_path / "README.md"
    path.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")
    replace_headline(path, r"new \1 text")
    assert path.read_text() == f"before\n{BEGIN}\nnew \\1 text\n{END}\nafter\n"
    replace_headline(path, "newer")
    assert path.read_text() == f"before\n{BEGIN}\nnewer\n{END}\nafter\n"


@pytest.mark.parametrize("content", ["", BEGIN, f"{END}\n{BEGIN}", f"{BEGIN}{END}{BEGIN}{END}"])
def test_a_file_without_its_markers_is_refused_and_kept(tmp_path, content):
    path = tmp_path / "README.md"
    path.write_text(content)
    with pytest.raises(InputError, match="each once"):
        replace_headline(path, "new")
    assert path.read_text() == content


def test_the_readme_has_the_markers(repository):
    text = (repository / "README.md").read_text(encoding="utf-8")
    assert text.count(BEGIN) == text.count(END) == 1
