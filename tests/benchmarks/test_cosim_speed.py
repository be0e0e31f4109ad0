"""Speed of simulated training: what texts quote, and the command, without measuring anything."""

from __future__ import annotations

import json
import sys

import pytest

from benchmarks import cosim_speed
from benchmarks.pages import load

RUN = {"passes": 1234, "cycles": 5_678_901, "utilization": 0.456, "wall_seconds": 90.0}


def test_quoted_figures_are_those_of_the_runs():
    digits = {**RUN, "mean_loss_first": 2.345, "mean_loss_last": 0.987}
    quoted = cosim_speed.quotes({"digits": digits, "resnet20": RUN})
    assert quoted["digits-cycles"] == "5,678,901"
    assert quoted["digits-million-cycles"] == "5.7"
    assert (quoted["digits-minutes"], quoted["resnet20-seconds"]) == ("2", "90")
    assert (quoted["digits-loss-first"], quoted["digits-loss-last"]) == ("2.35", "0.99")
    assert quoted["resnet20-utilization"] == "45.6 %"


def test_the_record_has_what_is_quoted():
    assert set(cosim_speed.quotes(load("simulated-training")["data"])) == set(
        cosim_speed.quotes({"digits": {**RUN, "mean_loss_first": 0, "mean_loss_last": 0},
                            "resnet20": RUN})
    )  # fmt: skip


def test_the_command_measures_what_is_named(monkeypatch, capsys, tmp_path):
    monkeypatch.setitem(cosim_speed.FIGURES, "products", lambda: {"found": 1})
    monkeypatch.setattr(sys, "argv", ["cosim_speed", "products"])
    cosim_speed.main()
    assert json.loads(capsys.readouterr().out) == {"found": 1}
    out = tmp_path / "new" / "found.json"
    monkeypatch.setattr(sys, "argv", ["cosim_speed", "products", "--out", str(out)])
    cosim_speed.main()
    assert json.loads(out.read_text()) == {"found": 1}
    monkeypatch.setattr(sys, "argv", ["cosim_speed", "everything"])
    with pytest.raises(SystemExit):
        cosim_speed.main()


def test_layers_of_the_workers_are_those_of_resnet20():
    shapes = [(one.c, one.h) for one in cosim_speed.LAYERS]
    assert [shapes.count(one) for one in ((16, 32), (32, 16), (64, 8))] == [3, 3, 4]
