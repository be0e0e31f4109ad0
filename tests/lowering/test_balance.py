"""Packing, cutting, ordering and scheduling."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn.grad import conv2d_weight

from gscn.config import preset
from gscn.conv import ConvShape, Pass
from gscn.lowering import LoweringOptions, lower
from gscn.lowering.balance import cut, grade, interleave, pack, pack_pairs, schedule, schedule_jobs
from gscn.lowering.operands import count_channel_products
from gscn.lowering.windows import ramps
from gscn.program import OutputFormat
from tests.lowering.layers import SMALL, operands, shapes, with_pes


def test_packing_equalises_work_within_the_capacity(rng):
    work = rng.exponential(1.0, 64)
    bins = pack(work, 16, 4)
    assert sorted(np.concatenate(bins).tolist()) == list(range(64))
    assert max(len(members) for members in bins) <= 4
    loads = [work[members].sum() for members in bins]
    by_index = [work[members].sum() for members in pack(work, 16, 4, balance=False)]
    assert max(loads) < max(by_index)
    assert loads == sorted(loads, reverse=True)


def test_packing_pairs_equalises_every_block(rng):
    # Channels of two kinds that have products only with their own kind.
    kind = rng.permutation(np.arange(64) % 2)
    same = kind[:, None] == kind[:32][None, :]
    work = np.stack([same * rng.exponential(1.0, (64, 32)) for _ in range(3)])
    rows, cols = pack_pairs(work, (8, 8), (4, 8))
    assert sorted(np.concatenate(rows).tolist()) == list(range(64))
    assert sorted(np.concatenate(cols).tolist()) == list(range(32))
    assert max(map(len, [*rows, *cols])) <= 8

    def largest_block(row_bins, col_bins):
        total = work.sum(axis=0)
        return max(total[np.ix_(r, c)].sum() for r in row_bins for c in col_bins)

    by_sums = pack(work.sum(axis=(0, 2)), 8, 8), pack(work.sum(axis=(0, 1)), 4, 8)
    assert largest_block(rows, cols) < largest_block(*by_sums)
    by_index = pack_pairs(work, (8, 8), (4, 8), balance=False)
    assert by_index[0][0].tolist() == list(range(8))


@given(shapes(), st.integers(0, 2**32 - 1))
def test_products_of_every_kernel_are_counted(shape, seed):
    grads, inputs = operands(seed, shape, Pass.WEIGHT_GRAD)
    masks = (torch.from_numpy((t != 0).astype(np.float64)) for t in (grads, inputs))
    grads_mask, inputs_mask = masks
    expected = conv2d_weight(
        inputs_mask, shape.w_shape, grads_mask, shape.stride, shape.padding, shape.dilation
    ).sum((2, 3))
    counts = count_channel_products(shape, grads, inputs, 3)
    assert counts.shape[0] <= 3
    assert np.array_equal(counts.sum(axis=0), expected.numpy())


def test_first_windows_are_never_larger_than_the_stationary_memory():
    for config in (preset("tiny"), preset("large")):
        for ramp in ramps(config):
            assert all(1 <= limit <= config.a_depth for limit in ramp)


@pytest.mark.parametrize(("parts", "longest"), [(1, 50), (5, 50), (5, 3), (60, 50)])
def test_cutting_covers_everything_in_nonempty_runs(rng, parts, longest):
    work = rng.random(50) * (rng.random(50) < 0.3)
    bounds = cut(work, parts, longest)
    lengths = np.diff(bounds)
    assert bounds[0] == 0
    assert bounds[-1] == 50
    assert lengths.min() >= 1
    assert lengths.max() <= longest
    assert len(lengths) <= max(parts, -(-50 // longest) + parts)


def test_cutting_follows_the_work():
    work = np.concatenate([np.full(10, 9.0), np.full(90, 1.0)])
    assert np.add.reduceat(work, cut(work, 3, 100)[:-1]).max() <= 66


def test_interleaving_keeps_the_pes_together(rng):
    # Sorted words: the first half belongs to PE 0, the second to PE 1.
    lengths = np.array([[6, 0], [0, 6]])
    key = np.repeat([0, 1], 100)
    order = interleave(lengths, key)
    assert sorted(order.tolist()) == list(range(200))
    drift = np.cumsum(lengths[0, key[order]] - lengths[1, key[order]])
    assert np.abs(drift).max() <= 6
    lengths = rng.integers(0, 8, (4, 30))
    key = np.sort(rng.integers(0, 30, 1000))
    shares = lengths[:, key[interleave(lengths, key)]].cumsum(axis=1)
    shares = shares / shares[:, -1:]
    before = lengths[:, key].cumsum(axis=1)
    before = before / before[:, -1:]
    assert np.ptp(shares, axis=0).max() < np.ptp(before, axis=0).max() / 3


def test_schedule_overlaps_loading_and_draining():
    starts = np.array([0, 1, 2])
    load, compute = np.array([10.0, 10.0]), np.array([100.0, 100.0])
    walk = np.array([30.0, 30.0])
    ahead, none, apart = np.array([50.0, 50.0]), np.zeros(2), np.array([0, 1])
    # The second load and the first drain are hidden; the first load and the last drain are not.
    assert schedule(starts, load, apart, compute, ahead, walk, 1) == (240, 20)
    # A load that may begin only at the end of the segment before is exposed.
    assert schedule(starts, load, apart, compute, none, walk, 1) == (250, 20)
    assert schedule(starts, load, apart, compute, none, walk, 2) == (140, 20)
    # The first bank holds the third job's tile already: 10 + 3 x 100 + 10 exposed + 30.
    starts, block = np.arange(4), np.array([0, 1, 0])
    load, compute, walk = np.full(3, 10.0), np.full(3, 100.0), np.full(3, 30.0)
    assert schedule(starts, load, block, compute, np.zeros(3), walk, 1) == (350, 20)


def test_jobs_of_a_held_tile_load_once():
    compute, load, head = np.full(4, 100.0), np.full(4, 150.0), np.full(4, 40.0)
    both = np.maximum(compute, load)
    walk, tile = np.full(4, 20.0), np.zeros(4, dtype=np.int64)
    # The first job waits for its load (150), the others only for their products.
    assert schedule_jobs(compute, both, load, tile, True, head, walk, 1) == (
        40 + 150 + 300 + 20,
        150,
    )
    assert schedule_jobs(compute, both, load, tile, False, head, walk, 1) == (40 + 600 + 20, 600)
    assert schedule_jobs(compute, both, load, np.arange(4), True, head, walk, 1) == (660, 600)
    assert schedule_jobs(compute, both, load, tile, True, head, walk, 2) == (
        40 + 150 + 100 + 20,
        300,
    )


def test_graded_runs_shrink_and_cover_everything(rng):
    work = rng.random(200) + 0.5
    bounds = grade(work, 0.0, 4.0, 1.5, 40)
    runs = np.add.reduceat(work, bounds[:-1])
    assert bounds[0] == 0
    assert bounds[-1] == 200
    assert np.diff(bounds).min() >= 1
    assert np.diff(bounds).max() <= 40
    # The first run is about a sixth of all, the last a single element.
    assert abs(runs[0] - work.sum() / 6) < work.max()
    assert runs[-1] <= 2 * work.max()
    assert np.array_equal(grade(work, 1e6, 4.0, 1.5, 40), np.arange(0, 201, 40))


@pytest.mark.parametrize("which", Pass)
def test_estimated_utilisation_is_high_on_uniform_sparsity(which):
    shape = ConvShape(n=1, c=64, h=28, w=28, k=64, r=3, s=3, padding=(1, 1))
    first, second = operands(1, shape, which, 0.1)
    program = lower(SMALL, shape, which, first, second, OutputFormat(width=16))
    assert program.estimated_utilisation > 0.8


@pytest.mark.parametrize("which", Pass)
def test_dealing_by_nonzeros_beats_dealing_by_index(which):
    shape = ConvShape(n=4, c=32, h=12, w=12, k=32, r=3, s=3, padding=(1, 1))
    first, second = operands(2, shape, which, 0.9)
    first, second = first.copy(), second.copy()
    # Three quarters of the channels, and of the samples, hold little; products still prevail over
    # draining.
    rng = np.random.default_rng(3)
    for tensor in (first, second):
        for axis in (0, 1):
            light = rng.permutation(tensor.shape[axis])[tensor.shape[axis] // 4 :]
            index = (slice(None),) * axis + (light,)
            tensor[index] *= rng.random(tensor[index].shape) < 0.15
    cycles = [
        lower(
            with_pes(SMALL, 4), shape, which, first, second, OutputFormat(width=16),
            LoweringOptions(balance=balance, stationary="first", candidates=2),
        ).estimated_cycles
        for balance in (True, False)
    ]  # fmt: skip
    assert cycles[0] < cycles[1]
