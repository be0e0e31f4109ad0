"""Iterations follow from a rule, and a measurement that is stopped goes on."""

from __future__ import annotations

import json
from collections import Counter
from types import SimpleNamespace

import pytest

from benchmarks import tracing
from gscn.conv import ConvShape, Pass
from gscn.golden.methods.resprop import target_density

SHAPES = {
    "stem": ConvShape(n=1, c=3, h=8, w=8, k=4, r=3, s=3, padding=(1, 1)),
    "a": ConvShape(n=1, c=4, h=8, w=8, k=4, r=3, s=3, padding=(1, 1)),
    "again": ConvShape(n=1, c=4, h=8, w=8, k=4, r=3, s=3, padding=(1, 1)),
    "short": ConvShape(n=1, c=4, h=8, w=8, k=8, r=1, s=1),
}


@pytest.fixture
def trace():
    passes = {which: (0.1, 0.2) for which in Pass}
    entries = {
        name: SimpleNamespace(shape=shape, densities=dict(passes)) for name, shape in SHAPES.items()
    }
    del entries["stem"].densities[Pass.INPUT_GRAD]
    return SimpleNamespace(entries=entries)


def test_the_first_sparse_iterations_of_the_first_epoch_at_the_final_target_are_measured():
    recipe = tracing.RECIPE
    final = target_density(recipe.sparsity)

    def target(iteration):
        epoch = iteration // recipe.iterations_per_epoch
        return target_density(recipe.sparsity, epoch=epoch, warm_up=recipe.warm_up)

    epoch, position = divmod(tracing.FIRST, recipe.iterations_per_epoch)
    assert position == 1, "the first iteration of an epoch is dense"
    assert target(tracing.FIRST) == final < target(tracing.FIRST - 2)
    assert (epoch + 1) * recipe.iterations_per_epoch - 1 == tracing.FIRST + tracing.COUNTED
    assert 3 <= tracing.MEASURED <= tracing.COUNTED


def test_every_pass_of_the_first_layer_of_each_shape_is_measured_once(trace):
    assert tracing.distinct_layers(trace) == ["stem", "a", "short"]
    found = list(tracing.jobs(trace))
    assert len(found) == len(set(found)) == tracing.MEASURED * (2 + 3 + 3)
    assert set(Counter((layer, which) for _, layer, which in found).values()) == {tracing.MEASURED}


def test_gradients_of_two_iterations_of_every_layer_come_first(trace):
    first = list(tracing.jobs(trace))[: 2 * (1 + 2)]
    assert {iteration for iteration, _, _ in first} == {tracing.FIRST, tracing.FIRST + 1}
    assert {which for _, _, which in first} == {Pass.INPUT_GRAD, Pass.WEIGHT_GRAD}


def test_a_run_that_was_stopped_measures_what_is_missing(trace, tmp_path, monkeypatch):
    monkeypatch.setattr(tracing, "load_trace", lambda _: trace)
    monkeypatch.setattr(tracing, "traced_inputs", lambda *given: [(given[2][0], given[3])])
    measured = []

    def one(config, source, by):
        measured.append((source, by))
        return {"layer": source[0], "pass": str(source[1]), "by": by}

    monkeypatch.setattr(tracing, "measure", lambda config, found: [one(config, found[0], "RTL")])
    monkeypatch.setattr(tracing, "measure_model", lambda config, found: one(config, found, "model"))
    tracing.measure_all(tmp_path)
    path = tmp_path / tracing.PASSES
    lines = path.read_text().splitlines(keepends=True)
    assert len(lines) == len(measured) == len(list(tracing.jobs(trace)))
    for line in lines:
        found = json.loads(line)
        assert (found["by"] == "RTL") == (found["iteration"] == tracing.FIRST)
        assert found["densities"] == [0.1, 0.2]
    measured.clear()
    path.write_text("".join(lines[:5] + lines[6:]))
    tracing.measure_all(tmp_path)
    assert len(measured) == 1
    assert sorted(map(keyed, path.read_text().splitlines())) == sorted(map(keyed, lines))


def keyed(line):
    found = json.loads(line)
    return found["iteration"], found["layer"], found["pass"], found["by"]
