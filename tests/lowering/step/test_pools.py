"""Poolings whose windows overlap: lists on the emulators equal the golden step, and torch."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
import torch

from gscn.formats import BF16
from gscn.golden.oracle.floats import decode
from gscn.golden.oracle.step import as_codes
from gscn.lowering.step.layers import IMAGES, Conv, Norm, Pool, Training
from gscn.lowering.step.pools import held_parts
from gscn.step import Encode, Walk
from tests.step_runs import Runs

POOLS = [
    Pool("p", "n", True, 3, 3, (2, 2), (1, 1)),
    Pool("p", "n", False, 3, 3, (2, 2), (1, 1)),
    Pool("p", "n", True, 2, 2),
    Pool("p", "n", True, 3, 2, (1, 2), (1, 0)),
    Pool("p", "n", True, 2, 3, (3, 5), (1, 1)),
    Pool("p", "n", False, 2, 2, (3, 3), (0, 1)),
    Pool("p", "n", True, 5, 4, (2, 1), (2, 2), ceil=True),
]


def run_of(pool, size):
    """Return steps with a pooling between two convolutions, of which one has been run."""
    made = pool.windows(size[2:]).made
    layers = [
        Conv("c", IMAGES, 20, 3, 1, 1), Norm("n", "c"), pool, Conv("c2", "p", 16, 3, 1, 1),
        Norm("n2", "c2"), Pool("last", "n2", False, *made), Conv("fc", "last", 10, linear=True),
    ]  # fmt: skip
    runs = Runs(layers, size, {"plain": Training()})
    runs.set_weights(1)
    generator = np.random.default_rng(2)
    for _ in range(2):
        images = generator.standard_normal(size).astype(np.float32)
        runs.run("plain", images, generator.integers(0, 10, size[0]), 0)
    return runs


@pytest.mark.parametrize("pool", POOLS)
def test_poolings_of_any_windows_and_their_gradients_are_those_of_torch(pool):
    runs = run_of(pool, (2, 3, 7, 9))
    found = {
        name: torch.from_numpy(decode(runs.golden.tensors[name], BF16))
        for name in ("z.n", "z.p", "d.p", "u.p")
    }
    given = found["z.n"].requires_grad_()
    windows = {
        "kernel_size": (pool.rows, pool.cols), "padding": pool.padding, "ceil_mode": pool.ceil,
        "stride": pool.windows((7, 9)).stride,
    }  # fmt: skip
    pooled = torch.nn.functional.max_pool2d if pool.maximum else torch.nn.functional.avg_pool2d
    made = pooled(given, **windows)
    (times,) = torch.autograd.grad(made, given, torch.ones_like(made), retain_graph=True)
    made.backward(found["d.p"])
    if pool.maximum:
        assert np.array_equal(
            as_codes(made.detach().numpy(), wide=False), runs.golden.tensors["z.p"]
        )
        wanted = as_codes(given.grad.numpy(), wide=False)
        # A sum of two is rounded once; one of zeros of either sign is +0.
        few = times.numpy() <= 2
        assert np.array_equal((wanted & 0x7FFF)[few], (runs.golden.tensors["u.p"] & 0x7FFF)[few])
        assert np.allclose(given.grad, found["u.p"], rtol=2**-6, atol=2**-8)
        return
    # Sums, and shares of gradients, are rounded to 8 bits on their way.
    for one, other in ((made, found["z.p"]), (given.grad, found["u.p"])):
        largest = float(one.detach().abs().max())
        assert np.allclose(one.detach(), other, rtol=0.02, atol=0.01 * largest)


def test_the_gradient_of_a_pooling_reads_each_windows_gradient_once_for_each_of_its_positions():
    runs = run_of(POOLS[0], (1, 3, 8, 8))
    read: Counter[tuple[int, int]] = Counter()
    for op in runs.golden.step.operations:
        if isinstance(op, Encode) and op.walk is Walk.HOLDING:
            read[op.held.phase] += runs.golden.states[op.state]["elements"]
    # Of 3 x 3 windows of stride 2 all positions, but for those in the padding.
    assert read == {(1, 1): 20 * 16, (1, 0): 20 * 28, (0, 1): 20 * 28, (0, 0): 20 * 49}


@pytest.mark.parametrize("pool", POOLS)
@pytest.mark.parametrize("size", [(7, 9), (8, 8), (3, 5)])
def test_every_position_that_windows_hold_is_in_one_part_of_a_map(pool, size):
    windows = pool.windows(size)
    found, wanted = np.zeros(size, dtype=int), np.zeros(size, dtype=bool)
    for held in held_parts(windows, size):
        places = [
            step * (first + np.arange(count)) + phase - padding
            for step, phase, padding, (first, count) in zip(
                windows.stride, held.phase, windows.padding, (held.rows, held.cols), strict=True
            )
        ]
        if not held.window or not any(held.window):
            found[np.ix_(*places)] += 1
    for window in np.ndindex(windows.made):
        rows, cols = (
            np.arange(max(0, number * step - padding), min(limit, number * step - padding + taps))
            for number, step, padding, taps, limit in zip(
                window, windows.stride, windows.padding, windows.size, size, strict=True
            )
        )
        wanted[np.ix_(rows, cols)] = True
    assert np.array_equal(found, wanted)
