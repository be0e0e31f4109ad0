"""The overhead benchmark measures every method, and compares ways that agree."""

from __future__ import annotations

import torch

from benchmarks import overhead
from gscn.golden.methods.options import METHODS


def test_every_method_is_measured_beside_a_dense_step():
    threads, state = torch.get_num_threads(), torch.random.get_rng_state()
    rows = overhead.compute_steps(["resnet18", "resnet20"], rounds=1, width=1)
    sparse = [name for name in METHODS if name != "dense"]
    assert [(row["network"], row["method"]) for row in rows] == [
        (network, method) for network in ("resnet18", "resnet20") for method in sparse
    ]
    for row in rows:
        # Of a single round the median is the round itself.
        assert row["ratio"] == row["seconds"] / row["dense_seconds"] > 0
        assert row["total_ratio"] == row["ratio"]
    assert torch.get_num_threads() == threads
    assert torch.equal(torch.random.get_rng_state(), state)


def test_ways_of_selection_are_compared_on_equal_results():
    threads = torch.get_num_threads()
    rows = overhead.compute_selection(sizes=(1000, 40_000), repeats=1)
    assert len(rows) == 16
    assert all(row["equal"] for row in rows)
    assert {(row["threads"], row["elements"]) for row in rows} == {
        (1, 1000),
        (1, 40_000),
        (2, 1000),
        (2, 40_000),
    }
    assert torch.get_num_threads() == threads
    text = overhead.render(overhead.compute_steps(["resnet18"], rounds=1, width=1), rows)
    assert text.count("\n|") == 2 + 4 + 2 + 16
