"""`gscn train --backend` and `gscn cosim --workers`: what they refuse, check and write."""

import json

import pytest

from gscn.command import simulated
from gscn.command.main import EXIT_GOOD, EXIT_MISMATCH, EXIT_USAGE, main
from gscn.command.training_log import read_training_log
from gscn.cosim.devices.backends import CycleModelBackend
from gscn.golden.methods import backends

TRAIN = [
    "train", "--method", "swat+resprop", "--sparsity", "0.9", "--batch", "2", "--iterations", "2",
    "--backend", "cycle-model", "--config", "small",
]  # fmt: skip


def test_the_command_knows_the_backends():
    assert simulated.BACKENDS == backends.BACKENDS


def test_training_on_the_cycle_model_reports_time_and_equals_the_golden_model(tmp_path, capsys):
    result, timeline, log = (tmp_path / name for name in ("r.json", "t.json", "log.csv"))
    options = ["--check", "--clock-mhz", "250", "--on", "block3.conv2", "--on", "stem"]
    files = ["--json", str(result), "--timeline", str(timeline), "--log", str(log)]
    assert main([*TRAIN, *options, *files]) == EXIT_GOOD
    assert "every loss and all weights equal the golden model's" in capsys.readouterr().out
    data = json.loads(result.read_text())
    simulation = data["simulation"]
    assert data["backend"] == "cycle-model"
    assert data["arithmetic"] == "bf16"
    assert simulation["checked"]
    assert simulation["differences"] == []
    assert simulation["golden_losses_nats"] == data["losses_nats"]
    assert len(data["losses_nats"]) == 2
    assert simulation["config"]["float_formats"] == "bf16"
    # The stem has no input gradient; in the second iteration, both gradients of both layers have
    # the term of the reused gradient besides.
    assert simulation["launches"] == (2 + 3) + (3 + 5)
    assert simulation["launches_by_pass"] == {
        "layer stem, forward": 2,
        "layer stem, weight-grad": 3,
        "layer block3.conv2, forward": 2,
        "layer block3.conv2, input-grad": 3,
        "layer block3.conv2, weight-grad": 3,
    }
    assert simulation["simulated_seconds"] == pytest.approx(simulation["cycles"] / 250e6)
    assert 0 < simulation["utilization"] <= 1
    spans = [e for e in json.loads(timeline.read_text())["traceEvents"] if e["ph"] == "X"]
    labels = [event["name"] for event in spans if event["pid"] == 0]
    assert sorted(set(labels)) == sorted(
        f"layer {name}"
        for name in (
            "block3.conv2, forward", "block3.conv2, input-grad", "block3.conv2, weight-grad",
            "stem, forward", "stem, weight-grad",
        )
    )  # fmt: skip
    assert [row["loss"] for row in read_training_log(log)] == data["losses_nats"]


def test_a_wrong_result_is_found(monkeypatch, capsys):
    run_pass = CycleModelBackend.run_pass

    def wrong(self, job):
        (run,) = run_pass(self, job)
        run.result.flat[0] ^= 1 << 30
        return [run]

    monkeypatch.setattr(CycleModelBackend, "run_pass", wrong)
    options = ["--check", "--on", "head", "--iterations", "1"]
    assert main([*TRAIN, *options]) == EXIT_MISMATCH
    text = capsys.readouterr().out
    assert "iteration 1: loss " in text
    assert "head.weight differs from the golden model's" in text


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--check"], "--check needs --backend rtl or cycle-model"),
        (["--backend", "golden", "--timeline", "x"], "--timeline needs --backend rtl or cycle"),
        (["--backend", "cycle-model", "--devices", "2"], "--devices needs --backend rtl"),
        (["--backend", "cycle-model", "--build-dir", "x"], "--build-dir needs --backend rtl"),
        (
            ["--backend", "rtl", "--arithmetic", "float32"],
            "--backend calculates with narrow operands, not --arithmetic float32",
        ),
        (["--backend", "rtl", "--waves", "stem", "all", "x"], "needs a pass, forward, input-grad"),
        (["--clock-mhz", "0"], "--clock-mhz must be positive, not 0"),
        (["--backend", "cycle-model", "--on", "tail"], "layer must be one of stem, block1.conv1"),
    ],
)
def test_train_refuses_what_does_not_fit(options, message, capsys):
    assert main(["train", *options]) == EXIT_USAGE
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--workers", "2", "--axi"], "--axi must not stand with --workers"),
        (["--workers", "2", "--stalls", "0.1"], "--stalls must not stand with --workers"),
        (["--workers", "2", "--scheduler", "tcp://x:1"], "must not stand with --scheduler"),
        (["--scheduler", "tcp://x:1", "--build-dir", "x"], "it must not stand with --scheduler"),
    ],
)
def test_cosim_refuses_what_workers_do_not_have(options, message, capsys):
    assert main(["cosim", "--conv", "1,1,4,4,1,3,3", *options]) == EXIT_USAGE
    assert message in capsys.readouterr().err


def test_golden_is_a_backend_as_well(tmp_path):
    results = []
    for options in (["--backend", "golden"], ["--arithmetic", "bf16"]):
        path = tmp_path / "r.json"
        assert main(
            ["train", "--batch", "2", "--iterations", "1", *options, "--json", str(path)]
        ) == EXIT_GOOD  # fmt: skip
        results.append(json.loads(path.read_text())["loss_nats"])
    assert results[0] == results[1]


@pytest.mark.parametrize(
    ("arithmetic", "scales", "formats"),
    [("fp8", "amax", "fp16,fp8_e4m3"), ("fp8_e4m3", "mx", "bf16"), ("fp16", "none", "fp16")],
)
def test_an_array_has_the_formats_of_the_arithmetic(arithmetic, scales, formats, tmp_path):
    report = tmp_path / "report.json"
    words = ["train", "--backend", "cycle-model", "--arithmetic", arithmetic, "--scales", scales]
    words += ["--method", "resprop", "--iterations", "2", "--batch", "2", "--check"]
    assert main([*words, "--json", str(report)]) == EXIT_GOOD
    data = json.loads(report.read_text())
    assert data["simulation"]["config"]["float_formats"] == formats
    assert (data["simulation"]["checked"], data["simulation"]["differences"]) == (True, [])


def test_a_whole_step_has_no_other_formats(capsys):
    words = ["train", "--backend", "rtl", "--whole-step", "--arithmetic", "fp16"]
    assert main(words) == EXIT_USAGE
    told = capsys.readouterr().err
    assert "arithmetic must be float32 or bf16 for a whole step, not fp16" in told
    assert "loss_scale must be none for a whole step, not dynamic" in told


@pytest.mark.cosim
def test_a_layer_runs_on_the_verilog_with_every_counter_checked(tmp_path):
    report = tmp_path / "report.json"
    words = ["train", "--method", "swat", "--backend", "rtl", "--config", "tiny", "--on", "stem"]
    words += ["--epochs", "1", "--iterations", "1", "--batch", "2", "--check"]
    assert main([*words, "--json", str(report)]) == 0
    assert json.loads(report.read_text())["backend"] == "rtl"
