"""Packing, cutting, ordering and scheduling."""

from __future__ import annotations

import numpy as np
import pytest

from gscn.conv import ConvShape, Pass
from lowering import LoweringOptions, OutputFormat, lower
from lowering.balance import cut, interleave, pack, schedule
from tests.lowering.layers import SMALL, operands


def test_packing_equalises_work_within_the_capacity(rng):
    work = rng.exponential(1.0, 64)
    bins = pack(work, 16, 4)
    assert sorted(np.concatenate(bins).tolist()) == list(range(64))
    assert max(len(members) for members in bins) <= 4
    loads = [work[members].sum() for members in bins]
    by_index = [work[members].sum() for members in pack(work, 16, 4, balance=False)]
    assert max(loads) < max(by_index)
    assert loads == sorted(loads, reverse=True)


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
    # The second load and the first drain are hidden; the first load and the last drain are not.
    assert schedule(starts, load, compute, np.array([50.0, 50.0]), walk, 1) == 240
    # A load that may begin only at the end of the segment before is exposed.
    assert schedule(starts, load, compute, np.array([0.0, 0.0]), walk, 1) == 250
    assert schedule(starts, load, compute, np.array([0.0, 0.0]), walk, 2) == 140


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
            SMALL, shape, which, first, second, OutputFormat(width=16),
            LoweringOptions(balance=balance, stationary="first", candidates=2),
        ).estimated_cycles
        for balance in (True, False)
    ]  # fmt: skip
    assert cycles[0] < cycles[1]
