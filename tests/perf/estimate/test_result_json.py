"""An estimate as JSON: complete, and in agreement with the result."""

from __future__ import annotations

import json

import pytest
from torch import nn

from gscn.conv import Pass
from gscn.errors import InputError
from gscn.golden.networks.survey import survey
from gscn.perf.estimate.training_step import Mode, assumptions, estimate, to_json
from gscn.perf.workload.layers import network_of
from gscn.perf.workload.sparsification import Sparsification
from tests.perf.estimate.test_training_step import LARGE, constant, estimated


def test_the_json_is_complete_and_agrees_with_the_result():
    result = estimated("swat+resprop", 0.8, measure=constant(0.5))
    data = json.loads(json.dumps(to_json(result), allow_nan=False))
    assert data["training_speedup_vs_dense"] == result.speedup()
    assert data["config_digest"] == LARGE.digest()
    assert [layer["name"] for layer in data["layers"]] == [
        layer.name for layer in result.network.layers
    ]
    cycles = sum(p["cycles"] for layer in data["layers"] for p in layer["passes"])
    dense = sum(p["dense_cycles"] for layer in data["layers"] for p in layer["passes"])
    assert data["training_cycles"] == pytest.approx(cycles)
    assert data["training_speedup_vs_dense"] == pytest.approx(dense / cycles)
    assert [p["pass"] for p in data["layers"][0]["passes"]] == ["forward", "weight-grad"]
    for key in ("forward_speedup_vs_dense", "backward_speedup_vs_dense", "training_flop_reduction"):
        assert all(isinstance(layer[key], float) for layer in data["layers"])


def test_an_estimate_of_a_module_names_what_is_in_none_of_its_layers():
    class Head(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.up = nn.Conv2d(3, 8, 3), nn.ConvTranspose2d(8, 4, 2)
            self.deep = nn.Conv3d(4, 4, (1, 2, 2))

        def forward(self, x):
            y = self.up(self.conv(x))
            return self.deep(y.unsqueeze(2)).flatten(1, 2) @ y.transpose(-1, -2)[..., 1:, 1:]

    found = survey(Head(), (2, 3, 8, 8))
    net = network_of("head", found)
    swat = Sparsification(method="swat", sparsity=0.5)
    result = estimate(net, LARGE, swat, mode=Mode.ANALYTIC)
    data = to_json(result)
    layers = 2 * 36 * 8 * 27 + 2 * 36 * 8 * 16
    macs = {"deep": 2 * 36 * 4 * 16, "Head": 2 * 4 * 6 * 6 * 6}
    assert {one["name"]: one["macs"] for one in data["omitted"]} == macs
    assert data["covered_share"] == pytest.approx(layers / (layers + sum(macs.values())))
    text = "\n".join(assumptions(result))
    assert "Not among them: " in text
    assert "deep (Conv3d): " in text
    assert [(one["name"], one["transposed"]) for one in data["layers"]] == [
        ("conv", False), ("up", True)
    ]  # fmt: skip
    passes = [(one["pass"], one["runs_as"]) for one in data["layers"][1]["passes"]]
    assert passes == [(which, which.of_transposed) for which in Pass]
    assert "Head (bmm in Head): " in text
    with pytest.raises(InputError, match=r"network mm must compute at least one layer, not Flat"):
        network_of("mm", survey(Flat(), (2, 3)))


class Flat(nn.Module):
    def forward(self, x):
        return x @ x.T
