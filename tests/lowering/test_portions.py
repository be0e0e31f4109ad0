"""Items divided into portions: each has its share of all quantities, and none more than fits."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gscn.lowering.portions import portions

INF = np.inf


def test_portions_worked_out_by_hand():
    # the two of either kind must part
    vectors = np.array([[2, 0], [2, 0], [0, 3], [0, 3]], dtype=float)
    chosen = portions(vectors, np.array([0.5, 0.5]), np.array([INF, INF]))
    assert sorted(chosen[:2]) == sorted(chosen[2:]) == [0, 1]
    # a quarter and three quarters of equal items
    chosen = portions(np.ones((8, 1)), np.array([0.25, 0.75]), np.array([INF]))
    assert np.bincount(chosen).tolist() == [2, 6]


def test_no_portions_if_an_item_fits_in_none():
    vectors, shares = np.array([[3.0], [1.0]]), np.array([0.5, 0.5])
    assert portions(vectors, shares, np.array([2.0])) is None
    # three of two fit in portions of three one by one only
    assert portions(np.full((3, 1), 2.0), shares, np.array([3.0])) is None


@given(st.integers(0, 10_000))
def test_no_portion_holds_more_than_fits(seed):
    rng = np.random.default_rng(seed)
    vectors = rng.integers(0, 9, (rng.integers(0, 60), 3)).astype(float)
    count = int(rng.integers(1, 6))
    most = np.array([np.ceil(vectors[:, 0].sum() / count) + 8, INF, INF])
    chosen = portions(vectors, np.full(count, 1 / count), most)
    assert chosen is not None
    assert chosen.size == len(vectors)
    assert np.isin(chosen, range(count)).all()
    for portion in range(count):
        assert vectors[chosen == portion, 0].sum() <= most[0]


@pytest.mark.parametrize("shares", [[0.25] * 4, [0.1, 0.2, 0.3, 0.4]])
def test_deviations_are_of_the_size_of_single_items(shares):
    rng = np.random.default_rng(1)
    vectors = rng.poisson(1.5, (3000, 12)).astype(float)
    shares = np.array(shares)

    def deviation(chosen):
        sums = np.stack([vectors[chosen == portion].sum(axis=0) for portion in range(4)])
        return np.abs(sums - shares[:, None] * vectors.sum(axis=0)).max()

    dealt = deviation(portions(vectors, shares, np.full(12, INF)))
    assert dealt < 2 * vectors.max()
    assert dealt < deviation(rng.choice(4, 3000, p=shares)) / 4
