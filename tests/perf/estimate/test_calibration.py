"""The fit of the closed form: coefficients that made observations, and those of the package."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from gscn.errors import InputError
from gscn.perf.estimate.calibration import Observation, fit, recorded_observations
from gscn.perf.estimate.closed_form import busy_cycles, features, read_coefficients
from tests.perf.estimate.test_closed_form import LARGE, NONE, SHAPE, work


def test_a_fit_finds_the_coefficients_that_made_the_observations():
    rng = np.random.default_rng(0)
    true = dataclasses.replace(NONE, even=0.05, start=400.0, end=3.0, sharpness=2.0)
    works, products = [], []
    for _ in range(40):
        shape = dataclasses.replace(
            SHAPE, n=int(rng.integers(1, 9)), c=int(rng.integers(16, 256)), k=64
        )
        works.append(work(first=float(rng.uniform(0.05, 1)), shape=shape))
        products.append(works[-1].useful_products)
    cycles = busy_cycles(true, features(LARGE, works, products))
    observed = [
        Observation(work=one, useful_products=count, cycles=busy, read_bytes=count)
        for one, count, busy in zip(works, products, cycles, strict=True)
    ]
    found = busy_cycles(fit(LARGE, observed), features(LARGE, works, products))
    assert found == pytest.approx(cycles, rel=0.02)
    with pytest.raises(InputError, match="observations must be more than 16, not 3"):
        fit(LARGE, observed[:3])


def test_the_coefficients_of_the_package_are_those_of_the_kept_samples(repository):
    observed = recorded_observations(repository / "benchmarks" / "calibration.jsonl")
    assert len(observed) == 150
    for which, coefficients in read_coefficients().items():
        own = [one for one in observed if one.work.which is which]
        works, products = [o.work for o in own], [o.useful_products for o in own]
        seen = features(LARGE, works, products)
        found = busy_cycles(fit(LARGE, own), seen)
        assert busy_cycles(coefficients, seen) == pytest.approx(found, rel=0.01)
        # most samples are far smaller than layers; half of them come within 10 % even so
        errors = np.abs(found / [o.cycles for o in own] - 1)
        assert np.median(errors) < 0.1
