# amaranth: UnusedElaboratable=no
"""The cycle model of a PE of an array equals the hardware in every cycle."""

from __future__ import annotations

import dataclasses
import itertools
import random

import numpy as np
import pytest

from gscn.array import ARRAYS
from gscn.cycles.pe import worker
from gscn.hw.array_layouts import WordKind
from gscn.latencies import job_end_cycles
from gscn.system.compiled import compiled
from tests.hw.streams import in_runs, never, randomly
from tests.hw.words import random_plan
from tests.hw.workers import Bench

CONFIG = dataclasses.replace(ARRAYS["tiny"], stationary_depth=64, directory_depth=64)
NAMES = ("mark", "job_end", "busy", "pending", "ready", "level")


def test_kinds_are_those_of_the_hardware():
    kinds = (WordKind.MAC, WordKind.MARK, WordKind.END)
    assert tuple(kind.value for kind in kinds) == (worker.MAC, worker.MARK, worker.END)


@compiled
def follow(state, words, fibers, pushes, taken, starts, row_keys, end_cycles, seen):
    """Step a PE through cycles, in some of which it takes the next word; keep its outputs."""
    # Wide: arrays that are compiled for, each of a record of its own.
    pe = state[0]
    following = 0
    for cycle in range(taken.shape[0]):
        seen[cycle, 0] = pe.mark
        seen[cycle, 1] = worker.is_job_end(pe)
        seen[cycle, 3] = worker.is_pending(pe) != 0
        seen[cycle, 4] = pe.words < words.shape[0]
        seen[cycle, 5] = pe.words
        cause = worker.step_worker(pe, words, fibers, starts, row_keys, end_cycles)
        seen[cycle, 2] = cause == worker.BUSY
        if taken[cycle]:
            word = pushes[following]
            worker.push(pe, words, word.kind, word.key, word.span, word.rows, word.job_end)
            following += 1


def modelled(plan, taken):
    """Return the outputs, by name, of the model in each cycle."""
    config = plan.config
    words = list(plan.words())
    pushes = np.zeros(len(words), worker.WORD)
    # one table of starts for all chunks, which follow each other without a gap
    first_key = plan.parts[0].chunk.first_key
    lengths = [len(fiber) for part in plan.parts for fiber in part.chunk.fibers]
    starts = np.array([0, *itertools.accumulate(lengths)])
    absolute = (word for part in plan.parts for word in part.words)
    for push, (_, word) in zip(pushes, words, strict=True):
        for name in ("span", "rows", "job_end"):
            push[name] = word[name]
        push["kind"] = word["kind"].value
        if word["kind"] == WordKind.MAC:
            push["key"] = next(absolute)["key"] - first_key
    seen = np.zeros((len(taken), len(NAMES)), np.int64)
    follow(
        np.zeros(1, worker.WORKER),
        np.zeros(config.word_depth, worker.WORD),
        np.zeros(config.fiber_depth, worker.FIBER),
        pushes,
        np.array(taken),
        starts,
        plan.row_keys,
        job_end_cycles(floats=bool(config.floats)),
        seen,
    )
    return {name: seen[:, column].tolist() for column, name in enumerate(NAMES)}


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"word_depth": 2, "fiber_depth": 2},
        {"word_depth": 3, "fiber_depth": 3},
        {"float_formats": "bf16"},
        {"stationary_depth": 16},
    ],
    ids=str,
)
@pytest.mark.parametrize("source", ["no pause", "idle source", "bursts"])
def test_outputs_equal_those_of_the_hardware_in_every_cycle(changes, source):
    config = dataclasses.replace(CONFIG, **changes)
    pauses = {"no pause": never, "idle source": lambda: randomly(3), "bursts": lambda: in_runs(4)}
    plan = random_plan(random.Random(21), config, jobs=4, longest=3 if changes else 6)
    bench = Bench(plan, source=pauses[source](), drain=randomly(8, 0.1)).run()
    assert source != "no pause" or not all(cycle["ready"] for cycle in bench.cycles)
    model = modelled(plan, [cycle["taken"] for cycle in bench.cycles])
    for name in NAMES:
        hardware = [cycle[name] for cycle in bench.cycles]
        assert sum(hardware), f"{name} is never seen"
        assert model[name] == hardware, name
