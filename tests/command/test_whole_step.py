"""`gscn train --whole-step`: what it refuses, checks, shows and writes."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from gscn.command.main import EXIT_GOOD, EXIT_MISMATCH, EXIT_USAGE, main
from gscn.command.training_log import read_training_log
from gscn.cosim import whole_steps
from gscn.cosim.builds import simulator
from gscn.golden.methods.layers import attached_to
from gscn.golden.training.training import Trainer
from gscn.lowering.step.host import Host
from tests.emulated_lists import EmulatedLists

ROOT = Path(__file__).resolve().parents[2]
TRAIN = [
    "train", "--backend", "rtl", "--whole-step", "--batch", "2", "--iterations-per-epoch", "4",
    "--epochs", "1", "--iterations", "2",
]  # fmt: skip


@pytest.fixture
def emulated(monkeypatch):
    """Let the emulator run the lists."""
    monkeypatch.setattr(whole_steps, "ListSimulator", EmulatedLists)
    monkeypatch.setattr(simulator, "build", lambda *_, **__: None)


def test_training_by_whole_steps_is_checked_reported_and_goes_on_in_torch(
    emulated, tmp_path, capsys
):
    result, timeline, log, out = (tmp_path / name for name in ("r.json", "t.json", "log.csv", "c"))
    words = ["--method", "swat+resprop", "--sparsity", "0.9", "--check"]
    files = ["--json", result, "--timeline", timeline, "--log", log, "--out", out]
    assert main([*TRAIN, *words, *map(str, files)]) == EXIT_GOOD
    text = capsys.readouterr().out
    assert "2 whole steps of " in text
    assert "every loss, tensor and state equals the golden step's, bit for bit" in text
    data = json.loads(result.read_text())
    simulation = data["simulation"]
    assert simulation["checked"]
    assert simulation["steps"] == 2
    # 4 bytes of each of 112 lanes: the rate falls behind the first step.
    assert simulation["host_bytes"]["rates"] == 4 * (16 + 32 + 64)
    assert f"{100 * simulation['host_share']:.3f} %" in text
    # Layers but the first keep a tenth.
    assert data["sparsity_reached"]["weights"] == pytest.approx(0.9, abs=0.01)
    rows = read_training_log(log)
    assert [row["loss"] for row in rows] == data["losses_nats"]
    spans = [e for e in json.loads(timeline.read_text())["traceEvents"] if e["ph"] == "X"]
    units = {event["name"]: event["pid"] for event in spans}
    assert (units["forward.stem"], units["update.stem"]) == (1, 0)
    trainer = Trainer.load(out)
    layer = trainer.network.get_submodule("block1.conv1")
    top = attached_to(layer).operand_sparsifier
    assert top.iteration == trainer.iteration == 2
    kept = int((layer.weight.abs() >= top.weight_threshold).sum())
    assert 0 < kept / layer.weight.numel() < 0.2
    reuse = attached_to(layer).gradient_sparsifier
    assert torch.count_nonzero(reuse.reused_grad) > 0
    assert main(["train", "--resume", "--out", str(out), "--iterations", "3"]) == EXIT_GOOD
    assert "3 iterations of 2 images" in capsys.readouterr().out


EMULATED = """
import sys
from gscn.command.main import main
from gscn.cosim import whole_steps
from gscn.cosim.builds import simulator
from tests.emulated_lists import EmulatedLists

whole_steps.ListSimulator, simulator.build = EmulatedLists, lambda *_, **__: None
sys.exit(main(sys.argv[1:]))
"""
"""The command in a process of its own, as the fixture `emulated` has it."""


def same_training(one, other):
    """Say whether two folders have the same weights and the same log."""
    states = [Trainer.load(path / "model.pt").network.state_dict() for path in (one, other)]
    alike = [torch.equal(states[0][name], states[1][name]) for name in states[0]]
    logs = [(path / "log.csv").read_bytes() for path in (one, other)]
    return states[0].keys() == states[1].keys() and all(alike) and logs[0] == logs[1]


METHOD = ["--method", "swat+resprop", "--sparsity", "0.9", "--refresh-period", "2"]


def test_training_resumed_ends_with_the_same_weights_and_log(emulated, tmp_path, capsys):
    whole, parts = (tmp_path / name for name in ("whole", "parts"))
    for folder, stops in ((whole, (3,)), (parts, (2, 3))):
        folder.mkdir()
        files = ["--out", str(folder / "model.pt"), "--log", str(folder / "log.csv"), "--resume"]
        for number, stop in enumerate(stops):
            # A machine that goes on is checked from its first step on.
            check = ["--check"] if number else []
            words = [*TRAIN, *METHOD, *files, *check, "--iterations", str(stop)]
            assert main(words) == EXIT_GOOD
    assert same_training(whole, parts)
    # Torch's own training is another one, from which no machine goes on.
    plain = ["train", *TRAIN[4:], *METHOD, "--out", str(tmp_path / "torch.pt")]
    assert main(plain) == EXIT_GOOD
    assert main([*TRAIN, "--resume", "--out", str(tmp_path / "torch.pt")]) == EXIT_USAGE
    assert "must be a checkpoint of whole steps" in capsys.readouterr().err


@pytest.mark.slow
def test_runs_killed_at_random_moments_end_with_the_same_weights_and_log(emulated, tmp_path):
    whole, killed = (tmp_path / name for name in ("whole", "killed"))

    def words(folder):
        folder.mkdir(exist_ok=True)
        files = ["--out", str(folder / "model.pt"), "--log", str(folder / "log.csv"), "--resume"]
        return [*TRAIN, *METHOD, *files, "--checkpoint-every", "1", "--iterations", "4"]

    assert main(words(whole)) == EXIT_GOOD
    rng = random.Random(3)
    # Before the first checkpoint, then between and within checkpoints.
    for goal in (0, 2):
        threads = {"OMP_NUM_THREADS": str(torch.get_num_threads())}
        process = subprocess.Popen(
            [sys.executable, "-c", EMULATED, *words(killed)],
            cwd=ROOT,
            env={**os.environ, **threads},
        )
        log = killed / "log.csv"
        deadline = time.monotonic() + 600
        while process.poll() is None and time.monotonic() < deadline:
            if log.exists() and log.read_bytes().count(b"\n") > goal:
                break
            time.sleep(0.01)
        time.sleep(rng.uniform(0, 1))
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL, "the run must not end before it is killed"
    assert main(words(killed)) == EXIT_GOOD
    assert same_training(whole, killed)


def test_a_wrong_result_is_an_error_that_names_step_and_tensor(emulated, monkeypatch, capsys):
    def wrong(self, stop):
        """Change a weight behind the loss."""
        right(self, stop)
        place = self.listing.memory.dense["w.head"]
        self.memory[place.addr] ^= 1

    right = Host._loss
    monkeypatch.setattr(Host, "_loss", wrong)
    assert main([*TRAIN, "--check", "--iterations", "1"]) == EXIT_MISMATCH
    error = capsys.readouterr().err
    assert "step 1: " in error
    assert "w.head" in error
    assert "must be as in the golden step, bit for bit" in error


@pytest.mark.parametrize(
    ("options", "messages"),
    [
        (["--on", "stem"], ["--on must not stand with --whole-step, which takes every layer"]),
        (["--devices", "2"], ["--devices must not stand with --whole-step"]),
        (["--waves", "stem", "forward", "x"], ["--waves must not stand with --whole-step"]),
        (["--backend", "cycle-model"], ["--whole-step needs --backend rtl"]),
        (
            ["--method", "swat", "--budget", "erk", "--structure", "kernel"],
            [
                "budget must be uniform for a whole step, not erk",
                "structure must be unstructured for a whole step, not kernel",
            ],
        ),
        (["--method", "resprop", "--warm-up"], ["warm_up must be False for a whole step"]),
        (
            ["--method", "resprop", "--first-conv", "dense"],
            ["first_conv must be paper or sparse for a whole step of resprop, not dense"],
        ),
    ],
)
def test_what_a_whole_step_has_no_way_for_is_refused_by_name(options, messages, capsys):
    assert main([*TRAIN, *options]) == EXIT_USAGE
    error = capsys.readouterr().err
    assert all(message in error for message in messages)


def test_every_operation_without_a_place_is_named_before_anything_is_built(monkeypatch, capsys):
    monkeypatch.setattr(simulator, "build", None)
    assert main([*TRAIN, "--network", "densenet121"]) == EXIT_USAGE
    error = capsys.readouterr().err
    assert "a whole training step has no place for " in error
    assert error.count("torch.cat") > 1
