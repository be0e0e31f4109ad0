"""Iterations follow from a rule, and so do those whose operands are kept."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest
import torch

from benchmarks import masks, tracing
from gscn.conv import ConvShape, Pass
from gscn.golden.methods.resprop import target_density
from gscn.golden.traces import recording
from gscn.golden.training import training

SHAPE = ConvShape(n=1, c=3, h=8, w=8, k=4, r=3, s=3, padding=(1, 1))


def test_the_first_sparse_iterations_of_the_first_epoch_at_the_final_target_are_measured():
    recipe = tracing.RECIPE
    final = target_density(recipe.sparsity)

    def target(iteration):
        epoch = iteration // recipe.iterations_per_epoch
        return target_density(recipe.sparsity, epoch=epoch, warm_up=recipe.warm_up)

    found = tracing.iterations()
    epoch, position = divmod(found[0], recipe.iterations_per_epoch)
    assert position == 1, "the first iteration of an epoch is dense"
    assert target(found[0]) == final < target(found[0] - 2)
    last = (epoch + 1) * recipe.iterations_per_epoch - 1
    assert found[-1] < last, "the last iteration of an epoch is dense"
    assert len(found) == 20


def test_layers_of_one_shape_are_measured_once():
    entries = {"stem": SHAPE, "a": SHAPE, "short": ConvShape(n=1, c=4, h=8, w=8, k=8, r=1, s=1)}
    trace = SimpleNamespace(
        entries={name: SimpleNamespace(shape=shape) for name, shape in entries.items()}
    )
    assert tracing.distinct_layers(trace) == ["stem", "short"]


class MadeTrace(SimpleNamespace):
    """A trace of one layer with so many nonzeros of its output gradients."""

    def nonzeros(self, name, which, part, axis):
        assert (name, which, part) == ("stem", Pass.WEIGHT_GRAD, "first")
        return SimpleNamespace(sum=lambda: self.count)


@pytest.fixture
def trainings(monkeypatch):
    """Let training make traces of made-up nonzeros; return the iterations that were trained."""
    done = []

    class Trainer:
        network = torch.nn.Conv2d(1, 1, 1)

        def __init__(self, recipe):
            assert recipe is tracing.RECIPE

        def run(self, iterations):
            done.extend(range(iterations))
            return iter(range(iterations))

    def trace_step(trainer, out, layers):
        assert layers == []
        iteration = done[-1] + 1
        done.append(iteration)
        out.mkdir()
        entry = SimpleNamespace(shape=SHAPE, densities={Pass.WEIGHT_GRAD: (0.25, 1.0)})
        # 228 has least, 241 most, and 230 as many as that
        count = {228: 5, 230: 90, 241: 90}.get(iteration, iteration % 7 + 20)
        return MadeTrace(entries={"stem": entry}, step=iteration, count=count)

    monkeypatch.setattr(training, "Trainer", Trainer)
    monkeypatch.setattr(recording, "trace_step", trace_step)
    monkeypatch.setattr(masks, "keep", lambda _, trace: done.append(trace.step))
    return done


def test_operands_of_the_first_and_of_the_extremes_are_kept(trainings, tmp_path):
    stale = tmp_path / "trace-3"
    stale.mkdir()
    tracing.record(tmp_path)
    lines = tracing.load(tmp_path / tracing.DENSITIES)
    assert [line["iteration"] for line in lines] == list(tracing.iterations())
    assert lines[2]["gradient_nonzeros"] == 5
    assert lines[2]["passes"] == [
        {"layer": "stem", "pass": "weight-grad", "densities": [0.25, 1.0]}
    ]
    assert tracing.extremes(lines) == (228, 230)
    folders = sorted(path.name for path in tmp_path.glob("trace-*"))
    assert folders == ["trace-226", "trace-228", "trace-230"]


def test_what_is_recorded_is_not_recorded_again(trainings, tmp_path):
    tracing.record(tmp_path)
    before = list(trainings)
    tracing.record(tmp_path)
    assert trainings == before
    (tmp_path / tracing.DENSITIES).unlink()
    tracing.record(tmp_path)
    assert trainings == 2 * before


def test_rows_are_read_line_by_line(tmp_path):
    path = tmp_path / "rows.jsonl"
    assert tracing.load(path) == []
    path.write_text(json.dumps({"a": 1}) + "\n" + json.dumps({"a": 2}) + "\n")
    assert tracing.load(path) == [{"a": 1}, {"a": 2}]
