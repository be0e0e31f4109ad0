"""What words of other tiles cost, against vectors that are drawn and counted."""

from __future__ import annotations

import numpy as np
import pytest

from gscn.lowering.streamed_words import word_share
from gscn.passes import VECTOR


def test_a_tile_of_all_channels_has_every_word():
    assert word_share(VECTOR, VECTOR, 0.1) == word_share(2 * VECTOR, 2 * VECTOR, 0.7) == 1


@pytest.mark.parametrize("streamed", [1, 4, 8])
@pytest.mark.parametrize("density", [0.05, 0.3, 1.0])
def test_a_part_of_the_channels_takes_less_and_never_less_than_its_own_words(streamed, density):
    lanes = np.random.default_rng(0).random((20_000, VECTOR)) < density
    own, passed = lanes[:, :streamed].sum(), lanes[:, streamed:].sum()
    empty = (~lanes[:, :streamed].any(axis=1) & lanes.any(axis=1)).sum()
    share = word_share(streamed, VECTOR, density)
    assert share == pytest.approx((own + max(empty, passed / 3)) / lanes.sum(), rel=0.1)
    assert streamed / VECTOR <= share < 1


@pytest.mark.parametrize(("streamed", "group"), [(4, 2), (16, 2), (16, 4), (32, 4)])
@pytest.mark.parametrize("density", [0.02, 0.3])
def test_vectors_of_other_tiles_are_passed_over(streamed, group, density):
    lanes = np.random.default_rng(0).random((20_000, group * VECTOR)) < density
    own, rest = lanes[:, :streamed], lanes[:, streamed:]
    others = rest[:, -(len(rest[0]) // VECTOR) * VECTOR :].reshape(-1, VECTOR)
    passed = max(others.any(axis=1).sum(), others.sum() / 3)
    near = lanes[:, streamed : -(-streamed // VECTOR) * VECTOR]
    empty = (~own.any(axis=1) & near.any(axis=1)).sum()
    share = word_share(streamed, group * VECTOR, density)
    counted = own.sum() + max(empty, near.sum() / 3) + passed
    assert share == pytest.approx(counted / lanes.sum(), rel=0.1)
    assert streamed / (group * VECTOR) <= share < 1
