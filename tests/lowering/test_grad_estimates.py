"""The closed form for weight gradients keeps to the sizes of an array."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gscn.lowering.estimates import DENSE, NEVER
from gscn.lowering.grad_estimates import GradChoice, GradWork, dram_reads, plan_grad, reach
from tests.lowering.test_estimates import LARGE, densities, sizes, small

GRAD = GradWork(32, 64, 32, 32, 64, 32, 32, 3, 3, -1, -1, 1, 2, 2)

grad_work = st.builds(
    GradWork, small(1, 5), small(1, 80), small(1, 30), small(1, 30), small(1, 80), small(1, 30),
    small(1, 30), small(1, 3), small(1, 3), st.just(-1), st.just(1), small(1, 3), st.just(4),
    st.just(2),
)  # fmt: skip


@given(sizes=sizes, work=grad_work, held=densities, level=st.integers(0, DENSE))
def test_cuts_of_weight_gradients_keep_to_the_sizes(sizes, work, held, level):
    choice = GradChoice(*plan_grad(sizes, work, 1e6, held, 0.5, level, True))
    if choice.cycles >= NEVER:
        return
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


def reads(sizes, *, densities=(1.0, 1.0), tiles=(8, 8), block=(4, 4), split=0, busy=1.0):
    maps = tuple(zip((8e6, 4e6), densities, strict=True))
    return dram_reads(maps, tiles, (16, 16), split, block, busy, sizes)


SLOW = LARGE._replace(dram=4.0, buffer=1 << 20)


def test_maps_are_read_once_for_each_block_of_tiles_by_hand():
    assert reads(SLOW, tiles=(4, 4)) == (1.0, 1.0)
    assert reads(SLOW) == (2.0, 2.0)
    assert reads(SLOW, block=(2, 8)) == (1.0, 4.0)
    # a group of 16 channels is streamed for each of its four tiles, two of them at once
    assert reads(SLOW, block=(8, 2), split=2) == (4.0, 2.0)
    assert reads(SLOW._replace(buffer=1 << 30)) == (1.0, 1.0)
    # 2 MB of one map and all of the other lie between two times, and 0.6 of the buffer counts
    assert reads(SLOW._replace(buffer=11_000_000), block=(2, 8)) == (1.0, 1.0)


def test_clusters_that_are_faster_than_dram_and_uneven_share_nothing():
    compute = 1e9
    assert reads(SLOW, busy=compute) == (2.0, 2.0)
    assert reads(SLOW, busy=compute, densities=(1.0, 0.1)) == (8.0, 2.0)
    assert reads(SLOW, busy=compute, densities=(0.1, 1.0)) == (2.0, 8.0)
    assert reads(SLOW, densities=(0.1, 0.1)) == (2.0, 2.0)


powers = st.integers(0, 6).map(lambda power: 1 << power)


@given(
    densities=st.tuples(densities, densities), tiles=st.tuples(powers, powers),
    block=st.tuples(powers, powers), busy=st.sampled_from([1.0, 1e9]),
    buffer=st.sampled_from([1 << 16, 1 << 20, 1 << 24]),
)  # fmt: skip
def test_no_map_is_read_less_than_once_or_for_more_than_each_tile(
    densities, tiles, block, busy, buffer
):
    found = reads(
        SLOW._replace(buffer=buffer), densities=densities, tiles=tiles, block=block, busy=busy
    )
    assert 1.0 <= found[0] <= tiles[1]
    assert 1.0 <= found[1] <= tiles[0]
    if buffer == 1 << 24:
        assert found == (1.0, 1.0)


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
