"""Passes are measured once, their bytes are counted, and a stopped measurement goes on."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest

from benchmarks import consecutive, masks, tracing
from benchmarks.consecutive import compressed_bytes, model_pass
from gscn.array import array
from gscn.conv import ConvShape, Pass
from gscn.cosim.layer import PassInput
from gscn.perf.estimate.buffer import BUFFERS

SHAPE = ConvShape(n=2, c=20, h=6, w=5, k=20, r=3, s=3, padding=(1, 1))
TINY = array("tiny")


def masked(which, density, shape=SHAPE):
    rng = np.random.default_rng(3)
    first, second = (
        (rng.random(size) < density).astype(np.int16) for size in shape.operand_shapes(which)
    )
    return PassInput(layer="a", shape=shape, which=which, first=first, second=second)


def by_hand(groups):
    """Return bytes of (groups of 16 lanes, positions, lanes): 2 per block, vector and number."""
    total = 0
    for lanes in groups:
        blocks = -(-len(lanes) // 16)
        total += 2 * (blocks + np.any(lanes, axis=1).sum() + np.count_nonzero(lanes))
    return total


def grouped(positions):
    """Cut (positions, channels) into groups of 16 channels, the last one filled up."""
    count = -(-positions.shape[1] // 16) * 16
    whole = np.zeros((len(positions), count), positions.dtype)
    whole[:, : positions.shape[1]] = positions
    return [whole[:, low : low + 16] for low in range(0, count, 16)]


@pytest.mark.parametrize("density", [0.0, 0.05, 0.4, 1.0])
@pytest.mark.parametrize("which", list(Pass))
def test_compressed_bytes_are_those_of_blocks_vectors_and_numbers(which, density):
    one = masked(which, density)
    filters_last = which is Pass.FORWARD
    axis = 0 if filters_last else 1
    operands = [(one.first, axis), (one.second, 1)]
    expected = sum(
        by_hand(grouped(np.moveaxis(values, lanes, -1).reshape(-1, values.shape[lanes])))
        for values, lanes in operands
    )
    assert compressed_bytes(one, TINY.format) == expected


@pytest.mark.parametrize("which", list(Pass))
def test_bytes_of_a_pass_are_read_at_least_once_and_never_more_behind_a_larger_buffer(which):
    row = model_pass(TINY, masked(which, 0.3), latency=10)
    assert row["image_bytes"] >= row["operand_bytes"] >= row["compressed_bytes"]
    read = [row["read_bytes"][str(size)] for size in BUFFERS]
    assert read[0] >= read[-1] > 0.9 * row["compressed_bytes"], "but for rows of no result"
    assert read[1:] == sorted(read[1:], reverse=True)
    assert row["first_plan"]
    assert row["densities"] == pytest.approx([0.3, 0.3], abs=0.05)


def test_inputs_that_no_result_has_are_not_counted():
    strided = dataclasses.replace(SHAPE, r=1, s=1, stride=(2, 3), padding=(0, 0))
    rows, cols = consecutive.used(strided)
    assert (list(rows), list(cols)) == ([0, 2, 4], [0, 3])
    one = masked(Pass.WEIGHT_GRAD, 0.5, strided)
    second = one.second.copy()
    second[:, :, 1::2] = 0
    second[:, :, :, 1:3] = second[:, :, :, 4:] = 0
    kept = dataclasses.replace(one, second=second)
    nonzeros = np.count_nonzero(one.second) - np.count_nonzero(second)
    assert nonzeros
    assert compressed_bytes(one, TINY.format) == compressed_bytes(kept, TINY.format)
    padded = dataclasses.replace(SHAPE, stride=(2, 1), dilation=(1, 2), padding=(0, 1))
    rows, cols = consecutive.used(padded)
    assert (list(rows), list(cols)) == ([0, 1, 2, 3, 4], [0, 1, 2, 3, 4])


def test_rows_have_another_file_once_sources_or_operands_are_others(tmp_path, monkeypatch):
    (tmp_path / tracing.DENSITIES).write_text("a")
    digests = {"sources": "0"}
    monkeypatch.setattr(consecutive, "source_digest", lambda _, **__: digests["sources"])
    find = consecutive.rows_path.__wrapped__
    first = find(tmp_path)
    assert find(tmp_path) == first != find(tmp_path, "rtl", rtl=True)
    digests["sources"] = "1"
    assert find(tmp_path) != first
    digests["sources"] = "0"
    assert find(tmp_path) == first
    (tmp_path / tracing.DENSITIES).write_text("b")
    assert find(tmp_path) != first


def test_plans_and_the_cycle_model_are_among_the_sources_of_rows():
    assert {"gscn", "lowering", "cycles", "perf"} <= set(consecutive.MODEL_ROOMS)
    assert {"hw", "rtl_gen", *consecutive.MODEL_ROOMS} <= set(consecutive.RTL_ROOMS)


class Here:
    """A pool of no processes."""

    def __init__(self, max_workers):
        assert max_workers

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    map = staticmethod(map)


def test_a_run_that_was_stopped_measures_what_is_missing(tmp_path, monkeypatch):
    (tmp_path / tracing.DENSITIES).write_text("a")
    (tmp_path / masks.LAYERS).write_text(json.dumps({"a": dataclasses.asdict(SHAPE)}))
    for iteration in (4, 5):
        packed = {}
        for which in Pass:
            one = masked(which, 0.2 + iteration / 100)
            for part in masks.PARTS:
                packed[f"a|{which}|{part}"] = np.packbits(getattr(one, part))
        np.savez(masks.path_of(tmp_path, iteration), **packed)
    monkeypatch.setattr(consecutive, "ProcessPoolExecutor", Here)
    monkeypatch.setattr(consecutive, "CONFIG", "tiny")
    rows = consecutive.measure_model([4, 5], tmp_path, processes=1)
    assert [(row["iteration"], row["pass"]) for row in rows] == [
        (iteration, str(which)) for iteration in (4, 5) for which in Pass
    ]
    path = consecutive.rows_path(tmp_path)
    lines = path.read_text().splitlines(keepends=True)
    assert len(lines) == 6
    path.write_text("".join(lines[:2] + lines[3:]))
    monkeypatch.setattr(consecutive, "LATENCY", 1)
    again = consecutive.measure_model([5, 4], tmp_path, processes=1)
    assert len(path.read_text().splitlines()) == 6
    assert [row["iteration"] for row in again] == [5, 5, 5, 4, 4, 4]
    timeless = [{name: row[name] for name in row if name != "seconds"} for row in (*rows, *again)]
    assert timeless[:3] == timeless[9:]
    assert timeless[3:6] == timeless[6:9]


def test_together_weighs_passes_by_their_cycles():
    rows = [
        {"useful_products": 640, "cycles": None, "model_cycles": 10},
        {"useful_products": 640, "cycles": 30, "model_cycles": 31},
    ]
    assert consecutive.together(rows) == 1280 / (64 * 40)
