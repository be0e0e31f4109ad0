"""`gscn trace`."""

from __future__ import annotations

import json

import pytest
import torch
from torch import nn
from torch.nn import functional

import gscn
from gscn.command.main import main
from gscn.golden.traces.trace import load_trace


def test_traces_after_training(tmp_path, capsys):
    out, report = tmp_path / "new" / "trace", tmp_path / "report.json"
    words = ["trace", "--method", "swat+resprop", "--batch", "8", "--iterations", "3"]
    words += ["--layer", "head", "--layer", "stem", "--out", str(out), "--json", str(report)]
    assert main(words) == 0
    trace = load_trace(out)
    assert (trace.layers, trace.step, trace.method) == (("stem", "head"), 3, "swat+resprop")
    data = json.loads(report.read_text())
    assert [layer["name"] for layer in data["layers"]] == ["stem", "head"]
    assert data["layers"][1]["densities"]["forward"] == list(
        trace.entry("head").densities["forward"]
    )
    printed = capsys.readouterr().out
    assert sum(line.startswith("head ") for line in printed.splitlines()) == 3


def test_traces_the_larger_network(tmp_path):
    out, report = tmp_path / "trace", tmp_path / "report.json"
    words = ["trace", "--network", "resnet18", "--width", "2", "--batch", "4", "--iterations", "2"]
    words += ["--layer", "stage2.0.shortcut.0", "--out", str(out), "--json", str(report)]
    assert main(words) == 0
    trace = load_trace(out)
    assert (trace.network, trace.dataset, trace.step) == ("resnet18", "composites", 2)
    assert trace.entry("stage2.0.shortcut.0").shape.w_shape == (4, 2, 1, 1)
    data = json.loads(report.read_text())
    assert (data["network"], data["dataset"]) == ("resnet18", "composites")


def test_checkpoint_and_training_give_the_same_trace(tmp_path):
    recipe = ["--method", "resprop", "--batch", "8", "--iterations", "3"]
    checkpoint = tmp_path / "model.pt"
    assert main(["train", *recipe, "--out", str(checkpoint)]) == 0
    assert main(["trace", *recipe, "--out", str(tmp_path / "one")]) == 0
    resumed = ["trace", "--checkpoint", str(checkpoint), "--out", str(tmp_path / "two")]
    assert main(resumed) == 0
    for path in (tmp_path / "one").iterdir():
        assert path.read_bytes() == (tmp_path / "two" / path.name).read_bytes()


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["--layer", "tail"], "--layer must be one of stem, block1.conv1"),
        (["--epochs", "1", "--iterations", "42"], "--iterations must leave one of the 42"),
        (["--checkpoint", "absent.pt"], "checkpoint must be an existing file, not absent.pt"),
        (["--checkpoint", "absent.pt", "--seed", "1", "--iterations", "2"], "seed, iterations"),
    ],
)
def test_bad_arguments_end_with_status_2_and_write_nothing(words, complaint, tmp_path, capsys):
    assert main(["trace", *words, "--out", str(tmp_path / "trace")]) == 2
    assert complaint in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_existing_directory_is_refused_before_training(tmp_path, capsys):
    assert main(["trace", "--out", str(tmp_path)]) == 2
    assert f"trace directory must not exist yet: {tmp_path}" in capsys.readouterr().err


def test_several_steps_are_traced_each_into_a_directory(tmp_path):
    out, report = tmp_path / "traces", tmp_path / "report.json"
    words = ["trace", "--batch", "8", "--iterations", "2", "--steps", "3", "--layer", "head"]
    assert main([*words, "--out", str(out), "--json", str(report)]) == 0
    assert sorted(path.name for path in out.iterdir()) == [
        f"step-0000000{step}" for step in (2, 3, 4)
    ]
    assert [load_trace(path).step for path in sorted(out.iterdir())] == [2, 3, 4]
    data = json.loads(report.read_text())
    assert [step["trace"] for step in data["steps"]] == sorted(map(str, out.iterdir()))


def test_steps_beyond_the_recipe_are_refused(tmp_path, capsys):
    words = ["trace", "--epochs", "1", "--iterations", "40", "--out", str(tmp_path / "trace")]
    assert main([*words, "--steps", "3"]) == 2
    assert "--iterations must leave 3 of the 42 iterations" in capsys.readouterr().err
    assert main([*words, "--steps", "0"]) == 2
    assert "--steps must be at least 1, not 0" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_model_of_a_library_is_traced(tmp_path, capsys):
    out, report = tmp_path / "trace", tmp_path / "report.json"
    words = ["trace", "--model", "timm:test_efficientnet", "--image-size", "32", "--batch", "2"]
    words += ["--method", "swat+resprop", "--sparsity", "0.75", "--layer", "conv_stem"]
    words += ["--layer", "blocks.1.0.conv_pwl", "--layer", "classifier"]
    assert main([*words, "--out", str(out), "--json", str(report)]) == 0
    trace = load_trace(out)
    assert trace.layers == ("conv_stem", "blocks.1.0.conv_pwl", "classifier")
    assert (trace.network, trace.sparsity) == ("timm:test_efficientnet", 0.75)
    assert trace.entry("conv_stem").shape.n == 2
    assert json.loads(report.read_text())["network"] == trace.network
    assert "Not traced" in capsys.readouterr().out


def test_a_model_stands_without_what_a_recipe_has(tmp_path, capsys):
    words = ["trace", "--model", "timm:test_vit", "--epochs", "3", "--iterations", "4"]
    assert main([*words, "--steps", "2", "--out", str(tmp_path / "trace")]) == 2
    assert "must stand without: epochs, iterations, steps" in capsys.readouterr().err
    assert main(["trace", "--model", "timm:nothing", "--out", str(tmp_path / "trace")]) == 2
    assert "timm has no model 'nothing'" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_every_kind_of_layer_of_a_model_runs_on_the_verilog_as_it_was_traced(tmp_path):
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(3, 8, 3, stride=2, padding=1)
            self.up = nn.ConvTranspose2d(8, 4, 2, stride=2)
            self.line = nn.Conv1d(4, 8, 3, padding=1)
            self.mix = nn.Linear(8, 6)

        def forward(self, images):
            maps = functional.relu(self.up(functional.relu(self.conv(images))))
            tokens = functional.relu(self.line(maps.flatten(2))).transpose(1, 2)
            return self.mix(tokens)

    out, report = tmp_path / "trace", tmp_path / "report.json"
    trace = gscn.trace(Model(), torch.randn(2, 3, 8, 8), out, method="swat", sparsity=0.5)
    for name in ("conv", "up", "line", "mix"):
        words = ["cosim", "--trace", str(out), "--config", "tiny", "--layer", name]
        assert main([*words, "--json", str(report)]) == 0
        passes = json.loads(report.read_text())["passes"]
        assert len(passes) == len(trace.entry(name).densities)
        assert all(one["mismatches"] == 0 for one in passes)
