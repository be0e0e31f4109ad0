"""Results are computed once and kept under a name that changes with all that they follow from."""

from __future__ import annotations

import dataclasses

import pytest

from gscn.array import ARRAYS
from gscn.errors import InputError
from gscn.perf.report.data import cases
from gscn.perf.report.data.cases import CASES, STATISTICAL, compute_cases
from gscn.perf.workload.networks import NETWORKS

LARGE, SMALL = ARRAYS["large"], ARRAYS["small"]
CASE = dataclasses.replace(cases.SWAT_90, rivals=False)


@pytest.fixture
def computed():
    """Return a computation that notes what it was asked for, and its notes."""
    notes = []

    def compute(case, mode, config, cache):
        notes.append((case.key, mode, config.digest()))
        return {"value": 0.1, "size": (1, 2)}

    return compute, notes


def test_a_result_is_computed_once_and_read_back_equal(tmp_path, computed):
    compute, notes = computed
    said = []
    first = compute_cases(
        [CASE], STATISTICAL, LARGE, tmp_path, compute=compute, progress=said.append
    )
    again = compute_cases([CASE], STATISTICAL, LARGE, tmp_path, compute=compute)
    assert first == again == {CASE.key: {"value": 0.1, "size": [1, 2]}}
    assert notes == [(CASE.key, STATISTICAL, LARGE.digest())]
    assert said == ["ResNet-50, SWAT 90 %, statistical"]


def test_another_mode_configuration_or_case_is_computed_anew(tmp_path, computed):
    compute, notes = computed
    other = dataclasses.replace(CASE, batch=8)
    for case, mode, config in (
        (CASE, STATISTICAL, LARGE), (CASE, "analytic", LARGE), (CASE, STATISTICAL, SMALL),
        (other, STATISTICAL, LARGE),
    ):  # fmt: skip
        compute_cases([case], mode, config, tmp_path, compute=compute)
    assert len(notes) == 4


def test_rivals_are_computed_apart_from_the_mode_and_set_beside_each_pass(tmp_path):
    notes = []

    def compute(case, what, config, cache):
        notes.append(what)
        if what == cases.RIVALS_ALONE:
            return {"rival_cycles": [{"ant": 1.0}, {"ant": 2.0}, {"ant": 3.0}]}
        return {"layers": [{"passes": [{}, {}]}, {"passes": [{}]}]}

    case = dataclasses.replace(CASE, rivals=True)
    first = compute_cases([case], STATISTICAL, LARGE, tmp_path, compute=compute)
    again = compute_cases([case], "analytic", LARGE, tmp_path, compute=compute)
    assert notes == [STATISTICAL, cases.RIVALS_ALONE, "analytic"]
    assert first == again
    one, two = first[case.key]["layers"]
    assert [fields["rival_cycles"]["ant"] for fields in one["passes"]] == [1.0, 2.0]
    assert [fields["rival_cycles"]["ant"] for fields in two["passes"]] == [3.0]


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: text[: len(text) // 2],
        lambda text: text.replace("0.1", "0.2"),
        lambda text: text.replace('"sha256"', '"sha257"'),
        lambda _: "",
        lambda _: "[]",
        lambda _: '{"value": 0.2, "size": [1, 2]}',
        lambda _: "[" * 200_000,
    ],
)
def test_a_damaged_result_is_computed_anew(tmp_path, computed, damage):
    compute, notes = computed
    compute_cases([CASE], STATISTICAL, LARGE, tmp_path, compute=compute)
    (kept,) = tmp_path.iterdir()
    kept.write_text(damage(kept.read_text(encoding="utf-8")), encoding="utf-8")
    rows = compute_cases([CASE], STATISTICAL, LARGE, tmp_path, compute=compute)
    assert rows[CASE.key]["value"] == 0.1
    assert len(notes) == 2


def test_the_digest_changes_with_sources_but_not_with_how_they_are_drawn(tmp_path):
    for package in ("gscn", "lowering", "cycles", "golden", "perf/report"):
        (tmp_path / package).mkdir(parents=True)
    model, drawn = tmp_path / "perf" / "cycles.py", tmp_path / "perf" / "report" / "charts.py"
    model.write_text("a")
    drawn.write_text("a")
    before = cases.source_digest(root=tmp_path)
    drawn.write_text("b")
    assert cases.source_digest(root=tmp_path) == before
    model.write_text("b")
    changed = cases.source_digest(root=tmp_path)
    assert changed != before
    assert cases.source_digest(root=tmp_path, without=("perf/",)) != changed
    model.write_text("c")
    assert cases.source_digest(root=tmp_path) not in (before, changed)


def test_a_folder_that_cannot_be_written_is_named(tmp_path, computed):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="must be a file that can be written"):
        compute_cases([CASE], STATISTICAL, LARGE, tmp_path / "file", compute=computed[0])


def test_cases_are_told_apart_and_have_networks():
    assert len({case.key for case in CASES}) == len(CASES)
    assert len({case.label for case in CASES}) == len(CASES)
    assert {case.network for case in CASES} <= set(NETWORKS)
