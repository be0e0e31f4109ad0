"""Figures of passes are worked out of their lines as by hand."""

from __future__ import annotations

import pytest

from benchmarks import step_figures
from benchmarks.rtl import BOUNDS
from gscn.conv import Pass
from gscn.counters import CLUSTER_COUNTER_NAMES
from gscn.perf.estimate.buffer import BUFFERS
from tests.benchmarks import made_passes
from tests.benchmarks.made_passes import DATA, ROWS, model_row


def test_passes_are_as_they_were_after_a_line_of_text():
    rows = step_figures.decoded(DATA)
    assert len(rows) == len(ROWS)
    for row, one in zip(rows, ROWS, strict=True):
        for name in ("iteration", "layer", "pass", "useful_products", "image_bytes"):
            assert row[name] == one[name]
        assert row["cycles"] == one["model_cycles"]
        assert row["kernel"] == "x".join(map(str, one["kernel"]))
        assert [row["first"], row["second"]] == pytest.approx(one["densities"], rel=1e-5)
        assert [row["read_port"], row["write_port"]] == pytest.approx(one["port_shares"])
        assert [row[name] for name in CLUSTER_COUNTER_NAMES] == pytest.approx(
            [one["shares"][name] for name in CLUSTER_COUNTER_NAMES], rel=1e-5
        )
        assert [row[f"read_{size >> 10}K"] for size in BUFFERS] == [
            one["read_bytes"][str(size)] for size in BUFFERS
        ]
        assert row["utilization"] == pytest.approx(one["utilization"], rel=1e-3)
        assert (row["bound"], row["bound_share"]) == (
            one["bound"],
            pytest.approx(one["bound_share"], rel=1e-3),
        )


def test_all_together_weighs_passes_by_their_cycles():
    rows = [{"useful_products": 640, "cycles": 10}, {"useful_products": 640, "cycles": 30}]
    assert step_figures.together(rows, 64) == 1280 / (64 * 40)


def test_the_iterations_with_least_gradient_products_are_the_sparse_ones():
    rows = [
        {
            "iteration": iteration,
            "pass": str(which),
            # forward passes have most where gradients have least: they do not count
            "useful_products": (20 - iteration) * 10**6 if which is Pass.FORWARD else iteration,
        }
        for iteration in range(20)
        for which in Pass
    ]
    assert step_figures.sparse_iterations(rows) == list(range(10))


def test_gradients_of_3x3_kernels_are_those_of_sparse_iterations_alone():
    rows = step_figures.decoded(DATA)
    found = step_figures.spatial_gradients(rows)
    sparse = step_figures.sparse_iterations(rows)
    assert len(sparse) == step_figures.SPARSE < len(step_figures.iterations(rows))
    assert {row["iteration"] for row in found} == set(sparse)
    assert {row["kernel"] for row in found} == {"3x3"}
    assert {row["pass"] for row in found} == {"input-grad", "weight-grad"}


def test_the_share_of_the_bound_is_weighed_by_cycles():
    rows = [{"cycles": 10, "bound_share": 0.5}, {"cycles": 30, "bound_share": 0.9}]
    assert step_figures.at_bound(rows) == pytest.approx((5 + 27) / 40)


def test_whichever_is_busiest_is_the_bound():
    row = model_row(226, "short", Pass.FORWARD, 0.3, kernel=(1, 1), ports=(0.9, 0.2))
    (found,) = step_figures.decoded(made_passes.data([row]))
    assert (found["bound"], found["bound_share"]) == (BOUNDS[1], 0.9)


def test_bytes_per_compressed_byte_are_means_over_passes():
    rows = [
        {"read_0K": 400, "compressed_bytes": 100, "image_bytes": 110},
        {"read_0K": 100, "compressed_bytes": 100, "image_bytes": 105},
    ]
    assert step_figures.read_per_byte(rows, 0) == pytest.approx(2)
    assert step_figures.image_per_byte(rows) == pytest.approx([1.1, 1.05])


def test_swings_are_those_of_the_densities():
    found = step_figures.swing([0.25, 0.02, 0.2])
    assert (found["least"], found["median"], found["most"]) == (0.02, 0.2, 0.25)
    assert found["ratio"] == found["neighbours"] == pytest.approx(12.5)
    assert found["neighbours_median"] == pytest.approx((12.5 + 10) / 2)
