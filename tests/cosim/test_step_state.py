"""A training by whole steps goes on from what it handed on as if it had never been left."""

from __future__ import annotations

import numpy as np
import pytest

from gscn.cosim.step_state import follow, restore, saved
from gscn.errors import InputError
from tests.golden.oracle.test_step import METHODS, batches
from tests.step_networks import small
from tests.step_runs import Runs

SIZE = (2, 3, 8, 8)


def runs_of(method):
    return Runs(small(), SIZE, METHODS[method][0], penalty=1e-2)


def places_of(runs):
    return next(iter(runs.lists.values())).memory


@pytest.mark.parametrize(
    "method", ["both", pytest.param("dst", marks=pytest.mark.slow)]
)  # fmt: skip
def test_steps_go_on_on_another_memory_as_on_their_own(method):
    order = METHODS[method][1][:3]
    first, *others = zip(order, batches(2, SIZE, len(order)), strict=True)
    runs, other = runs_of(method), runs_of(method)
    runs.set_weights(1)
    runs.run(first[0], *first[1])
    kept = saved(places_of(runs), runs.memory, runs.host)
    # What is not kept is not read.
    other.memory[places_of(other).dense["y.c1"].addr :][:64] = 255
    restore(kept, places_of(other), other.memory, other.host)
    follow(other.golden, places_of(other), other.memory, other.host)
    for way, batch in others:
        for one in (runs, other):
            one.run(way, *batch)
    assert other.host.losses == runs.host.losses[1:]
    last = saved(places_of(runs), runs.memory, runs.host)
    again = saved(places_of(other), other.memory, other.host)
    assert list(last) == list(again)
    assert all(np.array_equal(last[name], again[name]) for name in last)


def test_what_is_of_another_network_is_refused_by_name():
    runs = runs_of("plain")
    places = places_of(runs)
    kept = saved(places, runs.memory, runs.host)
    wrong = {name: one for name, one in kept.items() if name != "tensor/w.c1"}
    wrong |= {"bias": np.zeros(3), "tensor/w.c9": np.zeros(4, dtype=np.uint8)}
    before = runs.memory.copy()
    with pytest.raises(InputError) as caught:
        restore(wrong, places, runs.memory, runs.host)
    text = str(caught.value)
    assert "tensor/w.c1 must be there" in text
    assert "bias must have 10 values of float64" in text
    assert "tensor/w.c9 must not be there" in text
    assert np.array_equal(runs.memory, before)
