"""Samples measured on the cycle model itself."""

from __future__ import annotations

import pytest

from gscn.config import preset
from gscn.conv import ConvShape, Pass
from gscn.errors import InputError
from gscn.formats import INT8
from gscn.golden.oracle.integers import useful_products
from gscn.golden.oracle.synthetic import random_operands
from gscn.perf.estimate.sampling import Sample, measure, measure_sample

TINY = preset("tiny")
SHAPE = ConvShape(n=2, c=6, h=8, w=7, k=5, r=3, s=3, stride=(2, 1), padding=(1, 1))


def sample(which=Pass.FORWARD, first=0.3, second=0.5):
    return Sample(shape=SHAPE, which=which, first_density=first, second_density=second)


@pytest.mark.parametrize("which", Pass)
def test_useful_products_are_those_that_torch_counts(which):
    measured = measure_sample(TINY, sample(which), seed=3)
    operands = random_operands(SHAPE, which, 0.3, 0.5, INT8, 3)
    assert measured.useful_products == useful_products(SHAPE, which, *operands)
    assert 0 < measured.utilization <= 1
    assert measured.multipliers == 4


def test_processes_and_repetition_change_nothing():
    samples = [sample(which) for which in Pass] + [sample()]
    alone = [measure_sample(TINY, one, seed=5) for one in samples]
    done = []
    assert measure(TINY, samples, seed=5, progress=lambda *at: done.append(at)) == alone
    assert done == [(1, 3), (2, 3), (3, 3)]
    # Everything is known by now: nothing is measured again.
    assert measure(TINY, samples, seed=5, processes=1, progress=pytest.fail) == alone


def test_a_sample_without_products_is_refused():
    with pytest.raises(InputError, match="must leave at least one product"):
        measure_sample(TINY, sample(first=0.001), seed=0)
