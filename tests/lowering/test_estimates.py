"""The closed form keeps to the sizes of an array, and knows what is dear."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from gscn.lowering.estimates import (
    DENSE,
    NEVER,
    KernelChoice,
    KernelWork,
    Sizes,
    behind_dram,
    most_nonzeros,
    plan_kernel,
    sweeps_read,
)

LARGE = Sizes(2304, 2048, 2048, 64, 16, 4, 4, 64)
KERNEL = KernelWork(32, 64, 64, 32, 32, 32, 32, 9, 3, -1, 1, 2, 2)

sizes = st.builds(
    Sizes,
    accumulators=st.integers(4, 600).map(lambda n: 4 * n),
    entries=st.sampled_from([64, 256, 2048]),
    keys=st.sampled_from([64, 256, 2048]),
    chunks=st.sampled_from([4, 64]),
    clusters=st.integers(1, 16),
    pes=st.just(4),
    drain=st.just(4),
    bytes_per_cycle=st.just(64),
    dram=st.sampled_from([math.inf, 4.0]),
    buffer=st.sampled_from([0, 1 << 16, 1 << 20]),
)
densities = st.sampled_from([0.001, 0.1, 1.0])


def small(low, high):
    return st.integers(low, high)


kernel_work = st.builds(
    KernelWork, small(1, 5), small(1, 80), small(1, 80), small(1, 30), small(1, 30), small(1, 30),
    small(1, 30), small(1, 9), small(1, 3), small(-8, 2), small(1, 4), st.just(4), st.just(2),
)  # fmt: skip


@given(sizes=sizes, work=kernel_work, held=densities, level=st.integers(0, DENSE))
def test_cuts_with_weights_keep_to_the_sizes(sizes, work, held, level):
    choice = KernelChoice(*plan_kernel(sizes, work, 1e6, held, 0.5, level))
    if choice.cycles >= NEVER:
        return
    run = 16 << choice.s_vectors
    tile = choice.tile_samples * choice.tile_rows * choice.tile_cols * run
    assert tile <= sizes.accumulators
    assert choice.t_real * work.taps < sizes.keys
    channels = min(choice.t_real, work.contracted)
    entries = most_nonzeros(channels * work.taps * choice.s_real, held, level, 1.25)
    assert entries <= sizes.entries - 1
    if choice.tile_rows < work.rows:
        assert choice.tile_rows == choice.tile_strips * choice.t_rows * work.step
        assert choice.tile_samples == 1
    else:
        assert choice.tile_rows == work.rows
        assert choice.t_rows == work.stream_rows


def test_cycles_are_those_of_the_multipliers_if_nothing_else_is_dear():
    products = 32 * 32 * 32 * 64 * 64 * 9 * 0.1 * 0.5
    cycles = plan_kernel(LARGE, KERNEL, products, 0.1, 0.5, 0)[0]
    assert 1.0 < cycles / (products / 64) < 1.12


def cut(density, work=KERNEL, clusters=16):
    products = math.prod((work.samples, 32 * 32, work.channels, work.contracted, 9)) * 0.1 * density
    sizes = Sizes(4608, 4096, 4096, 64, clusters, 4, 4, 4 * clusters)
    return KernelChoice(*plan_kernel(sizes, work, products, 0.1, density, 0))


def test_sparse_streams_that_a_buffer_holds_are_gone_through_by_rows():
    assert cut(0.03).by_rows
    assert not cut(0.1).by_rows
    assert not cut(0.03, KERNEL._replace(samples=256)).by_rows
    assert not cut(0.03, KERNEL._replace(rows=1, stream_rows=1)).by_rows


def test_chunks_are_small_where_jobs_are_few():
    few = KERNEL._replace(samples=1)
    assert cut(0.1, few, clusters=64).t_real < cut(0.1).t_real
    assert cut(0.1, few, clusters=64).t_vectors < cut(0.1).t_vectors


def test_what_does_not_fit_takes_for_ever():
    tight = LARGE._replace(entries=16, keys=16)
    assert plan_kernel(tight, KERNEL._replace(taps=25), 1e6, 1.0, 1.0, DENSE)[0] == NEVER


def test_caution_grows_with_the_level_up_to_every_number():
    bounds = [most_nonzeros(1000, 0.1, level, 1.25) for level in range(DENSE + 1)]
    assert bounds == sorted(set(bounds))
    assert bounds[0] > 100
    assert bounds[-1] == 1000


@given(
    alone=st.floats(1, 1e9), moved=st.floats(0, 1e9), rate=st.sampled_from([math.inf, 0.5, 64.0])
)
def test_cycles_behind_dram_are_the_longer_and_a_little_more(alone, moved, rate):
    found = behind_dram(alone, moved, LARGE._replace(dram=rate))
    longest = max(alone, moved / rate)
    assert longest <= found <= 1.0906 * longest  # the eighth root of 2
    if moved / rate == 0:
        assert found == alone


def test_what_the_buffer_holds_is_read_once():
    sizes = LARGE._replace(dram=4.0, buffer=1000)
    assert [sweeps_read(3, apart, sizes) for apart in (600, 601)] == [1.0, 3.0]


def test_the_stream_is_read_once_for_all_stationary_tiles_that_begin_at_once():
    """On 16 clusters a map is read once for 16 tiles of 512 channels, and twice for 32."""
    work = KERNEL._replace(channels=512, taps=1, tap_rows=1, first_row=0)
    slow = LARGE._replace(dram=4.0, buffer=1 << 17)

    def planned(sizes):
        choice = KernelChoice(*plan_kernel(sizes, work, 1e6, 0.1, 1.0, 0))
        return choice.s_real, choice.t_reads

    assert planned(slow._replace(accumulators=256)) == (32, 1.0)
    assert planned(slow._replace(accumulators=16)) == (16, 2.0)
    # or once, if the buffer holds it; by the ports each row for each tile and column
    assert planned(slow._replace(accumulators=16, buffer=1 << 24)) == (16, 1.0)
    assert planned(LARGE._replace(accumulators=16)) == (16, 32.0 * 32)
