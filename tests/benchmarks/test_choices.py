"""Tables of choices are of all passes that they are about, added up, and measured once."""

from __future__ import annotations

import pytest

from benchmarks import choices, consecutive, masks, tracing
from gscn.conv import Pass
from tests.benchmarks.test_consecutive import Here, masked


@pytest.fixture
def measured(monkeypatch, tmp_path):
    """Let tables be of two layers without masks; return what was measured."""
    done = []

    def measure(one, *more):
        done.append((one, *more))
        return [{"variant": "a", "cycles": 2}, {"variant": "b", "cycles": 3}]

    passes = [("one", which) for which in Pass] + [("two", Pass.WEIGHT_GRAD)]
    monkeypatch.setattr(masks, "passes_of", lambda _, __: passes)
    monkeypatch.setattr(masks, "read", lambda _, *names: names)
    monkeypatch.setattr(choices, "ProcessPoolExecutor", Here)
    monkeypatch.setattr(consecutive, "rows_path", lambda folder, name, **_: folder / name)
    for name, table in choices.TABLES.items():
        monkeypatch.setitem(choices.TABLES, name, table._replace(measure=measure))
    # their file is not among the sources then
    monkeypatch.setattr(choices, "_sources", lambda _: ())
    return done


def test_passes_are_those_that_a_table_is_about(measured, tmp_path):
    rows = choices.compute("sizes", [4], folder=tmp_path, processes=1)
    assert len(rows) == 2 * len(measured) == 8
    measured.clear()
    rows = choices.compute("designs", [4], folder=tmp_path, processes=1)
    assert measured == [((4, name, Pass.WEIGHT_GRAD),) for name in ("one", "two")]
    assert {(row["layer"], row["pass"]) for row in rows} == {
        ("one", "weight-grad"), ("two", "weight-grad")
    }  # fmt: skip
    measured.clear()
    choices.compute("formats", [4], layers=["two"], folder=tmp_path, processes=1)
    assert measured == [((4, "two", Pass.WEIGHT_GRAD),)]


def test_orders_are_chosen_by_the_first_iteration(measured, tmp_path):
    choices.compute("orders", [230], layers=["two"], folder=tmp_path, processes=1)
    first = (tracing.FIRST, "two", Pass.WEIGHT_GRAD)
    assert measured == [((230, "two", Pass.WEIGHT_GRAD), first)]


def test_what_was_measured_is_not_measured_again(measured, tmp_path):
    rows = choices.compute("sizes", [4, 5], folder=tmp_path, processes=1)
    measured.clear()
    assert choices.compute("sizes", [4, 5], folder=tmp_path, processes=1) == rows
    assert measured == []


def test_rows_are_added_up_over_layers():
    rows = [
        {"iteration": 4, "layer": layer, "pass": which, "order": "dealt", "cycles": cycles}
        for layer, which, cycles in (
            ("a", "forward", 1),
            ("b", "forward", 2),
            ("a", "input-grad", 4),
        )
    ]
    assert choices.summed("orders", rows)["rows"] == [
        {"pass": "forward", "order": "dealt", "cycles": 3},
        {"pass": "input-grad", "order": "dealt", "cycles": 4},
    ]
    assert choices.summed("sizes", rows) == {
        "passes": 3,
        "rows": [{"order": "dealt", "cycles": 7}],
    }


def test_rows_follow_from_the_files_of_their_table():
    for name in choices.TABLES:
        names = {path.name for path in choices._sources(name)}
        assert "forced.py" in names
        assert len(names) == 2


def test_the_page_has_every_table():
    one = masked(Pass.WEIGHT_GRAD, 0.3)
    tables = {}
    for name in choices.TABLES:
        more = (one,) if name == "orders" else ()
        rows = choices.TABLES[name].measure(one, *more)
        tables[name] = choices.summed(
            name,
            [{"iteration": 226, "layer": "a", "pass": "weight-grad", **row} for row in rows],
        )
    text = choices.render({"iterations": [226, 236], "tables": tables})
    assert "iterations 226 and 236" in text
    for title in (
        "Sizes of memories",
        "Weight gradients",
        "Orders of channels",
        "Bytes of formats",
    ):
        (found,) = (part for part in text.split("\n## ") if part.startswith(title))
        assert found.count("\n|") >= 4
        assert "\n1 passes:" in found
