"""Operands are recorded in processes of their own, and are the same bytes again."""

from __future__ import annotations

import pytest

from gscn.errors import InputError
from gscn.golden.operands.published import check_operands
from gscn.golden.operands.publishing import publish
from gscn.golden.operands.suite import STEPS, Step
from gscn.golden.recipe import Recipe
from gscn.golden.traces.trace import load_trace


def small(method="swat", **recipe):
    return Step(
        recipe=Recipe(network="digits", method=method, batch_size=4, sparsity=0.8, **recipe),
        iterations=3,
    )


def files_of(folder):
    return {
        path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()
    }


def test_another_run_with_other_threads_and_vectors_gives_the_same_bytes(tmp_path, monkeypatch):
    said = []
    index = publish(tmp_path / "one", [small()], said.append)
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    monkeypatch.setenv("ATEN_CPU_CAPABILITY", "avx2")
    monkeypatch.setenv("MKL_CBWR", "AUTO")
    assert publish(tmp_path / "two", [small()]) == index
    assert files_of(tmp_path / "one") == files_of(tmp_path / "two")
    assert len(said) == 1
    assert said[0].startswith("digits-swat: ")
    assert check_operands(tmp_path / "one") == index

    trace = load_trace(tmp_path / "one" / "digits-swat")
    assert (trace.network, trace.method, trace.step) == ("digits", "swat", 3)
    told = index.traces["digits-swat"]
    assert (told.images, told.iterations, told.images_seen) == ("digits", 3, 12)
    assert Recipe(**told.recipe) == small().recipe
    assert told.layers["stem"]["forward"] == trace.entry("stem").densities["forward"]
    # SWAT: a fifth of the weights of all layers but the first; gradients are left alone.
    assert 0.15 < told.densities["forward"][0] < 0.3
    assert told.densities["input-grad"][0] == pytest.approx(0.2, abs=0.01)


def test_training_that_fails_is_named_and_leaves_nothing(tmp_path):
    with pytest.raises(InputError, match="step digits-swat: training diverged"):
        publish(tmp_path / "new" / "out", [small(learning_rate=1e9)])
    assert list(tmp_path.iterdir()) == []


def test_bad_requests_are_refused(tmp_path):
    step = STEPS["digits-swat"]
    with pytest.raises(InputError, match="must not exist yet"):
        publish(tmp_path, [step])
    for steps in ([], [step, step]):
        with pytest.raises(InputError, match="steps must be at least one, of different names"):
            publish(tmp_path / "out", steps)
    assert list(tmp_path.iterdir()) == []
