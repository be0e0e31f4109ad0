"""Reads of DRAM by weight gradients: once for each block of tiles, by hand."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gscn.lowering.grad_dram import dram_reads
from tests.lowering.test_estimates import LARGE, densities


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
