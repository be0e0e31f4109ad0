"""`gscn cosim`, `gscn compare` and `gscn generate`, through the command's entry point."""

import json

import numpy as np
import pytest
import torch

from gscn.array import ARRAYS
from gscn.command.main import main
from gscn.conv import ConvShape, Pass
from gscn.golden.oracle.integers import convolve
from gscn.golden.traces.arrays import LayerTrace, PassTrace
from gscn.golden.traces.writing import write_trace

pytestmark = pytest.mark.cosim

LAYER = ["--conv", "1,4,8,8,4,3,3", "--padding", "1", "--config", "tiny"]


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """Results of all passes of one layer, and the command's JSON."""
    directory = tmp_path_factory.mktemp("results")
    report = directory / "report.json"
    status = main(["cosim", *LAYER, "--out", str(directory / "out"), "--json", str(report)])
    return status, json.loads(report.read_text()), directory / "out"


def test_cosim_reports_every_pass_without_mismatch(saved):
    status, report, _ = saved
    assert status == 0
    assert report["config_digest"] == ARRAYS["tiny"].digest()
    assert report["mem_width"] == ARRAYS["tiny"].mem_width
    assert [one["pass"] for one in report["passes"]] == ["forward", "input-grad", "weight-grad"]
    for one, outputs in zip(report["passes"], (256, 256, 144), strict=True):
        assert (one["outputs"], one["mismatches"], one["stray_bytes"]) == (outputs, 0, 0)
        assert one["utilization"] == one["useful_products"] / (one["cycles"] * 4)
        assert one["simulated_cycles"] > one["cycles"]
        assert one["simulated_cycles_per_second"] > 0
        assert sum(map(sum, one["counters"].values())) == one["cycles"] * 4
        assert sum(one["events"]["words"]) <= sum(one["events"]["lookups"])


def test_cosim_of_groups_reports_every_pass_without_mismatch(tmp_path):
    report, out = tmp_path / "report.json", tmp_path / "out"
    layer = ["--conv", "1,18,5,5,36,3,3", "--padding", "1", "--groups", "18", "--config", "tiny"]
    assert main(["cosim", *layer, "--out", str(out), "--json", str(report)]) == 0
    for one, outputs in zip(json.loads(report.read_text())["passes"], (900, 450, 324), strict=True):
        assert (one["outputs"], one["mismatches"], one["stray_bytes"]) == (outputs, 0, 0)
        assert one["model_cycles"] == one["cycles"]
    assert main(["compare", str(out), "--config", "tiny"]) == 0


@pytest.mark.parametrize(
    "axi",
    # another simulator, of which both halves are in other tests
    [pytest.param(False, id="own ports"), pytest.param(True, id="AXI", marks=pytest.mark.slow)],
)
def test_cosim_in_floating_point_is_checked_again_from_the_files(tmp_path, axi):
    report, out = tmp_path / "report.json", tmp_path / "out"
    arguments = [*LAYER, "--format", "bf16", "--result-format", "bf16", "--out", str(out)]
    arguments += ["--axi"] if axi else []
    assert main(["cosim", *arguments, "--json", str(report)]) == 0
    told = json.loads(report.read_text())
    assert told["config"]["float_formats"] == "bf16"
    assert told["config"]["operand_format"] == "int16"
    for one, outputs in zip(told["passes"], (256, 256, 144), strict=True):
        assert (one["outputs"], one["mismatches"], one["stray_bytes"]) == (outputs, 0, 0)
        assert (one["result_format"], one["output_width"], one["shift"]) == ("bf16", 16, 0)
        assert one["model_cycles"] == one["cycles"]
    same = ["--config", "tiny", "--format", "bf16"]
    assert main(["compare", str(out), *same]) == 0
    with np.load(out / "synthetic.forward.npz") as arrays:
        contents = dict(arrays)
    contents["result"][0, 1, 2, 3] ^= 1
    np.savez(out / "synthetic.forward.npz", **contents)
    assert main(["compare", str(out), *same]) == 1


def test_a_result_format_of_other_operands_is_refused(capsys):
    arguments = [*LAYER, "--format", "bf16", "--result-format", "fp16"]
    assert main(["cosim", *arguments]) == 2
    assert "result must be float32, bf16 or bf16, not fp16" in capsys.readouterr().err


@pytest.fixture
def trace(tmp_path, rng):
    """Trace of one layer, without its input gradient, as for the first layer of a network."""
    shape = ConvShape(n=2, c=3, h=6, w=6, k=4, r=3, s=3, padding=(1, 1))
    passes = {}
    for which in (Pass.FORWARD, Pass.WEIGHT_GRAD):
        first, second = (
            rng.standard_normal(size, dtype=np.float32) * (rng.random(size) < 0.3)
            for size in shape.operand_shapes(which)
        )
        result = convolve(shape, which, torch.from_numpy(first), torch.from_numpy(second)).numpy()
        passes[which] = PassTrace(
            which=which, first=first, second=second, result=result, precomputed=None
        )
    write_trace(
        tmp_path / "trace",
        [LayerTrace(name="stem", shape=shape, passes=passes)],
        network="test",
        dataset="noise",
        method="dense",
        sparsity=0.0,
        step=0,
        seed=0,
        dense_iteration=False,
    )
    return tmp_path / "trace"


@pytest.mark.parametrize("axi", [False, True], ids=["own ports", "AXI"])
def test_cosim_runs_the_passes_that_a_trace_has(trace, tmp_path, axi):
    report = tmp_path / "report.json"
    arguments = ["--trace", str(trace), "--config", "tiny", "--output-width", "16"]
    arguments += ["--axi"] if axi else []
    assert main(["cosim", *arguments, "--json", str(report)]) == 0
    told = json.loads(report.read_text())
    assert (told["axi"], told["ports"]) == (axi, 1)
    passes = told["passes"]
    assert all(one["model_cycles"] == one["cycles"] for one in passes)
    assert [(one["layer"], one["pass"]) for one in passes] == [
        ("stem", "forward"),
        ("stem", "weight-grad"),
    ]
    assert [(one["outputs"], one["mismatches"]) for one in passes] == [(288, 0), (108, 0)]


def test_cosim_refuses_a_pass_that_the_trace_lacks(trace, capsys):
    arguments = ["--trace", str(trace), "--config", "tiny", "--pass", "input-grad"]
    assert main(["cosim", *arguments]) == 2
    assert "must be one of forward, weight-grad, not input-grad" in capsys.readouterr().err


def test_compare_accepts_what_cosim_saved(saved, tmp_path):
    _, _, directory = saved
    report = tmp_path / "compare.json"
    assert main(["compare", str(directory), "--config", "tiny", "--json", str(report)]) == 0
    results = json.loads(report.read_text())["results"]
    assert [one["mismatches"] for one in results] == [0, 0, 0]


def test_compare_finds_one_wrong_word(saved, tmp_path, capsys):
    _, _, directory = saved
    with np.load(directory / "synthetic.forward.npz") as arrays:
        contents = dict(arrays)
    contents["result"][0, 1, 2, 3] += 1
    changed = tmp_path / "changed.npz"
    np.savez(changed, **contents)
    assert main(["compare", str(changed)]) == 1
    assert "at (0, 1, 2, 3)" in capsys.readouterr().out


def test_compare_refuses_another_configuration(saved, capsys):
    _, _, directory = saved
    assert main(["compare", str(directory), "--config", "small"]) == 2
    assert f"must be of configuration {ARRAYS['small'].digest()}" in capsys.readouterr().err


def test_compare_refuses_a_file_cut_short(saved, tmp_path, capsys):
    _, _, directory = saved
    cut = tmp_path / "cut.npz"
    cut.write_bytes((directory / "synthetic.forward.npz").read_bytes()[:-40])
    assert main(["compare", str(cut)]) == 2
    assert "whole and unchanged" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--conv", "1,2,3"], "--conv must be N,C,H,W,K,R,S in whole numbers, not '1,2,3'"),
        (["--conv", "1,1,4,4,1,3,3", "--stride", "1,2,3"], "--stride must be A or A,B"),
        (["--conv", "1,6,4,4,6,3,3", "--groups", "4"], "groups must divide both c (6) and k (6)"),
        (["--trace", "no/such", "--groups", "2"], "--groups belongs to --conv"),
        (["--conv", "1,1,2,2,1,3,3"], "kernel 3x3 with dilation (1, 1) must fit"),
        (["--conv", "1,1,4,4,1,3,3", "--layer", "x"], "--layer names a layer of a trace"),
        (["--conv", "1,1,4,4,1,3,3", "--config", "huge"], "array must be one of tiny"),
        (["--conv", "1,1,4,4,1,3,3", "--density-a", "1.5"], "density must be from 0 to 1"),
        (["--conv", "1,1,4,4,1,3,3", "--latency", "1"], "latency must be at least 2"),
        (["--conv", "1,1,4,4,1,3,3", "--stalls", "1"], "must be at least 0 and below 1, not 1.0"),
        (
            ["--conv", "1,1,40,40,1,17,17"],
            "synthetic forward: kernel rows and columns, spread by the dilation, must be at most",
        ),
        (["--conv", "1,1,4,4000,1,3,3"], "must hold a tile of the weight-grad of ConvShape"),
        (["--trace", "no/such", "--stride", "2"], "--stride belongs to --conv"),
        (["--trace", "no/such"], "trace must be a directory"),
    ],
)
def test_cosim_refuses_bad_arguments(arguments, message, capsys):
    assert main(["cosim", "--config", "tiny", *arguments]) == 2
    assert message in capsys.readouterr().err


def test_generate_writes_once(tmp_path, capsys):
    assert main(["generate", "--config", "tiny", "--out", str(tmp_path)]) == 0
    files = {path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    assert set(files) == {
        "gscn_top.v",
        "gscn_top.core",
        "gscn_top.xml",
        "gscn_top.sdc",
        "gscn_top_example.v",
        "gscn_lint.vlt",
        "gscn_secded.v",
        "gscn_subarrays.v",
        "manifest.json",
    }
    assert ARRAYS["tiny"].digest() in capsys.readouterr().out
    assert main(["generate", "--config", "tiny", "--out", str(tmp_path)]) == 0
    assert {path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir()} == files
