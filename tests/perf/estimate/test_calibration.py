"""The fit of the closed form: coefficients that made observations, and those of the package."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest

from gscn.array import array
from gscn.conv import Pass
from gscn.errors import InputError
from gscn.perf.estimate import calibration
from gscn.perf.estimate.buffer import Reads
from gscn.perf.estimate.calibration import (
    DRAWS,
    GROUPED,
    HELD_OUT,
    Observation,
    fit,
    observe,
    recorded_observations,
)
from gscn.perf.estimate.closed_form import (
    FITS,
    closed_form_costs,
    features,
    pass_cycles,
    read_bytes,
    read_coefficients,
)
from gscn.perf.estimate.pass_cost import Measurement
from tests.perf.estimate.test_closed_form import LARGE, NONE, SHAPE, work


def test_a_fit_finds_the_coefficients_that_made_the_observations():
    rng = np.random.default_rng(0)
    true = dataclasses.replace(
        NONE, even=0.3, first=0.2, second=0.4, start=700.0, first_root=1.2, second_each=2.0
    )
    works, products = [], []
    for _ in range(40):
        shape = dataclasses.replace(
            SHAPE, n=int(rng.integers(1, 9)), c=int(rng.integers(16, 256)), k=64
        )
        first, second = rng.choice([0.1, 0.5, 1.0], 2)
        works.append(work(first=float(first), second=float(second), shape=shape))
        products.append(works[-1].useful_products)
    seen = features(LARGE, works, products)
    cycles, reads = pass_cycles(true, seen), read_bytes(true, seen)
    observed = [
        Observation(
            work=one,
            useful_products=count,
            cycles=busy,
            first_read_bytes=first,
            second_read_bytes=second,
        )
        for one, count, busy, first, second in zip(works, products, cycles, *reads, strict=True)
    ]
    found = fit(LARGE, observed)
    assert pass_cycles(found, seen) == pytest.approx(cycles, rel=0.02)
    for side in range(2):
        assert read_bytes(found, seen)[side] == pytest.approx(reads[side], rel=0.05)
    with pytest.raises(InputError, match="observations must be more than 9, not 3"):
        fit(LARGE, observed[:3])


def kept(repository, name):
    path = repository / "benchmarks" / "calibration" / f"{name}.jsonl"
    observed = recorded_observations(path)
    assert len(observed) == DRAWS[name].count
    assert all((one.work.shape.groups > 1) == DRAWS[name].grouped for one in observed)
    return observed


@pytest.mark.parametrize("grouped", [False, True])
def test_the_coefficients_of_the_package_are_those_of_the_kept_samples(repository, grouped):
    observed = kept(repository, FITS[grouped])
    for which, coefficients in read_coefficients()[grouped].items():
        own = [one for one in observed if one.work.which is which]
        works, products = [o.work for o in own], [o.useful_products for o in own]
        seen = features(LARGE, works, products)
        found = pass_cycles(fit(LARGE, own), seen)
        assert pass_cycles(coefficients, seen) == pytest.approx(found, rel=0.01)
        # most samples are far smaller than layers; half of them come within 10 % even so
        errors = np.abs(found / [o.cycles for o in own] - 1)
        assert np.median(errors) < 0.1


def test_the_closed_form_is_as_near_to_grouped_samples_of_other_networks(repository):
    observed = kept(repository, HELD_OUT)
    fitted = {network for network, _, _ in DRAWS[GROUPED].networks}
    assert not fitted & {network for network, _, _ in DRAWS[HELD_OUT].networks}
    for which in Pass:
        own = [one for one in observed if one.work.which is which]
        products = [one.useful_products for one in own]
        costs = closed_form_costs(LARGE, [one.work for one in own], products=products)
        cycles = [cost.cycles / one.cycles for cost, one in zip(costs, own, strict=True)]
        reads = [
            sum(cost.read_bytes) / (one.first_read_bytes + one.second_read_bytes)
            for cost, one in zip(costs, own, strict=True)
        ]
        for ratios in (cycles, reads):
            assert np.median(np.abs(np.array(ratios) - 1)) < 0.2
            assert 0.85 < np.median(ratios) < 1.15


def test_samples_of_other_sources_are_measured_again_and_others_are_not(tmp_path, monkeypatch):
    asked = []

    def measure(config, samples, **_):
        asked.append(len(samples))
        reads = {0: Reads(first=10.0, second=20.0)}
        return [
            Measurement(useful_products=640, cycles=100, multipliers=4, dram_reads=reads)
            for _ in samples
        ]

    monkeypatch.setattr(calibration, "measure", measure)
    path, tiny = tmp_path / "samples.jsonl", array("tiny")
    few, many = (dataclasses.replace(DRAWS["ungrouped"], count=count) for count in (5, 20))
    observe(tiny, path, few)
    assert observe(tiny, path, many) == recorded_observations(path)
    assert asked == [5, 15]
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    for line in lines[:18]:
        line["made_by"] = "others"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    found = observe(tiny, path, many)
    assert asked == [5, 15, 18]
    assert found == recorded_observations(path)
