"""What unlike samples and channels cost, by hand and in the limit of alike ones."""

from __future__ import annotations

import pytest

from gscn.lowering.estimates import word_cycles
from gscn.lowering.unevenness import sample_spread, team_ends, uneven_share, uneven_word


def test_sparse_gradients_are_in_few_samples():
    assert [round(sample_spread(one), 2) for one in (0.003, 0.03, 0.3, 1.0)] == [
        3.8, 1.9, 0.15, 0.15,
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("tiles", "team", "expected"),
    [
        (8, 1, 1.2 * 2),
        (16, 1, 1.24),
        (64, 1, 1.0 + 0.52 / 4),
        (17, 1, 1.0 + 1.1 * (2 / (17 / 16) - 1) + 0.52 / (17 / 16)),
        (4, 2, 2.0),
        (8, 2, 1.0 + 0.16 * 7 / 8),
        (1, 16, 1.0),
    ],
)
def test_tiles_are_dealt_as_evenly_as_they_are_many(tiles, team, expected):
    assert uneven_share(tiles, team, 16) == pytest.approx(expected)


def test_words_of_an_even_operand_take_what_they_find():
    assert uneven_word(1e6, 0.1, 0.0) == pytest.approx(1.0)
    assert uneven_word(100.0, 0.1, 0.0) == pytest.approx(word_cycles(100.0, 0.1))


def test_words_that_meet_few_of_an_operand_find_nothing_the_oftener_the_more_uneven_it_is():
    cycles = [uneven_word(100.0, 0.02, spread) for spread in (0.5, 1.0, 2.0)]
    assert cycles == sorted(cycles)
    assert cycles[-1] > 1.2 * cycles[0]


def test_a_team_waits_for_its_longest_unit():
    assert team_ends(100.0, 32.0, 1.0, 1, 2.0) == 0.0
    # nine tenths of its ten units are waited for, and more at each tile but the last
    assert team_ends(100.0, 32.0, 1.0, 2, 1.8) == pytest.approx(0.385 * 500)
    assert team_ends(100.0, 8.0, 3.0, 2, 1.8) == pytest.approx(0.385 * 500 + 0.22 * 2 * 100)
