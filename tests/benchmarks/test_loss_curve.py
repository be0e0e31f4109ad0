"""The figure of losses shows those of the run's JSON, with its table beside it."""

import csv
import json

import pytest

from benchmarks import loss_curve
from gscn.errors import InputError

RESULT = {
    "backend": "rtl",
    "iterations": 7,
    "losses_nats": [2.25, 2.0, 0.5],
    "simulation": {"checked": True, "golden_losses_nats": [2.25, 2.0, 0.75]},
}


def test_the_table_has_every_iteration_and_equal_results_give_equal_files(tmp_path):
    result = tmp_path / "result.json"
    result.write_text(json.dumps(RESULT))
    for folder in ("one", "two"):
        loss_curve.main([str(result), str(tmp_path / folder / "loss.svg")])
    with (tmp_path / "one" / "loss.csv").open() as file:
        rows = [{name: float(value) for name, value in row.items()} for row in csv.DictReader(file)]
    assert rows == [
        {"iteration": 5, "loss": 2.25, "golden_loss": 2.25},
        {"iteration": 6, "loss": 2.0, "golden_loss": 2.0},
        {"iteration": 7, "loss": 0.5, "golden_loss": 0.75},
    ]
    drawn = (tmp_path / "one" / "loss.svg").read_text()
    assert "<svg" in drawn
    assert drawn == (tmp_path / "two" / "loss.svg").read_text()


@pytest.mark.parametrize(
    "other",
    [{"backend": "cycle-model"}, {"simulation": {"checked": False}}],
    ids=lambda o: next(iter(o)),
)
def test_a_run_that_was_not_simulated_and_checked_is_refused(other):
    with pytest.raises(InputError, match="--backend rtl and --check"):
        loss_curve.loss_rows(RESULT | other)
