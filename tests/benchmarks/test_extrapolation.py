"""The document of all networks shows what was computed."""

from __future__ import annotations

import pytest

from benchmarks.extrapolation import METHODS, WHOLE, compute, render
from gscn.array import array
from gscn.perf.dense_array import dense_cost
from gscn.perf.workload.networks import network
from gscn.perf.workload.work import passes


@pytest.fixture(scope="module")
def rows():
    return [compute(name, method) for name in ("resnet20", "vgg16") for method in METHODS]


def test_rows_are_consistent(rows):
    for row in rows:
        low, high = sorted((row["forward"], row["backward"]))
        assert low <= row["training"] <= high
        if row["refused"] is None:
            assert row["with_operands"] < row["training"]
            assert row["with_everything"] < row["limit"]
        assert 0 < row["utilization"] <= 1
        assert sum(row["bounds"].values()) == pytest.approx(1)


def test_speedups_are_over_the_dense_array(rows):
    net = network("resnet20", image_size=32, batch=128)
    dense = sum(
        dense_cost(array("large"), layer.shape, which).cycles
        for layer in net.layers
        for which in passes(layer)
    )
    assert rows[0]["training"] == pytest.approx(dense / (rows[0]["million_cycles"] * 1e6))


def test_the_document_has_every_row(rows):
    text = render(rows)
    assert "ReSprop's differences are 15.0 % dense, as its training aims at" in text
    assert "published 8.0 (resnet34) and 7.2 (vgg16) of the backward pass are over a GPU" in text
    for row in rows:
        assert f"| {row['million_cycles']:.1f} |" in text
        whole = [row[name] for name in WHOLE]
        assert f"| {' | '.join('none' if one is None else f'{one:.2f}' for one in whole)} |" in text


def test_networks_that_the_compiler_refuses_have_no_figure_and_are_named(rows):
    refused = {row["network"]: row["refused"] for row in rows}
    assert refused["resnet20"] is None
    assert refused["vgg16"].startswith("a whole training step has no place for")
    assert "* vgg16: flatten (torch.Tensor.flatten)" in render(rows)
    assert all(row[name] is None for row in rows if row["refused"] for name in WHOLE)
