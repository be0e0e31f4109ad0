"""The comparison with a GPU shows what was computed, and says what bounds it."""

from __future__ import annotations

import pytest

from benchmarks.gpu import BATCHES, compute, input_density, render
from gscn.perf.estimate.gpu import PUBLISHED_BACKWARD

NAMES = ("vgg16",)
"""The quickest one of those that something is published of."""


@pytest.fixture(scope="module")
def data():
    return compute(NAMES)


def test_every_figure_of_the_document_was_computed(data):
    text = render(data)
    for name in NAMES:
        row = data["backward"][name]
        assert f"| {name} | {1e3 * row['gpu_seconds']:.2f} | {1e3 * row['seconds']:.2f} |" in text
        assert all(f"{data['batches'][name][str(n)]['speedup']:.2f}" in text for n in BATCHES)


def test_what_is_published_is_reached_or_its_bound_is_named(data):
    text = render(data)
    for name in NAMES:
        published, row = PUBLISHED_BACKWARD[name], data["backward"][name]
        assert f"{name}: {row['speedup']:.2f} against {published:.1f} published." in text
        (line,) = (line for line in text.splitlines() if line.startswith(f"* {name}"))
        bound = "bound is the number of products" in line or "Losses and DRAM" in line
        assert bound == (row["speedup"] < published)
        size = data["sizes"][name]
        assert size is None or size["speedup"] >= published


def test_the_density_of_inputs_is_that_of_recorded_steps():
    assert 0.3 < input_density() < 0.7
