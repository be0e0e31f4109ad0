"""Architectures: which are drawn, trials in processes with limits, what the page says."""

from __future__ import annotations

import json
import random

import pytest
import torch
from torch import nn

from benchmarks import architecture_trial, architectures, architectures_text
from benchmarks.architecture_trial import (
    chosen_layers,
    measured,
    options_of,
    shared_weights,
    trained,
)
from gscn.golden.networks import libraries
from gscn.golden.networks.survey import survey


def test_names_are_a_draw_from_all_of_timm():
    timm = libraries.timm()
    drawn = random.Random(19).sample(sorted(timm.list_models()), 200)
    if timm.__version__ != "1.0.31":
        pytest.skip("another release has other models")
    assert architectures.NAMES.read_text().split() == sorted(drawn)


def test_all_classification_models_of_torchvision_are_tried():
    found = architectures.specs()
    assert len(found) == len(set(found))
    assert {"torchvision:resnet18", "torchvision:vit_b_16", "torchvision:swin_v2_b"} <= set(found)
    assert not any("fcn" in spec or "raft" in spec for spec in found)
    assert sum(spec.startswith("timm:") for spec in found) == 200


def test_a_trial_of_each_part():
    row = measured("timm:test_vit")
    assert "problem" not in row
    assert row["input"] == [[architecture_trial.ESTIMATED_BATCH, 3, 160, 160]]
    assert [one["kind"] for one in row["omitted"]] == ["bmm in Attention"]
    assert row["estimate swat"]["speedup"] > 1
    assert row["estimate swat"]["everything"] is None
    row = trained("timm:test_vit", shared=False)
    assert "problem" not in row
    assert row["image_size"] == architecture_trial.IMAGE_SIZES[0]
    assert list(row["methods"]) == list(architecture_trial.METHODS)
    assert all(one["calls"] == row["traced"] > 2 for one in row["methods"].values())


def test_what_fails_is_named_by_its_stage(monkeypatch):
    def unfit(*_, **__):
        raise RuntimeError("no images\nof this size")

    monkeypatch.setattr(architecture_trial, "trace", unfit)
    row = trained("timm:test_vit", shared=True)
    assert row["problem"]["stage"] == "step by swat"
    assert row["problem"]["text"] == "RuntimeError: no images"
    assert row["problem"]["where"].startswith("test_architectures.py:")
    row = measured("timm:absent")
    assert row["problem"]["stage"] == "layers and estimate"
    assert "timm has no model 'absent'" in row["problem"]["text"]


def test_large_weights_of_one_shape_share_memory_and_compute_like_any():
    def made():
        return nn.Sequential(*(nn.Linear(300, 300) for _ in range(3)), nn.Linear(300, 4))

    with shared_weights():
        model = made()
    places = [layer.weight.data_ptr() for layer in model]
    assert places[0] == places[1] == places[2] != places[3]
    assert model[0].bias.data_ptr() != model[1].bias.data_ptr()
    assert 0.5 < model[0].weight.abs().max() * 300**0.5 <= 1
    model(torch.ones(2, 300)).sum().backward()
    grads = [layer.weight.grad for layer in model[:3]]
    assert not torch.equal(grads[0], grads[1])
    assert made()[0].weight.data_ptr() != made()[1].weight.data_ptr()


def test_a_layer_of_each_shape_is_traced_within_bounds(monkeypatch):
    model = nn.Sequential(*(nn.Conv2d(3, 3, 2 * k + 1, padding=k) for k in (1, 2, 1, 3, 4)))
    found = survey(model, (1, 3, 16, 16))
    assert chosen_layers(found) == ["0", "1", "3", "4"]
    monkeypatch.setattr(architecture_trial, "TRACED_LAYERS", 2)
    assert chosen_layers(found) == ["0", "3"]
    monkeypatch.setattr(architecture_trial, "TRACED_BYTES", 1)
    assert chosen_layers(found) == ["0"]


def test_resprop_is_asked_for_linear_layers_where_there_are_no_others():
    mixed = nn.Sequential(nn.Conv2d(3, 4, 1), nn.Flatten(), nn.Linear(4, 2))
    linear = nn.Sequential(nn.Flatten(), nn.Linear(3, 2))
    for model, more in ((mixed, {}), (linear, {"linear_layers": "sparse"})):
        found = survey(model, (1, 3, 1, 1))
        swat = {"sparsity": architecture_trial.SPARSITY}
        assert options_of("dst", found) == {}
        assert options_of("swat", found) == swat
        assert options_of("resprop", found) == {**swat, **more}


@pytest.fixture
def tries(monkeypatch):
    """Return what is tried in processes, which are none."""
    done = []

    def apart(part, spec, *args):
        done.append((part, spec, *args))
        if spec == "bad" and part == "trained":
            return {"problem": {"stage": "made", "text": f"ValueError: try {len(done)}"}}
        return {"parameters": {"large": 10**9}.get(spec, 7)} if part == "measured" else {}

    monkeypatch.setattr(architectures, "apart", apart)
    return done


def test_what_has_been_tried_is_not_tried_again_and_large_ones_come_last(tries, tmp_path):
    path = tmp_path / "new" / "rows.jsonl"
    architectures.try_all(path, ["large", "bad", "good"])
    order = [("measured", "large"), ("measured", "bad"), ("trained", "bad"), ("measured", "good")]
    assert [one[:2] for one in tries] == [*order, ("trained", "good"), ("trained", "large")]
    assert tries[-1] == ("trained", "large", True)
    tries.clear()
    architectures.try_all(path, ["large", "bad", "good", "more"])
    assert [one[1] for one in tries] == ["more", "more"]
    tries.clear()
    architectures.try_all(path, ["large", "bad", "good"], again=True)
    assert [one[:2] for one in tries] == [("trained", "bad")]
    assert architectures.known(path)["trained bad"]["problem"]["text"] == "ValueError: try 1"
    assert len(path.read_text().splitlines()) == 9


def test_a_process_that_dies_is_a_row(monkeypatch):
    monkeypatch.setattr(architectures, "PRELOADED", "benchmarks.architecture_trial")
    # Too little for anything, and then no time at all.
    for name, most in (("MOST_BYTES", 1 << 20), ("MOST_CPU_SECONDS", 0)):
        with monkeypatch.context() as patch:
            patch.setattr(architectures, name, most)
            row = architectures.apart("measured", "timm:test_vit")
        assert row["problem"]["text"]
    assert row["problem"]["text"].startswith("the process was ended by signal")


@pytest.mark.slow
def test_a_row_comes_from_a_process_of_its_own():
    row = architectures.apart("measured", "timm:test_vit")
    assert "problem" not in row
    # Machine code is there before.
    assert row["estimate swat"]["seconds"] < row["cpu_seconds"] < 30


def made_rows():
    good = {
        "spec": "timm:a",
        "measured": {
            "commit": "1234abcd",
            "parameters": 2_000_000,
            "layers": 5,
            "macs": 32 * 3 * 10**9,
            "omitted": [{"kind": "bmm in A", "share": 0.25, "count": 2}],
            "estimate swat": {"speedup": 4.5, "everything": 3.5, "seconds": 0.5},
            "estimate resprop": {"speedup": 1.5, "everything": None, "seconds": 2.5},
        },
        "trained": {"commit": "1234abcd", "image_size": 64, "methods": {}},
    }
    bad = json.loads(json.dumps(good)) | {"spec": "timm:b"}
    text = "InputError: layer x.1: must be 3, not 4; layer y.2: more"
    bad["trained"]["problem"] = {"stage": "step by dst", "text": text, "where": "a.py:1"}
    dead = {
        "spec": "torchvision:c",
        "measured": {"problem": {"stage": "measured", "text": "the process ended", "where": ""}},
        "trained": {"problem": {"stage": "not tried", "text": "not tried", "where": ""}},
    }
    return [good, bad, dead]


LIMITS = architecture_trial.LIMITS | {"large_millions": 100}


def test_the_page_counts_names_and_explains():
    rows = made_rows()
    assert architectures_text.summary(rows) == [
        {"library": "timm", "listed": 2, "tried": 2, "estimated": 2, "trained": 1, "passed": 1},
        dict.fromkeys(("estimated", "trained", "passed", "tried"), 0)
        | {"library": "torchvision", "listed": 1},
    ]
    page = architectures.PAGE.render({"rows": rows, "limits": LIMITS})
    assert "| timm | 2 | 2 | 2 | 1 | 1 (50.0 %) |" in page
    assert "The slowest estimate took 2.5 s (timm:b)." in page
    assert "4 ran after 1234abcd, 1 ran after an" in page
    assert "| 1 | step by dst: InputError: layer ...: must be N, not N | timm:b |" in page
    assert "| bmm in A | 2 | 25.0 % | 25.0 % |" in page
    assert "| timm:a | 2.0 | 5 | 3.00 | 25.0 % | 4.50 | 1.50 | 3.50 | 64 | passes |" in page
    assert "| torchvision:c | - | - | - | - | - | - | - | - | measured; not tried |" in page
    assert architectures.PAGE.quotes({"rows": rows})["timm-passed"] == "1"


def test_kinds_without_a_formula_are_said_to_have_none():
    rows = made_rows()[:1]
    rows[0]["measured"]["omitted"][0]["share"] = None
    page = architectures_text.render({"rows": rows, "limits": LIMITS})
    assert "| bmm in A | 1 | no formula | no formula |" in page
    assert "| timm:a | 2.0 | 5 | 3.00 | - |" in page
    assert "None fails." in page
