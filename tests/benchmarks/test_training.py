"""The table of all methods: resumable run by run, and its figures are those of the runs."""

from __future__ import annotations

import csv
import json
import statistics

import pytest

from benchmarks import training
from gscn.errors import InputError
from gscn.golden.training.training import train

TINY = ["--networks", "digits", "--methods", "dense", "resprop-90", "--seeds", "2", "--epochs", "2"]
TINY += ["--iterations-per-epoch", "4"]


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    folder = tmp_path_factory.mktemp("done")
    results, out = folder / "results.jsonl", folder / "new" / "report.md"
    training.main(["--results", str(results), "--out", str(out), *TINY])
    return results, out


def test_every_run_has_a_line_with_what_was_trained(done):
    results = training.read_results(done[0])
    assert [(r["network"], r["method"], r["seed"]) for r in results] == [
        ("digits", method, seed) for seed in (0, 1) for method in ("dense", "resprop-90")
    ]
    for result in results:
        run = training.Run(
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


def test_the_report_has_the_figures_of_the_runs(done):
    results, out = training.read_results(done[0]), done[1].read_text()
    rows = [
        line.strip("| ").split(" | ") for line in out.splitlines() if line.startswith("| digits")
    ]
    accuracy = {
        method: [r["test_accuracy"] for r in results if r["method"] == method]
        for method in ("dense", "resprop-90")
    }
    for method, cells in zip(accuracy, rows[:2], strict=True):
        own = [r for r in results if r["method"] == method]
        assert cells[:3] == ["digits", method, "2"]
        assert cells[3] == f"{100 * statistics.fmean(accuracy[method]):.2f}"
        assert cells[4] == f"{100 * statistics.stdev(accuracy[method]):.2f}"
        means = {m: statistics.fmean(v) for m, v in accuracy.items()}
        assert cells[5] == f"{100 * (means[method] - means['dense']):+.2f}"
        last = statistics.fmean(r["epoch_means"][-1]["output_grads"] for r in own)
        assert cells[8] == f"{100 * last:.1f}"
        saved = statistics.fmean(e["flops_saved"] for r in own for e in r["epoch_means"])
        assert cells[9] == f"{100 * saved:.1f}"
    assert len(rows) == 2 + 2 * 4


def test_the_plot_has_its_table_beside_it(done):
    results, out = training.read_results(done[0]), done[1]
    figure = out.with_name("report-thresholds.svg")
    assert figure.name in out.read_text()
    assert figure.read_text().startswith("<?xml")
    with figure.with_suffix(".csv").open() as file:
        rows = list(csv.DictReader(file))
    expected = results[1]["thresholds"]
    # Iterations 2, 3 of 4 in both epochs are not dense, in all ten convolutions.
    assert len(rows) == len(expected) == 2 * 2 * 10
    for row, one in zip(rows, expected, strict=True):
        assert (row["layer"], float(row["density"])) == (one["layer"], one["density"])
        assert float(row["threshold"]) == one["threshold"] > 0
    assert {int(row["iteration"]) for row in rows} == {2, 3, 6, 7}


def test_thresholds_follow_the_published_rule_and_their_settling_is_reported(done):
    results, out = training.read_results(done[0]), done[1].read_text()
    rows = training.settling(results[1]["thresholds"], 0.15)
    assert len(rows) == 10
    for row in rows:
        assert f"| {' | '.join(row)} |" in out
        # So short a run only doubles.
        assert row[1:] == ("-",) * 5
    threshold, densities = 2.0**-10, (0.9, 0.4, 0.15, 0.1, 0.2, 0.12)
    made = []
    for iteration, density in enumerate(densities, 1):
        threshold *= {True: 2, False: 0.5}[density > 0.15] if density != 0.15 else 1
        made.append(
            {"iteration": iteration, "layer": "a", "threshold": threshold, "density": density}
        )
    (row,) = training.settling(made, 0.15)
    # From the third on: 10, 12, 15 and 20 %; thresholds 2^-8, 2^-9, 2^-8, 2^-9.
    assert row == ("a", "3", "13.5", "11.5 to 16.2", "1", "5 of 5")
    made[3]["threshold"] *= 4
    assert training.settling(made, 0.15)[0][-1] == "3 of 5"


def test_runs_that_are_done_are_not_trained_again(done, tmp_path, monkeypatch):
    content = done[0].read_bytes()
    path = tmp_path / "results.jsonl"
    lines = content.splitlines(keepends=True)
    # Stopped while the third line was written.
    path.write_bytes(b"".join(lines[:2]) + lines[2][:50])
    trained = []
    compute = training.compute
    monkeypatch.setattr(training, "compute", lambda run: trained.append(run) or compute(run))
    training.main(["--results", str(path), "--out", str(tmp_path / "report.md"), *TINY])
    assert [(run.method, run.seed) for run in trained] == [("dense", 1), ("resprop-90", 1)]
    assert path.read_bytes() == content
    assert (tmp_path / "report.md").read_bytes() == done[1].read_bytes()
    for name in ("report-thresholds.svg", "report-thresholds.csv"):
        assert (tmp_path / name).read_bytes() == done[1].with_name(name).read_bytes()
    training.main(
        ["--results", str(path), "--only-render", "--epochs", "3", "--networks", "digits"]
    )
    assert len(trained) == 2


def test_lengths_of_training_are_compared(done, tmp_path):
    path, out = tmp_path / "results.jsonl", tmp_path / "report.md"
    path.write_bytes(done[0].read_bytes())
    training.main(["--results", str(path), "--out", str(out), *TINY, "--lengths", "1", "2"])
    results = training.read_results(path)
    assert len(results) == 4 + 4, "those of two epochs were there"
    rows = [line.strip("| ").split(" | ") for line in out.read_text().splitlines()]
    rows = [cells for cells in rows if cells[:2] in (["1", "4"], ["2", "8"])]
    for epochs, cells in zip((1, 2), rows, strict=True):
        means = {
            method: statistics.fmean(
                r["test_accuracy"]
                for r in results
                if (r["method"], r["epochs"]) == (method, epochs)
            )
            for method in ("dense", "resprop-90")
        }
        assert cells[2] == cells[4] == "2"
        assert cells[3].split()[0] == f"{100 * means['dense']:.2f}"
        assert cells[6] == f"{100 * (means['resprop-90'] - means['dense']):+.2f}"


def test_other_settings_are_other_runs(done):
    results = training.read_results(done[0])
    assert training.missing(training.plan(["digits"], ["dense"], 2, 2, 4), results) == []
    assert len(training.missing(training.plan(["digits"], ["dense"], 2, 2, 5), results)) == 2


def test_a_damaged_line_is_named(tmp_path):
    path = tmp_path / "results.jsonl"
    for line in ("nonsense", "[1]", json.dumps({"network": "digits"})):
        path.write_text(line + "\n")
        with pytest.raises(InputError, match=r"results\.jsonl, line 1: must be a result"):
            training.read_results(path)


def test_a_run_that_diverges_is_reported(monkeypatch):
    monkeypatch.setitem(training.RECIPES, "digits", {"learning_rate": 1e38})
    runs = training.plan(["digits"], ["dense"], 1, 1, 6)
    results = [training.compute(run) for run in runs]
    assert "training diverged" in results[0]["diverged"]
    assert "| digits | dense | 0 of 1 | diverged |" in training.render(runs, results)


@pytest.mark.parametrize("method", training.METHODS)
def test_every_method_has_a_recipe_for_every_network(method):
    for network in training.RECIPES:
        recipe = training.Run(network=network, method=method, seed=3).recipe
        assert (recipe.network, recipe.seed) == (network, 3)
        assert recipe.method in method or recipe.method == "swat"
