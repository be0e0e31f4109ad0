"""The document of errors shows what was computed; the errors of both modes are bounded."""

from __future__ import annotations

import dataclasses
import functools

import pytest

from benchmarks import model_error
from benchmarks.model_error import CASES, MODES, RESULTS, compute, error, render, step_of
from gscn.array import array
from gscn.conv import Pass
from gscn.perf.estimate.recorded_step import read_recorded
from gscn.perf.estimate.sampling import SAMPLING, Sampling, measure
from gscn.perf.estimate.training_step import Mode, estimate
from gscn.perf.workload.sparsification import Sparsification

CONFIG = array(model_error.CONFIG)
ANALYTIC, STATISTICAL = 0.15, 0.12
"""Relative errors of all passes together that the modes may have."""


def estimated(case, mode, sampling=SAMPLING):
    network, items = step_of(case.name, read_recorded(RESULTS / f"{case.name}.jsonl"))
    sparsification = Sparsification(method=case.method, sparsity=0.9)
    return estimate(network, CONFIG, sparsification, items=items, mode=mode, sampling=sampling)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_closed_form_is_within_its_bound_of_every_recorded_step(case):
    traced = read_recorded(RESULTS / f"{case.name}.jsonl")
    recorded = sum(one.measurement.cycles for one in traced)
    assert estimated(case, Mode.ANALYTIC).cycles() == pytest.approx(recorded, rel=ANALYTIC)


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_statistical_mode_is_within_its_bound_of_every_recorded_step(case):
    traced = read_recorded(RESULTS / f"{case.name}.jsonl")
    recorded = sum(one.measurement.cycles for one in traced)
    sampling = Sampling(measure=functools.partial(measure, processes=2))
    found = estimated(case, Mode.STATISTICAL, sampling)
    assert found.cycles() == pytest.approx(recorded, rel=STATISTICAL)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_recorded_passes_are_of_the_configuration_and_possible(case):
    for one in read_recorded(RESULTS / f"{case.name}.jsonl"):
        assert one.measurement.multipliers == CONFIG.multipliers
        assert 0 < one.measurement.utilization <= 1
        assert one.measurement.read_bytes <= one.measurement.cycles * CONFIG.port_bytes_per_cycle


def test_a_step_is_traced_once_and_measured_anew(monkeypatch, tmp_path):
    case = CASES[1]
    traced, measured = [], []

    def gscn(arguments):
        assert arguments[:3] == ["trace", "--sparsity", "0.9"]
        assert arguments[-2] == "--out"
        (tmp_path / "traces" / case.name).mkdir()
        traced.append(arguments[-1])
        return 0

    def measure_recorded(trace, config, *, cache, progress):
        measured.append(trace)
        cache.write_text("new")

    monkeypatch.setattr(model_error, "TRACES", tmp_path / "traces")
    monkeypatch.setattr(model_error, "gscn", gscn)
    monkeypatch.setattr(model_error, "load_trace", lambda folder: folder)
    monkeypatch.setattr(model_error, "measure_recorded", measure_recorded)
    results = tmp_path / f"{case.name}.jsonl"
    results.write_text("old")
    for times in (1, 2):
        model_error.record([case.name], results=tmp_path)
        assert traced == [str(tmp_path / "traces" / case.name)]
        assert measured == times * [tmp_path / "traces" / case.name]
        assert results.read_text() == "new"


def test_the_document_has_the_computed_errors(monkeypatch):
    def half(config, samples, **_):
        """Find every sample half as fast as its products."""
        from gscn.perf.estimate.pass_cost import Measurement

        return [
            Measurement(
                useful_products=6400, cycles=200, multipliers=64, read_bytes=1, write_bytes=1
            )
            for _ in samples
        ]

    monkeypatch.setattr(model_error, "measure", half)
    row = compute(CASES[1], processes=1)
    traced = read_recorded(RESULTS / f"{CASES[1].name}.jsonl")
    assert row["trace"]["all"] == sum(one.measurement.cycles for one in traced)
    expected = estimated(CASES[1], Mode.ANALYTIC).cycles() / row["trace"]["all"] - 1
    assert error(row, Mode.ANALYTIC) == pytest.approx(expected)
    text = render({"steps": [row], "fitted_on": ["nothing"]})
    for mode in MODES:
        assert f"{100 * error(row, mode):+.1f}" in text
        assert f"{100 * error(row, mode, Pass.WEIGHT_GRAD):+.1f}" in text
    assert dataclasses.astuple(CASES[1])[1] in text
