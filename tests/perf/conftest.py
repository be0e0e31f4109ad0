"""A recorded training step that is small enough to be run whole."""

from __future__ import annotations

import pytest


@pytest.fixture(scope="session")
def tiny_trace(tmp_path_factory):
    """Return the trace of a step of the digits network, SWAT and ReSprop at 90 %, batch 4."""
    from gscn.golden.recipe import Recipe
    from gscn.golden.traces.recording import trace_step
    from gscn.golden.training.training import Trainer

    trainer = Trainer(
        Recipe(network="digits", method="swat+resprop", sparsity=0.9, batch_size=4, seed=1)
    )
    for _ in trainer.run(25):
        pass
    return trace_step(trainer, tmp_path_factory.mktemp("traces") / "tiny")
