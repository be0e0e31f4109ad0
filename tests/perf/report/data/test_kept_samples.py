"""Measurements are kept by what was measured, and read back as they were."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from gscn.array import ARRAYS
from gscn.conv import ConvShape, Pass
from gscn.perf.estimate import energy
from gscn.perf.estimate.pass_cost import measure_operands
from gscn.perf.estimate.sampling import Sample, draw_operands
from gscn.perf.report.data import kept_samples
from gscn.perf.report.data.kept_samples import Keeper, operands_digest

SHAPE = ConvShape(n=1, c=4, h=6, w=6, k=4, r=3, s=3, padding=(1, 1))
SAMPLE = Sample(shape=SHAPE, which=Pass.FORWARD, first_density=0.5, second_density=0.5)
TINY = ARRAYS["tiny"]


@pytest.fixture
def keeper(tmp_path):
    return Keeper(folder=tmp_path, sources="a", rival_sources="b")


def test_a_kept_measurement_is_the_measurement(keeper, monkeypatch):
    operands = draw_operands(SAMPLE, seed=0)
    fresh = measure_operands(TINY, SHAPE, Pass.FORWARD, *operands)
    (first,) = keeper.measure(TINY, [SAMPLE])
    monkeypatch.setattr(kept_samples, "measure_operands", None)
    (again,) = keeper.measure(TINY, [SAMPLE])
    assert first == again == fresh
    assert isinstance(again.accesses, energy.Accesses)
    assert again.accesses.products == again.causes["busy"] >= again.useful_products


def test_rivals_are_kept_too(keeper, monkeypatch):
    (first,) = keeper.measure_rivals(TINY, [SAMPLE], ["dense", "ideal"])
    monkeypatch.setattr(kept_samples, "rival_costs", None)
    (again,) = keeper.measure_rivals(TINY, [SAMPLE], ["dense", "ideal"])
    assert first == again
    assert first["ideal"].cycles <= first["dense"].cycles


def test_other_sources_measure_anew(keeper, tmp_path):
    keeper.measure(TINY, [SAMPLE])
    dataclasses.replace(keeper, rival_sources="c").measure(TINY, [SAMPLE])
    assert len(list(tmp_path.iterdir())) == 1
    dataclasses.replace(keeper, sources="c").measure(TINY, [SAMPLE])
    assert len(list(tmp_path.iterdir())) == 2


def test_the_digest_is_of_places_not_of_values():
    first, second = np.ones(SHAPE.w_shape), np.ones(SHAPE.x_shape)
    same = operands_digest(SAMPLE, first, second)
    assert operands_digest(SAMPLE, 3 * first, -second) == same
    first[0, 0, 0, 0] = 0
    assert operands_digest(SAMPLE, first, second) != same
