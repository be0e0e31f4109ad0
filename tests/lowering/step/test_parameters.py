"""Parameters in the memory of steps: what is put there is what is got, and moves by a step."""

from __future__ import annotations

import numpy as np
import torch

from gscn.golden.networks.parameters import taken
from gscn.golden.networks.tracing import traced
from gscn.lowering.step.layers import Training
from gscn.lowering.step.parameters import got, put
from gscn.lowering.step.placing import place
from tests.step_networks import Small
from tests.step_runs import Runs

SIZE = (2, 3, 8, 8)


def test_parameters_are_got_as_they_were_put_and_move_by_the_golden_step():
    torch.manual_seed(4)
    model = Small()
    graph = traced(model, torch.zeros(SIZE))
    runs = Runs(list(place(graph).layers), SIZE, {"plain": Training()})
    own, places = taken(model, graph), runs.lists["plain"].memory
    put(own, runs.host, places, runs.memory)
    same = got(own, runs.host, places, runs.memory)
    for part in ("weights", "momenta", "gammas", "betas"):
        for name, value in getattr(own, part).items():
            assert np.array_equal(getattr(same, part)[name], value), (part, name)
    assert same.velocities == {}
    for name, value in own.weights.items():
        runs.golden.tensors[f"w.{name}"] = value.view(np.uint32)
    runs.golden_host.bias = own.bias.copy()
    images = torch.randn(SIZE, generator=torch.Generator().manual_seed(5)).numpy()
    runs.run("plain", images, np.array([1, 4]), 0)
    after = got(own, runs.host, places, runs.memory)
    for name, value in own.weights.items():
        golden = runs.golden.tensors
        assert np.array_equal(after.weights[name].view(np.uint32), golden[f"w.{name}"])
        assert np.array_equal(after.momenta[name].view(np.uint32), golden[f"m.{name}"])
        assert not np.array_equal(after.weights[name], value)
    assert np.array_equal(after.bias, runs.golden_host.bias)
    assert set(after.velocities) == {
        "bias", *(f"{kind}.{name}" for name in own.gammas for kind in ("gamma", "beta"))
    }  # fmt: skip
