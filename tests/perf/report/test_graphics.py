"""The comparison with a GPU says what `perf.gpu` computed, with its terms."""

from __future__ import annotations

import pytest

from perf import gpu
from perf.report import graphics
from perf.report.page import Table


@pytest.fixture(scope="module")
def comparisons():
    return graphics.compare(["resnet34"])


def test_a_claim_is_the_backward_pass_at_the_measured_batch(comparisons):
    (claim,) = graphics.claims(comparisons)
    own = gpu.gpu_comparison("resnet34", graphics.sparsification())
    assert own.batch == gpu.BATCH
    assert own.backward
    assert claim.ours == own.speedup
    assert claim.figure.value == gpu.PUBLISHED_BACKWARD["resnet34"]
    assert f"{own.speedup_with_everything:.1f}x" in claim.bound
    assert str(gpu.LANES) in claim.baseline


def test_a_larger_batch_gains_more(comparisons):
    speedups = [found.speedup for found in comparisons[0].backward]
    assert speedups == sorted(speedups)
    assert speedups[0] < speedups[-1]


def test_the_table_has_both_directions_and_shares_of_all_time(comparisons):
    table = graphics.comparisons_table(comparisons)
    assert [row[1:3] for row in table.rows] == [
        ("forward", 16), *(("backward", batch) for batch in graphics.BATCHES)
    ]  # fmt: skip
    for row in table.rows:
        assert sum(row[9:]) == pytest.approx(100)
        assert row[5] == pytest.approx(row[3] / row[4])
    assert [row[6] for row in table.rows] == [None, 8.0, None, None]


def test_sizes_that_reach_the_published_speedups_do(monkeypatch):
    monkeypatch.setattr(graphics, "BATCHES", (64,))
    monkeypatch.setattr(gpu, "PUBLISHED_BACKWARD", {"resnet34": 8.0})
    table = graphics.sizes_table()
    assert isinstance(table, Table)
    for row in table.rows:
        assert row[5] is None or row[5] >= row[1]
    assert table.rows[0][4] % 64 == 0
