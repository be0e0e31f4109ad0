"""Versions change with what a part does, and with nothing else."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks import versions


def test_digests_tell_values_apart_and_floats_by_six_digits():
    assert versions.digest([1.0000001]) == versions.digest([1.0])
    assert versions.digest([1.001]) != versions.digest([1.0])
    assert versions.digest([np.arange(4)]) != versions.digest([np.arange(4).reshape(2, 2)])
    assert versions.digest([1, 2]) != versions.digest([12])


def test_texts_of_estimates_are_left_out_and_numbers_are_not():
    first = list(versions.leaves({"a": 1.5, "words": "some", "list": [1, {"b": None}]}))
    other = list(versions.leaves({"a": 1.5, "words": "others", "list": [1, {"b": None}]}))
    assert first == other
    assert first != list(versions.leaves({"a": 2.5, "words": "some", "list": [1, {"b": None}]}))


@pytest.mark.parametrize("name", ["estimates", "rivals", "training", "arithmetic"])
def test_a_version_is_the_same_twice(name):
    assert versions.PROBES[name]() == versions.PROBES[name]()


def test_another_margin_of_resprop_is_another_version_of_estimates(monkeypatch):
    from fractions import Fraction

    from gscn.golden.methods import targets

    before = versions.estimates()
    monkeypatch.setattr(targets, "DENSITY_MARGIN", Fraction(1, 10))
    assert versions.estimates() != before


def test_another_rule_of_thresholds_is_another_version_of_training(monkeypatch):
    from gscn.golden.methods.resprop import GradientReuse

    before = versions.training()
    monkeypatch.setattr(GradientReuse, "_adapted", lambda _, threshold, *__: threshold)
    assert versions.training() != before


def test_another_way_to_share_weights_is_another_version_of_budgets(monkeypatch):
    from gscn.golden.methods import budgets

    before = versions.budgets()
    monkeypatch.setattr(budgets, "DENSE_SHARE", budgets.DENSE_SHARE / 2)
    assert versions.budgets() != before


def test_another_cost_of_a_rival_is_another_version_of_rivals(monkeypatch):
    from gscn.perf import rivals

    before = versions.rivals()
    others = dict(rivals.RIVALS)
    others["dense"] = others["ideal"]
    monkeypatch.setattr(rivals, "RIVALS", others)
    assert versions.rivals() != before
