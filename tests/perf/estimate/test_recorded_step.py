"""A recorded step is run whole and once; a file of results that is none is named."""

from __future__ import annotations

import functools

import pytest

from gscn.array import array
from gscn.errors import InputError
from gscn.golden.oracle.integers import useful_products
from gscn.perf.estimate import recorded_step
from gscn.perf.estimate.recorded_step import measure_recorded, read_recorded
from gscn.perf.estimate.training_step import (
    Mode,
    assumptions,
    estimate_recorded,
    to_json,
)


def test_a_recorded_step_is_run_whole_and_once(tiny_trace, tmp_path, monkeypatch):
    cache = tmp_path / "cycles.jsonl"
    done = []
    config = array("tiny")
    found = measure_recorded(tiny_trace, config, cache=cache, progress=lambda *at: done.append(at))
    count = sum(len(entry.densities) for entry in tiny_trace.entries.values())
    assert len(found) == count
    assert done[-1] == (count, count)
    for one in found:
        recorded = tiny_trace.load_pass(one.layer, one.which)
        first, second = recorded.first != 0, recorded.second != 0
        assert one.measurement.useful_products == useful_products(
            one.shape, one.which, first.astype("i1"), second.astype("i1")
        )
        assert one.first_density == first.mean()
    # everything is in the file by now
    monkeypatch.setattr(recorded_step, "measure_pass", pytest.fail)
    assert measure_recorded(tiny_trace, config, cache=cache) == found
    assert read_recorded(cache) == found
    result = estimate_recorded(
        tiny_trace,
        config,
        measure=functools.partial(measure_recorded, cache=cache),
    )
    assert result.mode is Mode.TRACE
    assert result.cycles() == sum(one.measurement.cycles for one in found)
    assert to_json(result)["layers"][0]["passes"][0]["cycles"] == found[0].measurement.cycles
    assert "generated Verilog cycle for cycle" in assumptions(result)[0]


def test_a_damaged_file_of_results_is_named(tmp_path):
    path = tmp_path / "cycles.jsonl"
    path.write_text("{}\n")
    with pytest.raises(InputError, match="one JSON object with a key per line"):
        read_recorded(path)
    with pytest.raises(InputError, match="there is none"):
        read_recorded(tmp_path / "absent.jsonl")
