"""The report on rivals: its sums, its means, and the page that is published."""

from __future__ import annotations

import math

import pytest

from benchmarks.markdown import text_of
from benchmarks.rivals import (
    CONCLUSION,
    STARTS,
    ant_means,
    blocks,
    calibration_table,
    compute_network,
    compute_shares,
    convolutions,
    geometric_mean,
    known,
    random_masks,
    render_assumptions,
)
from gscn.conv import Pass
from gscn.perf.rivals import RIVALS, Resources
from gscn.perf.workload.networks import network


def row(setting, scnn, ant, matched):
    """Return a row of ANT's comparison as if computed."""
    return {
        "setting": setting,
        "network": "net",
        "image_size": 32,
        "scnn+": scnn,
        "ant": ant,
        "scnn+ matched": matched,
        "ideal": 10.0,
        "planes": {str(start): {"scnn+": 2 * scnn, "ant": ant + start} for start in STARTS},
    }


def test_a_network_is_the_sum_of_its_convolutions():
    net = network("resnet20", image_size=32, batch=1)
    resources = Resources(multipliers=1024, port_bytes_per_cycle=1 << 40, value_bits=16)
    models = [RIVALS["tensordash"], RIVALS["sigma"]]
    expected = [0.0, 0.0]
    for layer in net.layers:
        for which in Pass:
            if layer.linear or (layer.first and which is Pass.INPUT_GRAD):
                continue
            masks = random_masks(layer.shape, which, (0.1, 0.1))
            for index, model in enumerate(models):
                expected[index] += model.cost(resources, layer.shape, which, *masks).cycles
    assert compute_network("resnet20", 32, models) == pytest.approx(expected)
    assert sum(convolutions(net).values()) == 3 * 19 - 1


def test_means_by_hand():
    assert geometric_mean([2, 8]) == pytest.approx(4)
    means = ant_means([row("a", 100.0, 20.0, 50.0), row("a", 100.0, 5.0, 50.0)])
    assert means["a"]["ant"] == pytest.approx(10)  # of 5 and 20
    assert means["a"]["planes_0"] == pytest.approx(20)
    assert means["a"]["planes_5"] == pytest.approx(math.sqrt(200 / 25 * 200 / 10))
    assert means["a"]["matched"] == pytest.approx(2)
    assert means["a"]["ant_over_matched"] == pytest.approx(5)
    assert means["a"]["ant_to_ideal"] == pytest.approx(1)


def test_a_model_far_from_its_tool_needs_a_reason():
    near = {"tool": "T", "rival": "dense", "case": "c", "multipliers": 1, "theirs": 100, "ours": 91}
    assert "0.910" in calibration_table([near])["rows"][0]
    with pytest.raises(KeyError):
        calibration_table([{**near, "ours": 89}])


def test_the_page_has_every_part():
    shares = compute_shares([7])
    assert shares[0]["scnn+ weight-grad"] < shares[0]["ant weight-grad"] < 1
    text = text_of(
        blocks(
            {
                "calibration": [],
                "network_calibration": [],
                "shares": shares,
                "ant": [row("a", 100.0, 20.0, 50.0), row("b", 80.0, 20.0, 50.0)],
            }
        )
    )
    assert "{" not in text
    assert text.count("\n## ") == CONCLUSION.count("\n## ") + 4
    for name, rival in known().items():
        assert f"### `{name}`: {rival.title}" in text


def test_the_published_page_has_the_models_as_they_are(repository):
    page = (repository / "docs" / "results" / "rivals.md").read_text(encoding="utf-8")
    assert render_assumptions() in page
