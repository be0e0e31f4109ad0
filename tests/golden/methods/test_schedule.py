"""The schedule follows the optimiser through epochs and checkpoints."""

from __future__ import annotations

import pytest
import torch

from gscn import golden
from gscn.errors import InputError
from tests.golden.methods.test_integration import images, network


def test_schedule_follows_the_optimiser_through_epochs_and_checkpoints():
    model = golden.sparsify(network(), "resprop", sparsity=0.95, warm_up=True)
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-6)
    schedule = golden.Schedule(model, optimizer, iterations_per_epoch=3)
    seen = []
    for seed in range(12):
        reuse = model[3].gscn.gradient_sparsifier
        seen.append((schedule.epoch, schedule.dense, reuse.dense, float(reuse.target)))
        optimizer.zero_grad()
        model(images(seed)).sum().backward()
        optimizer.step()
    dense = [True, False, True] * 4
    assert [row[0] for row in seen] == [0] * 3 + [1] * 3 + [2] * 3 + [3] * 3
    assert [row[1] for row in seen] == [row[2] for row in seen] == dense
    assert [row[3] for row in seen] == [1.0] * 6 + [0.8] * 3 + [0.7] * 3
    state = schedule.state_dict()
    schedule.close()
    optimizer.step()
    assert schedule.iteration == 12
    resumed = golden.Schedule(model, iterations_per_epoch=3)
    resumed.load_state_dict(state)
    assert (resumed.iteration, resumed.epoch, resumed.dense) == (12, 4, True)
    resumed.advance()
    assert (resumed.iteration, resumed.dense) == (13, False)
    with pytest.raises(InputError, match="must be the checkpoint's 3, not 4"):
        golden.Schedule(model, iterations_per_epoch=4).load_state_dict(state)
    with pytest.raises(
        InputError, match=r"iterations_per_epoch must be .*; iteration must be at le"
    ):
        golden.Schedule(model, iterations_per_epoch=0, iteration=-1)
