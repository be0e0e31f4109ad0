"""A recorded step is run whole and once; a file of results that is none is named."""

from __future__ import annotations

import functools

import pytest
import torch
from torch import nn

import gscn
from gscn.array import array
from gscn.conv import Pass
from gscn.dram import Dram
from gscn.errors import InputError
from gscn.golden.oracle.integers import useful_products
from gscn.perf.estimate import recorded_step
from gscn.perf.estimate.recorded_step import measure_recorded, read_recorded
from gscn.perf.estimate.training_step import (
    Mode,
    assumptions,
    estimate_recorded,
    recorded_items,
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


def test_passes_of_grouped_and_transposed_layers_are_those_of_the_layer(tmp_path):
    torch.manual_seed(3)
    model = nn.Sequential(
        nn.Conv2d(3, 4, 3, padding=1),
        nn.Conv2d(4, 8, 3, groups=4, padding=1),
        nn.ConvTranspose2d(8, 4, 2, stride=2),
    )
    trace = gscn.trace(model, torch.randn(2, 3, 5, 5), tmp_path / "trace", sparsity=0.5)
    config = array("tiny")
    found = measure_recorded(trace, config)
    result = estimate_recorded(trace, config, measure=lambda *_: found)
    network, items = recorded_items(trace)
    assert [layer.transposed for layer in network.layers] == [False, False, True]
    assert [layer.reads_image for layer in network.layers] == [True, False, False]
    assert [(one.layer.name, one.which) for one in result.passes] == [
        (layer.name, which) for layer, which, _ in items
    ]
    # What the transposed layer computes forward is an input gradient of what it transposes.
    own = {one.which: one.works[0].work for one in result.passes if one.layer.name == "2"}
    assert {which: work.which for which, work in own.items()} == {
        Pass.FORWARD: Pass.INPUT_GRAD,
        Pass.INPUT_GRAD: Pass.FORWARD,
        Pass.WEIGHT_GRAD: Pass.WEIGHT_GRAD,
    }
    assert all(work.role is which for which, work in own.items())
    assert own[Pass.FORWARD].first_density < 0.6  # SWAT's weights
    for one in found:
        recorded = trace.load_pass(one.layer, one.which)
        first, second = recorded.first != 0, recorded.second != 0
        assert one.measurement.useful_products == useful_products(
            one.shape, one.which, first.astype("i1"), second.astype("i1")
        )


def test_a_damaged_file_of_results_is_named(tmp_path):
    path = tmp_path / "cycles.jsonl"
    path.write_text("{}\n")
    with pytest.raises(InputError, match="one JSON object with a key per line"):
        read_recorded(path)
    with pytest.raises(InputError, match="there is none"):
        read_recorded(tmp_path / "absent.jsonl")


def test_of_a_dram_what_it_delivers_is_counted(tiny_trace, tmp_path):
    cache, dram = tmp_path / "passes.jsonl", Dram(bytes_per_cycle=0.25, buffer_bytes=256 << 10)
    config = array("tiny")
    alone = measure_recorded(tiny_trace, config, cache=cache)
    found = measure_recorded(tiny_trace, config, cache=cache, dram=dram)
    assert len(read_recorded(cache)) == 2 * len(alone)
    for one, other in zip(alone, found, strict=True):
        assert one.measurement.useful_products == other.measurement.useful_products
        reads = other.measurement.dram_reads[256 << 10].total
        # everything once: lines of which a part is padding too
        assert 0.9 * other.measurement.operand_bytes <= reads
        assert reads <= other.measurement.operand_bytes + 64 * 64
    step = estimate_recorded(
        tiny_trace, config, dram=dram,
        measure=functools.partial(measure_recorded, cache=cache, dram=dram),
    )  # fmt: skip
    assert step.cycles() == sum(
        max(one.array_cycles, one.dram_cycles) for p in step.passes for one in p.works
    )
