"""The page of users' networks says what the loaders find and what the estimate computes."""

from __future__ import annotations

import pytest

from benchmarks import user_networks
from benchmarks.pages import load
from benchmarks.user_networks import CASES, NETWORKS, PAGE, compute, errors, quotes, render
from gscn.array import array
from gscn.conv import ConvShape, Pass
from gscn.perf.estimate.calibration import DRAWS, Observation
from gscn.perf.estimate.closed_form import closed_form_costs
from gscn.perf.workload.sparsification import Method
from gscn.perf.workload.work import Work


@pytest.fixture(scope="module")
def data():
    """Figures as they were computed for the page; computing them anew takes minutes."""
    return load(PAGE.name)["data"]


def test_a_network_has_its_layers_and_an_estimate_for_each_case(monkeypatch, data):
    monkeypatch.setattr(user_networks, "BATCH", 2)
    monkeypatch.setattr(user_networks, "CASES", ((Method.SWAT, 0.8),))
    row = compute("docs.examples.unet:UNet", 32)
    assert row.keys() == data["networks"][0].keys()
    assert (row["inputs"], row["layers"], row["grouped"]) == ([2, 3, 32, 32], 13, 0)
    (one,) = row["estimates"]
    assert one.keys() == data["networks"][0]["estimates"][0].keys()
    assert 1 < one["speedups"]["training"] < 5
    assert 0 < one["utilization"] < 1
    assert sum(one["bounds"].values()) == pytest.approx(1)


def test_errors_are_the_closed_form_over_what_was_measured():
    shape = ConvShape(n=2, c=32, h=8, w=8, k=32, r=3, s=3, padding=(1, 1), groups=32)
    work = Work(shape=shape, which=Pass.FORWARD, first_density=0.1, second_density=0.5)
    (cost,) = closed_form_costs(array("large"), [work], products=[500])
    once, twice = (
        Observation(
            work=work,
            useful_products=500,
            cycles=cost.cycles * times,
            first_read_bytes=cost.read_bytes[0] / times,
            second_read_bytes=cost.read_bytes[1] / times,
        )
        for times in (1, 2)
    )
    found = errors([once, twice])
    assert found["samples"] == 2
    assert found["cycles"]["mean_error"] == pytest.approx(0.25)
    assert (found["cycles"]["least"], found["cycles"]["most"]) == pytest.approx((0.5, 1))
    assert (found["reads"]["least"], found["reads"]["most"]) == pytest.approx((1, 2))


def test_the_page_has_every_network_case_and_draw(data):
    assert [row["spec"] for row in data["networks"]] == [spec for spec, _ in NETWORKS]
    for row in data["networks"]:
        assert [(one["method"], one["sparsity"]) for one in row["estimates"]] == list(CASES)
    assert [(one["draw"], one["pass"]) for one in data["errors"]] == [
        (name, which) for name in DRAWS for which in Pass
    ]
    text = render(data)
    for row in data["networks"]:
        name = row["spec"].partition(":")[2]
        lines = [line for line in text.splitlines() if line.startswith(f"| {name} |")]
        cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
        assert [one[7] for one in cells] == [
            f"{one['speedups']['training']:.2f}" for one in row["estimates"]
        ]
    assert "bmm" in text


def test_speedups_and_errors_are_quoted_by_name(data):
    found = quotes(data)
    assert float(found["resnet101-swat-90"]) > float(found["mobilenet-v2-swat-90"]) > 1
    assert found["held-out-forward-cycles"].endswith(" %")
    assert len(found) == len(NETWORKS) * len(CASES) + 6 * len(DRAWS)
