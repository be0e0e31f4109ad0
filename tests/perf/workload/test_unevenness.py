"""Drawn tensors against the moments that they are asked to have."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gscn.errors import InputError
from gscn.perf.workload.unevenness import (
    Unevenness,
    draw_nonzeros,
    fit_unevenness,
    mean_unevenness,
    variation,
)

SHAPE = (24, 40, 12, 12)
UNEVEN = Unevenness(first=0.8, second=0.6, both=0.5, position=0.4, pixel=0.3)


def drawn(density=0.2, unevenness=UNEVEN, seed=0, shape=SHAPE):
    return draw_nonzeros(shape, density, unevenness, np.random.default_rng(seed))


@pytest.mark.parametrize("density", [0.05, 0.3, 0.7])
@pytest.mark.parametrize("unevenness", [Unevenness(), UNEVEN])
def test_the_share_of_nonzeros_is_the_density(density, unevenness):
    assert drawn(density, unevenness).mean() == pytest.approx(density, rel=0.05)


@pytest.mark.parametrize("density", [0.0, 1.0])
def test_empty_and_dense_tensors_are_exact(density):
    assert drawn(density).mean() == density


def test_even_tensors_vary_as_independent_draws_do():
    assert all(abs(value) < 0.01 for value in variation(drawn(unevenness=Unevenness())).values())


@pytest.mark.parametrize("name", ["first", "second", "both", "position", "pixel"])
def test_each_deviation_varies_its_own_axes_alone(name):
    found = variation(drawn(unevenness=Unevenness(**{name: 1.0})))
    assert found[name] > 0.2
    # of 24 samples or 144 pixels even independent numbers have some variation between them
    assert all(abs(value) < 0.08 for other, value in found.items() if other != name)


def test_variation_by_hand():
    # two samples of one channel and one pixel row: 4 and 2 nonzeros of 4, mean 3/4
    tensor = np.array([[[[1, 1, 1, 1]]], [[[1, 1, 0, 0]]]], float)
    assert variation(tensor)["first"] == pytest.approx(0.25**2 / 0.75**2)
    assert variation(tensor)["second"] == 0
    # pixels have means 1, 1, 1/2, 1/2
    assert variation(tensor)["position"] == pytest.approx(0.25**2 / 0.75**2)


def test_a_fit_finds_what_a_tensor_was_drawn_with():
    fitted = fit_unevenness(drawn(0.2, UNEVEN, seed=3))
    for field in dataclasses.fields(Unevenness):
        # 24 samples give their own deviation to about a seventh
        assert getattr(fitted, field.name) == pytest.approx(getattr(UNEVEN, field.name), abs=0.17)


def test_tensors_drawn_by_a_fit_vary_as_the_original():
    original = drawn(0.1, UNEVEN, seed=5)
    again = drawn(0.1, fit_unevenness(original), seed=6)
    before, after = variation(original), variation(again)
    for name in ("first", "second", "both"):
        assert after[name] == pytest.approx(before[name], rel=0.5, abs=0.02)


def test_a_dense_tensor_is_even():
    assert fit_unevenness(np.ones(SHAPE, bool)) == Unevenness()


@given(shape=st.tuples(*[st.integers(1, 6)] * 4), density=st.floats(0.0, 1.0))
def test_any_shape_can_be_drawn_and_fitted(shape, density):
    tensor = drawn(density, UNEVEN, shape=shape)
    assert tensor.shape == shape
    assert tensor.dtype == bool
    fitted = fit_unevenness(tensor)
    assert all(0 <= getattr(fitted, field.name) <= 6 for field in dataclasses.fields(fitted))


def test_the_mean_is_taken_of_each_deviation():
    assert mean_unevenness([Unevenness(first=1.0), Unevenness(first=2.0, pixel=1.0)]) == Unevenness(
        first=1.5, pixel=0.5
    )


def test_what_is_out_of_range_is_named():
    with pytest.raises(InputError, match="at least 0: second"):
        Unevenness(second=-0.1)
    with pytest.raises(InputError, match="density must be from 0 to 1"):
        drawn(1.5)
