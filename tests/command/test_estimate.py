"""`gscn estimate` in its modes, on a network of two layers."""

from __future__ import annotations

import json
import math

import pytest

from gscn.command.main import main
from gscn.conv import Pass
from gscn.golden.traces.trace import load_trace


@pytest.fixture
def network_file(tmp_path):
    path = tmp_path / "net.json"
    layers = [
        {"name": "a", "c": 3, "h": 8, "w": 8, "k": 8, "r": 3, "s": 3, "padding": [1, 1]},
        {"name": "b", "c": 8, "h": 8, "w": 8, "k": 8, "r": 3, "s": 3, "padding": [1, 1]},
    ]
    path.write_text(json.dumps(layers))
    return path


def run(tmp_path, *options):
    out = tmp_path / "out.json"
    assert main(["estimate", "--json", str(out), *map(str, options)]) == 0
    return json.loads(out.read_text())


def test_the_modes_agree_on_what_they_estimate(network_file, tmp_path, capsys):
    common = ("--model", network_file, "--batch", 2, "--config", "tiny", "--sparsity", 0.5)
    analytic = run(tmp_path, *common, "--mode", "analytic", "--clock-mhz", 500)
    assert analytic["mode"] == "analytic"
    assert analytic["training_seconds"] == pytest.approx(analytic["training_cycles"] / 500e6)
    assert "closed form" in capsys.readouterr().out
    sampled = run(tmp_path, *common, "--processes", 1)
    assert sampled["mode"] == "statistical"
    uniform = run(
        tmp_path, *common, "--operands", "uniform", "--processes", 1, "--sample-products", 9000
    )
    assert uniform["mode"] == "uniform"
    assert "uniform random" in capsys.readouterr().out
    products = [
        sum(
            work["expected_useful_products"]
            for layer in one["layers"]
            for own in layer["passes"]
            for work in own["convolutions"]
        )
        for one in (analytic, sampled, uniform)
    ]
    assert products[0] == products[1]
    assert products[2] == pytest.approx(products[0], rel=0.05)


def test_a_step_with_everything_is_that_of_its_list(tmp_path, capsys):
    data = run(tmp_path, "--model", "resnet20", "--batch", 2, "--mode", "analytic")
    step = data["whole_step"]
    assert step["refused"] is None
    out = capsys.readouterr().out
    for name in ("ours", "ours, 1 of 10", "dense array"):
        assert f"\n{name} " in out
    machines = (step["ours"], step["selecting"], step["dense"])
    kinds = {kind for machine in machines for kind in machine["encode_passes"]}
    assert len(kinds) > 4
    assert all(kind in out for kind in kinds)
    (line,) = (line for line in out.splitlines() if line.startswith("exposed by encode passes"))
    assert line.endswith(f" {100 * step['exposed_share']:.4g}")


def test_a_step_of_which_only_layers_are_known_has_no_figure(network_file, tmp_path, capsys):
    data = run(tmp_path, "--model", network_file, "--batch", 2, "--mode", "analytic")
    assert data["whole_step"]["refused"].endswith(
        "must have the graph of what is between its layers, of which nothing is known: a table of "
        "layers does not say what is between them"
    )
    out = capsys.readouterr().out
    assert "Step with everything: no figure.\na whole step of net must have the graph" in out
    assert "exposed" not in out


def test_a_trace_is_run_as_a_whole(tmp_path, capsys):
    directory = tmp_path / "trace"
    train = ("--method", "swat+resprop", "--batch", "2", "--iterations", "3")
    assert main(["trace", *train, "--out", str(directory)]) == 0
    data = run(tmp_path, "--trace", directory, "--config", "tiny")
    assert data["mode"] == "trace"
    assert data["method"] == "swat+resprop"
    trace = load_trace(directory)
    assert [layer["name"] for layer in data["layers"]] == list(trace.layers)
    assert [one["pass"] for one in data["layers"][0]["passes"]] == list(
        trace.entry(trace.layers[0]).densities
    )
    assert Pass.INPUT_GRAD not in trace.entry(trace.layers[0]).densities
    out = capsys.readouterr().out
    assert "every pass as a whole" in out
    # The trace holds every layer, the fully connected one too; FLOPs are those of the operands.
    assert "whole network, over a dense array" in out
    assert (data["omitted"], data["covered_share"]) == ([], 1)
    assert data["layers"][-1]["name"] == "classifier"
    dense = sum(entry.shape.dense_macs for entry in trace.entries.values())
    left = sum(
        math.prod(entry.densities[Pass.FORWARD]) * entry.shape.dense_macs
        for entry in trace.entries.values()
    )
    assert data["inference_flop_reduction"] == pytest.approx(1 - left / dense)


def test_totals_are_said_to_be_of_what_is_listed(network_file, tmp_path, capsys):
    common = ("--batch", 2, "--config", "tiny", "--mode", "analytic")
    data = run(tmp_path, "--model", network_file, *common)
    assert (data["omitted"], data["covered_share"]) == (None, None)
    out = capsys.readouterr().out
    assert "layers listed, over a dense array" in out
    assert "whether the network computes anything besides is not known" in out
    data = run(tmp_path, "--model", "resnet20", *common)
    assert (data["omitted"], data["covered_share"]) == ([], 1)
    out = capsys.readouterr().out
    assert "whole network, over a dense array" in out
    assert "Every product of the network's forward pass is one of a layer listed." in out


def test_gradients_are_as_dense_as_training_aims_at_unless_told(network_file, tmp_path, capsys):
    common = ("--model", network_file, "--batch", 8, "--config", "tiny", "--mode", "analytic")
    common = (*common, "--method", "resprop", "--sparsity", 0.7)
    default = run(tmp_path, *common)
    assert (default["gradients"], default["gradient_density"]) == ("target", 0.35)
    out = capsys.readouterr().out
    assert "0.35 dense in every convolution (what training aims at" in out
    assert "resprop at 0.7 (gradient differences 35 % dense): times faster than a dense" in out
    assert "over a dense array" in out
    assert run(tmp_path, *common, "--gradients", "target") == default
    nominal = run(tmp_path, *common, "--gradients", "nominal")
    assert (nominal["gradients"], nominal["gradient_density"]) == ("nominal", 0.3)
    assert nominal["backward_speedup_vs_dense"] > default["backward_speedup_vs_dense"]
    assert "the nominal 1 - sparsity; training aims at more" in capsys.readouterr().out
    given = run(tmp_path, *common, "--gradient-density", 0.35)
    assert given["training_cycles"] == default["training_cycles"]


def test_behind_a_dram_a_launch_takes_the_longer_of_both(network_file, tmp_path, capsys):
    common = ("--model", network_file, "--batch", 2, "--config", "tiny", "--sparsity", 0.5)
    for options in (("--mode", "analytic"), ("--processes", 1)):
        free = run(tmp_path, *common, *options)
        assert (free["dram"], "DRAM" in free["layers"][0]["passes"][0]["busy_cycles"]) == (
            None,
            False,
        )
        slow = run(tmp_path, *common, *options, "--dram", 0.5, "--buffer", 256)
        assert slow["dram"] == {"bytes_per_cycle": 0.5, "buffer_bytes": 256 << 10}
        for layer, other in zip(slow["layers"], free["layers"], strict=True):
            for one, own in zip(layer["passes"], other["passes"], strict=True):
                moved = one["dram_read_bytes"][str(256 << 10)] + one["write_bytes"]
                assert one["cycles"] == pytest.approx(max(own["cycles"], moved / 0.5))
                assert one["array_cycles"] == own["cycles"]
                assert one["dense_cycles"] >= own["dense_cycles"]
                assert one["dram_read_bytes"]["0"] >= one["dram_read_bytes"][str(4 << 20)]
        out = capsys.readouterr().out
        assert "a launch takes the longer of the array's cycles and of DRAM's" in out
        assert "read from DRAM per operand byte" in out
        assert "read per operand byte, buffer of 1024 KiB" in out
        means = slow["reads_per_operand_byte"]
        passes = [one for layer in slow["layers"] for one in layer["passes"]]
        ratios = [one["dram_read_bytes"]["0"] / one["operand_bytes"] for one in passes]
        assert means["0"] == pytest.approx(math.prod(ratios) ** (1 / len(ratios)))


def test_rivals_are_given_the_same_layers(network_file, tmp_path):
    data = run(
        *(tmp_path, "--model", network_file, "--batch", 2, "--mode", "analytic"),
        *("--config", "small", "--rivals", "dense,ideal"),
    )
    assert set(data["rival_cycles"]) == {"dense", "ideal"}
    for own in data["rival_cycles"].values():
        assert own["training"] == pytest.approx(own["forward"] + own["backward"])
    assert data["rival_cycles"]["ideal"]["training"] < data["rival_cycles"]["dense"]["training"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--mode", "trace"), "--trace and mode trace need each other"),
        (("--trace", "x", "--mode", "analytic"), "--trace and mode trace need each other"),
        (("--mode", "analytic", "--operands", "uniform"), "applies to mode statistical"),
        (
            ("--gradients", "nominal", "--gradient-density", "0.2"),
            "gradients must be target where their density is given",
        ),
        (("--buffer", "1024"), "--buffer needs --dram"),
        (("--mode", "analytic", "--dram", "0"), "bytes per cycle must be over 0"),
        (("--mode", "analytic", "--dram", "4", "--rivals", "dense"), "without rivals"),
        (("--samples", "2"), "samples must be at least 3"),
        (("--clock-mhz", "0"), "clock must be over 0 Hz"),
        (("--mode", "analytic", "--rivals", "abacus"), "rivals must be of"),
        (("--trace", "absent"), "trace must be a directory"),
    ],
)
def test_bad_options_are_named(options, message, network_file, capsys):
    name = () if "--trace" in options else ("--model", str(network_file))
    assert main(["estimate", *name, *options]) == 2
    assert message in capsys.readouterr().err
