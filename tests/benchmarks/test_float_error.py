"""The error study: what it measures, what it says of it, and small layers in full."""

from __future__ import annotations

import json

import numpy as np
import pytest

from benchmarks import float_error
from benchmarks.float_error import RIVAL, WAYS, WINDOW, Case
from benchmarks.pages import load
from gscn.conv import ConvShape, Pass
from gscn.formats import BF16, FP16
from gscn.golden.recipe import Recipe
from gscn.golden.traces.arrays import LayerTrace, PassTrace


def row(layer="conv", which="forward", fmt="bf16", **errors):
    chosen = {way: {"rms": 1e-9, "max": 1e-8} for way in WAYS}
    chosen |= {way.replace("_", " "): value for way, value in errors.items()}
    return {
        "case": "case",
        "layer": layer,
        "pass": which,
        "format": fmt,
        "contraction": 9,
        "errors": chosen,
    }


def test_a_window_is_worse_if_either_error_is_larger():
    equal = row()
    rms = row(layer="a", **{RIVAL: {"rms": 1e-10, "max": 1e-8}})
    largest = row(layer="b", **{RIVAL: {"rms": 1e-9, "max": 1e-9}})
    better = row(layer="c", **{RIVAL: {"rms": 1e-8, "max": 1e-7}})
    assert float_error.worse([equal, rms, largest, better]) == [rms, largest]
    text = float_error.render([equal, rms, largest, better])
    assert "in 2 of 4 passes; with the top by count in 2. They are larger in: case, a," in text
    assert "forward, bf16, case, b, forward, bf16" in text


def test_errors_of_hand_made_operands_are_those_worked_out_by_hand():
    # Products 1 and 2**-40: float32 keeps the first only, a window of 48 bits both.
    shape = ConvShape(n=1, c=2, h=1, w=1, k=1, r=1, s=1)
    one = PassTrace(
        which=Pass.FORWARD,
        first=np.array([1.0, 1.0], np.float32).reshape(1, 2, 1, 1),
        second=np.array([1.0, 2.0**-40], np.float32).reshape(1, 2, 1, 1),
        result=np.ones((1, 1, 1, 1), np.float32),
        precomputed=None,
    )
    errors = float_error.measure(shape, one, BF16)
    relative = 2.0**-40 / (1 + 2.0**-40)
    lost = {"rms": pytest.approx(relative, rel=1e-3), "max": pytest.approx(relative, rel=1e-3)}
    nothing = {"rms": 0.0, "max": 0.0}
    assert errors["32 bits"] == errors["40 bits"] == errors[RIVAL] == lost
    assert errors["48 bits"] == errors["64 bits"] == errors[float_error.COUNTED] == nothing
    assert errors[float_error.BLOCKS] == lost


def test_passes_without_results_are_left_out():
    shape = ConvShape(n=1, c=1, h=1, w=1, k=1, r=1, s=1)
    zero = np.zeros((1, 1, 1, 1), np.float32)
    one = PassTrace(which=Pass.FORWARD, first=zero, second=zero, result=zero, precomputed=None)
    layer = LayerTrace(name="conv", shape=shape, passes={Pass.FORWARD: one})
    assert float_error.compute("case", iter([layer])) == []


def test_on_the_digits_network_48_bits_are_no_worse_than_float32():
    case = Case(name="digits", recipe=Recipe(method="swat+resprop", batch_size=16), iterations=20)
    rows = float_error.compute(case.name, float_error.recorded_layers(case), (BF16, FP16))
    # Three passes of ten layers, but for the input gradient of the first.
    assert len(rows) == 2 * (3 * 10 - 1)
    assert float_error.worse(rows) == []
    bf16 = [one for one in rows if one["format"] == "bf16"]
    assert all(float_error.largest(bf16, way, "rms") > 0 for way in ("32 bits", RIVAL))
    assert float_error.largest(bf16, WINDOW, "rms") < 1e-9
    assert float_error.largest(bf16, "32 bits", "rms") > float_error.largest(bf16, WINDOW, "rms")


def test_the_document_and_the_figure_have_every_layer(tmp_path):
    rows = [row(layer=name, which=str(which)) for name in ("a", "b") for which in Pass]
    rows.append(row(layer="scaled", fmt="fp16", **{RIVAL: {"rms": 0.0, "max": 0.0}}))
    text = float_error.render(rows)
    for name in ("a", "b"):
        assert sum(line.startswith(f"| {name} |") for line in text.splitlines()) == 3
    assert "at most those of float32 in 6 of 6 passes" in text
    assert "| fp16 | forward | 1 | 1 |" in text
    assert "| case | forward | 2 | 0 | 1.0e-09 / 1.0e-08 |" in text
    for name in ("one.svg", "two.svg"):
        float_error.save_figure(float_error.plot_errors(rows), tmp_path / name)
    drawn = (tmp_path / "one.svg").read_text()
    assert drawn == (tmp_path / "two.svg").read_text()
    assert "<svg" in drawn


def test_the_published_study_names_no_worse_pass():
    record = load("float-error")
    assert "They are larger in" not in json.dumps(record)
    assert set(record["data"]["files"]) == {float_error.FIGURE}
