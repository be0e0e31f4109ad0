"""`gscn.analyse` says what `gscn estimate` does, of whatever it is given."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
import torch
from torch import nn

import gscn
from gscn.array import array
from gscn.command.main import main
from gscn.errors import InputError
from gscn.perf.workload.network_file import read_network
from gscn.perf.workload.sparsification import Sparsification


def net():
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8), nn.ReLU(),
        nn.Conv2d(8, 8, 3, padding=1), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 5),
    )  # fmt: skip


def test_a_module_in_one_call():
    found = gscn.analyse(net(), torch.zeros(4, 3, 8, 8), method="swat+resprop", sparsity=0.5)
    assert [one.name for one in found.network.layers] == ["0", "3", "6"]
    assert [one.has_normalisation for one in found.network.layers] == [True, True, False]
    assert found.network.covered_share == 1
    assert (found.data["batch"], found.data["method"]) == (4, "swat+resprop")
    assert str(found).startswith(
        "Sequential, swat+resprop at 0.5 (gradient differences 55 % dense)"
    )
    assert found.data["layers"][2]["training_speedup_vs_dense"] == found.estimate.speedup(layer="6")
    by_shape = gscn.analyse(net(), (4, 3, 8, 8), method="swat+resprop", sparsity=0.5)
    assert by_shape.data == found.data
    everything = Sparsification(method="swat+resprop", sparsity=0.5)
    assert gscn.analyse(net(), (4, 3, 8, 8), method=everything).data == found.data


def test_the_command_says_the_same(tmp_path, capsys):
    called = gscn.analyse("resnet20", batch=2, config="small", sparsity=0.8)
    files = {name: tmp_path / f"{name}.{end}" for name, end in
             (("json", "json"), ("export", "json"), ("report", "html"))}  # fmt: skip
    words = ["estimate", "--model", "resnet20", "--batch", "2", "--config", "small"]
    words += ["--sparsity", "0.8", "--mode", "analytic"]
    for name, path in files.items():
        words += [f"--{name}", str(path)]
    assert main(words) == 0
    assert capsys.readouterr().out == f"{called}\n"
    written = {name: path.read_text() for name, path in files.items()}
    data = json.loads(written["json"])
    assert data.pop("seed") == 0
    assert data == json.loads(json.dumps(called.data))
    assert read_network(files["export"]) == called.network
    for text in ("resnet20", "SWAT 80 %", "layer2.0.conv1", "<svg"):
        assert text in written["report"]
    called.save(**files)
    assert files["report"].read_text() == written["report"]
    assert files["export"].read_text() == written["export"]


def test_an_exported_table_gives_the_same_estimate(tmp_path):
    model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.Flatten(), nn.Linear(288, 4))
    first = gscn.analyse(model, (2, 3, 8, 8))
    first.save(export=tmp_path / "net.json")
    again = gscn.analyse(tmp_path / "net.json")
    assert again.network == first.network
    for one in (first, again):
        one.data.pop("whole_step")
    assert again.data == first.data
    assert gscn.analyse(first.network, config=array("large")).network == first.network


def test_sentences_that_name_operations_are_cut_short():
    model = nn.Sequential(*(layer for _ in range(9) for layer in (nn.Conv2d(3, 3, 1), nn.GELU())))
    found = gscn.analyse(model, (1, 3, 8, 8))
    assert found.data["whole_step"]["refused"].count("GELU") == 9
    assert str(found).count("GELU") == 5
    assert "  and 5 more" in str(found)


@pytest.mark.parametrize(
    ("given", "options", "message"),
    [
        ((net(),), {}, "must be given with inputs"),
        ((net(), (2, 3, 8, 8)), {"batch": 3}, "must be given with inputs"),
        ((net(), (2, 4, 8, 8)), {}, "model Sequential must take its inputs, a tensor of (2, 4, 8"),
        ((nn.ReLU(), (2, 4)), {}, "network ReLU must compute at least one layer"),
        (("resnet20", (2, 3, 8, 8)), {}, "inputs must be given with a module of torch alone"),
        ((3,), {}, "a model must be a module of torch, a text, a path or a table"),
        (("resnet20",), {"method": "sway"}, "method must be one of dense, swat"),
        (("resnet20",), {"config": "huge"}, "must be one of tiny, small, large"),
        (("resnet20",), {"mode": "trace"}, "mode must be one that needs no trace"),
    ],
)
def test_what_is_wrong_is_named(given, options, message):
    with pytest.raises(InputError) as caught:
        gscn.analyse(*given, **options)
    assert message in str(caught.value)


def test_the_package_is_light_until_it_is_used():
    program = (
        "import sys, gscn\n"
        "assert 'analyse' in dir(gscn)\n"
        "heavy = {'torch', 'numpy', 'numba', 'gscn.command'} & sys.modules.keys()\n"
        "assert not heavy, heavy\n"
        "try: gscn.analyze\n"
        "except AttributeError as error: assert 'analyze' in str(error)\n"
        "assert callable(gscn.analyse)\n"
        "assert 'torch' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
