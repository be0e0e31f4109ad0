"""The page of published operands."""

from __future__ import annotations

import dataclasses

from benchmarks.operands import make, quotes, render
from benchmarks.pages import load
from gscn.golden.operands.published import reference_digests
from gscn.golden.operands.suite import STEPS
from gscn.golden.recipe import Recipe


def test_the_page_has_every_step_with_its_recipe_and_a_digest():
    traces = load("operands")["data"]["traces"]
    assert [one["name"] for one in traces] == list(STEPS)
    for one in traces:
        step = STEPS[one["name"]]
        assert Recipe(**one["recipe"]) == step.recipe
        assert (one["iterations"], one["images_seen"]) == (step.iterations, step.images_seen)
    assert reference_digests() == {one["name"]: one["arrays_sha256"] for one in traces}


def test_sparse_operands_are_as_sparse_as_their_methods_aim_at():
    traces = {one["name"]: one["densities"] for one in load("operands")["data"]["traces"]}
    for name, densities in traces.items():
        weights, activations = densities["input-grad"][0], densities["weight-grad"][1]
        if name.endswith("-swat"):
            # The first layer is dense, and thresholds are up to ten iterations old.
            assert 0.08 < weights < 0.15
            assert 0.08 < activations < 0.25
        if name.endswith("-resprop"):
            assert weights == 1
            # Five points above the aim, which thresholds that double and halve swing about.
            assert 0.02 < densities["weight-grad"][0] < 0.4
        if name.endswith("-dst"):
            assert weights < 0.9


def test_a_page_is_made_of_what_is_recorded():
    step = dataclasses.replace(STEPS["digits-dst"], iterations=1)
    data = make([step])
    (one,) = data["traces"]
    assert one["layers"] == 10
    assert "sha256" not in one
    text = render(data)
    assert (
        f"| digits-dst | 10 | digits, 32 at a time | 1 | 32 | {one['size_bytes'] / 1e6:.1f} | "
        in text
    )
    assert one["arrays_sha256"] in text
    assert "CC BY 4.0" in text
    assert quotes(data)["steps"] == "1"
    assert 0 < data["seconds"] < 1000
