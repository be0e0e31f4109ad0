"""Runs of the table: each has a line, resumable run by run."""

from __future__ import annotations

import json

import pytest

from benchmarks import training_runs
from gscn.errors import InputError
from gscn.golden.training.training import train


def test_every_run_has_a_line_with_what_was_trained(done):
    results = training_runs.read_results(done[0])
    assert [(r["network"], r["method"], r["seed"]) for r in results] == [
        ("digits", method, seed) for seed in (0, 1) for method in ("dense", "resprop-90")
    ]
    for result in results:
        run = training_runs.Run(
            network="digits",
            method=result["method"],
            seed=result["seed"],
            epochs=2,
            iterations_per_epoch=4,
        )
        trained = train(run.recipe)
        assert result["test_accuracy"] == trained.test_accuracy
        assert result["epoch_means"][-1]["loss"] == pytest.approx(trained.final_loss)
        assert len(result["epoch_means"]) == 2
        assert ("thresholds" in result) == (result["method"] == "resprop-90" and not run.seed)


def test_other_settings_are_other_runs(done):
    results = training_runs.read_results(done[0])
    assert training_runs.missing(training_runs.plan(["digits"], ["dense"], 2, 2, 4), results) == []
    assert (
        len(training_runs.missing(training_runs.plan(["digits"], ["dense"], 2, 2, 5), results)) == 2
    )


def test_a_damaged_line_is_named(tmp_path):
    path = tmp_path / "results.jsonl"
    for line in ("nonsense", "[1]", json.dumps({"network": "digits"})):
        path.write_text(line + "\n")
        with pytest.raises(InputError, match=r"results\.jsonl, line 1: must be a result"):
            training_runs.read_results(path)


@pytest.mark.parametrize("method", training_runs.METHODS)
def test_every_method_has_a_recipe_for_every_network(method):
    for network in training_runs.RECIPES:
        recipe = training_runs.Run(network=network, method=method, seed=3).recipe
        assert (recipe.network, recipe.seed) == (network, 3)
        assert recipe.method in method or recipe.method == "swat"
