"""The closed form for weight gradients keeps to the sizes of an array."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gscn.lowering.estimates import DENSE, NEVER
from gscn.lowering.grad_estimates import ANY, GradChoice, GradWork, plan_grad, reach
from tests.lowering.test_estimates import LARGE, densities, sizes, small

GRAD = GradWork(32, 64, 32, 32, 64, 32, 32, 3, 3, -1, -1, 1, 2, 2)

grad_work = st.builds(
    GradWork, small(1, 5), small(1, 80), small(1, 30), small(1, 30), small(1, 80), small(1, 30),
    small(1, 30), small(1, 3), small(1, 3), st.just(-1), st.just(1), small(1, 3), st.just(4),
    st.just(2),
)  # fmt: skip


@given(
    sizes=sizes, work=grad_work, held=densities, level=st.integers(0, DENSE),
    holds_input=st.booleans(), grouping=st.integers(ANY, 4),
)  # fmt: skip
def test_cuts_of_weight_gradients_keep_to_the_sizes(
    sizes, work, held, level, holds_input, grouping
):
    choice = GradChoice(*plan_grad(sizes, work, 1e6, held, 0.5, level, holds_input, grouping))
    if choice.cycles >= NEVER:
        return
    if grouping != ANY:
        assert grouping == (choice.t_vectors if holds_input else choice.s_vectors)
        assert holds_input or choice.s_real == 16 << grouping
    assert 0 <= choice.t_split <= 4 + choice.t_vectors
    lanes = (16 << choice.t_vectors) >> choice.t_split
    run = lanes * work.tap_rows * work.tap_cols * (16 << choice.s_vectors)
    assert run <= sizes.accumulators
    assert sizes.clusters % choice.team == 0
    assert sizes.clusters % choice.gang == 0
    assert choice.gang == choice.team or choice.team == 1
    if choice.unit_rows:
        assert choice.team > 1
        assert choice.tile_samples == 1
        assert choice.unit_rows % choice.t_rows == 0
        assert choice.unit_rows < work.t_rows
        assert choice.s_outer == choice.t_rows * work.step
    whole = choice.s_outer == work.s_rows and choice.t_rows == work.t_rows
    assert whole or choice.s_outer == choice.t_rows * work.step
    behind, ahead = reach(work, choice.t_rows, choice.s_outer)
    chunks = min(behind + ahead + 1, -(-work.s_rows // choice.s_outer))
    assert chunks * choice.s_outer * work.s_cols < sizes.keys
    if level == DENSE:
        rows = min(chunks * choice.s_outer, work.s_rows)
        assert rows * work.s_cols * choice.s_real <= sizes.entries - 1


@pytest.mark.parametrize(
    ("t_rows", "s_outer", "first", "taps", "step", "expected"),
    [
        (1, 1, -1, 3, 1, (1, 1)),
        (4, 4, -1, 3, 1, (1, 1)),
        (1, 2, -1, 3, 2, (1, 0)),
        (1, 2, 0, 2, 2, (0, 0)),
        (2, 2, -3, 1, 1, (2, 0)),
        (32, 32, -1, 3, 1, (0, 0)),
    ],
)
def test_strips_that_a_strip_needs_by_hand(t_rows, s_outer, first, taps, step, expected):
    work = GRAD._replace(tap_rows=taps, step=step, least_first=first, most_first=first)
    assert reach(work, t_rows, s_outer) == expected


def test_cycles_are_those_of_the_multipliers_if_nothing_else_is_dear():
    products = 32 * 32 * 32 * 64 * 64 * 9 * 0.1 * 0.5
    cycles = plan_grad(LARGE, GRAD, products, 0.1, 0.5, 0, True)[0]
    assert 1.0 < cycles / (products / 64) < 1.15  # members of a team wait for one another


def test_what_does_not_fit_takes_for_ever():
    tight = LARGE._replace(entries=16, keys=16)
    assert plan_grad(tight, GRAD, 1e6, 1.0, 1.0, DENSE, True)[0] == NEVER


SLOW = LARGE._replace(dram=4.0, buffer=1 << 20)


def test_few_tiles_that_are_long_to_load_are_for_teams_or_small():
    """Clusters without a tile would load nothing of the maps for the others."""
    phase = GRAD._replace(
        s_rows=16, s_cols=16, t_channels=128, t_rows=16, t_cols=16, tap_rows=1, tap_cols=1,
        least_first=0, most_first=0,
    )  # fmt: skip
    for density in (0.001, 0.003, 0.03):
        choice = GradChoice(*plan_grad(LARGE, phase, 1e6 * density, 0.1, density, 0, True))
        lanes = (16 << choice.t_vectors) >> choice.t_split
        tiles = -(-phase.s_channels // choice.s_real) * -(-phase.t_channels // lanes)
        assert tiles * choice.team >= LARGE.clusters


def test_a_dram_lets_clusters_share_maps():
    products = 32 * 32 * 32 * 64 * 64 * 9 * 0.1
    alone = GradChoice(*plan_grad(LARGE, GRAD, products, 1.0, 0.1, 0, True))
    behind = GradChoice(*plan_grad(SLOW, GRAD, products, 1.0, 0.1, 0, True))
    assert behind.s_reads * behind.t_reads < alone.s_reads * alone.t_reads
    assert behind.alone >= alone.alone
    assert alone.cycles == alone.alone


def test_strips_are_small_where_tiles_are_few():
    def rows(samples, clusters, channels):
        sizes = LARGE._replace(clusters=clusters, bytes_per_cycle=4 * clusters)
        work = GRAD._replace(samples=samples, s_rows=56, s_cols=56, t_rows=56, t_cols=56)
        work = work._replace(s_channels=channels, t_channels=channels)
        return GradChoice(*plan_grad(sizes, work, samples * 1e6, 0.1, 0.1, 0, True)).t_rows

    assert rows(1, 64, 64) < rows(32, 16, 512)


def test_members_of_a_team_share_samples_where_those_are_few():
    few = GradChoice(*plan_grad(LARGE, GRAD._replace(samples=4), 1e7, 1.0, 0.1, 0, True))
    assert few.team > 1
    assert 0 < few.unit_rows < GRAD.t_rows
    many = GRAD._replace(s_channels=512, t_channels=512)
    assert GradChoice(*plan_grad(LARGE, many, 1e9, 1.0, 0.1, 0, True)).unit_rows == 0


def test_gradients_that_differ_from_sample_to_sample_take_longer():
    """So do sparse gradients, but sparse inputs less."""
    cycles = [plan_grad(LARGE, GRAD, 1e7, 1.0, 0.02, 0, held)[0] for held in (True, False)]
    assert cycles[0] > 1.03 * cycles[1]
