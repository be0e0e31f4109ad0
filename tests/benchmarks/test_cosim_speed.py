"""Speed of simulated training: what texts quote, and the command, without measuring anything."""

from __future__ import annotations

import json
import sys

import pytest

from benchmarks import cosim_speed
from benchmarks.pages import load

RUN = {
    "passes": 1234,
    "cycles": 5_678_901,
    "simulated_cycles": 6_000_000,
    "utilization": 0.456,
    "stalls": {"load": 0.05, "tail": 0.2, "drain": 0.1, "idle": 0.3},
    "wall_seconds": 90.0,
    "simulation_cpu_seconds": 150.4,
    "lowering_cpu_seconds": 2.34,
}
SPEED = {
    "products_per_wall_second": 5_127_000.0,
    "cycles_per_wall_second": 86_700.0,
    "cycles_per_simulation_cpu_second": 53_900.0,
    "python_share": 0.162,
    "utilization": 0.97,
}
DATA = {
    "digits": {**RUN, "mean_loss_first": 2.345, "mean_loss_last": 0.987},
    "resnet20": RUN,
    "products": {"large (int16)": SPEED, "large, bf16": {**SPEED, "utilization": 0.96}},
    "workers": {"passes": 30, "wall_seconds": {"1": 71.23, "2": 36.6}, "speed_up": 1.946},
}


def test_quoted_figures_are_those_of_the_runs():
    quoted = cosim_speed.quotes(DATA)
    assert quoted["digits-simulated-cycles"] == "6,000,000"
    assert quoted["digits-stalls"] == "idle 30 %, tail 20 %, drain 10 %"
    assert (quoted["digits-simulation"], quoted["digits-lowering"]) == ("150", "2.3")
    assert (quoted["int16-million-products"], quoted["bf16-cpu-cycles"]) == ("5.13", "53,900")
    assert (quoted["int16-utilization"], quoted["bf16-utilization"]) == ("97 %", "96 %")
    assert (quoted["workers-1"], quoted["workers-speed-up"]) == ("71.2", "1.95")
    assert quoted["digits-cycles"] == "5,678,901"
    assert quoted["digits-million-cycles"] == "5.7"
    assert (quoted["digits-minutes"], quoted["resnet20-seconds"]) == ("2", "90")
    assert (quoted["digits-loss-first"], quoted["digits-loss-last"]) == ("2.35", "0.99")
    assert quoted["resnet20-utilization"] == "45.6 %"


def test_the_record_has_what_is_quoted():
    found = cosim_speed.quotes(load("simulated-training")["data"])
    assert set(found) == set(cosim_speed.quotes(DATA))


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
