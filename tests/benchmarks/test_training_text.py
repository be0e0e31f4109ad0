"""The figures of the table are those of the runs."""

from __future__ import annotations

import csv
import statistics

from benchmarks import training_runs, training_text


def test_the_report_has_the_figures_of_the_runs(done):
    results, out = training_runs.read_results(done[0]), done[1].read_text()
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
    results, out = training_runs.read_results(done[0]), done[1]
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
    results, out = training_runs.read_results(done[0]), done[1].read_text()
    rows = training_text.settling(results[1]["thresholds"], 0.15)
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
    (row,) = training_text.settling(made, 0.15)
    # From the third on: 10, 12, 15 and 20 %; thresholds 2^-8, 2^-9, 2^-8, 2^-9.
    assert row == ("a", "3", "13.5", "11.5 to 16.2", "1", "5 of 5")
    made[3]["threshold"] *= 4
    assert training_text.settling(made, 0.15)[0][-1] == "3 of 5"


def test_a_run_that_diverges_is_reported(monkeypatch):
    monkeypatch.setitem(training_runs.RECIPES, "digits", {"learning_rate": 1e38})
    runs = training_runs.plan(["digits"], ["dense"], 1, 1, 6)
    results = [training_runs.compute(run) for run in runs]
    assert "training diverged" in results[0]["diverged"]
    assert "| digits | dense | 0 of 1 | diverged |" in training_text.render(runs, results)
