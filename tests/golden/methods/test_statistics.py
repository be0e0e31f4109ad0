"""The report of densities: those that were asked for, and none before training."""

from __future__ import annotations

import math

from gscn import golden
from tests.golden.methods.test_integration import images, network


def test_adaptive_threshold_and_top_k_reach_the_sparsities_asked_for():
    model = golden.sparsify(network(), "swat+resprop", sparsity=0.75, reuse_sparsity=0.6)
    shares = []
    for seed in range(80):
        model(images(seed)).square().sum().backward()
        report = golden.sparsity_report(model)
        if seed >= 40:
            shares.append(report["3"].output_grads)
    # ceil(0.25 n), and activations by a threshold that may be nine iterations old.
    assert report["3"].weights == math.ceil(288 / 4) / 288
    assert 0.15 < report["5"].activations < 0.35
    # Halving and doubling makes the share swing around 0.4 + 0.05.
    assert 0.3 < sum(shares) / len(shares) < 0.6
    assert (report["7"].weights, report["0"].weights) == (math.ceil(270 / 4) / 270, 1.0)
    assert list(report) == ["0", "3", "5", "7"]


def test_report_of_a_model_that_has_not_been_trained_is_empty():
    model = golden.sparsify(network(), "swat").eval()
    model(images(0))
    report = golden.sparsity_report(model)["0"]
    assert (report.weights, report.activations, report.output_grads) == (None, None, None)
    assert report.weight_count == 216
